//! One upstream's HTTP client, over ureq. Owned by one fetcher thread.
//!
//! Every call has one deadline, from name resolution to the last byte of a slow body. A status of 4xx
//! or 5xx is an answer here, not an error. No redirects are followed (a token is sent) and no proxy of
//! the environment is used.

mod judge;
mod path;

use std::cell::Cell;
use std::time::{Duration, Instant};

use ureq::tls::TlsConfig;
use ureq::unversioned::transport::{Connector, RustlsConnector, TcpConnector};
use ureq::{Agent, Body, Error};

use crate::resilience::FetchError;
use crate::runtime::clock::system_ms;

use super::resolve::{FRESH_FOR, Lookups, Names, NamesForUreq};
use super::roots::Roots;

use judge::Fault;

pub use judge::{RETRY_AFTER_MAX, Response};
pub use path::escaped;

/// The longest answer taken, in bytes, after decompression.
pub const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

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

impl HttpClient {
    /// `base`: an http or https URL; a trailing slash is dropped. These issuers of certificates are believed.
    #[must_use]
    pub fn new(name: &'static str, base: &str, roots: &Roots, lookups: &Lookups) -> Self {
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
        let names = NamesForUreq::new(Names::new(lookups, FRESH_FOR));
        let connector = ().chain(TcpConnector::default()).chain(RustlsConnector::default());
        Self {
            name,
            base: base.trim_end_matches('/').to_owned(),
            agent: Agent::with_parts(config, connector, names),
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
        answer.map_err(|fault| fault.judged(self.name, &self.base, started.elapsed()))
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
    Ok(Response::of(&head, body, sent_ms, system_ms()))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
