//! One request's way to a worker and its answer's way back.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::edge::answer::Written;
use crate::edge::connection::lanes::{Lane, Leased, Link};
use crate::edge::routes::{ANSWER_WITHIN, WORKER_PATIENCE};
use crate::runtime::deadline_io::{is_gone, read_some, write_all};

/// How often it is looked whether the client is still there.
const CLIENT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The longest body of an answer, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Workers that are asked in turn.
const WORKERS_MAX: u32 = 3;

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
    /// Every connection of the lane was busy for all of its patience.
    LaneFull,
    /// The worker did not answer until the deadline, or broke off.
    WorkerSilent(io::Error),
}

/// A request for a worker.
pub struct ToWorker<'a> {
    /// Who is to be answered.
    pub client: &'a TcpStream,
    /// Writes it, to be answered by a worker within the given time.
    pub request: &'a dyn Fn(Duration) -> Vec<u8>,
    /// For the log.
    pub what: &'a str,
    /// Whether its answer has no body.
    pub is_head: bool,
    /// Whether a second worker may be asked while the first is silent.
    pub may_repeat: bool,
    /// By when a worker has answered.
    pub deadline: Instant,
    /// How much longer that answer may take to arrive.
    pub grace: Duration,
}

/// Sends a request through a lane and takes the whole answer into memory, by way of `buffer`. A worker
/// that is silent for too long is left with it, and another is asked.
///
/// # Errors
/// [`NotForwarded`]; the connections used are given up.
pub fn forward(
    lane: &Lane,
    asked: &ToWorker<'_>,
    buffer: &mut [u8],
) -> Result<Forwarded, NotForwarded> {
    let last = asked.deadline + asked.grace;
    for tried in 0.. {
        let soon = last.min(Instant::now() + lane.patience);
        let mut leased = match lease(asked.client, lane, soon) {
            Err(NotForwarded::LaneFull) if tried > 0 => {
                return Err(NotForwarded::WorkerSilent(ErrorKind::TimedOut.into()));
            }
            other => other?,
        };
        let patience = if asked.may_repeat && tried + 1 < WORKERS_MAX {
            // Longer each time: on a busy machine they are slow and not stuck.
            WORKER_PATIENCE * (tried + 1)
        } else {
            last.saturating_duration_since(Instant::now())
        };
        if let Some(answer) = exchange(asked, &mut leased.link, buffer, patience)? {
            leased.give_back();
            return Ok(answer);
        }
        log::warn!(
            target: "GATE",
            "an http worker has {} in hand and said nothing for {} s; another is asked",
            asked.what,
            patience.as_secs()
        );
    }
    Err(NotForwarded::WorkerSilent(ErrorKind::TimedOut.into()))
}

fn lease<'a>(
    client: &TcpStream,
    lane: &'a Lane,
    deadline: Instant,
) -> Result<Leased<'a>, NotForwarded> {
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Err(NotForwarded::LaneFull);
        }
        if let Some(leased) = lane.lease(deadline.min(now + CLIENT_LOOK_EVERY)) {
            return Ok(leased);
        }
        if is_gone(client) {
            return Err(NotForwarded::ClientGone);
        }
    }
}

/// None when the worker was silent for longer than `patience`, or than it had said itself.
fn exchange(
    asked: &ToWorker<'_>,
    link: &mut Link,
    buffer: &mut [u8],
    patience: Duration,
) -> Result<Option<Forwarded>, NotForwarded> {
    let last = asked.deadline + asked.grace;
    let time = asked.deadline.saturating_duration_since(Instant::now());
    write_all(link, &(asked.request)(time), last).map_err(NotForwarded::WorkerSilent)?;
    let mut silent_until = Instant::now() + patience;
    let mut bytes = Vec::new();
    let mut whole: Option<(usize, usize)> = None;
    loop {
        if let Some((headers_end, length)) = whole
            && bytes.len() >= length
        {
            return Ok(Some(Forwarded { bytes, headers_end }));
        }
        let now = Instant::now();
        if now >= last {
            return Err(NotForwarded::WorkerSilent(ErrorKind::TimedOut.into()));
        }
        if now >= silent_until {
            return Ok(None);
        }
        let by = last.min(silent_until).min(now + CLIENT_LOOK_EVERY);
        match read_some(link, buffer, by) {
            Ok(0) => {
                return Err(NotForwarded::WorkerSilent(ErrorKind::UnexpectedEof.into()));
            }
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                if is_gone(asked.client) {
                    return Err(NotForwarded::ClientGone);
                }
            }
            Err(e) => return Err(NotForwarded::WorkerSilent(e)),
        }
        while whole.is_none() {
            match measure(&bytes, asked.is_head).map_err(NotForwarded::WorkerSilent)? {
                Heard::Part => break,
                Heard::Interim { length, within } => {
                    bytes.drain(..length);
                    silent_until = Instant::now() + within;
                }
                Heard::Answer {
                    headers_end,
                    length,
                } => whole = Some((headers_end, length)),
            }
        }
    }
}

/// What the bytes so far begin with.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// Less than a head.
    Part,
    /// An interim answer: the worker lives, and says more in time.
    Interim {
        /// All of it.
        length: usize,
        /// When.
        within: Duration,
    },
    /// The head of the answer.
    Answer {
        /// Where its blank line begins.
        headers_end: usize,
        /// Of head and body.
        length: usize,
    },
}

fn measure(bytes: &[u8], is_head: bool) -> io::Result<Heard> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(Heard::Part),
        Ok(httparse::Status::Partial) => {
            return Err(io::Error::other("an answer's head without an end"));
        }
        Err(e) => return Err(io::Error::other(e)),
    };
    let number = |name: &str| {
        let hit = response
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(hit.value).ok()?.trim().parse().ok()
    };
    let body = match response.code {
        Some(102) => {
            return Ok(Heard::Interim {
                length: head,
                within: Duration::from_millis(number(ANSWER_WITHIN).unwrap_or(0)),
            });
        }
        Some(204 | 304) => 0,
        _ => number("Content-Length")
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length <= BODY_BYTES_MAX)
            .ok_or_else(|| io::Error::other("an answer without a usable Content-Length"))?,
    };
    Ok(Heard::Answer {
        headers_end: head - 2,
        length: head + if is_head { 0 } else { body },
    })
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
        assert_eq!(measure(&text[..20], false).unwrap(), Heard::Part);
        let headers_end = text.len() - 4;
        let whole = |length| Heard::Answer {
            headers_end,
            length,
        };
        assert_eq!(measure(text, false).unwrap(), whole(text.len()));
        assert_eq!(measure(text, true).unwrap(), whole(text.len() - 2));
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
        assert!(
            matches!(measure(same, false).unwrap(), Heard::Answer { length, .. } if length == same.len())
        );
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert!(
            matches!(measure(empty, false).unwrap(), Heard::Answer { length, .. } if length == empty.len())
        );
        let interim = b"HTTP/1.1 102 Processing\r\nX-Answer-Within: 1500\r\n\r\nHTTP/1.1 200";
        assert_eq!(
            measure(interim, false).unwrap(),
            Heard::Interim {
                length: interim.len() - 12,
                within: Duration::from_millis(1_500),
            }
        );
    }
}
