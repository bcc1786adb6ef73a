//! The operator's control socket: it reaches a server whose port, permits or token are out of reach.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::connections::Kept;
use crate::kit::client::{Got, try_say};
use crate::kit::faults::wrap;
use crate::kit::routes::END;
use crate::kit::{PATIENCE, Server, eventually};

/// What operators ask for.
const ROUTES: [&str; 6] = [
    "/api/health",
    "/api/threads",
    "/api/threads/dump",
    "/api/threads/dump?format=json",
    "/api/stalls",
    "/metrics",
];

/// The whole answer as text, head and body; none where nobody answers.
fn try_ask(socket: &Path, method: &str, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("{method} {path} HTTP/1.0\r\nHost: anything.example\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got).ok()?;
    Some(String::from_utf8_lossy(&got).into_owned())
}

fn answers(socket: &Path) -> bool {
    try_ask(socket, "GET", "/api/threads").is_some_and(|got| got.starts_with("HTTP/1.0 200 "))
}

fn socket(server: &Server) -> std::path::PathBuf {
    server.path("logs/control.sock")
}

/// What a command of the same user says, in the server's folder; it must succeed.
fn command(server: &Server, args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
        .args(args)
        .current_dir(server.home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{args:?}: {said}");
    said
}

fn all_routes_answer(server: &Server) {
    for path in ROUTES {
        let got = try_ask(&socket(server), "GET", path).unwrap_or_default();
        assert!(got.starts_with("HTTP/1.0 200 "), "{path}: {got:.300}");
    }
}

/// A server whose port wants a token and has no place left; what holds the places.
fn full() -> (Server, Vec<TcpStream>) {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    fs::write(&token, "a-token-0123456789-abcdef").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let server = Server::start_by(home, |command| {
        let token = format!("http.token_file={}", token.display());
        command.args(["--set", &token, "--set", "gate.connections_max=16"]);
        command.args(["--set", "gate.head_deadline=60s"]);
        command.stderr(Stdio::null());
    });
    assert_eq!(server.get("/api/threads").status, 401);
    eventually("the watchdog has looked", || {
        answers(&socket(&server)).then_some(())
    });
    // None of these is idle, so none makes room; there are some places more for those that are told to come again.
    let held: Vec<TcpStream> = (0..120)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            let _turned_away_already = stream.write_all(b"GET /api/health HTTP/1.1\r\n");
            stream
        })
        .collect();
    eventually("a port without a place", || {
        let ask = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let told = |got: Got| got.status == 503;
        try_say(&server.address, ask).is_ok_and(told).then_some(())
    });
    (server, held)
}

#[test]
fn it_is_a_socket_that_its_owner_alone_may_open() {
    let server = Server::start(&[]);
    let file = fs::metadata(socket(&server)).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn it_answers_its_owner_without_the_token_while_every_place_of_the_port_is_taken() {
    let (server, _held) = full();
    all_routes_answer(&server);
}

#[test]
fn the_commands_use_it_while_every_place_of_the_port_is_taken() {
    let (server, _held) = full();
    let said = command(&server, &["threads"]);
    assert!(
        said.contains("\ngate ") && said.contains("\ncontrol-1 "),
        "{said}"
    );
    assert!(command(&server, &["dump"]).contains("for the control socket"));
    assert!(command(&server, &["stalls"]).contains("for the control socket"));
    let shown = command(&server, &["stalls", "show", "1"]);
    assert!(shown.contains("=== END STACK DUMP ==="), "{shown:.300}");
    let pid = server.pid().to_string();
    assert!(command(&server, &["threads", "--pid", &pid]).contains("\ngate "));
}

#[test]
fn it_asks_no_upstream_and_tells_a_wrong_method_the_right_ones() {
    let server = Server::start(&[]);
    let got = try_ask(&socket(&server), "GET", "/api/candles/TOYO").unwrap();
    assert!(got.starts_with("HTTP/1.0 404 "), "{got}");
    let got = try_ask(&socket(&server), "GET", END).unwrap();
    assert!(
        got.starts_with("HTTP/1.0 405 ") && got.contains("Allow: POST, OPTIONS"),
        "{got}"
    );
}

#[test]
fn it_needs_no_permit_of_the_ports() {
    let server = Server::start(&[
        "--set",
        "watchdog.busy_conn=50s",
        "--set",
        "http.slots_diagnosis=1",
    ]);
    server.eventually("/api/stalls", |got| got.status == 200);
    let _stuck = Kept::drilled(&server, "sleep", "/api/stalls");
    server.eventually("/api/stalls", |got| got.status == 503);
    all_routes_answer(&server);
    assert_eq!(server.get("/api/stalls").status, 503, "it is taken still");
}

#[test]
fn clients_that_do_not_read_their_answers_hold_up_its_workers_for_a_while_only() {
    /// More than there are workers.
    const HELD: usize = 4;
    let server = Server::start(&[]);
    let socket = socket(&server);
    eventually("the watchdog has looked", || answers(&socket).then_some(()));
    // A thread for each, so that a report is longer than any socket's buffers.
    let connections: Vec<TcpStream> = (0..150)
        .map(|_| TcpStream::connect(&server.address).unwrap())
        .collect();
    let request = "GET /api/threads/dump?format=json HTTP/1.0\r\n\r\n";
    let mut held: Vec<UnixStream> = (0..HELD)
        .map(|_| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Longer than a worker may be stuck before the watchdog tells of it.
    let until = Instant::now() + Duration::from_secs(16);
    while Instant::now() < until {
        assert!(answers(&socket));
        std::thread::sleep(Duration::from_millis(500));
    }
    let log = server.log("watchdog.log");
    assert!(!log.contains("STALLED"), "{log}");
    for stream in &mut held {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        let got = String::from_utf8_lossy(&got);
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        let length = head.split_once("Content-Length: ").unwrap().1;
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        assert!(body.len() < length, "taken whole: {length} bytes");
    }
    drop(connections);
}

#[test]
fn it_tells_of_a_gate_that_is_stuck_and_ends_the_server() {
    let mut server = Server::start(&[]);
    let socket = socket(&server);
    eventually("the watchdog has looked", || answers(&socket).then_some(()));
    let got = try_ask(&socket, "POST", "/api/drill?stall=gate&how=sleep&for=60s").unwrap();
    assert!(got.starts_with("HTTP/1.0 200 "), "{got}");
    let _met = TcpStream::connect(&server.address).unwrap();
    eventually("a gate that is told to be stalled", || {
        command(&server, &["threads"])
            .lines()
            .any(|line| line.starts_with("gate ") && line.contains(" stalled "))
            .then_some(())
    });
    let ask = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let silent = crate::kit::client::try_say_within(&server.address, ask, Duration::from_secs(1));
    assert!(silent.is_err(), "the port answers: the gate is not stuck");
    let report = command(&server, &["dump"]);
    assert!(report.contains("VERDICT: gate"), "{report:.1000}");
    let health = try_ask(&socket, "GET", "/api/health").unwrap();
    assert!(
        health.starts_with("HTTP/1.0 503 ") && health.contains("gate"),
        "{health}"
    );
    let got = try_ask(&socket, "POST", "/api/shutdown").unwrap();
    assert!(got.starts_with("HTTP/1.0 200 "), "{got}");
    eventually("an end that has begun", || {
        server
            .log("backend.log")
            .contains("shutdown asked for by the control socket")
            .then_some(())
    });
    server.exit_code();
    assert!(!socket.exists(), "it goes with its server");
}

#[test]
fn its_drill_command_has_the_thread_meet_its_order_by_the_port() {
    let server = Server::start(&["--set", "watchdog.busy_cache=1s"]);
    eventually("the watchdog has looked", || {
        answers(&socket(&server)).then_some(())
    });
    let args = ["drill", "--stall", "candle-cache", "--for", "3s"];
    let said = command(&server, &args);
    assert!(said.contains("candle-cache is back after"), "{said}");
}

#[test]
fn it_is_made_anew_when_its_file_is_removed_and_when_descriptors_ran_out() {
    /// Servers of the embedded market may be found deaf too.
    const ANEW: &str = "control.sock accepts no connections; it is made anew";
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        wrap(command, "prlimit", &["--nofile=128"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
    });
    let socket = socket(&server);
    eventually("the watchdog has looked", || answers(&socket).then_some(()));
    fs::remove_file(&socket).unwrap();
    eventually("another in its place", || answers(&socket).then_some(()));
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = server.log("backend.log").matches(ANEW).count();
    // Those that are accepted no more wait in the queue, which has room for them.
    let held: Vec<UnixStream> = (0..120)
        .map_while(|_| UnixStream::connect(&socket).ok())
        .collect();
    eventually("one that is found deaf", || {
        let log = server.log("backend.log");
        let now = log.matches(ANEW).count();
        (now > before).then_some(())
    });
    drop(held);
    eventually("another in its place", || answers(&socket).then_some(()));
    server.eventually("/api/health", |got| got.status == 200);
}

#[test]
fn where_its_path_is_too_long_that_is_said_and_the_port_serves() {
    let home = tempfile::tempdir().unwrap();
    let logs = home.path().join("x".repeat(100));
    let dir = logs.to_str().unwrap().to_owned();
    let server = Server::start_by(home, |command| {
        command.args(["--log-dir", &dir]).stderr(Stdio::null());
    });
    let line = eventually("a line in the log", || {
        let log = fs::read_to_string(logs.join("backend.log")).ok()?;
        let mut lines = log
            .lines()
            .filter(|line| line.contains("there is no control socket"));
        let line = lines.next()?.to_owned();
        assert_eq!(lines.next(), None);
        Some(line)
    });
    assert!(
        line.contains(&format!("--url http://{}", server.address)),
        "{line}"
    );
    assert!(!logs.join("control.sock").exists());
    server.eventually("/api/threads", |got| got.status == 200);
    let url = format!("http://{}", server.address);
    assert!(command(&server, &["threads", "--url", &url]).contains("\ngate "));
    // Past reports are there without it.
    assert!(command(&server, &["stalls", "--log-dir", &dir]).contains("no reports in"));
}

#[test]
fn of_two_servers_with_one_folder_each_has_its_own() {
    let first = Server::start(&[]);
    let logs = first.path("logs");
    let second = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.arg("--log-dir").arg(&logs).stderr(Stdio::null());
    });
    for (name, server) in [("control.sock", &first), ("control-2.sock", &second)] {
        let got = try_ask(&logs.join(name), "GET", "/api/health").unwrap_or_default();
        assert!(
            got.contains(&format!("X-Port: {}\r\n", server.address)),
            "{name}: {got}"
        );
    }
    eventually("the second's watchdog has looked", || {
        answers(&logs.join("control-2.sock")).then_some(())
    });
    assert!(command(&first, &["threads", "--instance", "2"]).contains("\ngate "));
    // Nobody answers for one that is killed: its successor takes its place.
    drop(second);
    let third = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.arg("--log-dir").arg(&logs).stderr(Stdio::null());
    });
    let got = try_ask(&logs.join("control-2.sock"), "GET", "/api/health").unwrap_or_default();
    assert!(
        got.contains(&format!("X-Port: {}\r\n", third.address)),
        "{got}"
    );
}
