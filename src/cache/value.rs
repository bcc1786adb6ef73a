//! What a cache keeps, by what, and what an asker gets of it. Pure.

use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::time::Instant;

use crate::payload::Body;
use crate::resilience::FetchError;

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

/// A value of which only the upstream can say more: nothing is learnt of it between two calls, and it is served as
/// it is kept.
pub trait UpstreamOnly: Clone {}

impl UpstreamOnly for Body {}

impl<V: UpstreamOnly> Value for V {
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
