//! Answers that a connection gets without a worker, because somebody has them ready.
//!
//! A `conn-N` thread looks at the desk that owns the data: one message there, one back, and neither
//! waits for the world. What it got it may repeat to its own client for a moment, so that a client that
//! polls without pause costs the desks nothing. A desk that does not answer at once is left alone for a
//! while: the request takes the way through a worker, which knows what to say.

use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use crate::desk::{Key, Reply, ToDesk, Value};
use crate::supervise::{Tx, one_shot};

use super::answer::Answer;
use super::board_desk::BoardLook;
use super::context::Desks;
use super::router::route;
use super::routes::{Source, market_answer, page_answer, source, trader_answer};

/// How long an answer is repeated to the same client.
const REPEAT_FOR: Duration = Duration::from_millis(100);

/// How long a desk may take to say what it has.
const LOOK_PATIENCE: Duration = Duration::from_millis(20);

/// How long a desk that took longer is not looked at.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// Answers kept for one client.
const KEPT_MAX: usize = 8;

/// Whom a connection may look at.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// For candles, quotes and what the trader app says.
    pub desks: Desks,
    /// For everything that is on a board.
    pub boards: Tx<BoardLook>,
}

struct Kept {
    target: String,
    answer: Answer,
    until: Instant,
}

/// What one connection has at hand.
pub struct Ready {
    lookup: Lookup,
    kept: Vec<Kept>,
    /// No desk is looked at before this.
    alone_until: Option<Instant>,
}

impl Ready {
    /// Nothing yet.
    #[must_use]
    pub fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            kept: Vec::new(),
            alone_until: None,
        }
    }

    /// The answer to a `GET` or `HEAD` of this target, if somebody has it ready.
    pub fn answer(&mut self, target: &str, now: Instant) -> Option<&Answer> {
        let known = self.kept.iter().position(|k| k.target == target);
        if let Some(i) = known
            && now < self.kept[i].until
        {
            return Some(&self.kept[i].answer);
        }
        let answer = self.look(target, now)?;
        let kept = Kept {
            target: target.to_owned(),
            answer,
            until: now + REPEAT_FOR,
        };
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
        Some(&self.kept[i].answer)
    }

    fn look(&mut self, target: &str, now: Instant) -> Option<Answer> {
        if self.alone_until.is_some_and(|until| now < until) {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let route = route("GET", path, query).ok()?;
        let by = now + LOOK_PATIENCE;
        let looked = match source(&route)? {
            Source::Market(key) => {
                look_at(&self.lookup.desks.market, key, by).map(|reply| reply.map(market_answer))
            }
            Source::Trader(key) => look_at(&self.lookup.desks.trader, key.clone(), by)
                .map(|reply| reply.map(|reply| trader_answer(&key, reply))),
            Source::Page(asset) => Some(Some(page_answer(asset))),
            Source::Boards => {
                let (reply, answer) = one_shot();
                let look = BoardLook { route, reply };
                let sent = self.lookup.boards.offer(look).is_ok();
                sent.then(|| heard(&answer, by)).flatten().map(Some)
            }
        };
        if looked.is_none() {
            self.alone_until = Some(now + LEFT_ALONE);
        }
        looked.flatten()
    }
}

/// What a desk has of a key; none if it does not say.
fn look_at<K: Key, V: Value>(
    inbox: &Tx<ToDesk<K, V>>,
    key: K,
    by: Instant,
) -> Option<Option<Reply<V::Out>>> {
    let (reply, answer) = one_shot();
    inbox.offer(ToDesk::Look { key, reply }).ok()?;
    heard(&answer, by)
}

fn heard<T>(answer: &Receiver<T>, by: Instant) -> Option<T> {
    answer.recv_deadline(by).ok()
}
