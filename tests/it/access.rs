//! Who is answered: requests that name the server by its own name, pages of allowed origins, holders of
//! the token; and that no client reaches a file.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kit::client::say;
use crate::kit::faults::wrap;
use crate::kit::routes::{END, of_the_api};
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
    let trader = [
        "/api/watchlist",
        "/api/vwap",
        "/api/signals",
        "/api/positions",
    ];
    let trader: usize = trader.iter().map(|path| up.trader.http.count(path)).sum();
    let asked = up.schwab.0.fake.asked().len() + trader;
    assert_eq!(asked, 0, "a foreign page reached an upstream");
    let lines = server.log("backend.log").matches("[GATE] refused").count();
    assert!((1..60).contains(&lines), "{lines} lines");
    assert_eq!(server.get("/api/health").status, 200);
}

#[test]
fn the_servers_own_pages_may_be_opened_from_a_link_on_a_foreign_page() {
    let server = Server::start(&[]);
    for path in ["/", "/threads", "/docs"] {
        let link = [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "navigate"),
        ];
        assert_eq!(server.ask_with("GET", path, &link).status, 200, "{path}");
    }
}

#[test]
fn pages_of_allowed_origins_the_address_bar_and_tools_are_answered() {
    let up = Upstreams::start();
    let server = up.server(&["http.origins=localhost"]);
    let page = "Sec-Fetch-Site";
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

/// Headers by which a proxy says that it sends a request on.
const SENT_ON: [&str; 4] = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"];

#[test]
fn what_a_proxy_sent_on_is_refused_where_there_is_no_token() {
    let server = Server::start(&[]);
    for header in SENT_ON {
        let sent_on = [(header, "for=203.0.113.7")];
        for (method, path) in every_route() {
            let got = server.ask_with(method, path, &sent_on);
            assert_eq!(got.status, 403, "{method} {path} {header}");
            assert!(got.detail().contains("set http.token_file"));
        }
        assert_eq!(stream(&server, "/api/ws/quotes", &sent_on), Err(403));
    }
    assert_eq!(server.get("/api/health").status, 200);
}

#[test]
fn what_a_proxy_sent_on_with_the_token_is_answered_and_ends_no_server() {
    let (server, _file) = with_token();
    let bearer = bearer(TOKEN);
    for header in SENT_ON {
        let sent_on = (header, "for=203.0.113.7");
        assert_eq!(
            server.ask_with("GET", "/api/health", &[sent_on]).status,
            401
        );
        let shown = [sent_on, ("Authorization", bearer.as_str())];
        assert_eq!(server.ask_with("GET", "/api/health", &shown).status, 200);
        assert_eq!(stream(&server, "/api/ws/quotes", &shown), Ok(()));
        // Only who is on this machine may end it.
        let end = server.ask_with("POST", END, &shown);
        assert_eq!(end.status, 403, "{}", end.text());
    }
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

/// A server that wants [`TOKEN`], and the file where it stands.
fn with_token() -> (Server, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("clients-token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = Server::start_by(home, |command| {
        command.args(["--set", &format!("http.token_file={}", file.display())]);
        command.stderr(Stdio::null());
    });
    (server, file)
}

/// The header that shows a token.
fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Whether `tapewarden dump` has its report over the port, with the token from this file.
fn dump(server: &Server, token_file: Option<&Path>) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapewarden"));
    command.args(["dump", "--url", &format!("http://{}", server.address)]);
    if let Some(file) = token_file {
        command.env("TAPEWARDEN_HTTP_TOKEN_FILE", file);
    }
    command.output().unwrap().status.success()
}

#[test]
fn without_the_token_or_with_a_wrong_one_every_route_says_401_and_how_it_is_shown() {
    let (server, _file) = with_token();
    let wrong = bearer("a-token-of-these-tests-012345678X");
    for (method, path) in every_route().filter(|(method, _)| *method != "OPTIONS") {
        for headers in [&[][..], &[("Authorization", wrong.as_str())]] {
            let got = server.ask_with(method, path, headers);
            assert_eq!(got.status, 401, "{method} {path}");
            assert!(got.detail().contains("Authorization: Bearer TOKEN"));
            assert!(got.header("WWW-Authenticate").is_some());
        }
    }
}

#[test]
fn with_the_token_every_route_answers() {
    let (server, _file) = with_token();
    let bearer = bearer(TOKEN);
    for (method, path) in of_the_api().filter(|(_, path)| *path != END) {
        let got = server.ask_with(method, path, &[("Authorization", &bearer)]);
        assert_ne!(got.status, 401, "{method} {path}");
    }
    eventually("candles", || {
        let got = server.ask_with("GET", "/api/candles/TOYO", &[("Authorization", &bearer)]);
        (got.status == 200).then_some(())
    });
}

#[test]
fn a_pages_script_sees_the_401() {
    let (server, _file) = with_token();
    let page = ("Origin", "http://localhost:3000");
    let refused = server.ask_with("GET", "/api/health", &[page]);
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("Access-Control-Allow-Origin"),
        Some("http://localhost:3000")
    );
}

#[test]
fn a_pages_script_may_ask_with_the_token_and_its_preflight_needs_none() {
    let (server, _file) = with_token();
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
}

#[test]
fn a_stream_opens_with_the_token_in_a_header_or_the_url_and_not_without() {
    let (server, _file) = with_token();
    let quotes = "/api/ws/quotes";
    assert_eq!(stream(&server, quotes, &[]), Err(401));
    assert_eq!(stream(&server, "/api/ws/quotes?token=wrong", &[]), Err(401));
    let bearer = bearer(TOKEN);
    assert_eq!(
        stream(&server, quotes, &[("Authorization", &bearer)]),
        Ok(())
    );
    assert_eq!(
        stream(&server, &format!("{quotes}?token={TOKEN}"), &[]),
        Ok(())
    );
}

#[test]
fn the_command_dump_needs_the_token_and_takes_it_from_the_same_file() {
    let (server, file) = with_token();
    assert!(!dump(&server, None));
    assert!(dump(&server, Some(&file)));
}

#[test]
fn the_token_is_in_no_log_however_it_was_shown() {
    let (server, file) = with_token();
    let bearer = bearer(TOKEN);
    let shown = [("Authorization", bearer.as_str())];
    eventually("answers with the token", || {
        (server.ask_with("GET", "/api/health", &shown).status == 200).then_some(())
    });
    let url = format!("/api/ws/quotes?token={TOKEN}");
    assert_eq!(stream(&server, &url, &[]), Ok(()));
    // One that is not quite right is refused, and a refusal is told.
    let nearly = format!("/api/ws/quotes?token={TOKEN}X");
    assert_eq!(stream(&server, &nearly, &[]), Err(401));
    server.log_has("backend.log", "[GATE] refused");
    assert!(dump(&server, Some(&file)));
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
