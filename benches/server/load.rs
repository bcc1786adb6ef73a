//! The HTTP client: one thread, epoll, each connection sends its next request when the answer is there.
//!
//! So that it does not become what is measured, it takes the first bytes of an answer (head, and small
//! bodies) into memory and has the kernel discard the rest of the body (`MSG_TRUNC`), counted to the
//! byte. The first answer of a point is read whole and checked before.

use std::borrow::Cow;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, recv};
use rustix::time::Timespec;

use super::options::Options;
use super::process::{Process, my_cpu};

/// What is taken of an answer at first.
const HEAD_BYTES: usize = 4_096;

/// What is discarded at most at a time.
const DISCARD_BYTES: usize = 256 * 1_024;

/// Before anything is counted, as a share of the point's time.
const WARM_UP_SHARE: u32 = 5;

/// An answer that takes longer ends the bench.
const PATIENCE: Duration = Duration::from_secs(20);

/// The target of each request.
#[derive(Clone)]
enum Target {
    Same(String),
    Fresh(Arc<dyn Fn() -> String>),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(path) => f.write_str(path),
            Self::Fresh(_) => f.write_str("one after another"),
        }
    }
}

/// A request and the answer it must have.
#[derive(Clone, Debug)]
pub struct Poll {
    target: Target,
    pub headers: Vec<(&'static str, String)>,
    pub status: u16,
}

impl Poll {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            target: Target::Same(path.into()),
            headers: Vec::new(),
            status: 200,
        }
    }

    /// Each request has a target of its own.
    pub fn fresh(target: impl Fn() -> String + 'static) -> Self {
        Self {
            target: Target::Fresh(Arc::new(target)),
            headers: Vec::new(),
            status: 200,
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bytes(&self, address: &str) -> Vec<u8> {
        let target = match &self.target {
            Target::Same(path) => path,
            Target::Fresh(next) => &next(),
        };
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }
}

/// One request on a connection of its own.
pub fn ask(address: &str, poll: &Poll) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let closing = poll.clone().with("Connection", "close");
    stream.write_all(&closing.bytes(address))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let Some(head) = Head::read(&bytes) else {
        return Err(ErrorKind::UnexpectedEof.into());
    };
    Ok(Answer {
        status: head.status,
        head: String::from_utf8_lossy(&bytes[..head.bytes]).into_owned(),
        body: bytes.split_off(head.bytes),
    })
}

/// What a head says, as far as it is needed.
struct Head {
    status: u16,
    /// Of the head itself, with its blank line.
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = response.parse(bytes) else {
            return None;
        };
        let status = response.code?;
        let body_bytes = response
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case("content-length"))
            .and_then(|h| std::str::from_utf8(h.value).ok()?.trim().parse().ok());
        Some(Self {
            status,
            bytes: length,
            // A chunked answer would be miscounted; the check before a point sees to it that none is.
            body_bytes: if status == 304 { 0 } else { body_bytes? },
        })
    }
}

struct Conn {
    stream: TcpStream,
    sent: Instant,
    got: Vec<u8>,
    /// Of the body, still to be discarded; none while the head is not there.
    left: Option<usize>,
}

/// What a point gave.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Answers a second.
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
    /// CPU of the server for each answer.
    pub server_us: f64,
    /// CPU of this client for each answer.
    pub client_us: f64,
}

impl Point {
    /// A point of the medians of these.
    pub fn median(points: &[Self], median: impl Fn(Vec<f64>) -> f64) -> Self {
        let of = |f: fn(&Self) -> f64| median(points.iter().map(f).collect());
        Self {
            rate: of(|p| p.rate),
            p50_us: of(|p| p.p50_us),
            p99_us: of(|p| p.p99_us),
            max_us: of(|p| p.max_us),
            server_us: of(|p| p.server_us),
            client_us: of(|p| p.client_us),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} · {:.0} / {:.0} · {:.1}",
            self.rate, self.p50_us, self.p99_us, self.server_us
        )
    }
}

/// The value below which this share of the sorted values lies.
pub fn quantile(sorted: &[u32], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .map_or(f64::NAN, |ns| f64::from(*ns) / 1_000.0)
}

/// Polls each server in each round, and gives the medians; none of a server without a poll.
pub fn side_by_side<'a>(
    servers: impl Iterator<Item = (&'a Process, Option<Poll>)>,
    connections: usize,
    options: &Options,
) -> Vec<Option<Point>> {
    let mut servers: Vec<(&Process, Option<Poll>, Vec<Point>)> = servers
        .map(|(server, poll)| (server, poll, Vec::new()))
        .collect();
    for _round in 0..options.rounds {
        for (server, poll, points) in &mut servers {
            if let Some(poll) = poll {
                points.push(run(server, poll, connections, options.point));
            }
        }
    }
    let median = |points: &Vec<Point>| {
        (!points.is_empty()).then(|| Point::median(points, |v| options.median(v)))
    };
    servers.iter().map(|(.., points)| median(points)).collect()
}

/// Polls for this long on this many connections.
fn run(server: &Process, poll: &Poll, connections: usize, time: Duration) -> Point {
    let first = poll.bytes(&server.address);
    let request = || match poll.target {
        Target::Same(_) => Cow::Borrowed(&*first),
        Target::Fresh(_) => Cow::Owned(poll.bytes(&server.address)),
    };
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll");
    let mut conns: Vec<Conn> = (0..connections)
        .map(|n| {
            let stream = TcpStream::connect(&server.address).expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            stream.set_nonblocking(true).expect("non-blocking");
            epoll::add(
                &epoll,
                &stream,
                EventData::new_u64(n as u64),
                EventFlags::IN,
            )
            .expect("room in the epoll");
            Conn {
                stream,
                sent: Instant::now(),
                got: Vec::with_capacity(HEAD_BYTES),
                left: None,
            }
        })
        .collect();
    let mut times: Vec<u32> = Vec::with_capacity(1 << 18);
    let mut events = Vec::with_capacity(connections);
    let mut scrap = vec![MaybeUninit::<u8>::uninit(); DISCARD_BYTES];
    let began = Instant::now();
    let count_from = began + time / WARM_UP_SHARE;
    let over = count_from + time;
    let mut counting: Option<(Instant, Duration, Duration)> = None;
    for conn in &mut conns {
        conn.send(&request());
    }
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    loop {
        events.clear();
        let got = epoll::wait(
            &epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&patience),
        );
        match got {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) => panic!(
                "no answer to {poll:?} from {} in {PATIENCE:?}",
                server.address
            ),
            other => other.expect("epoll"),
        };
        for event in &events {
            let conn = &mut conns[usize::try_from(event.data.u64()).expect("an index")];
            while conn.take(poll, &mut scrap) {
                let now = Instant::now();
                if counting.is_some() {
                    let ns = now.duration_since(conn.sent).as_nanos();
                    times.push(u32::try_from(ns).unwrap_or(u32::MAX));
                }
                conn.send(&request());
            }
        }
        let now = Instant::now();
        if counting.is_none() && now >= count_from {
            counting = Some((now, server.cpu(), my_cpu()));
        }
        if now >= over {
            break;
        }
    }
    let (from, server_cpu, client_cpu) = counting.expect("it took longer than the warm-up");
    let took = from.elapsed();
    let answers = times.len() as f64;
    let each_us = |cpu: Duration| cpu.as_secs_f64() * 1e6 / answers;
    let (client_us, server_us) = (
        each_us(my_cpu().saturating_sub(client_cpu)),
        each_us(server.cpu().saturating_sub(server_cpu)),
    );
    times.sort_unstable();
    Point {
        rate: answers / took.as_secs_f64(),
        p50_us: quantile(&times, 0.5),
        p99_us: quantile(&times, 0.99),
        max_us: quantile(&times, 1.0),
        server_us,
        client_us,
    }
}

impl Conn {
    fn send(&mut self, request: &[u8]) {
        self.sent = Instant::now();
        // A request is far smaller than an empty socket buffer.
        let sent = self.stream.write(request).expect("the server takes it");
        assert_eq!(sent, request.len());
    }

    /// Takes what is there; true when an answer is whole.
    fn take(&mut self, poll: &Poll, scrap: &mut [MaybeUninit<u8>]) -> bool {
        loop {
            if let Some(left) = self.left {
                let most = left.min(scrap.len());
                match recv(&self.stream, &mut scrap[..most], RecvFlags::TRUNC) {
                    Ok((_, 0)) => panic!("the server closed in the middle of {poll:?}"),
                    Ok((_, n)) if n == left => {
                        self.left = None;
                        return true;
                    }
                    Ok((_, n)) => self.left = Some(left - n),
                    Err(rustix::io::Errno::AGAIN) => return false,
                    Err(e) => panic!("reading an answer to {poll:?} failed: {e}"),
                }
                continue;
            }
            let room = HEAD_BYTES - self.got.len();
            let mut head = [0; HEAD_BYTES];
            match self.stream.read(&mut head[..room]) {
                Ok(0) => panic!("the server closed before its answer to {poll:?}"),
                Ok(n) => self.got.extend_from_slice(&head[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(e) => panic!("reading an answer to {poll:?} failed: {e}"),
            }
            let Some(head) = Head::read(&self.got) else {
                assert!(self.got.len() < HEAD_BYTES, "no head in {HEAD_BYTES} bytes");
                continue;
            };
            assert_eq!(head.status, poll.status, "{poll:?}");
            let whole = head.bytes + head.body_bytes;
            let left = whole.checked_sub(self.got.len()).expect("one answer only");
            self.got.clear();
            if left == 0 {
                return true;
            }
            self.left = Some(left);
        }
    }
}
