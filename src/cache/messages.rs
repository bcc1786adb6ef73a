//! Everything that reaches a cache through its inbox.

use std::time::Instant;

use crossbeam::channel::Sender;

use super::job::Fetched;
use super::value::{Reply, Value};

/// One client's request, numbered by the gate, so that it can be cancelled when the client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// A request to a cache.
#[derive(Debug)]
pub struct Ask<K, V> {
    /// Whose.
    pub id: AskId,
    /// For what.
    pub key: K,
    /// The cache answers before this, with an error if it must.
    pub deadline: Instant,
    /// Where the answer goes: a one-shot channel. A reply to nobody is dropped.
    pub reply: Sender<Reply<V>>,
}

/// Everything that reaches a cache.
#[derive(Debug)]
pub enum ToCache<K, V: Value> {
    /// Somebody asks.
    Ask(Ask<K, V::Out>),
    /// Somebody takes what can be had without waiting, or nothing.
    Look {
        /// For what.
        key: K,
        /// A one-shot channel. Nothing means: ask, and wait.
        reply: Sender<Option<Reply<V::Out>>>,
    },
    /// Something was learnt of keys that may be kept here.
    Updates(Vec<(K, V::Update)>),
    /// Somebody says that there are these, by their [`Key::subject`](super::Key::subject).
    Known(Vec<K>),
    /// The client of this request left; its place is free.
    Cancel(AskId),
    /// A fetcher is done with a job.
    Fetched(Fetched<K, V>),
}
