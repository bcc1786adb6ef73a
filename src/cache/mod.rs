//! Caches: threads that own a cache of what an upstream said and decide who may ask it again.
//!
//! A cache never does I/O. It is asked through its inbox, answers each [`Ask`] through the reply sender
//! that came with it, hands [`Job`]s to its fetchers (which do the I/O, under a deadline) and hears
//! from them through the same inbox. All its decisions are the pure [`Cache`] core: single flight per
//! key, one call for several that wait, freshness, stale answers in place of errors, retries with backoff, a
//! [`Breaker`](crate::resilience::Breaker), a [`Budget`](crate::resilience::Budget).
//!
//! What a failure costs, and whom: [`FetchError::evidence`](crate::resilience::FetchError::evidence) says what is
//! broken, [`FetchError::may_pass`](crate::resilience::FetchError::may_pass) whether it is worth waiting for.

mod action;
mod confirm;
mod core;
mod dispatch;
mod entry;
mod fetcher;
#[cfg(test)]
mod history_tests;
mod hold;
mod job;
mod known;
mod landing;
mod last_updates;
mod limits;
mod messages;
mod source;
mod spent;
#[cfg(test)]
pub(crate) mod tests;
mod thread;
mod together;
#[cfg(test)]
mod together_tests;
#[cfg(test)]
mod trial_tests;
mod upkeep;
mod value;

pub use self::core::{Cache, LOST_GRACE};
pub use action::Action;
pub use job::{Answers, Fetched, Job, Other};
pub use limits::{CacheConfig, QueueConfig};
pub use messages::{Ask, AskId, ToCache};
pub use source::Source;
pub use thread::start_cache;
pub use value::{Freshness, Key, Reply, Served, UpstreamOnly, Value};
