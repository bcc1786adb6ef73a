//! The end, a panic, a console that nobody reads, a thread that stalls: with real processes.

use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::kit::server::is_refused;
use crate::kit::{Fault, Quotes, Server, Upstreams, at_once, eventually};

/// Everything that can wait waits: every fetcher hangs, clients stream, wait, send slowly and do not read.
fn everything_stuck(up: &Upstreams) -> (Server, Vec<TcpStream>, Vec<Quotes>) {
    up.fault(&Fault::Hang);
    let server = up.server(&[]);
    let quotes = (0..5).map(|_| Quotes::connect(&server.address)).collect();
    let mut streams = Vec::new();
    for n in 0..30 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let request = match n % 3 {
            0 => format!("GET /api/candles/S{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            1 => format!("GET /api/vwap/S{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            _ => "GET /api/hal".to_owned(),
        };
        stream.write_all(request.as_bytes()).unwrap();
        streams.push(stream);
    }
    eventually("the fetchers are busy", || {
        (up.schwab.0.count("/pricehistory") >= 6).then_some(())
    });
    (server, streams, quotes)
}

#[test]
fn it_ends_in_time_with_every_worker_stuck_whoever_asks() {
    at_once(["POST", "TERM", "INT"], |how| {
        let up = Upstreams::start();
        let (mut server, _streams, _quotes) = everything_stuck(&up);
        let asked = Instant::now();
        if how == "POST" {
            assert_eq!(server.ask("POST", "/api/shutdown").status, 200);
        } else {
            server.signal(how);
        }
        assert_eq!(server.exit_code(), 0, "{how}");
        // The promise is 5 s; the rest is for a machine that does other things.
        assert!(
            asked.elapsed() < Duration::from_secs(15),
            "{how}: {:?}",
            asked.elapsed()
        );
        assert!(server.log("backend.log").contains("[MAIN] ended "), "{how}");
    });
}

#[test]
fn a_console_that_nobody_reads_costs_its_lines_and_nothing_else() {
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command
            .args([
                "--set",
                "log.level=trace",
                "--set",
                "watchdog.busy_writer=1s",
            ])
            .stderr(Stdio::piped());
    });
    // The child's stderr pipe is held by `server.child` and never read; every stream says something.
    let mut n = 0;
    eventually("more lines than the pipe's 64 kB", || {
        assert_eq!(server.get("/api/health").status, 200);
        n += 1;
        Quotes::connect(&server.address).subscribe(&["TOYO", &format!("S{n}")]);
        (server.log("backend.log").len() > 100_000).then_some(())
    });
    assert_eq!(server.get("/api/candles/TOYO").status, 200);
    let report = server.log_has("watchdog.log", "log-console");
    assert!(report.contains("writing"), "{report}");
    let before = server.log("backend.log").len();
    eventually("the file goes on", || {
        Quotes::connect(&server.address).subscribe(&["TOYO"]);
        (server.log("backend.log").len() > before).then_some(())
    });
}

#[test]
fn a_stopped_and_continued_process_reports_no_stall() {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    server.signal("STOP");
    std::thread::sleep(Duration::from_secs(8));
    server.signal("CONT");
    for _ in 0..10 {
        assert_eq!(server.get("/api/health").status, 200);
        std::thread::sleep(Duration::from_millis(200));
    }
    let watchdog = server.log("watchdog.log");
    assert!(!watchdog.contains("STALL"), "{watchdog}");
}

#[test]
fn settings_errors_name_key_line_and_what_is_accepted() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("my.toml");
    for (text, words) in [
        (
            "[gate]\nhead_deadlin = \"5s\"\n",
            ["gate.head_deadlin", "line 2", "gate.head_deadline"],
        ),
        (
            "\n\n[gate]\nhead_deadline = 5\n",
            ["gate.head_deadline", "line 4", "10s"],
        ),
        (
            "listen = \"nowhere\"\n",
            ["listen", "line 1", "127.0.0.1:8081"],
        ),
        ("[gate\n", ["my.toml", "line 1", "]"]),
    ] {
        std::fs::write(&file, text).unwrap();
        println!("{text:?}");
        is_refused(home.path(), &["--config", "my.toml"], &words);
    }
    is_refused(home.path(), &["--config", "none.toml"], &["none.toml"]);
}
