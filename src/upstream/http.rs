//! One upstream's HTTP client, over ureq. Owned by one fetcher thread.
//!
//! Every call has one deadline, from name resolution to the last byte of a slow body. A status of 4xx
//! or 5xx is an answer here, not an error. No redirects are followed (a token is sent) and no proxy of
//! the environment is used.

use std::cell::Cell;
use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

use ureq::tls::TlsConfig;
use ureq::unversioned::transport::{Connector, RustlsConnector, TcpConnector};
use ureq::{Agent, Body, Error};

use crate::market::SkewBounds;
use crate::resilience::FetchError;
use crate::runtime::clock::{millis, system_ms};

use super::resolve::Names;
use super::roots::Roots;
use super::tls_words;

/// The longest answer taken, in bytes, after decompression.
pub const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

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

/// A client of one upstream.
#[derive(Debug)]
pub struct HttpClient {
    name: &'static str,
    base: String,
    agent: Agent,
    /// Whether the call before may have left a connection in the pool: only then can a dead one be
    /// stale, and the call be worth repeating.
    warm: Cell<bool>,
}

/// Why a call gave no answer.
struct Fault {
    error: Error,
    /// Whether the answer's head had come.
    in_body: bool,
}

impl HttpClient {
    /// `base`: an http or https URL; a trailing slash is dropped.
    #[must_use]
    pub fn new(name: &'static str, base: &str) -> Self {
        Self::with_roots(name, base, &Roots::default())
    }

    /// As above; these issuers of certificates are believed.
    #[must_use]
    pub fn with_roots(name: &'static str, base: &str, roots: &Roots) -> Self {
        let tls = TlsConfig::builder().root_certs(roots.0.clone()).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .tls_config(tls)
            .user_agent(concat!("tapewarden/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(1)
            .build();
        let connector = ().chain(TcpConnector::default()).chain(RustlsConnector::default());
        Self {
            name,
            base: base.trim_end_matches('/').to_owned(),
            agent: Agent::with_parts(config, connector, Names::default()),
            warm: Cell::new(false),
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
    /// [`FetchError::Timeout`], [`FetchError::Unreachable`] or [`FetchError::Malformed`].
    pub fn get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Response, FetchError> {
        let started = Instant::now();
        let was_warm = self.warm.get();
        let mut answer = self.get_once(path, headers, deadline);
        if was_warm && answer.as_ref().is_err_and(Fault::is_stale_connection) {
            answer = self.get_once(path, headers, deadline);
        }
        self.settled(answer, started)
    }

    /// `POST base + path` with a JSON body. Never repeated, and so never sent on a connection that the
    /// server may have closed meanwhile.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn post_json(
        &self,
        path: &str,
        json: &[u8],
        deadline: Instant,
    ) -> Result<Response, FetchError> {
        let (started, sent_ms) = (Instant::now(), system_ms());
        let called = self
            .agent
            .post(format!("{}{path}", self.base))
            .config()
            .timeout_global(Some(left(deadline)))
            .max_idle_age(Duration::ZERO)
            .build()
            .header("Content-Type", "application/json")
            .send(json);
        self.settled(taken(called, sent_ms), started)
    }

    fn get_once(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Response, Fault> {
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
        let sent_ms = system_ms();
        taken(request.call(), sent_ms)
    }

    fn settled(
        &self,
        answer: Result<Response, Fault>,
        started: Instant,
    ) -> Result<Response, FetchError> {
        self.warm.set(answer.is_ok());
        answer.map_err(|fault| self.failure(&fault, started))
    }

    fn failure(&self, fault: &Fault, started: Instant) -> FetchError {
        let upstream = self.name;
        let timeout = || FetchError::Timeout {
            upstream,
            after_ms: millis(started.elapsed()),
        };
        let malformed = |why: String| FetchError::Malformed { upstream, why };
        let unreachable = |why: String| FetchError::Unreachable { upstream, why };
        let base = &self.base;
        let tls = |why: String| unreachable(format!("TLS with {base} failed: {why}"));
        match &fault.error {
            Error::Timeout(_) => timeout(),
            Error::Io(e) => {
                match e.kind() {
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => timeout(),
                    io::ErrorKind::ConnectionRefused => {
                        unreachable(format!("connection refused: nothing listens at {base}"))
                    }
                    _ if fault.is_broken_connection() => unreachable(
                        if fault.in_body {
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
}

impl Fault {
    /// A connection that the server closed while it lay in the pool fails before the answer.
    fn is_stale_connection(&self) -> bool {
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

/// The time left; with none ureq gives up before it connects.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Reads the whole answer to what was sent at `sent_ms` by this machine's clock. The body of an error status is
/// only its explanation: a broken one must not hide the status.
fn taken(
    called: Result<ureq::http::Response<Body>, Error>,
    sent_ms: i64,
) -> Result<Response, Fault> {
    let fault = |in_body| move |error| Fault { error, in_body };
    let (head, mut body) = called.map_err(fault(false))?.into_parts();
    let read = match body.content_length() {
        // Of no use even in part: it costs neither time nor memory.
        Some(length) if length > BODY_BYTES_MAX => Err(Error::BodyExceedsLimit(BODY_BYTES_MAX)),
        _ => body.with_config().limit(BODY_BYTES_MAX).read_to_vec(),
    };
    let body = match read {
        Err(_) if head.status.as_u16() >= 400 => Vec::new(),
        read => read.map_err(fault(true))?,
    };
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    Ok(Response {
        status: head.status.as_u16(),
        retry_after: header("Retry-After").and_then(|v| retry_after(v, system_ms())),
        correlation: header("Schwab-Client-CorrelId").map(|v| v.chars().take(64).collect()),
        skew: header("Date")
            .and_then(|v| date_ms(v, header("Age")))
            .map(|date_ms| SkewBounds::of(sent_ms, system_ms(), date_ms)),
        body,
    })
}

/// `Date` (RFC 9110, section 6.6.1) in milliseconds since the Unix epoch, and how long ago a cache had it (RFC
/// 9111, section 5.1).
fn date_ms(date: &str, age: Option<&str>) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(date).ok()?;
    let age: i64 = age.map_or(Some(0), |age| age.parse::<u32>().ok().map(i64::from))?;
    Some(date.timestamp().as_millisecond() + age * 1_000)
}

/// `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3).
fn retry_after(value: &str, now_ms: i64) -> Option<Duration> {
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
mod tests;
#[cfg(test)]
mod tls_tests;
