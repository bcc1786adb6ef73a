//! Routes that are answered from the cache before an upstream: by which key, and what a client gets of the reply.

use std::time::Instant;

use crate::cache::{Reply, ToCache};
use crate::edge::answer::Answer;
use crate::payload::Body;
use crate::runtime::{ThreadKind, one_shot};
use crate::upstream::{CachedKey, Caches, OutOf, Upstream};

use super::context::Context;
use super::param::{Args, BadRequest};

/// How a route is answered from the cache that keeps values by such keys.
pub struct ByKey<K: CachedKey> {
    /// The key that the route's parameters name.
    pub key: fn(&Args) -> Result<K, BadRequest>,
    /// What the client gets of the cache's reply.
    pub answer: fn(&K, Reply<OutOf<K>>) -> Answer,
}

/// The same, whatever the key.
pub trait FromCache: Sync {
    /// Which thread the cache is.
    fn cache(&self) -> ThreadKind;

    /// The upstream's name in the table of upstreams.
    fn upstream(&self) -> &'static str;

    /// Asks, and waits until the context's deadline.
    ///
    /// # Errors
    /// When the parameters name no key.
    fn ask(&self, args: &Args, context: &Context<'_>) -> Result<Answer, BadRequest>;

    /// Whether the parameters name a key.
    #[cfg(test)]
    fn check(&self, args: &Args) -> Result<(), BadRequest>;

    /// What the cache has ready, which may be nothing; none where it does not say until `by`.
    fn look(&self, args: &Args, caches: &Caches, by: Instant) -> Option<Option<Answer>>;
}

impl<K: CachedKey> FromCache for ByKey<K> {
    fn cache(&self) -> ThreadKind {
        K::Upstream::CACHE
    }

    fn upstream(&self) -> &'static str {
        K::NAME
    }

    fn ask(&self, args: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
        let key = (self.key)(args)?;
        let reply = context.ask(key.clone(), context.deadline);
        Ok((self.answer)(&key, reply))
    }

    #[cfg(test)]
    fn check(&self, args: &Args) -> Result<(), BadRequest> {
        (self.key)(args).map(drop)
    }

    fn look(&self, args: &Args, caches: &Caches, by: Instant) -> Option<Option<Answer>> {
        let Ok(key) = (self.key)(args) else {
            return Some(None);
        };
        let (reply, said) = one_shot();
        let look = ToCache::Look {
            key: key.clone(),
            reply,
        };
        K::inbox(caches).offer(look).ok()?;
        let ready = said.recv_deadline(by).ok()?;
        Some(ready.map(|reply| (self.answer)(&key, reply)))
    }
}

/// The value as the upstream said it, marked where it is stale; else the failure with its own status:
///
/// | instead | when |
/// |---|---|
/// | 404 | there is no such thing: of candles, nobody knows the symbol, neither the watchlist, nor the stream, nor its quote |
/// | 502, 504 | what the upstream said, or that it was silent; at the request's deadline where it may pass |
/// | 503 | it is left alone (breaker, 429, budget), there is no token, or too many wait |
pub fn as_it_is<K, V: AsRef<Body>>(_: &K, reply: Reply<V>) -> Answer {
    match reply {
        Ok(served) => Answer::served(&served, served.value.as_ref().clone()),
        Err(failure) => Answer::failure(&failure),
    }
}
