//! Whom a cache asks.

use super::{Answers, Job, Key, Value};

/// A client of one upstream. Each fetcher thread owns one, makes one call at a time with it, and may be
/// replaced by another when it is lost.
pub trait Source: 'static {
    /// What it is asked for.
    type Key: Key;
    /// What it says of a key.
    type Value: Value<Update: Send, Out: Send> + Send + 'static;

    /// Makes one call, from name resolution to the last byte by `job.deadline`. It answers for the job's own
    /// key and, where the upstream can say several things at once, for those that go with it.
    ///
    /// # Errors
    /// Each key's answer is its value or the [`FetchError`](crate::resilience::FetchError) that its askers are
    /// told.
    fn call(&mut self, job: &Job<Self::Key>) -> Answers<Self::Value>;
}
