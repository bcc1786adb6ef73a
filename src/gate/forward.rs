//! One request's way to a worker and its answer's way back.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::lanes::{Lane, Link};
use crate::deadline_io::{is_gone, read_some, write_all};
use crate::http::Written;

/// How often it is looked whether the client is still there.
const CLIENT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// A worker that waits for nobody answers within milliseconds: after this it is stuck, and another is
/// asked. Doubled each time, so that a machine that is only slow does not get more work still.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The longest body of an answer, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An answer as a worker wrote it.
#[derive(Debug)]
pub struct Forwarded {
    /// Head and body.
    pub bytes: Vec<u8>,
    /// Where the head's blank line begins: further headers go in here.
    pub headers_end: usize,
}

/// Why there is none.
#[derive(Debug)]
pub enum NotForwarded {
    /// The client left.
    ClientGone,
    /// Every connection of the lane was busy for [`LEASE_PATIENCE`].
    LaneFull,
    /// The worker did not answer until the deadline, or broke off.
    WorkerSilent(io::Error),
}

/// How long a request waits for a place in its lane: who finds all of them taken is told soon.
const LEASE_PATIENCE: Duration = Duration::from_secs(2);

/// One request, as it is sent to a worker.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Makes head and body, once there is a place, for the time that is then left.
    pub make: &'a dyn Fn(Duration) -> Vec<u8>,
    /// Whether it is a `HEAD`: the answer has no body.
    pub is_head: bool,
    /// Whether another worker may be asked the same once this one does not answer: nothing is changed by
    /// the request, and a worker that answers it waits for nobody.
    pub again: bool,
    /// By when the answer must be there.
    pub deadline: Instant,
}

/// Sends a request through a lane and takes the whole answer into memory, by way of `buffer`.
///
/// # Errors
/// [`NotForwarded`]; the connections used are given up.
pub fn forward(
    client: &TcpStream,
    lane: &Lane,
    asked: Asked<'_>,
    buffer: &mut [u8],
) -> Result<Forwarded, NotForwarded> {
    let mut patience = STUCK_AFTER;
    while asked.again && Instant::now() + patience < asked.deadline {
        let this = Asked {
            deadline: Instant::now() + patience,
            ..asked
        };
        match forward_once(client, lane, this, buffer) {
            Err(NotForwarded::WorkerSilent(_) | NotForwarded::LaneFull) => patience *= 2,
            other => return other,
        }
    }
    forward_once(client, lane, asked, buffer)
}

fn forward_once(
    client: &TcpStream,
    lane: &Lane,
    asked: Asked<'_>,
    buffer: &mut [u8],
) -> Result<Forwarded, NotForwarded> {
    let soon = Instant::now() + LEASE_PATIENCE;
    let mut link = lease(client, lane, asked.deadline.min(soon))?;
    let request = (asked.make)(asked.deadline.saturating_duration_since(Instant::now()));
    match exchange(client, &mut link, &request, asked, buffer) {
        Ok(answer) => {
            lane.give_back(link);
            Ok(answer)
        }
        Err(e) => {
            lane.lose(link);
            Err(e)
        }
    }
}

fn lease(client: &TcpStream, lane: &Lane, deadline: Instant) -> Result<Link, NotForwarded> {
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Err(NotForwarded::LaneFull);
        }
        if let Some(link) = lane.lease(deadline.min(now + CLIENT_LOOK_EVERY)) {
            return Ok(link);
        }
        if is_gone(client) {
            return Err(NotForwarded::ClientGone);
        }
    }
}

fn exchange(
    client: &TcpStream,
    link: &mut Link,
    request: &[u8],
    asked: Asked<'_>,
    buffer: &mut [u8],
) -> Result<Forwarded, NotForwarded> {
    let Asked {
        is_head, deadline, ..
    } = asked;
    write_all(link, request, deadline).map_err(NotForwarded::WorkerSilent)?;
    let mut bytes = Vec::new();
    let mut whole: Option<(usize, usize)> = None;
    loop {
        if let Some((headers_end, length)) = whole
            && bytes.len() >= length
        {
            return Ok(Forwarded { bytes, headers_end });
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(NotForwarded::WorkerSilent(ErrorKind::TimedOut.into()));
        }
        match read_some(link, buffer, deadline.min(now + CLIENT_LOOK_EVERY)) {
            Ok(0) => {
                return Err(NotForwarded::WorkerSilent(ErrorKind::UnexpectedEof.into()));
            }
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                if is_gone(client) {
                    return Err(NotForwarded::ClientGone);
                }
            }
            Err(e) => return Err(NotForwarded::WorkerSilent(e)),
        }
        if whole.is_none() {
            whole = measure(&bytes, is_head).map_err(NotForwarded::WorkerSilent)?;
        }
    }
}

/// Where a worker's head ends and how long the whole answer is; none while the head is not complete.
fn measure(bytes: &[u8], is_head: bool) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) if response.code == Some(304) => {
            Ok(Some((head - 2, head)))
        }
        Ok(httparse::Status::Complete(head)) => {
            let length = response
                .headers
                .iter()
                .find(|h| h.name.eq_ignore_ascii_case("Content-Length"))
                .and_then(|h| {
                    std::str::from_utf8(h.value)
                        .ok()?
                        .trim()
                        .parse::<usize>()
                        .ok()
                })
                .filter(|length| *length <= BODY_BYTES_MAX)
                .ok_or_else(|| io::Error::other("an answer without a usable Content-Length"))?;
            let body = if is_head { 0 } else { length };
            Ok(Some((head - 2, head + body)))
        }
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(httparse::Status::Partial) => Err(io::Error::other("an answer's head without an end")),
        Err(e) => Err(io::Error::other(e)),
    }
}

impl Forwarded {
    /// The answer for the client, with what the gate has to say besides.
    #[must_use]
    pub fn for_client(mut self, more: Option<(&'static str, String)>) -> Written {
        if let Some((name, value)) = more {
            let line = format!("{name}: {value}\r\n");
            let at = self.headers_end;
            self.bytes.splice(at..at, line.into_bytes());
        }
        Written {
            head: self.bytes,
            body: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_and_marked() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(measure(&text[..20], false).unwrap(), None);
        let (headers_end, length) = measure(text, false).unwrap().unwrap();
        assert_eq!(length, text.len());
        assert_eq!(measure(text, true).unwrap().unwrap().1, text.len() - 2);
        let answer = Forwarded {
            bytes: text.to_vec(),
            headers_end,
        };
        let close = Some(("Connection", "close".to_owned()));
        let out = String::from_utf8(answer.for_client(close).into_bytes()).unwrap();
        assert_eq!(
            out,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        );
        assert!(measure(b"HTTP/1.1 200 OK\r\n\r\n", false).is_err());
        let same = b"HTTP/1.1 304 Not Modified\r\n\r\n";
        assert_eq!(measure(same, false).unwrap().unwrap().1, same.len());
    }
}
