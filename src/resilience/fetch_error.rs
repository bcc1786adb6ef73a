//! Why an answer could not be had, in words that its reader can act on.

use std::time::Duration;

use thiserror::Error;

/// The one error type of everything that is fetched. `Display` is the sentence for the client's
/// `{"detail": …}`; it never holds a token, a key or a header.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
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
    /// Several keys failed and none succeeded since: the upstream, or this kind of request, is left alone
    /// for a while.
    #[error("{upstream} has failed for {keys} different {what} in a row (last: {last}); next try in {} s", retry_in.as_secs() + 1)]
    BreakerOpen {
        /// As above.
        upstream: &'static str,
        /// "candles"; "requests" when it is of all kinds.
        what: &'static str,
        /// How many.
        keys: usize,
        /// The last failure.
        last: Box<FetchError>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The upstream answered 429 and is left alone for as long as it asked, or a part of that.
    #[error("{upstream} answered 429{}; it is asked again in {} s", wish(*asked), retry_in.as_millis().div_ceil(1_000))]
    Paused {
        /// As above.
        upstream: &'static str,
        /// What it asked for, if it said.
        asked: Option<Duration>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Too long ago to be shown as if it were still so.
    #[error("{last}; what was said before that is {} s old, too old to be shown", age.as_secs())]
    Outdated {
        /// How old what there is is.
        age: Duration,
        /// Why there is nothing newer.
        last: Box<FetchError>,
    },
    /// There is nothing, and the question whether what was asked for is known at all failed.
    #[error("There is nothing for {what}, and whether it is known could not be found out: {last}")]
    Unverified {
        /// "candles XYZ 1m"
        what: String,
        /// The failed question.
        last: Box<FetchError>,
    },
    /// The limit of requests a minute leaves no room now.
    #[error("The budget of {per_minute} requests a minute to {upstream} has no room for this now; try again in {} s", retry_in.as_secs() + 1)]
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
    #[error("The server's {cache} thread does not answer; see /api/health and logs/watchdog.log")]
    CacheSilent {
        /// The thread's name.
        cache: &'static str,
    },
    /// One of our own threads panicked over the request.
    #[error(
        "The server's {fetcher} thread panicked over this and began anew; see [PANIC] in logs/backend.log, try again shortly"
    )]
    Panicked {
        /// What its name begins with.
        fetcher: &'static str,
    },
    /// The whole server ends.
    #[error("The server is shutting down; ask again when it is back")]
    Ending,
    /// The client left before there was an answer. Nobody reads this.
    #[error("The request was cancelled")]
    Cancelled,
}

fn wish(asked: Option<Duration>) -> String {
    asked.map_or_else(String::new, |asked| {
        format!(" and asked to be left alone for {} s", asked.as_secs())
    })
}

/// For what an upstream's failure is evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It was there and has its reasons: a refused token, an unknown symbol, a rate limit. Or it was not
    /// asked at all.
    Nothing,
    /// It is there and cannot do this: an error of its own, or an answer that is none.
    Kind,
    /// It is not there, or not in time.
    Unreachable,
}

/// Who tells what to wait for: after this long a client may ask again for what may pass.
const SOON: Duration = Duration::from_secs(1);

impl FetchError {
    /// The HTTP status that a client gets.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::NoData { .. } => 404,
            Self::Timeout { .. } => 504,
            Self::Outdated { last, .. } | Self::Unverified { last, .. } => last.http_status(),
            Self::Status { code: 429, .. }
            | Self::Token { .. }
            | Self::BreakerOpen { .. }
            | Self::Paused { .. }
            | Self::Budget { .. }
            | Self::Busy { .. }
            | Self::CacheSilent { .. }
            | Self::Panicked { .. }
            | Self::Ending => 503,
            Self::Unreachable { .. } | Self::Status { .. } | Self::Malformed { .. } => 502,
            Self::Cancelled => 499,
        }
    }

    /// For the `Retry-After` header, where waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status {
                retry_after: Some(asked),
                ..
            } => Some(*asked),
            Self::BreakerOpen { retry_in, .. }
            | Self::Paused { retry_in, .. }
            | Self::Budget { retry_in, .. }
            | Self::Busy { retry_in, .. } => Some(*retry_in),
            Self::Outdated { last, .. } | Self::Unverified { last, .. } => last.retry_after(),
            other => other.may_pass().then_some(SOON),
        }
    }

    /// Whether the same request may succeed within seconds without anybody doing something: then who has
    /// nothing older waits for the next try. An unknown symbol, a request that is refused (4xx, 403
    /// included), a token that somebody must renew and a fetcher that panicked are final: who asks is told
    /// at once, and asks again when there is a reason to.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Malformed { .. }
            | Self::BreakerOpen { .. }
            | Self::Paused { .. }
            | Self::Budget { .. } => true,
            Self::Status { code, .. } => *code == 429 || *code >= 500,
            Self::Outdated { last, .. } | Self::Unverified { last, .. } => last.may_pass(),
            Self::NoData { .. }
            | Self::Token { .. }
            | Self::Busy { .. }
            | Self::CacheSilent { .. }
            | Self::Panicked { .. }
            | Self::Ending
            | Self::Cancelled => false,
        }
    }

    /// For what it is evidence: what the breaker counts.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        match self {
            Self::Timeout { .. } | Self::Unreachable { .. } => Evidence::Unreachable,
            Self::Malformed { .. } => Evidence::Kind,
            Self::Status { code, .. } if *code >= 500 || *code == 403 => Evidence::Kind,
            _ => Evidence::Nothing,
        }
    }

    /// Whether the same call may succeed if it is made again at once: an answer came, and it was an
    /// error of the upstream's own.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }
}
