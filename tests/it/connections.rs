//! A connection's thread that does not go on costs its own client alone, and not for long.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::kit::{self, Server, eventually};

/// A drill that is not over before the tests are.
const FOR: u32 = 60;

const OTHERS: [&str; 3] = ["/api/health", "/api/candles/TOYO", "/api/watchlist"];

/// A client that keeps its connection.
pub struct Kept {
    stream: TcpStream,
    /// The name of the thread that serves it.
    thread: String,
}

fn connections(server: &Server) -> Vec<String> {
    let threads = server.get("/api/threads").json();
    let all = threads["threads"].as_array().cloned().unwrap_or_default();
    let names = all.iter().filter(|t| t["class"] == "conn");
    names
        .map(|t| t["name"].as_str().unwrap().to_owned())
        .collect()
}

impl Kept {
    fn connect(server: &Server) -> Self {
        let before = connections(server);
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(40)))
            .unwrap();
        let mut got = [0; 16];
        stream.write_all(&request("/api/health")).unwrap();
        stream.read_exact(&mut got).unwrap();
        assert!(got.starts_with(b"HTTP/1.1 200"), "{got:?}");
        let thread = eventually("the connection's thread is known", || {
            let mut fresh = connections(server);
            // Those that come and go are gone when the watchdog has looked again.
            std::thread::sleep(Duration::from_millis(700));
            let now = connections(server);
            fresh.retain(|name| !before.contains(name) && now.contains(name));
            // On a busy machine one may be gone and listed still.
            fresh.pop().filter(|_| fresh.is_empty())
        });
        Self { stream, thread }
    }

    /// Has its thread stalled or panic at its next request, which is this.
    pub fn drilled(server: &Server, how: &str, path: &str) -> Self {
        let mut kept = Self::connect(server);
        let order = format!("/api/drill?stall={}&how={how}&for={FOR}s", kept.thread);
        let got = server.ask("POST", &order);
        assert_eq!(got.status, 200, "{}", got.text());
        kept.stream.write_all(&request(path)).unwrap();
        kept
    }

    /// All that still comes, to the end of the stream.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
            Err(e) => panic!("the connection of {} was not closed: {e}", self.thread),
        }
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into()
}

fn server() -> Server {
    Server::start(&[
        "--set",
        "watchdog.busy_conn=1s",
        "--set",
        "http.slots_diagnosis=1",
        "--set",
        "watchdog.allow_drills=true",
    ])
}

#[test]
fn a_stuck_connection_is_named_and_closed_its_permit_goes_back_and_others_are_served() {
    let server = server();
    for path in OTHERS {
        server.eventually(path, |got| got.status == 200);
    }
    // With the one permit of its kind in its hands.
    let mut stuck = Kept::drilled(&server, "mutex", "/api/stalls");
    let began = Instant::now();
    for path in OTHERS {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    stuck.rest();
    assert!(began.elapsed() < Duration::from_secs(u64::from(FOR) / 2));
    let words = format!("STALLED: {} (", stuck.thread);
    server.log_has("watchdog.log", &words);
    server.log_has("backend.log", "its thread does not go on");
    server.eventually("/api/stalls", |got| got.status == 200);
    assert_eq!(server.get("/api/stalls").status, 200, "and stays back");
    let mut again = TcpStream::connect(&server.address).unwrap();
    again.write_all(&request("/api/stalls")).unwrap();
    let mut got = [0; 12];
    again.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"HTTP/1.1 200");
    let stuck_still = connections(&server).contains(&stuck.thread);
    assert!(stuck_still, "it was held up all the time");
}

#[test]
fn a_report_is_to_be_had_while_many_connections_are_stuck() {
    let server = server();
    server.eventually("/api/threads", |got| got.status == 200);
    let stuck: Vec<Kept> = (0..6)
        .map(|_| Kept::drilled(&server, "sleep", "/api/stalls"))
        .collect();
    let out = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
        .args(["dump", "--pid", &server.pid().to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}");
    for kept in &stuck {
        assert!(text.contains(&kept.thread), "{text}");
    }
    for mut kept in stuck {
        kept.rest();
    }
    server.eventually("/api/health", |got| got.status == 200);
}

#[test]
fn a_request_whose_thread_panics_is_answered_with_the_reason_and_others_are_served() {
    let server = server();
    server.eventually("/api/stalls", |got| got.status == 200);
    for _ in 0..3 {
        let mut panicked = Kept::drilled(&server, "panic", "/api/stalls");
        let answer = panicked.rest();
        assert!(
            answer.contains("HTTP/1.1 500") && answer.contains("panicked"),
            "{answer}"
        );
        let got = kit::get(&server.address, "/api/stalls");
        assert_eq!(got.status, 200, "its permit went back: {}", got.text());
    }
    let told = || server.log("backend.log").matches("[PANIC]").count();
    eventually("three panics in the log", || (told() >= 3).then_some(()));
    assert_eq!(told(), 3);
}
