//! One upstream's HTTP client, over ureq. Owned by one fetcher thread.
//!
//! Every call has one deadline, from name resolution to the last byte of a slow body. A status of 4xx
//! or 5xx is an answer here, not an error. No redirects are followed (a token is sent) and no proxy of
//! the environment is used.

use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Error};

use crate::desk::Failure;

use super::resolve::Names;

/// The longest answer taken, in bytes, after decompression.
pub const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What an upstream answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// How long the upstream asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Schwab's number of this exchange, for its support.
    pub correlation: Option<String>,
    /// Decompressed.
    pub body: Vec<u8>,
}

/// A client of one upstream.
#[derive(Debug)]
pub struct Upstream {
    name: &'static str,
    base: String,
    agent: Agent,
}

impl Upstream {
    /// `base`: an http or https URL; a trailing slash is dropped.
    #[must_use]
    pub fn new(name: &'static str, base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("tapewarden/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(2)
            .build();
        Self {
            name,
            base: base.trim_end_matches('/').to_owned(),
            agent: Agent::with_parts(config, DefaultConnector::new(), Names::default()),
        }
    }

    /// As errors name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// `GET base + path`. A pooled connection that the server had closed meanwhile is tried once more
    /// on a fresh one, inside the same deadline.
    ///
    /// # Errors
    /// [`Failure::Timeout`], [`Failure::Unreachable`] or [`Failure::Malformed`].
    pub fn get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let started = Instant::now();
        match self.get_once(path, headers, deadline) {
            Err(e) if is_stale_connection(&e) => self.get_once(path, headers, deadline),
            first => first,
        }
        .map_err(|e| self.failure(&e, started))
    }

    /// `POST base + path` with a JSON body. Never repeated.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn post_json(
        &self,
        path: &str,
        json: &[u8],
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let started = Instant::now();
        self.agent
            .post(format!("{}{path}", self.base))
            .config()
            .timeout_global(Some(left(deadline)))
            .build()
            .header("Content-Type", "application/json")
            .send(json)
            .and_then(taken)
            .map_err(|e| self.failure(&e, started))
    }

    fn get_once(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Response, Error> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.base))
            .config()
            .timeout_global(Some(left(deadline)))
            .build()
            .header("Accept", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().and_then(taken)
    }

    fn failure(&self, error: &Error, started: Instant) -> Failure {
        let upstream = self.name;
        let timeout = || Failure::Timeout {
            upstream,
            after_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let malformed = |why: String| Failure::Malformed { upstream, why };
        let unreachable = |why: String| Failure::Unreachable { upstream, why };
        match error {
            Error::Timeout(_) => timeout(),
            Error::Io(e) => match e.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => timeout(),
                io::ErrorKind::ConnectionRefused => {
                    unreachable(format!("nothing listens at {}", without_user(&self.base)))
                }
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => {
                    unreachable("it closed the connection before its answer was complete".into())
                }
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    malformed(format!("its answer cannot be decoded: {}", words(e)))
                }
                _ => unreachable(words(e)),
            },
            Error::HostNotFound => unreachable(format!(
                "the name in {} is not found",
                without_user(&self.base)
            )),
            Error::Protocol(e) => malformed(format!("its answer is not HTTP: {e}")),
            Error::BodyExceedsLimit(limit) => {
                malformed(format!("its answer is longer than {limit} bytes"))
            }
            Error::Decompress(what, e) => malformed(format!("broken {what} compression: {e}")),
            other => unreachable(other.to_string()),
        }
    }
}

/// The time left, never 0, which ureq takes for none.
fn left(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
}

fn taken(response: ureq::http::Response<Body>) -> Result<Response, Error> {
    let (head, mut body) = response.into_parts();
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    Ok(Response {
        status: head.status.as_u16(),
        retry_after: header("Retry-After").and_then(|v| retry_after(v, crate::clock::system_ms())),
        correlation: header("Schwab-Client-CorrelId").map(|v| v.chars().take(64).collect()),
        body: body.with_config().limit(BODY_BYTES_MAX).read_to_vec()?,
    })
}

/// `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3).
fn retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let wait_ms = date.timestamp().as_millisecond() - now_ms;
    Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)))
}

/// A connection that the server closed while it lay in the pool fails at the first byte.
fn is_stale_connection(error: &Error) -> bool {
    let Error::Io(e) = error else { return false };
    matches!(
        e.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
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

/// A URL without a user and password, for errors.
fn without_user(url: &str) -> String {
    match (url.find("://"), url.find('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://{}", &url[..scheme], &url[at + 1..])
        }
        _ => url.to_owned(),
    }
}

/// A symbol as a segment of a path: everything but letters, digits and `.-` escaped.
#[must_use]
pub fn escaped(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len() + 8);
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') {
            out.push(char::from(b));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7", 0), Some(Duration::from_secs(7)));
        let at = "Thu, 01 Jan 1970 00:01:00 GMT";
        assert_eq!(retry_after(at, 0), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(at, 90_000), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
    }

    #[test]
    fn a_symbol_is_one_segment_whatever_is_in_it() {
        assert_eq!(escaped("BRK/B"), "BRK%2FB");
        assert_eq!(escaped("$SPX"), "%24SPX");
    }

    #[test]
    fn errors_do_not_repeat_a_password() {
        assert_eq!(without_user("http://u:p@h:1/x"), "http://h:1/x");
    }
}
