//! Answers that somebody has ready, so that a connection waits for nothing.
//!
//! A `conn-N` thread looks at the cache that owns the data: one message there, one back, and neither
//! waits for the world. What it got it may repeat to its own client for a moment, so that a client that
//! polls without pause costs the caches nothing. A cache that does not answer at once is left alone for a
//! while: the request is handed to its route, which knows what to say.

use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use crate::cache::{Key, Reply, ToCache, Value};
use crate::runtime::{Tx, one_shot};

use crate::edge::answer::{Answer, page};
use crate::edge::routes::{Asked, Call, SnapshotLook, Source, call, market_answer, trader_answer};
use crate::upstream::Caches;

/// How long an answer is repeated to the same client.
const REPEAT_FOR: Duration = Duration::from_millis(100);

/// How much longer while the cache does not say what it has.
const REPEAT_UNANSWERED: Duration = Duration::from_secs(1);

/// How long a cache may take to say what it has.
const LOOK_PATIENCE: Duration = Duration::from_millis(20);

/// How long a cache that took longer is not looked at.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// Answers kept for one client.
const KEPT_MAX: usize = 8;

/// The caches by their numbers here.
const MARKET: usize = 0;
const TRADER: usize = 1;
const SNAPSHOTS: usize = 2;
const CACHES: usize = 3;

/// Whom a connection may look at.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// For candles, quotes and what the trader app says.
    pub caches: Caches,
    /// For what is answered from snapshots.
    pub snapshots: Tx<SnapshotLook>,
}

struct Kept {
    target: String,
    answer: Answer,
    until: Instant,
}

impl Kept {
    /// Repeated until then, or until its data are too old.
    fn new(target: String, answer: Answer, until: Instant) -> Self {
        Self {
            until: answer.until.map_or(until, |u| u.min(until)),
            target,
            answer,
        }
    }

    fn repeated(&self) -> (&Answer, Instant) {
        (&self.answer, self.until)
    }

    /// Whether it stands in for a cache that does not answer.
    fn serves_unanswered(&self, now: Instant) -> bool {
        now < self.until + REPEAT_UNANSWERED && self.answer.until.is_none_or(|until| now < until)
    }
}

/// What came of a look.
enum Looked {
    /// The answer.
    Ready(Answer),
    /// Nobody has it ready: its route must find it.
    NotReady,
    /// The cache did not say.
    Silent,
}

/// What one connection has at hand.
pub struct Ready {
    lookup: Lookup,
    kept: Vec<Kept>,
    /// When each cache is looked at again.
    alone_until: [Option<Instant>; CACHES],
}

impl Ready {
    /// Nothing yet.
    #[must_use]
    pub fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            kept: Vec::new(),
            alone_until: [None; CACHES],
        }
    }

    /// The answer to a `GET` or `HEAD` of this target, if somebody has it ready, and until when it may be
    /// repeated.
    pub fn answer(&mut self, target: &str, now: Instant) -> Option<(&Answer, Instant)> {
        let known = self.kept.iter().position(|k| k.target == target);
        if let Some(i) = known
            && now < self.kept[i].until
        {
            return Some(self.kept[i].repeated());
        }
        let answer = match self.look(target, now) {
            Looked::Ready(answer) => answer,
            Looked::NotReady => return None,
            Looked::Silent => {
                let known = &self.kept[known?];
                return known.serves_unanswered(now).then(|| known.repeated());
            }
        };
        let kept = Kept::new(target.to_owned(), answer, now + REPEAT_FOR);
        let i = match known {
            Some(i) => i,
            None if self.kept.len() < KEPT_MAX => self.kept.len(),
            None => (0..KEPT_MAX).min_by_key(|i| self.kept[*i].until)?,
        };
        if i < self.kept.len() {
            self.kept[i] = kept;
        } else {
            self.kept.push(kept);
        }
        Some(self.kept[i].repeated())
    }

    fn look(&mut self, target: &str, now: Instant) -> Looked {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Ok(Asked::Call(call)) = call("GET", path, query) else {
            return Looked::NotReady;
        };
        let (cache, said) = match self.said(call, path, now) {
            Some(looked) => looked,
            None => return Looked::NotReady,
        };
        match said {
            Some(Some(answer)) => Looked::Ready(answer),
            Some(None) => Looked::NotReady,
            None => {
                let alone_until = &mut self.alone_until[cache];
                if alone_until.is_none_or(|until| now >= until) {
                    *alone_until = Some(now + LEFT_ALONE);
                }
                Looked::Silent
            }
        }
    }

    /// What the cache that owns a call's data said, and which one it is; none where no cache does. An answer
    /// within: it has it ready. None within: it has not. None at all: it did not say.
    fn said(
        &self,
        call: Call,
        path: &str,
        now: Instant,
    ) -> Option<(usize, Option<Option<Answer>>)> {
        let args = &call.args;
        Some(match call.row.source {
            Source::Page => (SNAPSHOTS, Some(page::find(path).map(page::Asset::answer))),
            Source::Market(key) => {
                let key = key(args).ok()?;
                let ask = |by| look_at(&self.lookup.caches.market, key, by);
                let said = self.unless_left_alone(MARKET, now, ask);
                (MARKET, said.map(|reply| reply.map(market_answer)))
            }
            Source::Trader(key) => {
                let key = key(args).ok()?;
                let ask = |by| look_at(&self.lookup.caches.trader, key.clone(), by);
                let said = self.unless_left_alone(TRADER, now, ask);
                let answer = |reply| trader_answer(&key, reply);
                (TRADER, said.map(|reply| reply.map(answer)))
            }
            Source::Snapshot(_) => {
                let ask = |by| {
                    let (reply, answer) = one_shot();
                    let look = SnapshotLook { call, reply };
                    self.lookup.snapshots.offer(look).ok()?;
                    heard(&answer, by)
                };
                (
                    SNAPSHOTS,
                    self.unless_left_alone(SNAPSHOTS, now, ask).map(Some),
                )
            }
            Source::Stream | Source::Do(_) => return None,
        })
    }

    fn unless_left_alone<T>(
        &self,
        cache: usize,
        now: Instant,
        ask: impl FnOnce(Instant) -> Option<T>,
    ) -> Option<T> {
        let left_alone = self.alone_until[cache].is_some_and(|until| now < until);
        (!left_alone)
            .then(|| ask(Instant::now() + LOOK_PATIENCE))
            .flatten()
    }
}

/// What a cache has of a key; none if it does not say.
fn look_at<K: Key, V: Value>(
    inbox: &Tx<ToCache<K, V>>,
    key: K,
    by: Instant,
) -> Option<Option<Reply<V::Out>>> {
    let (reply, answer) = one_shot();
    inbox.offer(ToCache::Look { key, reply }).ok()?;
    heard(&answer, by)
}

fn heard<T>(answer: &Receiver<T>, by: Instant) -> Option<T> {
    answer.recv_deadline(by).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_repeated_no_longer_than_its_data_may_be_shown() {
        let now = Instant::now();
        let mut answer = Answer::value(&json!([]));
        let kept = |answer: &Answer| Kept::new("/".into(), answer.clone(), now + REPEAT_FOR);
        assert_eq!(kept(&answer).until, now + REPEAT_FOR);
        assert!(kept(&answer).serves_unanswered(now + REPEAT_UNANSWERED));
        let soon = now + Duration::from_millis(5);
        answer.until = Some(soon);
        assert_eq!(kept(&answer).until, soon);
        assert!(!kept(&answer).serves_unanswered(soon));
    }
}
