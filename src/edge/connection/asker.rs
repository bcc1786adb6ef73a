//! Asks the cache that owns an answer whether it has it ready, so that a connection waits for nothing.
//!
//! One message there, one back, and neither waits for the world. When that is done, and what is repeated
//! without it, is decided by [`Ready`].

use std::time::{Duration, Instant};

use crate::edge::answer::{Answer, page};
use crate::edge::routes::{Call, SnapshotLook, Source};
use crate::runtime::{ThreadKind, Tx, one_shot};
use crate::upstream::Caches;

use super::ready::{AtHand, Ready};

/// How long a cache may take to say what it has.
const LOOK_PATIENCE: Duration = Duration::from_millis(20);

/// Whom a connection may look at.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// For candles, quotes and what the trader app says.
    pub caches: Caches,
    /// For what is answered from snapshots.
    pub snapshots: Tx<SnapshotLook>,
}

/// One connection's way to the caches.
pub struct Asker {
    lookup: Lookup,
    ready: Ready,
}

impl Asker {
    /// Has asked nobody yet.
    pub fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            ready: Ready::default(),
        }
    }

    /// The answer to repeat to a `GET` or `HEAD` of this target, if there is one. Asks nobody.
    pub fn kept(&self, now: Instant, target: &str) -> Option<AtHand<'_>> {
        self.ready.kept(now, target)
    }

    /// The answer to a call, which is what `target` means, if the cache that owns it has it ready.
    pub fn ask(&mut self, now: Instant, target: &str, call: &Call) -> Option<AtHand<'_>> {
        let cache = match call.row.source {
            Source::Cached(from) => from.cache(),
            Source::Snapshot(_) => ThreadKind::SnapshotCache,
            Source::Page => {
                let path = target.split('?').next().unwrap_or(target);
                let answer = page::find(path)?.answer();
                return Some(self.ready.found(now, target, answer));
            }
            Source::Stream | Source::Do(_) => return None,
        };
        if !self.ready.may_look(now, cache) {
            return self.ready.stand_in(now, target);
        }
        match self.look(call, now + LOOK_PATIENCE) {
            Some(said) => Some(self.ready.found(now, target, said?)),
            None => self.ready.silent(now, cache, target),
        }
    }

    /// What the cache that owns a call's answer says by then: the answer, or none within if it has it not ready.
    fn look(&self, call: &Call, by: Instant) -> Option<Option<Answer>> {
        match call.row.source {
            Source::Cached(from) => from.look(&call.args, &self.lookup.caches, by),
            Source::Snapshot(_) => {
                let (reply, answer) = one_shot();
                let call = call.clone();
                self.lookup
                    .snapshots
                    .offer(SnapshotLook { call, reply })
                    .ok()?;
                answer.recv_deadline(by).ok().map(Some)
            }
            Source::Page | Source::Stream | Source::Do(_) => Some(None),
        }
    }
}
