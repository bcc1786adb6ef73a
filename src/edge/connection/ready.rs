//! Answers that somebody has ready, so that a connection waits for nothing.
//!
//! A `conn-N` thread looks at the cache that owns the data: one message there, one back, and neither
//! waits for the world. What it got it may repeat to its own client for a moment, so that a client that
//! polls without pause costs the caches nothing. A cache that does not answer at once is left alone for a
//! while: the request is handed to its route, which knows what to say.

use std::time::{Duration, Instant};

use crate::runtime::{ThreadKind, Tx, one_shot};

use crate::edge::answer::{Answer, page};
use crate::edge::routes::{Asked, SnapshotLook, Source, call};
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
    /// Caches that did not say what they have, and when each is looked at again.
    left_alone: Vec<(ThreadKind, Instant)>,
}

impl Ready {
    /// Nothing yet.
    #[must_use]
    pub fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            kept: Vec::new(),
            left_alone: Vec::new(),
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
        match call.row.source {
            Source::Page => match page::find(path) {
                Some(file) => Looked::Ready(file.answer()),
                None => Looked::NotReady,
            },
            Source::Cached(from) => self.unless_left_alone(from.cache(), now, |lookup, by| {
                from.look(&call.args, &lookup.caches, by)
            }),
            Source::Snapshot(_) => {
                self.unless_left_alone(ThreadKind::SnapshotCache, now, |lookup, by| {
                    let (reply, answer) = one_shot();
                    let look = SnapshotLook { call, reply };
                    lookup.snapshots.offer(look).ok()?;
                    answer.recv_deadline(by).ok().map(Some)
                })
            }
            Source::Stream | Source::Do(_) => Looked::NotReady,
        }
    }

    /// What a cache says that it has ready, asked like this. One that does not say is left alone.
    fn unless_left_alone(
        &mut self,
        cache: ThreadKind,
        now: Instant,
        ask: impl FnOnce(&Lookup, Instant) -> Option<Option<Answer>>,
    ) -> Looked {
        self.left_alone.retain(|(_, until)| now < *until);
        if self.left_alone.iter().any(|(alone, _)| *alone == cache) {
            return Looked::Silent;
        }
        match ask(&self.lookup, Instant::now() + LOOK_PATIENCE) {
            Some(Some(answer)) => Looked::Ready(answer),
            Some(None) => Looked::NotReady,
            None => {
                self.left_alone.push((cache, now + LEFT_ALONE));
                Looked::Silent
            }
        }
    }
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
