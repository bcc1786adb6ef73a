//! Secrets are planted, every fault is provoked with everything logged that can be, and then all that the
//! server ever wrote or answered is searched for them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::kit::client::try_say;
use crate::kit::routes::{END, of_the_api};
use crate::kit::upstream::BROKEN;
use crate::kit::{self, Fault, Server, Upstreams, eventually};

const ACCESS: &str = "planted-access-token-4f1c";
const REFRESH: &str = "planted-refresh-token-9a2b";
const CLIENTS: &str = "planted-clients-token-77de";
const GUESSED: &str = "planted-guessed-token-31aa";

/// Every file below a folder, with what is in it.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((
                path.display().to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
            ));
        }
    }
}

fn token_file(up: &Upstreams) {
    let body = serde_json::json!({"creation_timestamp": 1, "token": {"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 1800}});
    std::fs::write(up.file("token.json"), body.to_string()).unwrap();
}

#[test]
fn no_secret_is_in_any_log_report_answer_or_listing_after_every_fault() {
    let up = Upstreams::start();
    token_file(&up);
    let secrets = tempfile::tempdir().unwrap();
    let clients = secrets.path().join("clients-token");
    std::fs::write(&clients, CLIENTS).unwrap();
    let mut args = up.args();
    for setting in [
        "log.level=trace",
        "schwab.fresh_candles=100ms",
        "schwab.fresh_quote=100ms",
        "schwab.requests_per_minute=100000",
        "schwab.deadline=500ms",
        // Who has no older value waits this long for the next try.
        "http.answer_deadline=2s",
        "model.deadline=2s",
        "schwab.breaker_open=100ms",
        "schwab.failure_hold=50ms",
        "watchdog.allow_drills=true",
        "watchdog.busy_cache=1s",
        &format!("http.token_file={}", clients.display()),
    ] {
        args.extend(["--set".to_owned(), setting.to_owned()]);
    }
    let home = tempfile::tempdir().unwrap();
    let console = home.path().join("console.txt");
    let screen = std::fs::File::create(&console).unwrap();
    let server = Server::start_by(home, |command| {
        command.args(&args).stderr(Stdio::from(screen));
    });
    let mut answers: Vec<(String, String)> = Vec::new();
    let answer = |method: &str, path: &str, token: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let got = try_say(&server.address, request.as_bytes()).ok()?;
        Some((format!("{method} {path}"), got.head.clone() + &got.text()))
    };
    let echoes = format!(
        r#"{{"errors":[{{"title":"bad","detail":"the token {ACCESS} and Bearer {ACCESS} are no good"}}]}}"#
    );
    let echoes: &'static str = Box::leak(echoes.into_boxed_str());
    let faults = BROKEN.into_iter().chain([
        Fault::Hang,
        Fault::Status(401, None, echoes),
        Fault::Status(500, None, echoes),
        Fault::Status(429, Some(("Retry-After", "1")), echoes),
        Fault::Status(400, None, echoes),
    ]);
    for (n, fault) in faults.enumerate() {
        up.fault(&fault);
        let guess = format!("/api/ws/quotes?token={GUESSED}");
        let guesses = [
            ("GET", "/api/health", GUESSED),
            ("GET", guess.as_str(), "none"),
        ];
        std::thread::scope(|scope| {
            // All at once: who has no older value waits for the next try.
            let asked: Vec<_> = of_the_api()
                .filter(|(_, path)| *path != END)
                .map(|(method, path)| (method, path, CLIENTS))
                .chain(guesses)
                .map(|(method, path, token)| {
                    let path = path.replace("NEW1", &format!("F{n}"));
                    scope.spawn(move || answer(method, &path, token))
                })
                .collect();
            answers.extend(asked.into_iter().filter_map(|asked| asked.join().unwrap()));
        });
        up.heal();
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut ask = |method: &str, path: &str, token: &str| {
        answers.extend(answer(method, path, token));
    };
    // A token file that is half written, and one with a token where none belongs.
    std::fs::write(
        up.file("token.json"),
        format!("{{\"token\":{{\"access_token\":\"{ACCESS}"),
    )
    .unwrap();
    up.schwab.0.fault("/", Fault::Status(401, None, echoes));
    ask("GET", "/api/candles/HALF", CLIENTS);
    up.heal();
    token_file(&up);
    ask(
        "POST",
        "/api/drill?stall=candle-cache&how=mutex&for=3s",
        CLIENTS,
    );
    for _ in 0..10 {
        ask("GET", "/api/candles/STALLED", CLIENTS);
        std::thread::sleep(Duration::from_millis(300));
    }
    ask(
        "POST",
        "/api/drill?stall=candle-fetch-1&how=panic&for=1s",
        CLIENTS,
    );
    for n in 0..8 {
        ask("GET", &format!("/api/candles/PANIC{n}"), CLIENTS);
    }
    for path in [
        "/api/threads",
        "/api/threads/dump",
        "/api/threads/dump?format=json",
        "/api/threads/dump?format=folded",
        "/metrics",
        "/api/streaming/status",
    ] {
        ask("GET", path, CLIENTS);
    }
    // Where a browser may give the token, and where none belongs.
    for path in ["/api/ws/quotes", "/api/candles/QUERY", "/nowhere"] {
        ask("GET", &format!("{path}?token={CLIENTS}"), CLIENTS);
    }
    server.signal("QUIT");
    server.log_has("watchdog.log", "=== END STACK DUMP ===");
    // Copies of stacks that nobody names stay as they are: they are searched as well, with secrets in
    // the hands of those who wait and of those who call the provider.
    #[cfg(target_os = "linux")]
    {
        up.schwab.0.fault("/", Fault::Hang);
        let held = kit::faults::flood(&server.address, 20, |n| {
            format!("GET /api/candles/HELD{n} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CLIENTS}\r\n\r\n").into_bytes()
        });
        eventually("calls of the provider", || {
            (up.schwab.0.count("/pricehistory?symbol=HELD") > 2).then_some(())
        });
        let symbolizer = eventually("a symbolizer", || server.symbolizer());
        kit::small_disk::run("kill", &["-STOP", &symbolizer.to_string()]);
        server.signal("QUIT");
        eventually("a raw dump", || {
            let mut written = Vec::new();
            files(&server.path("logs/reports"), &mut written);
            let raw = |(name, text): &(String, String)| name.ends_with(".raw") && !text.is_empty();
            written.iter().any(raw).then_some(())
        });
        drop(held);
        up.heal();
    }
    std::thread::sleep(Duration::from_secs(1));

    let config = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
        .args(["config", "--token-file"])
        .arg(up.file("token.json"))
        .env("TAPEWARDEN_HTTP_TOKEN_FILE", &clients)
        .output()
        .unwrap();
    answers.push((
        "tapewarden config".into(),
        String::from_utf8(config.stdout).unwrap(),
    ));
    let command_line = std::fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    answers.push((
        "its command line".into(),
        String::from_utf8_lossy(&command_line).into_owned(),
    ));
    let count = answers.len();
    let mut written = Vec::new();
    files(server.home.path(), &mut written);
    println!(
        "searched {count} answers and {} files, {} bytes",
        written.len(),
        written.iter().map(|(_, t)| t.len()).sum::<usize>()
    );
    assert!(
        count > 200 && written.len() >= 5,
        "too little was provoked: {count}, {}",
        written.len()
    );
    let log = server.log("backend.log");
    assert!(log.contains("[TRACE]") && !log.contains("[TRACE] [UREQ"));
    for (place, text) in answers.iter().chain(&written) {
        for secret in [ACCESS, REFRESH, CLIENTS, GUESSED] {
            let at = text.find(secret);
            assert!(
                at.is_none(),
                "{secret} is in {place}: …{}…",
                around(text, at.unwrap_or(0))
            );
        }
    }
}

fn around(text: &str, at: usize) -> String {
    let begin = (0..=at.saturating_sub(150))
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0);
    text[begin..].chars().take(400).collect()
}
