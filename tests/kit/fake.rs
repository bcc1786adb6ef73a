//! A server on loopback that does to each request what a test asks for; it can go away and come
//! back on the same port. Also the unit tests of the upstream clients use it.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which connection, from 0.
    pub connection: usize,
    /// Which request, from 0, over all connections.
    pub nth: usize,
    /// Path and query, not decoded.
    pub target: String,
    /// The whole head.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }
}

/// What the server does after its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Reads the next request of the connection.
    KeepAlive,
    /// Closes it.
    Close,
}

/// Answers one request.
pub type Handler = dyn Fn(&Asked, &mut TcpStream) -> Then + Send + Sync;

/// The server. Dropping it closes everything.
pub struct Fake {
    at: SocketAddr,
    handler: Arc<Handler>,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    accepting: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Fake {
    /// Starts it; `handler` answers each request.
    pub fn start(handler: impl Fn(&Asked, &mut TcpStream) -> Then + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", handler).unwrap()
    }

    /// As above, at this address; none where the machine does not have it.
    pub fn start_at(
        address: &str,
        handler: impl Fn(&Asked, &mut TcpStream) -> Then + Send + Sync + 'static,
    ) -> Option<Self> {
        let listener = TcpListener::bind(address).ok()?;
        let mut fake = Self {
            at: listener.local_addr().unwrap(),
            handler: Arc::new(handler),
            asked: Arc::default(),
            open: Arc::default(),
            accepting: None,
        };
        fake.accept(listener);
        Some(fake)
    }

    fn accept(&mut self, listener: TcpListener) {
        let over = Arc::new(AtomicBool::new(false));
        let acceptor = thread::spawn({
            let (asked, open) = (self.asked.clone(), self.open.clone());
            let (over, handler) = (over.clone(), self.handler.clone());
            move || {
                for (connection, stream) in listener.incoming().enumerate() {
                    let Ok(stream) = stream else { break };
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    open.lock().unwrap().push(stream.try_clone().unwrap());
                    let (asked, handler) = (asked.clone(), handler.clone());
                    thread::spawn(move || serve(connection, stream, &asked, handler.as_ref()));
                }
            }
        });
        self.accepting = Some((over, acceptor));
    }

    /// Refuses connections from here on, and drops those there are.
    pub fn go_away(&mut self) {
        if let Some((over, acceptor)) = self.accepting.take() {
            over.store(true, Ordering::SeqCst);
            let _woken = TcpStream::connect(self.at);
            let _ended = acceptor.join();
        }
        self.close_connections();
    }

    /// Listens again where it did.
    pub fn come_back(&mut self) {
        if self.accepting.is_none() {
            let listener = TcpListener::bind(self.at).expect("the port is still ours");
            self.accept(listener);
        }
    }

    /// Starts one that gives the same bytes to everybody and closes.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, stream| {
            let _gone = stream.write_all(&bytes);
            Then::Close
        })
    }

    /// "http://127.0.0.1:port"
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Closes the connections that are open now, without a word.
    pub fn close_connections(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.go_away();
    }
}

fn serve(connection: usize, mut stream: TcpStream, asked: &Mutex<Vec<Asked>>, handler: &Handler) {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // As real servers do: without it a quote waits up to 40 ms for the acknowledgement of those before.
    stream.set_nodelay(true).unwrap();
    while let Some((head, body)) = read_request(&mut stream) {
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let request = {
            let mut all = asked.lock().unwrap();
            let request = Asked {
                connection,
                nth: all.len(),
                target,
                head,
                body,
            };
            all.push(request.clone());
            request
        };
        if handler(&request, &mut stream) == Then::Close {
            break;
        }
    }
    let _gone = stream.shutdown(Shutdown::Both);
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head
        .lines()
        .find_map(|l| {
            l.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(|v| v.trim().parse().unwrap())
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A whole answer.
pub fn answer(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str("\r\n");
    [bytes.as_bytes(), body].concat()
}

/// Says nothing until the client gives up.
pub fn hang(stream: &mut TcpStream) -> Then {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(n) if n > 0) {}
    Then::Close
}
