//! What keeps one failure from becoming another: a failure and what it is evidence of, backoff with jitter,
//! circuit breakers, a budget of calls. Pure.

mod backoff;
mod breaker;
mod budget;
mod fetch_error;

pub use backoff::{Backoff, Jitter};
pub use breaker::{Breaker, BreakerConfig, Failing, PAUSE_MAX, Permit, Turn, Why};
pub use budget::{Budget, Need};
pub use fetch_error::{Evidence, FetchError};
