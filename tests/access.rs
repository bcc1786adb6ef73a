//! Who is answered: requests that name the server by its own name, pages of allowed origins, holders of
//! the token; and that no client reaches a file.

mod kit;

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kit::bystanders::ROUTES;
use kit::client::say;
use kit::faults::wrap;
use kit::{Server, eventually};
use tungstenite::client::IntoClientRequest;

const TOKEN: &str = "a-token-of-these-tests-0123456789";

fn with_host(server: &Server, method: &str, path: &str, host: &str) -> kit::Got {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    say(&server.address, request.as_bytes())
}

/// Opens a stream with these headers; the status where it is refused.
fn stream(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Result<(), u16> {
    let url = format!("ws://{}{path}", server.address);
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
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

#[test]
fn a_name_that_was_made_to_point_here_is_refused_on_every_route() {
    let server = Server::start(&["--set", "http.hosts=charts.example"]);
    for (method, path) in ROUTES.iter().copied().chain([
        ("POST", "/api/shutdown"),
        ("GET", "/metrics"),
        ("GET", "/api/threads/dump"),
        ("OPTIONS", "/api/health"),
        ("GET", "/nothing/here"),
    ]) {
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
    for (method, path) in ROUTES
        .iter()
        .copied()
        .chain([("POST", "/api/shutdown"), ("GET", "/x")])
    {
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
    // The embedded market's folder and the private sockets'.
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
    assert_eq!(folders.len(), 3, "{folders:?}");
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
