//! What a cache's core has its thread do. Plain values.

use super::{Job, Reply};

/// What the cache's thread is to do.
#[derive(Debug)]
pub enum Action<K, V, R> {
    /// Answer this asker.
    Reply {
        /// Where.
        to: R,
        /// What.
        reply: Reply<V>,
    },
    /// Have this fetched.
    Fetch {
        /// By a fetcher of this lane.
        lane: usize,
        /// The job.
        job: Job<K>,
    },
    /// A fetcher of this lane is lost: start another.
    Replace {
        /// Which lane.
        lane: usize,
    },
    /// A lost fetcher of this lane came back: let one end.
    Retire {
        /// Which lane.
        lane: usize,
    },
    /// Words for the log, about something that a reader can act on.
    Say(String),
}
