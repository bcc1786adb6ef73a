//! Why an answer could not be had, in words that its reader can act on.

use std::time::Duration;

use thiserror::Error;

/// The one error type of everything that is fetched. `Display` is the sentence for the client's
/// `{"detail": …}`; it never holds a token, a key or a header.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The upstream answered that there is nothing. Not a fault.
    #[error("No data for {what}")]
    NoData {
        /// "candles XYZ 1m"
        what: String,
    },
    /// The upstream did not answer in time.
    #[error(
        "{upstream} did not answer within {after_ms} ms; it may be hung or overloaded, try again shortly"
    )]
    Timeout {
        /// "Schwab market data", "the trader app", "the model"
        upstream: &'static str,
        /// How long was waited.
        after_ms: u64,
    },
    /// The upstream could not be reached or dropped the connection.
    #[error("{upstream} cannot be reached ({why}); check that it is running")]
    Unreachable {
        /// As above.
        upstream: &'static str,
        /// The transport's words.
        why: String,
    },
    /// The upstream answered with an error status.
    #[error("{upstream} answered {code}{detail}")]
    Status {
        /// As above.
        upstream: &'static str,
        /// Its HTTP status.
        code: u16,
        /// Its own words, cut, with ": " before; or empty.
        detail: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The upstream answered with something that is not what was asked for.
    #[error("{upstream} answered with something unusable: {why}")]
    Malformed {
        /// As above.
        upstream: &'static str,
        /// What was wrong with it.
        why: String,
    },
    /// There is no access token, or the provider refuses the one there is.
    #[error("No valid access token for {upstream}: {why}")]
    Token {
        /// As above.
        upstream: &'static str,
        /// Names the token file, its age and what to do.
        why: String,
    },
    /// Too many failures in a row: the upstream is left alone for a while.
    #[error("{upstream} has failed {failures} times in a row (last: {last}); next try in {} s", retry_in.as_secs() + 1)]
    BreakerOpen {
        /// As above.
        upstream: &'static str,
        /// How many.
        failures: u32,
        /// The last failure.
        last: Box<Failure>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The limit of requests a minute is used up.
    #[error("The budget of {per_minute} requests a minute to {upstream} is used up; try again in {} s", retry_in.as_secs() + 1)]
    Budget {
        /// As above.
        upstream: &'static str,
        /// The limit.
        per_minute: u32,
        /// When there is room again.
        retry_in: Duration,
    },
    /// More requests wait than the limit allows; the newest are served first.
    #[error("Too many requests wait for {what}; try again in {} s", retry_in.as_secs() + 1)]
    Busy {
        /// "candles", "the trader app" …
        what: String,
        /// A guess of when there is room.
        retry_in: Duration,
    },
    /// One of our own threads did not answer in time.
    #[error("The server's {desk} thread does not answer; see /api/health and logs/watchdog.log")]
    DeskSilent {
        /// The thread's name.
        desk: &'static str,
    },
    /// One of our own threads panicked over the request.
    #[error(
        "The server's {fetcher} thread panicked over this and began anew; see [PANIC] in logs/backend.log, try again shortly"
    )]
    Panicked {
        /// What its name begins with.
        fetcher: &'static str,
    },
    /// The client left before there was an answer. Nobody reads this.
    #[error("The request was cancelled")]
    Cancelled,
}

impl Failure {
    /// The HTTP status that a client gets.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::NoData { .. } => 404,
            Self::Timeout { .. } => 504,
            Self::Status { code: 429, .. }
            | Self::Token { .. }
            | Self::BreakerOpen { .. }
            | Self::Budget { .. }
            | Self::Busy { .. }
            | Self::DeskSilent { .. }
            | Self::Panicked { .. } => 503,
            Self::Unreachable { .. } | Self::Status { .. } | Self::Malformed { .. } => 502,
            Self::Cancelled => 499,
        }
    }

    /// For the `Retry-After` header, where waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::BreakerOpen { retry_in, .. }
            | Self::Budget { retry_in, .. }
            | Self::Busy { retry_in, .. } => Some(*retry_in),
            _ => None,
        }
    }

    /// Whether the upstream itself is at fault: what the breaker counts. A refused token, an unknown
    /// symbol or a rate limit say that it works.
    #[must_use]
    pub fn counts_for_breaker(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Unreachable { .. } | Self::Malformed { .. } => true,
            Self::Status { code, .. } => *code >= 500 || *code == 403,
            _ => false,
        }
    }

    /// Whether the same request may succeed if it is made again shortly.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }
}
