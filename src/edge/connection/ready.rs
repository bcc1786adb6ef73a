//! Which answers one connection may repeat, until when, and which caches it leaves alone. Pure.
//!
//! A client that polls without pause gets the answer of a moment ago again, so that it costs the caches
//! nothing. A cache that did not say what it has is not looked at for a while; meanwhile its last answer
//! stands in for it a little longer, and then the route is asked, which knows what to say.

use std::time::{Duration, Instant};

use crate::edge::answer::Answer;
use crate::runtime::ThreadKind;

/// How long an answer is repeated to the same client.
const REPEAT_FOR: Duration = Duration::from_millis(100);

/// How much longer it stands in for a cache that does not say what it has.
const STAND_IN_FOR: Duration = Duration::from_secs(1);

/// How long a cache that did not say what it has is not looked at.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(1);

/// Answers kept for one client; beyond it the one whose time ends first goes.
const KEPT_MAX: usize = 8;

/// An answer that is at hand.
#[derive(Clone, Copy, Debug)]
pub struct AtHand<'a> {
    /// The answer.
    pub answer: &'a Answer,
    /// Until when it may be repeated without a question; past for one that stands in.
    pub until: Instant,
}

struct Kept {
    target: String,
    answer: Answer,
    /// No later than that of the answer's own data.
    until: Instant,
}

impl Kept {
    fn at_hand(&self) -> AtHand<'_> {
        AtHand {
            answer: &self.answer,
            until: self.until,
        }
    }

    /// Whether it stands in for a cache that does not say what it has.
    fn stands_in(&self, now: Instant) -> bool {
        now < self.until + STAND_IN_FOR && self.answer.until.is_none_or(|until| now < until)
    }
}

/// What one connection has at hand.
#[derive(Default)]
pub struct Ready {
    kept: Vec<Kept>,
    /// Caches that did not say what they have, and when each is looked at again.
    left_alone: Vec<(ThreadKind, Instant)>,
}

impl Ready {
    /// The answer to repeat to a `GET` or `HEAD` of this target, if there is one.
    pub fn kept(&self, now: Instant, target: &str) -> Option<AtHand<'_>> {
        let kept = self.of(target).filter(|kept| now < kept.until)?;
        Some(kept.at_hand())
    }

    /// Whether a cache may be looked at.
    pub fn may_look(&self, now: Instant, cache: ThreadKind) -> bool {
        let is_alone = |(alone, until): &(ThreadKind, Instant)| *alone == cache && now < *until;
        !self.left_alone.iter().any(is_alone)
    }

    /// A cache had this answer: it is kept.
    pub fn found(&mut self, now: Instant, target: &str, answer: Answer) -> AtHand<'_> {
        let repeated_until = now + REPEAT_FOR;
        let until = answer
            .until
            .map_or(repeated_until, |until| until.min(repeated_until));
        let kept = Kept {
            target: target.to_owned(),
            answer,
            until,
        };
        let known = self.kept.iter().position(|k| k.target == target);
        let full = || (self.kept.len() == KEPT_MAX).then(|| self.first_to_end());
        let place = match known.or_else(full) {
            Some(place) => {
                self.kept[place] = kept;
                place
            }
            None => {
                self.kept.push(kept);
                self.kept.len() - 1
            }
        };
        self.kept[place].at_hand()
    }

    /// A cache that was looked at did not say what it has: it is left alone. Gives what stands in for its
    /// answer.
    pub fn silent(&mut self, now: Instant, cache: ThreadKind, target: &str) -> Option<AtHand<'_>> {
        self.left_alone.retain(|(_, until)| now < *until);
        self.left_alone.push((cache, now + LEFT_ALONE_FOR));
        self.stand_in(now, target)
    }

    /// What stands in for the answer of a cache that is left alone.
    pub fn stand_in(&self, now: Instant, target: &str) -> Option<AtHand<'_>> {
        let kept = self.of(target).filter(|kept| kept.stands_in(now))?;
        Some(kept.at_hand())
    }

    fn of(&self, target: &str) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.target == target)
    }

    /// The place of the one whose time ends first.
    fn first_to_end(&self) -> usize {
        let places = 0..self.kept.len();
        places.min_by_key(|i| self.kept[*i].until).unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
