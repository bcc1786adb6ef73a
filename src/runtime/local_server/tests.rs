//! A local server over real sockets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::runtime::{Limits, Stopper, SupervisorEnds, stop};

/// Far beyond what anything here takes on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(20);

const SPEC: Spec = Spec {
    keeper: ThreadKind::SimSchwab,
    worker: ThreadKind::SimSchwabWorker,
    workers: 2,
};

fn anywhere() -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// Says what it was asked.
fn echo(asked: &Asked, _: &Heartbeat) -> ResponseBox {
    let mark = asked.header("x-mark").unwrap_or("none").to_owned();
    let said = format!(
        "{} {} {mark} {}",
        asked.method,
        asked.target,
        String::from_utf8_lossy(&asked.body)
    );
    response(200, "text/plain", said.into_bytes())
}

struct World {
    stopper: Option<Stopper>,
    ends: SupervisorEnds,
    address: Address,
}

fn world(
    address: &Address,
    answer: impl Fn(&Asked, &Heartbeat) -> ResponseBox + Copy + Send + 'static,
) -> World {
    let (stopper, stop) = stop();
    let (supervisor, ends) = Supervisor::new(Limits::default(), stop);
    let address = start(&supervisor, SPEC, bind(address).unwrap(), move || answer).unwrap();
    World {
        stopper: Some(stopper),
        ends,
        address,
    }
}

impl World {
    fn connect(&self) -> TcpStream {
        let Address::Tcp(address) = &self.address else {
            panic!("not on TCP");
        };
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// The whole of what comes back, to the end of the connection or to the end of the answer's body.
    fn ask(&self, request: &str) -> String {
        exchange(self.connect(), request)
    }

    /// Stops everything and waits until every thread has ended.
    fn end(mut self) {
        self.stopper.take();
        let threads = self.ends.births.try_iter().count();
        for _ in 0..threads {
            self.ends.deaths.recv_timeout(PATIENCE).unwrap();
        }
    }
}

fn exchange(mut socket: impl Read + Write, request: &str) -> String {
    socket.write_all(request.as_bytes()).unwrap();
    let (mut got, mut buffer) = (String::new(), [0; 4_096]);
    loop {
        let n = match socket.read(&mut buffer) {
            // By the signals of the tests that copy all stacks.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        got.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        let whole = got.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.split_once("Content-Length: ").unwrap().1;
            let length = length.split("\r\n").next().unwrap();
            request.starts_with("HEAD") || body.len() == length.parse::<usize>().unwrap()
        });
        if n == 0 || whole {
            return got;
        }
    }
}

/// Tries until it holds.
fn soon(mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_request_comes_whole_and_its_answer_has_a_length_and_ends_the_connection() {
    let w = world(&anywhere(), echo);
    let got = w.ask("GET /a%2Fb?c=d HTTP/1.1\r\nX-Mark: 1\r\nTE: chunked\r\n\r\n");
    assert!(got.starts_with("HTTP/1.0 200 OK\r\n"), "{got}");
    assert!(
        got.contains("\r\nContent-Length: 17\r\n") && got.contains("\r\nServer: tapewarden\r\n")
    );
    assert!(got.ends_with("\r\n\r\nGET /a%2Fb?c=d 1 "), "{got}");
    let got = w.ask("POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody");
    assert!(got.ends_with("\r\n\r\nPOST /x none body"), "{got}");
    let got = w.ask("HEAD /x HTTP/1.1\r\n\r\n");
    assert!(
        got.contains("Content-Length: 13") && got.ends_with("\r\n\r\n"),
        "{got}"
    );
    w.end();
}

#[test]
fn of_many_connections_at_the_same_moment_none_is_left_unanswered() {
    let w = world(&anywhere(), echo);
    for burst in 0..12 {
        let mut sockets: Vec<TcpStream> = (0..64).map(|_| w.connect()).collect();
        for socket in &mut sockets {
            socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        }
        // Each answered one closes, as every client of ours does after an answer in HTTP/1.0; they are read in turn as
        // the clients' threads would.
        let (tx, rx) = mpsc::channel();
        for socket in sockets {
            let tx = tx.clone();
            thread::spawn(move || tx.send(exchange(socket, "")));
        }
        drop(tx);
        let answered = rx.iter().filter(|got| got.contains(" 200 OK")).count();
        assert_eq!(answered, 64, "burst {burst}");
    }
    w.end();
}

#[test]
fn an_answer_that_panics_is_a_500_and_the_next_is_answered() {
    let w = world(&anywhere(), |asked, heartbeat| {
        assert_ne!(asked.target, "/panic", "on purpose");
        echo(asked, heartbeat)
    });
    for _ in 0..3 {
        let got = w.ask("GET /panic HTTP/1.1\r\n\r\n");
        assert!(got.contains(" 500 "), "{got}");
        assert!(w.ask("GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
    }
    w.end();
}

#[test]
fn what_is_being_answered_when_the_stop_comes_has_its_answer() {
    let (stopper, stop) = stop();
    let (supervisor, ends) = Supervisor::new(Limits::default(), stop.clone());
    let (met_tx, met) = mpsc::channel();
    let answers = move || {
        let (met, stop) = (met_tx.clone(), stop.clone());
        move |asked: &Asked, heartbeat: &Heartbeat| {
            met.send(()).unwrap();
            assert!(stop.sleep(PATIENCE), "the stop comes meanwhile");
            echo(asked, heartbeat)
        }
    };
    let mut w = World {
        stopper: Some(stopper),
        ends,
        address: start(&supervisor, SPEC, bind(&anywhere()).unwrap(), answers).unwrap(),
    };
    let socket = w.connect();
    let client = thread::spawn(move || exchange(socket, "GET /x HTTP/1.1\r\n\r\n"));
    met.recv_timeout(PATIENCE).unwrap();
    w.stopper.take();
    let got = client.join().unwrap();
    assert!(got.ends_with("GET /x none "), "{got}");
    w.end();
}

#[test]
fn a_body_that_is_too_long_or_never_comes_holds_up_no_worker_and_costs_no_memory() {
    let w = world(&anywhere(), echo);
    let mut held = Vec::new();
    for more in [
        "Content-Length: 1000000000000",
        "Content-Length: 5000",
        "Content-Length: 10\r\nExpect: 100-continue",
        "Transfer-Encoding: chunked",
        "Content-Length: 10",
    ] {
        let mut socket = w.connect();
        write!(socket, "POST /x HTTP/1.1\r\n{more}\r\n\r\nx").unwrap();
        held.push(socket);
    }
    for _ in 0..10 {
        assert!(w.ask("GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
    }
    drop(held);
    assert!(w.ask("GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
    w.end();
}

/// Longer than any socket's buffers.
#[cfg(target_os = "linux")]
fn long_or_echo(asked: &Asked, heartbeat: &Heartbeat) -> ResponseBox {
    match &*asked.target {
        "/long" => response(200, "text/plain", vec![b'x'; 64_000_000]),
        _ => echo(asked, heartbeat),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_does_not_read_holds_up_a_worker_for_a_while_only() {
    let w = world(&anywhere(), long_or_echo);
    let held: Vec<TcpStream> = (0..SPEC.workers)
        .map(|_| {
            let mut socket = w.connect();
            socket.write_all(b"GET /long HTTP/1.1\r\n\r\n").unwrap();
            socket
        })
        .collect();
    assert!(w.ask("GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
    drop(held);
    w.end();
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_reads_slowly_holds_up_a_worker_until_the_answers_deadline() {
    let w = world(&anywhere(), long_or_echo);
    let begun = Instant::now();
    let held: Vec<_> = (0..SPEC.workers)
        .map(|_| {
            let mut socket = w.connect();
            socket.write_all(b"GET /long HTTP/1.0\r\n\r\n").unwrap();
            let read = thread::spawn(move || {
                let mut all = 0;
                let mut buffer = vec![0; 256 * 1024];
                while begun.elapsed() < PATIENCE {
                    match socket.read(&mut buffer) {
                        // By the signals of the tests that copy all stacks.
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Ok(0) | Err(_) => break,
                        Ok(n) => all += n,
                    }
                    thread::sleep(Duration::from_millis(100));
                }
                all
            });
            thread::sleep(Duration::from_millis(100));
            read
        })
        .collect();
    assert!(w.ask("GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
    let took = begun.elapsed();
    assert!(
        took > WRITE_DEADLINE && took < ANSWER_DEADLINE * 2,
        "{took:?}"
    );
    w.end();
    for reader in held {
        assert!(reader.join().unwrap() < 64_000_000);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_whose_acceptor_has_ended_is_made_anew_at_the_same_address() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let same = listener.try_clone().unwrap();
    let (stopper, stop) = stop();
    let (supervisor, ends) = Supervisor::new(Limits::default(), stop);
    let bound = Bound {
        listener: listener.into(),
        address: address.clone(),
    };
    start(&supervisor, SPEC, bound, || echo).unwrap();
    let w = World {
        stopper: Some(stopper),
        ends,
        address,
    };
    assert!(w.ask("GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
    // Accepting fails from here on, as it does out of descriptors: the library's acceptor ends.
    rustix::net::shutdown(&same, rustix::net::Shutdown::Both).unwrap();
    drop(same);
    let Address::Tcp(at) = w.address else {
        panic!("not on TCP");
    };
    assert!(soon(|| TcpStream::connect(at).is_err()), "it still accepts");
    assert!(soon(|| TcpStream::connect(at).is_ok()), "it stays deaf");
    assert!(w.ask("GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
    w.end();
}

#[cfg(unix)]
mod at_a_path {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn it_is_its_users_alone_and_goes_with_the_stop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let w = world(&Address::Path(path.clone()), echo);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let socket = UnixStream::connect(&path).unwrap();
        let got = exchange(socket, "GET /x HTTP/1.1\r\n\r\n");
        assert!(got.ends_with("GET /x none "), "{got}");
        w.end();
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_was_left_is_taken_over_and_one_that_is_served_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let w = world(&Address::Path(path.clone()), echo);
        let bind_at = |path: PathBuf| bind(&Address::Path(path));
        let refused = bind_at(path.clone()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse, "{refused}");
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(bind_at(file.clone()).is_err() && file.exists());
        let long = folder.path().join("x".repeat(120));
        assert_eq!(bind_at(long).unwrap_err().kind(), ErrorKind::InvalidInput);
        let socket = UnixStream::connect(&path).unwrap();
        assert!(exchange(socket, "GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
        w.end();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_client_that_does_not_read_holds_up_a_worker_for_a_while_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let w = world(&Address::Path(path.clone()), long_or_echo);
        let connect = || {
            let socket = UnixStream::connect(&path).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        let held: Vec<UnixStream> = (0..SPEC.workers)
            .map(|_| {
                let mut socket = connect();
                socket.write_all(b"GET /long HTTP/1.1\r\n\r\n").unwrap();
                socket
            })
            .collect();
        assert!(exchange(connect(), "GET /x HTTP/1.1\r\n\r\n").contains(" 200 OK"));
        drop(held);
        w.end();
    }

    #[test]
    fn one_whose_path_was_removed_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let w = world(&Address::Path(path.clone()), echo);
        // The keeper has made it once it answers.
        let ask = || {
            let socket = UnixStream::connect(&path).ok()?;
            Some(exchange(socket, "GET /x HTTP/1.1\r\n\r\n"))
        };
        assert!(ask().is_some());
        fs::remove_file(&path).unwrap();
        assert!(soon(|| ask().is_some_and(|got| got.contains(" 200 OK"))));
        w.end();
    }
}
