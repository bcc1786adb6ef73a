//! The port under what clients do to it, by accident or on purpose: it costs only the one who does it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::kit::client::say;
use crate::kit::{Fault, PATIENCE, Server, Upstreams, eventually, get};

fn open(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads one answer with a `Content-Length`; nothing once the server has closed.
fn read_answer(stream: &mut TcpStream) -> Option<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).unwrap();
    head.split(' ').nth(1).unwrap().parse().ok()
}

fn health(server: &Server) {
    assert_eq!(get(&server.address, "/api/health").status, 200);
}

#[test]
fn sixty_four_keep_alive_connections_at_once_are_all_answered_again_and_again() {
    let server = Server::start(&[]);
    let mut streams: Vec<TcpStream> = (0..64).map(|_| open(&server)).collect();
    for round in 0..3 {
        for stream in &mut streams {
            stream
                .write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .unwrap();
        }
        for (n, stream) in streams.iter_mut().enumerate() {
            assert_eq!(
                read_answer(stream),
                Some(200),
                "connection {n}, round {round}"
            );
        }
    }
}

#[test]
fn heads_and_bodies_that_are_wrong_are_refused_and_the_connection_closed() {
    let server = Server::start(&[]);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    for (request, status) in [
        ("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        ("GET /api/health HTTP/1.1\r\n\r\n", 400),
        (
            "GET /api/health HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n",
            400,
        ),
        (
            "POST /api/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n",
            400,
        ),
        (
            "POST /api/validate/TOYO HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\nx",
            413,
        ),
        (
            "POST /api/validate/TOYO HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
        (long.as_str(), 431),
    ] {
        let got = say(&server.address, request.as_bytes());
        assert_eq!(got.status, status, "{request:.60} {}", got.text());
        assert!(!got.detail().is_empty());
    }
    health(&server);
}

/// Begins a request that never ends, has `drip` go on with it, and reads what comes: 408 at the deadline and
/// not before, and the end of the connection.
fn is_given_up_at(deadline: Duration, server: &Server, begun: &str, drip: Option<&str>) {
    let mut stream = open(server);
    let began = Instant::now();
    stream.write_all(begun.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    while began.elapsed() < deadline {
        match stream.peek(&mut [0]) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            other => {
                let after = began.elapsed();
                assert!(after >= deadline, "{begun:?}: {other:?} after {after:?}");
            }
        }
        if let Some(drip) = drip {
            let _closed_just_now = stream.write(drip.as_bytes());
        }
    }
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_answer(&mut stream), Some(408), "{begun:?}");
    let late = began.elapsed() - deadline;
    assert!(late < Duration::from_secs(1), "{begun:?}: {late:?} late");
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "it is closed");
}

#[test]
fn slow_heads_and_bodies_get_their_408_at_the_deadline_and_not_before() {
    let server = Server::start(&["--set", "gate.head_deadline=700ms"]);
    let body =
        "POST /api/validate/TOYO HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nfew";
    std::thread::scope(|scope| {
        for n in 0..20 {
            let (begun, drip) = match n % 4 {
                0 => ("GET /api/hea", None),
                1 => (
                    "GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: ",
                    Some("a"),
                ),
                2 => (body, None),
                _ => (body, Some("b")),
            };
            let server = &server;
            scope.spawn(move || {
                is_given_up_at(Duration::from_millis(700), server, begun, drip);
            });
        }
        health(&server);
    });
    health(&server);
}

#[test]
fn pipelining_without_reading_costs_the_pipeliner_alone() {
    let server = Server::start(&["--set", "gate.write_deadline=1s"]);
    let mut stream = open(&server);
    stream
        .set_write_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let many = b"GET /api/trade-history HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20_000);
    let _stopped_taking = stream.write_all(&many);
    for _ in 0..20 {
        health(&server);
    }
    eventually("the pipeliner is let go", || {
        let threads = server.eventually("/api/threads", |got| got.status == 200);
        let conns = threads["threads"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|t| t["class"] == "conn")
            .count();
        (conns <= 2).then_some(())
    });
    assert!(server.proc_status("VmRSS") < 200_000, "kB");
}

#[test]
fn connections_beyond_the_limit_are_refused_and_idle_ones_end() {
    let server = Server::start(&[
        "--set",
        "gate.connections_max=50",
        "--set",
        "gate.keep_alive=1s",
        "--set",
        "gate.head_deadline=1s",
    ]);
    let idle: Vec<TcpStream> = (0..200).map(|_| open(&server)).collect();
    eventually("the idle ones are closed and others served", || {
        let mut stream = open(&server);
        let _refused = stream
            .write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        (read_answer(&mut stream) == Some(200)).then_some(())
    });
    drop(idle);
    health(&server);
}

#[test]
fn a_burst_past_the_limit_of_open_files_is_survived() {
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        use std::os::unix::process::CommandExt;
        let program = command.get_program().to_owned();
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let home = command.get_current_dir().unwrap().to_owned();
        *command = std::process::Command::new("sh");
        command
            .args(["-c", "ulimit -n 200; exec \"$0\" \"$@\""])
            .arg(program)
            .args(args);
        command
            .current_dir(home)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null());
        command.process_group(0);
    });
    let burst: Vec<TcpStream> = (0..300)
        .filter_map(|_| TcpStream::connect(&server.address).ok())
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    drop(burst);
    eventually("it answers again", || {
        let mut stream = TcpStream::connect(&server.address).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
            .write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        (read_answer(&mut stream) == Some(200)).then_some(())
    });
}

#[test]
fn clients_that_leave_while_they_wait_hold_no_slot() {
    let up = Upstreams::start();
    up.schwab.0.fault("/", Fault::Hang);
    // Whether the calls of clients that left were already on their way is not what is asked here: each counts
    // against the budget.
    let server = up.server(&[
        "http.slots_market=4",
        "schwab.deadline=8s",
        "schwab.requests_per_minute=100000",
    ]);
    for n in 0..40 {
        let mut stream = open(&server);
        write!(
            stream,
            "GET /api/candles/S{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        .unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    up.heal();
    let got = server.get("/api/candles/TOYO");
    assert_eq!(got.status, 200, "{}", got.text());
}
