//! Caches: threads that own a cache of what an upstream said and decide who may ask it again.
//!
//! A cache never does I/O. It is asked through its inbox, answers each [`Ask`] through the reply sender
//! that came with it, hands [`Job`]s to its fetchers (which do the I/O, under a deadline) and hears
//! from them through the same inbox. All its decisions are the pure [`Cache`] core: single flight per
//! key, one call for several that wait, freshness, stale answers in place of errors, retries with backoff, a
//! [`Breaker`], a [`Budget`].
//!
//! What a failure costs, and whom: [`FetchError::evidence`] says what is broken, [`FetchError::may_pass`] whether
//! it is worth waiting for.

mod action;
mod confirm;
mod core;
mod dispatch;
mod entry;
#[cfg(test)]
mod history_tests;
mod hold;
mod known;
mod last_updates;
mod limits;
mod spent;
#[cfg(test)]
pub(crate) mod tests;
mod thread;
mod together;
#[cfg(test)]
mod together_tests;
#[cfg(test)]
mod trials;
mod upkeep;

use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::time::Instant;

use crossbeam::channel::Sender;

use crate::payload::Body;
use crate::resilience::FetchError;

pub use self::core::{Cache, LOST_GRACE};
pub use action::Action;
pub use limits::{CacheConfig, QueueConfig};
pub use thread::{CacheThreads, FetcherMessage, start_cache};

/// One client's request, numbered by the gate, so that it can be cancelled when the client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// What a cache caches by. Its `Display` is shown in errors and activities: "candles ELPW 1m".
pub trait Key: Clone + Eq + Hash + Ord + fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// Which of the cache's queues (kinds of work, each with its own fetchers and limits) it is of.
    fn queue(&self) -> usize;

    /// The key that stands for what this is about, where "there is nothing" can mean two things: nothing
    /// of something that is known, or of something that nobody knows.
    fn subject(&self) -> Option<Self> {
        None
    }
}

/// A value, and since when it is so.
#[derive(Clone, Debug)]
pub struct Served<V> {
    /// The value.
    pub value: V,
    /// When the upstream said it.
    pub as_of: Instant,
    /// From then on it is too old to be shown; none where it is shown at any age, marked.
    pub until: Option<Instant>,
    /// Why there is nothing fresher, if the value is served in place of an error.
    pub stale_because: Option<FetchError>,
}

/// What an asker gets.
pub type Reply<V> = Result<Served<V>, FetchError>;

/// What a cache keeps of a key.
pub trait Value {
    /// What may be learnt of a value between two calls of the upstream.
    type Update: Clone;
    /// What askers get of it: cheap to clone.
    type Out;

    /// Takes an update in.
    fn apply(&mut self, update: &Self::Update) -> Freshness;

    /// The upstream said this in place of the old one, from which what was learnt otherwise may pass on.
    fn succeed(&mut self, _old: Self)
    where
        Self: Sized,
    {
    }

    /// What is served. Built here, so that what many updates changed is built once.
    fn out(&mut self) -> Self::Out;

    /// Whether it says that there is nothing yet: then it is asked for again as soon as after "no data".
    fn is_nothing(&self) -> bool {
        false
    }
}

impl Value for Body {
    /// Bodies that are passed through change only at the upstream.
    type Update = Infallible;
    type Out = Self;

    fn apply(&mut self, update: &Infallible) -> Freshness {
        match *update {}
    }

    fn out(&mut self) -> Self {
        self.clone()
    }
}

/// What an update made of a value: how current it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The value and its age stay as they are.
    Unchanged,
    /// It is as current as if the upstream had just said it.
    Current,
    /// As current, but the upstream may know it better: it is asked when there is room.
    Unconfirmed,
    /// Something is missing: only the upstream can say what.
    Outdated,
}

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
    /// Somebody says that there are these, by their [`Key::subject`].
    Known(Vec<K>),
    /// The client of this request left; its place is free.
    Cancel(AskId),
    /// A fetcher made one call more for this key than its job allows: it counts as well.
    CalledAgain(K),
    /// A fetcher is done with a job.
    Fetched(Fetched<K, V>),
}

/// One call of an upstream, to be made by one fetcher.
#[derive(Clone, Debug)]
pub struct Job<K> {
    /// What to fetch.
    pub key: K,
    /// Which flight this is; an answer to a flight that was given up is discarded.
    pub flight: u64,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether what the key is about is known to exist, by its [`Key::subject`].
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
}

impl<V> From<Result<V, FetchError>> for Answers<V> {
    /// Of a job without others.
    fn from(own: Result<V, FetchError>) -> Self {
        Self {
            own,
            others: Vec::new(),
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
