//! Who is answered: requests that name the server by its own name, pages of allowed origins, holders of
//! the token; and that no client reaches a file.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kit::client::say;
use crate::kit::faults::wrap;
use crate::kit::routes::of_the_api;
use crate::kit::{self, Server, Upstreams, eventually, skip};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderName;

const TOKEN: &str = "a-token-of-these-tests-0123456789";

fn with_host(server: &Server, method: &str, path: &str, host: &str) -> kit::Got {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    say(&server.address, request.as_bytes())
}

/// Opens a stream with these headers; the status where it is refused.
fn stream(server: &Server, path: &str, headers: &[(&str, &str)]) -> Result<(), u16> {
    let url = format!("ws://{}{path}", server.address);
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let tcp = TcpStream::connect(&server.address).unwrap();
    tcp.set_read_timeout(Some(kit::PATIENCE)).unwrap();
    match tungstenite::client(request, tcp) {
        Ok(_) => Ok(()),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(r))) => {
            Err(r.status().as_u16())
        }
        Err(e) => panic!("{e}"),
    }
}

/// Every route that reads or changes something, and one that is none.
fn every_route() -> impl Iterator<Item = (&'static str, &'static str)> {
    of_the_api().chain([
        ("POST", "/api/shutdown"),
        ("POST", "/api/drill?stall=candle-cache&how=sleep&for=20s"),
        ("GET", "/metrics"),
        ("GET", "/api/threads/dump"),
        ("GET", "/api/stalls"),
        ("OPTIONS", "/api/health"),
        ("GET", "/nothing/here"),
    ])
}

#[test]
fn a_foreign_page_gets_no_answer_from_any_route_and_no_upstream_hears_of_it() {
    let up = Upstreams::start();
    let server = up.server(&["http.origins=localhost", "watchdog.allow_drills=true"]);
    let asked = |up: &Upstreams| {
        let trader = [
            "/api/watchlist",
            "/api/vwap",
            "/api/signals",
            "/api/positions",
        ];
        let trader: usize = trader.iter().map(|path| up.trader.http.count(path)).sum();
        up.schwab.0.fake.asked().len() + trader
    };
    let page = "Sec-Fetch-Site";
    for headers in [
        &[(page, "cross-site"), ("Sec-Fetch-Dest", "image")][..],
        &[(page, "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
        &[(page, "cross-site"), ("Sec-Fetch-Mode", "navigate")],
        &[(page, "cross-site"), ("Referer", "http://localhost:3000/")],
        &[(page, "new-in-some-year")],
        &[("Referer", "https://evil.example/")],
        &[("Origin", "https://evil.example"), (page, "cross-site")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "file://")],
    ] {
        for (method, path) in every_route() {
            let got = server.ask_with(method, path, headers);
            assert_eq!(got.status, 403, "{method} {path} {headers:?}");
            assert!(!got.detail().is_empty());
            assert_eq!(got.header("Access-Control-Allow-Origin"), None);
        }
        assert_eq!(stream(&server, "/api/ws/quotes", headers), Err(403));
    }
    assert_eq!(asked(&up), 0, "a foreign page reached an upstream");
    // The server's own files may be opened from a link.
    for path in ["/", "/threads", "/docs"] {
        let link = [(page, "cross-site"), ("Sec-Fetch-Mode", "navigate")];
        assert_eq!(server.ask_with("GET", path, &link).status, 200, "{path}");
    }
    assert_eq!(server.get("/api/health").status, 200);
    for ours in [
        &[("Origin", "http://localhost:3000"), (page, "same-site")][..],
        &[("Origin", "http://127.0.0.1:5173"), (page, "cross-site")],
        &[(page, "same-origin")],
        &[(page, "same-site"), ("Referer", "http://localhost:3000/")],
        &[(page, "none"), ("Sec-Fetch-Mode", "navigate")],
        &[("Sec-Fetch-Mode", "cors")],
    ] {
        let got = server.ask_with("GET", "/api/candles/TOYO", ours);
        assert_eq!(got.status, 200, "{ours:?}");
    }
    assert_eq!(asked(&up), 1);
    let lines = server.log("backend.log").matches("[GATE] refused").count();
    assert!((1..60).contains(&lines), "{lines} lines");
}

#[test]
fn an_answer_that_lies_ready_is_for_who_may_have_it() {
    let server = Server::start(&[]);
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(kit::PATIENCE)).unwrap();
    let mut say = |more: &str| {
        let head = format!(
            "GET /api/candles/TOYO HTTP/1.1\r\nHost: {}\r\n{more}\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 65_536];
        loop {
            let n = stream.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&got).into_owned();
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
            let length = head.split("Content-Length: ").nth(1);
            let length = length.and_then(|l| l.lines().next()?.parse::<usize>().ok());
            if n == 0 || length.is_some_and(|l| body.len() >= l) {
                return text[9..12].to_owned();
            }
        }
    };
    for _ in 0..3 {
        assert_eq!(say(""), "200");
    }
    assert_eq!(say("Sec-Fetch-Site: cross-site\r\n"), "403");
}

#[test]
fn the_line_that_a_refusal_names_lets_the_page_in_over_http_and_streams() {
    let refusing = Server::start(&[]);
    for (n, origins) in [
        &["file://", "null"][..],
        &["null", "file://"],
        &["https://charts.example"],
        &["app://-"],
        &["capacitor://localhost"],
        &["vscode-webview://1bk2a6dkqfhp5t2mfhmeq3iqgj6f5l"],
        &["http://[fe80::1]:3000"],
    ]
    .into_iter()
    .enumerate()
    {
        let origin = origins[0];
        let got = refusing.ask_with("GET", "/api/health", &[("Origin", origin)]);
        assert_eq!(got.status, 403, "{origin}");
        let detail = got.detail();
        refusing.log_has("backend.log", &detail);
        let line = detail.rsplit_once(": ").unwrap().1;
        // As a line of the file, and behind the flag.
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("lines.toml");
        std::fs::write(&file, format!("{line}\n")).unwrap();
        let server = Server::start_by(home, |command| {
            if n % 2 == 0 {
                command.arg("--config").arg(&file);
            } else {
                command.args(["--set", line]);
            }
            command.stderr(Stdio::null());
        });
        for origin in origins.iter().copied().chain(["http://localhost:5173"]) {
            let page = [("Origin", origin), ("Sec-Fetch-Site", "cross-site")];
            let got = server.ask_with("GET", "/api/health", &page);
            assert_eq!(got.status, 200, "{line}: {origin}");
            assert_eq!(got.header("Access-Control-Allow-Origin"), Some(origin));
            assert_eq!(stream(&server, "/api/ws/quotes", &page), Ok(()), "{origin}");
            let asking = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "POST"),
            ];
            let may = server.ask_with("OPTIONS", "/api/validate/TOYO", &asking);
            assert_eq!(may.status, 204, "{line}: {origin}");
        }
        let foreign = [("Origin", "https://evil.example")];
        assert_eq!(server.ask_with("GET", "/api/health", &foreign).status, 403);
    }
}

#[test]
fn what_a_proxy_sent_on_needs_the_token_and_is_not_of_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("clients-token");
    std::fs::write(&file, TOKEN).unwrap();
    let without = Server::start(&[]);
    let with = Server::start_by(home, |command| {
        command.args(["--set", &format!("http.token_file={}", file.display())]);
        command.stderr(Stdio::null());
    });
    let bearer = format!("Bearer {TOKEN}");
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"] {
        let sent_on = [(header, "for=203.0.113.7")];
        for (method, path) in every_route() {
            let got = without.ask_with(method, path, &sent_on);
            assert_eq!(got.status, 403, "{method} {path} {header}");
            assert!(got.detail().contains("set http.token_file"));
        }
        assert_eq!(stream(&without, "/api/ws/quotes", &sent_on), Err(403));
        assert_eq!(with.ask_with("GET", "/api/health", &sent_on).status, 401);
        let shown = [sent_on[0], ("Authorization", &bearer)];
        assert_eq!(with.ask_with("GET", "/api/health", &shown).status, 200);
        assert_eq!(stream(&with, "/api/ws/quotes", &shown), Ok(()));
        // Only who is on this machine may end it.
        let end = with.ask_with("POST", "/api/shutdown", &shown);
        assert_eq!(end.status, 403, "{}", end.text());
    }
    assert_eq!(without.get("/api/health").status, 200);
}

#[test]
fn who_changes_something_from_another_machine_is_known() {
    let Some(ip) = kit::client::own_address() else {
        skip("this machine has no address but loopback ones");
        return;
    };
    let server = Server::start(&["--listen", "0.0.0.0:0"]);
    let port = server.address.rsplit_once(':').unwrap().1;
    let there = format!("{ip}:{port}");
    let own = format!("http://{there}");
    for (method, path) in every_route().filter(|(method, _)| *method == "POST") {
        let got = kit::client::ask(&there, method, path, &[]);
        assert_eq!(got.status, 403, "{path}");
    }
    let validate = "/api/validate/TOYO";
    let remote = kit::client::ask(&there, "POST", validate, &[]);
    assert!(
        remote.detail().contains("http.token_file"),
        "{}",
        remote.text()
    );
    let page = kit::client::ask(&there, "POST", validate, &[("Origin", &own)]);
    assert_ne!(page.status, 403, "{}", page.text());
    assert_eq!(kit::client::get(&there, "/api/health").status, 200);
    let here = format!("127.0.0.1:{port}");
    let tool = kit::client::ask(&here, "POST", validate, &[]);
    assert_ne!(tool.status, 403, "{}", tool.text());
}

#[test]
fn a_name_that_was_made_to_point_here_is_refused_on_every_route() {
    let server = Server::start(&["--set", "http.hosts=charts.example"]);
    for (method, path) in every_route() {
        let got = with_host(&server, method, path, "evil.example:8081");
        assert_eq!(got.status, 421, "{method} {path} {}", got.text());
        assert!(got.detail().contains("http.hosts"), "{}", got.detail());
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:8081", "Charts.Example"] {
        assert_eq!(
            with_host(&server, "GET", "/api/health", host).status,
            200,
            "{host}"
        );
    }
    assert_eq!(
        stream(&server, "/api/ws/quotes", &[("Host", "evil.example")]),
        Err(421)
    );
    assert_eq!(
        stream(
            &server,
            "/api/ws/quotes",
            &[("Origin", "http://evil.example")]
        ),
        Err(403)
    );
    assert_eq!(
        stream(
            &server,
            "/api/ws/quotes",
            &[("Origin", "http://localhost:3000")]
        ),
        Ok(())
    );
    let log = server.log_has("backend.log", "is no name of this server");
    let lines = log.matches("is no name of this server").count();
    assert!(
        lines < 10,
        "a flood of refusals fills the log: {lines} lines"
    );
}

#[test]
fn with_a_token_nothing_is_answered_without_it_and_everything_with_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("clients-token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = Server::start_by(home, |command| {
        command.args(["--set", &format!("http.token_file={}", file.display())]);
        command.stderr(std::process::Stdio::null());
    });
    let bearer = format!("Bearer {TOKEN}");
    let shown = [("Authorization", bearer.as_str())];
    let wrong = [("Authorization", "Bearer a-token-of-these-tests-012345678X")];
    for (method, path) in every_route().filter(|(method, _)| *method != "OPTIONS") {
        for headers in [&[][..], &wrong[..]] {
            let got = server.ask_with(method, path, headers);
            assert_eq!(got.status, 401, "{method} {path}");
            assert!(got.detail().contains("Authorization: Bearer TOKEN"));
            assert!(got.header("WWW-Authenticate").is_some());
        }
    }
    eventually("answers with the token", || {
        (server.ask_with("GET", "/api/candles/TOYO", &shown).status == 200).then_some(())
    });
    // A page's script sees the 401, and asks before it asks without the token.
    let page = [("Origin", "http://localhost:3000")];
    let refused = server.ask_with("GET", "/api/health", &page);
    assert_eq!(
        refused.header("Access-Control-Allow-Origin"),
        Some("http://localhost:3000")
    );
    let asking = [
        ("Origin", "http://localhost:3000"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization"),
    ];
    let may = server.ask_with("OPTIONS", "/api/health", &asking);
    assert_eq!(may.status, 204);
    assert_eq!(
        may.header("Access-Control-Allow-Headers"),
        Some("authorization")
    );

    let quotes = "/api/ws/quotes";
    assert_eq!(stream(&server, quotes, &[]), Err(401));
    assert_eq!(stream(&server, "/api/ws/quotes?token=wrong", &[]), Err(401));
    assert_eq!(
        stream(&server, quotes, &[("Authorization", &bearer)]),
        Ok(())
    );
    assert_eq!(
        stream(&server, &format!("{quotes}?token={TOKEN}"), &[]),
        Ok(())
    );

    let dump = |token_file: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapewarden"));
        command.args(["dump", "--url", &format!("http://{}", server.address)]);
        if let Some(file) = token_file {
            command.env("TAPEWARDEN_HTTP_TOKEN_FILE", file);
        }
        command.output().unwrap()
    };
    assert!(!dump(None).status.success());
    assert!(dump(Some(&file)).status.success());
    let logs = server.log("backend.log") + &server.log("watchdog.log");
    assert!(!logs.contains(TOKEN), "{logs}");
}

#[test]
fn a_token_that_is_none_is_told_before_anything_is_served() {
    let home = tempfile::tempdir().unwrap();
    for (content, words) in [
        (None, "No such file"),
        (Some("short"), "16 to 1024 characters"),
    ] {
        let file = home.path().join("token-of-clients");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let out = kit::server::program(home.path())
            .args(["--set", &format!("http.token_file={}", file.display())])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(
            said.contains("http.token_file") && said.contains(words),
            "{said}"
        );
    }
}

#[test]
fn no_path_of_a_client_reaches_a_file() {
    let server = Server::start(&[]);
    std::fs::write(server.path("planted.txt"), "planted-words").unwrap();
    let absolute = server.path("planted.txt");
    let absolute = absolute.to_str().unwrap();
    for begin in [
        "",
        "/",
        "/api",
        "/api/candles",
        "/api/quote",
        "/api/vwap",
        "/api/runners",
        "/api/threads/dump",
    ] {
        for path in [
            "/planted.txt".to_owned(),
            "/../planted.txt".to_owned(),
            "/..%2Fplanted.txt".to_owned(),
            "/%2e%2e/planted.txt".to_owned(),
            "/....//planted.txt".to_owned(),
            "/..%5cplanted.txt".to_owned(),
            format!("/{absolute}"),
            absolute.replace('/', "%2F"),
            "/../logs/backend.log".to_owned(),
            "?file=planted.txt&format=../planted.txt".to_owned(),
            "/%00planted.txt".to_owned(),
        ] {
            let path = format!("{begin}{path}");
            let path = if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            };
            let got = server.get(&path);
            assert!(!got.text().contains("planted-words"), "{path}");
            assert!(!got.text().contains("[INFO] ["), "{path}");
            // A VWAP that is not known is an answer.
            if !path.contains('?') && begin != "/api/vwap" {
                assert!(matches!(got.status, 400 | 404), "{path}: {}", got.status);
            }
        }
    }
}

#[test]
fn files_of_ours_are_written_by_nobody_else_and_secrets_read_by_nobody_else() {
    // By somebody whose shell lets everybody write.
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        wrap(command, "sh", &["-c", "umask 0; exec \"$0\" \"$@\""]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
    });
    server.eventually("/api/threads/dump", |got| got.status == 200);
    server.signal("QUIT");
    server.log_has("watchdog.log", "=== END STACK DUMP ===");
    server.log_has("backend.log", "listening on");
    let mut looked = 0;
    let mut folders = vec![server.path("logs")];
    // The embedded market's folder.
    let pid = format!("-{}-", server.pid());
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tapewarden-") && name.contains(&pid) {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{name}");
            folders.push(entry.path());
        }
    }
    assert_eq!(folders.len(), 2, "{folders:?}");
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let mode = meta.permissions().mode() & 0o777;
            if meta.is_dir() {
                folders.push(path);
            } else if path.ends_with("token.json") {
                assert_eq!(mode, 0o600, "{}", path.display());
            } else if !path.ends_with("gate.sock") {
                assert_eq!(mode & 0o022, 0, "{}: {mode:o}", path.display());
            }
            looked += 1;
        }
    }
    assert!(looked >= 8, "{looked}");
}
