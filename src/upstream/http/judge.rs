//! What an HTTP answer says, and what a call without one means. Pure.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use ureq::Error;
use ureq::http::response::Parts;

use crate::market::SkewBounds;
use crate::resilience::FetchError;
use crate::runtime::clock::millis;
use crate::upstream::tls_words;

/// A longer wish to be left alone than a year is told as this; how far it is kept to is for who asks to say.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What an upstream answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// How long the upstream asks to be left alone, at most [`RETRY_AFTER_MAX`].
    pub retry_after: Option<Duration>,
    /// Schwab's number of this exchange, for its support.
    pub correlation: Option<String>,
    /// What its date says of this machine's clock, if it has one.
    pub skew: Option<SkewBounds>,
    /// Decompressed. Of an error status it may be empty although there was one.
    pub body: Vec<u8>,
}

impl Response {
    /// The answer with this head and body to what was sent at `sent_ms` and had come at `came_ms` by this
    /// machine's clock.
    pub(super) fn of(head: &Parts, body: Vec<u8>, sent_ms: i64, came_ms: i64) -> Self {
        let header = |name: &str| {
            head.headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(str::trim)
        };
        Self {
            status: head.status.as_u16(),
            retry_after: header("Retry-After").and_then(|v| retry_after(v, came_ms)),
            correlation: header("Schwab-Client-CorrelId").map(|v| v.chars().take(64).collect()),
            skew: header("Date")
                .and_then(|v| date_ms(v, header("Age")))
                .map(|date_ms| SkewBounds::of(sent_ms, came_ms, date_ms)),
            body,
        }
    }
}

/// Why a call gave no answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    /// Whether the answer's head had come.
    pub(super) in_body: bool,
}

impl Fault {
    /// What is told of it, of an upstream of that name at `base` that was waited for so long.
    pub(super) fn judged(
        &self,
        upstream: &'static str,
        base: &str,
        waited: Duration,
    ) -> FetchError {
        let timeout = || FetchError::Timeout {
            upstream,
            after_ms: millis(waited),
        };
        let malformed = |why: String| FetchError::Malformed { upstream, why };
        let unreachable = |why: String| FetchError::Unreachable { upstream, why };
        let tls = |why: String| unreachable(format!("TLS with {base} failed: {why}"));
        match &self.error {
            Error::Timeout(_) => timeout(),
            Error::Io(e) => {
                match e.kind() {
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => timeout(),
                    io::ErrorKind::ConnectionRefused => {
                        unreachable(format!("connection refused: nothing listens at {base}"))
                    }
                    _ if self.is_broken_connection() => unreachable(
                        if self.in_body {
                            "it closed the connection in the middle of its answer"
                        } else {
                            "it closed the connection before it answered"
                        }
                        .to_owned(),
                    ),
                    // Of all that ureq does on a socket only TLS finds data invalid.
                    io::ErrorKind::InvalidData => tls(tls_words::behind(e)
                        .map_or_else(|| words(e), |e| tls_words::words(e, base))),
                    _ => unreachable(format!("{base}: {}", words(e))),
                }
            }
            Error::Rustls(e) => tls(tls_words::words(e, base)),
            Error::Tls(e) => tls((*e).to_owned()),
            Error::HostNotFound => unreachable(format!(
                "the name in {base} has no address; check it in the settings"
            )),
            Error::Protocol(e) => malformed(format!("its answer is not HTTP: {e}")),
            Error::LargeResponseHeader(..) => {
                malformed("the head of its answer is too long".into())
            }
            Error::BodyExceedsLimit(limit) => {
                malformed(format!("its answer is longer than {limit} bytes"))
            }
            Error::Decompress(what, e) => {
                malformed(format!("its {what} answer cannot be decompressed: {e}"))
            }
            other => unreachable(other.to_string()),
        }
    }

    /// A connection that the server closed while it lay in the pool fails before the answer.
    pub(super) fn is_stale_connection(&self) -> bool {
        !self.in_body && self.is_broken_connection()
    }

    fn is_broken_connection(&self) -> bool {
        matches!(&self.error, Error::Io(e) if matches!(
            e.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::NotConnected
        ))
    }
}

/// `Date` (RFC 9110, section 6.6.1) in milliseconds since the Unix epoch, and how long ago a cache had it (RFC
/// 9111, section 5.1).
fn date_ms(date: &str, age: Option<&str>) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(date).ok()?;
    let age: i64 = age.map_or(Some(0), |age| age.parse::<u32>().ok().map(i64::from))?;
    Some(date.timestamp().as_millisecond() + age * 1_000)
}

/// `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    let asked = if let Ok(seconds) = value.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let date = jiff::fmt::rfc2822::parse(value).ok()?;
        let wait_ms = date.timestamp().as_millisecond().saturating_sub(now_ms);
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

/// An error and what is behind it.
fn words(error: &io::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        words = format!("{words}: {e}");
        cause = e.source();
    }
    words
}
