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
        /// By a fetcher of this queue.
        queue: usize,
        /// The job.
        job: Job<K>,
    },
    /// A fetcher of this queue is lost: start another.
    Replace {
        /// Which queue.
        queue: usize,
    },
    /// A lost fetcher of this queue came back: let one end.
    Retire {
        /// Which queue.
        queue: usize,
    },
    /// Words for the log, about something that a reader can act on.
    Say(String),
}
