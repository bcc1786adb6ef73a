//! A small HTTP/1.1 server on loopback for the embedded market's two addresses. Its only clients are
//! this process's own.
//!
//! An acceptor thread for each address ("sim-schwab", "sim-trader") and a thread for each connection
//! ("sim-conn-N"). The one channel is that of the free slots: a connection takes one and gives it
//! back when its thread ends, so that there are never more connections than slots.
//!
//! Sockets are read and written through a [`Line`], which holds absolute deadlines across signals and
//! short reads and notices the end of the process.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use crate::runtime::deadline_io::client_waits;
use crate::runtime::{Heartbeat, Pool, Stop, Supervisor, ThreadKind, ThreadName, Tx, channels};

/// No wait is longer, so that the end of the process is noticed in time.
const SLICE: Duration = Duration::from_millis(250);
/// A pause after an error of accept, which comes back at once while descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection may wait for its next request.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long the head of a request may take once it has begun.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer may take to be written.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// A longer head is refused: a query for 500 symbols fits.
const HEAD_BYTES_MAX: usize = 16_384;
const HEADERS_MAX: usize = 48;

/// A socket with absolute deadlines, which ends its waits when the process ends.
#[derive(Debug)]
pub(super) struct Line<'a> {
    stream: &'a TcpStream,
    stop: Stop,
    /// Reads fail with `WouldBlock` from then on, after one try.
    pub(super) read_until: Instant,
    /// Writes fail with `TimedOut` from then on, after one try.
    pub(super) write_until: Instant,
}

impl<'a> Line<'a> {
    pub(super) fn new(stream: &'a TcpStream, stop: Stop) -> Self {
        let now = Instant::now();
        Self {
            stream,
            stop,
            read_until: now,
            write_until: now,
        }
    }

    /// The time left until `until`, as a socket option takes it: never zero, and never long.
    fn slice(until: Instant) -> Duration {
        until
            .saturating_duration_since(Instant::now())
            .clamp(Duration::from_millis(1), SLICE)
    }

    /// Whether an error is only an interruption or the end of a slice, …
    fn is_pause(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    }

    /// … and whether there is time to go on after it.
    fn goes_on(&self, until: Instant) -> bool {
        Instant::now() < until && !self.stop.is_set()
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream
                .set_read_timeout(Some(Self::slice(self.read_until)))?;
            match (&mut &*self.stream).read(buffer) {
                Err(e) if !Self::is_pause(&e) => return Err(e),
                Err(_) if self.goes_on(self.read_until) => {}
                Err(_) => return Err(io::ErrorKind::WouldBlock.into()),
                read => return read,
            }
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.stream
                .set_write_timeout(Some(Self::slice(self.write_until)))?;
            match (&mut &*self.stream).write(bytes) {
                Err(e) if !Self::is_pause(&e) => return Err(e),
                Err(_) if self.goes_on(self.write_until) => {}
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path's parts, each decoded: `/a/ZQX%2FA` is `["a", "ZQX/A"]`.
    pub(super) path: Vec<String>,
    /// The query's pairs, decoded.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
}

impl Request {
    /// The first header of that name (lower case).
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first value of a key of the query.
    pub(super) fn query(&self, key: &str) -> Option<&str> {
        find(&self.query, key)
    }

    /// Whether a header holds that word (lower case) among others.
    pub(super) fn says(&self, name: &str, word: &str) -> bool {
        self.header(name).is_some_and(|v| {
            v.split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(word))
        })
    }
}

fn find<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(k, _)| k == key)
        .map(|(_, v)| v.as_str())
}

/// An answer with a JSON body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: serde_json::Value,
}

impl Answer {
    pub(super) fn new(status: u16, body: serde_json::Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is answered.
    Answer(Answer),
    /// The connection becomes a WebSocket; the handshake is the caller's to write.
    Upgrade,
}

/// Answers requests until the client leaves, is silent for too long, or the process ends. Returns the
/// request that asked for an upgrade and what was read beyond it, if one did.
///
/// # Errors
/// What the socket said, or `InvalidData` for what is not HTTP.
pub(super) fn serve(
    line: &mut Line<'_>,
    heartbeat: &Heartbeat,
    mut decide: impl FnMut(&Request) -> Outcome,
) -> io::Result<Option<(Request, Vec<u8>)>> {
    let mut unread = Vec::new();
    while !line.stop.is_set() {
        heartbeat.idle();
        let Some((request, keep)) = read_head(line, &mut unread)? else {
            return Ok(None);
        };
        heartbeat.begin(format!("{} /{}", request.method, request.path.join("/")));
        match decide(&request) {
            Outcome::Upgrade => return Ok(Some((request, unread))),
            Outcome::Answer(answer) => {
                let bytes = encode(&answer, keep, request.method == "HEAD");
                line.write_until = Instant::now() + WRITE_DEADLINE;
                line.write_all(&bytes)?;
                if !keep {
                    break;
                }
            }
        }
    }
    Ok(None)
}

/// The next request and whether the connection lives on after it; none at the end of the connection.
fn read_head(line: &mut Line<'_>, unread: &mut Vec<u8>) -> io::Result<Option<(Request, bool)>> {
    line.read_until = Instant::now() + KEEP_ALIVE;
    if !unread.is_empty() {
        line.read_until = Instant::now() + HEAD_DEADLINE;
    }
    let mut buffer = [0; 4_096];
    loop {
        if let Some((request, used)) = parse(unread)? {
            unread.drain(..used);
            // A request with a body is answered, but its body is not read: the connection ends.
            let body = request.header("transfer-encoding").is_some()
                || request.header("content-length").is_some_and(|l| l != "0");
            let keep = !body && !request.says("connection", "close");
            return Ok(Some((request, keep)));
        }
        if unread.len() >= HEAD_BYTES_MAX {
            return Err(invalid("the head of a request is too long"));
        }
        let begun = !unread.is_empty();
        match line.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(n) => unread.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        }
        if !begun {
            line.read_until = Instant::now() + HEAD_DEADLINE;
        }
    }
}

/// The request at the start of `bytes` and its length; none if more must be read.
fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let used = match head.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(e) => return Err(invalid(&format!("not a request: {e}"))),
    };
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        method: head.method.unwrap_or("").to_owned(),
        path: path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| decode(part, false))
            .collect(),
        query: query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(k, v)| (decode(k, true), decode(v, true)))
            .collect(),
        headers: head
            .headers
            .iter()
            .map(|h| {
                let value = String::from_utf8_lossy(h.value).trim().to_owned();
                (h.name.to_ascii_lowercase(), value)
            })
            .collect(),
    };
    Ok(Some((request, used)))
}

/// Resolves `%2F` and, in a query, `+`. What is no escape stays as it is.
fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = escaped {
            out.push(byte);
            at += 3;
        } else {
            out.push(if plus && bytes[at] == b'+' {
                b' '
            } else {
                bytes[at]
            });
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn encode(answer: &Answer, keep: bool, head_only: bool) -> Vec<u8> {
    let body = answer.body.to_string();
    let mut text = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: {}\r\n",
        answer.status,
        reason(answer.status),
        body.len(),
        if keep { "keep-alive" } else { "close" },
    );
    for (name, value) in &answer.headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    if !head_only {
        text.push_str(&body);
    }
    text.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Other",
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// The right to one connection; it goes back when its thread ends, however it ends.
#[derive(Debug)]
struct Slot {
    number: u32,
    free: Tx<u32, Pool>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.free.put(self.number);
    }
}

/// Where connections get their slots.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    free: Receiver<u32>,
    back: Tx<u32, Pool>,
}

impl Slots {
    /// So many, shared by all addresses of the embedded market.
    pub(super) fn new(supervisor: &Supervisor, slots_max: u32) -> Self {
        let (back, free) = supervisor.channel(channels::SIM_SLOTS, slots_max as usize);
        for number in 0..slots_max {
            back.put(number);
        }
        Self { free, back }
    }

    fn take(&self) -> Option<Slot> {
        let number = self.free.try_recv().ok()?;
        Some(Slot {
            number,
            free: self.back.clone(),
        })
    }
}

/// Starts the acceptor of an address. Each connection runs `talk` on a thread of its own; a
/// connection beyond the slots is closed at once.
///
/// # Errors
/// When the system refuses a thread or a socket option.
pub(super) fn listen(
    supervisor: &Supervisor,
    kind: ThreadKind,
    listener: TcpListener,
    slots: Slots,
    talk: impl Fn(&Heartbeat, &TcpStream) + Clone + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let inner = supervisor.clone();
    supervisor.spawn(kind, move |heartbeat| {
        while !inner.stop().is_set() {
            heartbeat.idle();
            if !client_waits(&listener, SLICE) {
                continue;
            }
            heartbeat.begin("accepting a connection");
            match listener.accept() {
                Ok((stream, _)) => admit(&inner, &slots, stream, &talk),
                Err(e) if is_passing(&e) => {}
                Err(e) => {
                    log::warn!(target: "SIM", "{} cannot accept a connection: {e}; trying again", ThreadName::from(kind));
                    if inner.stop().sleep(ACCEPT_PAUSE) {
                        return;
                    }
                }
            }
        }
    })?;
    Ok(())
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}

fn admit(
    supervisor: &Supervisor,
    slots: &Slots,
    stream: TcpStream,
    talk: &(impl Fn(&Heartbeat, &TcpStream) + Clone + Send + 'static),
) {
    let Some(slot) = slots.take() else {
        log::warn!(target: "SIM", "the embedded market has no room for another connection");
        return;
    };
    // Some systems hand the listener's mode down.
    if stream.set_nonblocking(false).is_err() || stream.set_nodelay(true).is_err() {
        return;
    }
    let name = ThreadKind::SimConn.nth(slot.number);
    let talk = talk.clone();
    let spawned = supervisor.spawn(name, move |heartbeat| {
        let _held = &slot;
        talk(heartbeat, &stream);
        // The peer sees the end now, not when the thread's last handle is gone.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    if let Err(e) = spawned {
        log::warn!(target: "SIM", "no thread for a connection to the embedded market: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_in_a_symbol_is_part_of_it() {
        let bytes = b"GET /v1/ZQX%2FA/quotes?symbols=A%2CB&x=1+2&bad=%zz%4 HTTP/1.1\r\nAuthorization:  Bearer t \r\n\r\nrest";
        let (request, used) = parse(bytes).unwrap().unwrap();
        assert_eq!(request.path, ["v1", "ZQX/A", "quotes"]);
        assert_eq!(request.query("symbols"), Some("A,B"));
        assert_eq!(request.query("x"), Some("1 2"));
        assert_eq!(request.query("bad"), Some("%zz%4"));
        assert_eq!(request.header("authorization"), Some("Bearer t"));
        assert_eq!(&bytes[used..], b"rest");
        assert!(parse(&bytes[..40]).unwrap().is_none());
        assert!(parse(b"\x16\x03\x01 hello\r\n\r\n").is_err());
    }
}
