//! What passes between a cache and its fetchers. Plain values.

use std::time::Instant;

use crate::resilience::FetchError;

/// One call of an upstream, to be made by one fetcher.
#[derive(Clone, Debug)]
pub struct Job<K> {
    /// What to fetch.
    pub key: K,
    /// Which flight this is; an answer to a flight that was given up is discarded.
    pub flight: u64,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether what the key is about is known to exist, by its [`Key::subject`](super::Key::subject).
    pub known: bool,
    /// By when the fetcher must have answered, from name resolution to the last byte.
    pub deadline: Instant,
    /// What the same call asks for as well.
    pub others: Vec<Other<K>>,
}

/// What goes with a job of another key.
#[derive(Clone, Debug)]
pub struct Other<K> {
    /// What to fetch.
    pub key: K,
    /// Which flight this is.
    pub flight: u64,
}

/// What a fetcher makes of a job.
#[derive(Debug)]
pub struct Answers<V> {
    /// What the upstream said of its key, or why it did not.
    pub own: Result<V, FetchError>,
    /// The same of its others, in their order. None of one that must be asked for by itself, and of those
    /// beyond the last.
    pub others: Vec<Option<Result<V, FetchError>>>,
    /// Calls that were made beyond the one that the job allows: they count as well.
    pub further_calls: u32,
}

impl<V> From<Result<V, FetchError>> for Answers<V> {
    /// Of a job without others.
    fn from(own: Result<V, FetchError>) -> Self {
        Self {
            own,
            others: Vec::new(),
            further_calls: 0,
        }
    }
}

/// What a fetcher says.
#[derive(Debug)]
pub struct Fetched<K, V> {
    /// The job that it did.
    pub job: Job<K>,
    /// What came of it.
    pub answers: Answers<V>,
}
