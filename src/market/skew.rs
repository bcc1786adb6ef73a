//! How far this machine's clock is behind the provider's. Pure.
//!
//! The provider's answers bound it: each says a time (RFC 9110, section 6.6.1, in whole seconds) that lies
//! between the question and the end of the answer. Where there are none, the stamps of streamed quotes say
//! that the clock is behind at least so much: a quote is never from the future.

use std::collections::VecDeque;

/// The `Date` of an answer is cut to whole seconds.
const DATE_STEP_MS: i64 = 999;

/// Stamps looked at: the middle one of so many counts, so that a broken one says nothing.
const STAMPS: usize = 9;

/// Fewer say nothing.
const STAMPS_MIN: usize = 3;

/// Stamps that are less ahead may be the source's own inaccuracy.
const AHEAD_MIN_MS: i64 = 5_000;

/// What one answer says: the clock is behind by at least and at most so much, in milliseconds; below zero it is
/// ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkewBounds {
    least: i64,
    most: i64,
}

impl SkewBounds {
    /// Of an answer that says it is `date_ms`, when by this machine's clock it was asked for at `sent_ms` and
    /// had come at `came_ms`.
    #[must_use]
    pub fn of(sent_ms: i64, came_ms: i64, date_ms: i64) -> Self {
        Self {
            least: date_ms.saturating_sub(came_ms),
            most: date_ms
                .saturating_add(DATE_STEP_MS)
                .saturating_sub(sent_ms.min(came_ms)),
        }
    }
}

/// What is known of the skew.
#[derive(Clone, Debug, Default)]
pub struct Skew {
    bounds: Option<SkewBounds>,
    /// How far the last stamps were ahead.
    ahead: VecDeque<i64>,
}

impl Skew {
    /// An answer came. One that contradicts those before says that a clock was set.
    pub fn answered(&mut self, new: SkewBounds) {
        let both = self.bounds.map_or(new, |old| SkewBounds {
            least: old.least.max(new.least),
            most: old.most.min(new.most),
        });
        self.bounds = Some(if both.least <= both.most { both } else { new });
    }

    /// A quote came at `now_ms` that says it is of `stamp_ms`.
    pub fn stamped(&mut self, stamp_ms: i64, now_ms: i64) {
        if self.ahead.len() == STAMPS {
            self.ahead.pop_front();
        }
        self.ahead.push_back(stamp_ms.saturating_sub(now_ms));
    }

    /// By how many milliseconds the clock is behind, below zero ahead: as few as what was said allows. None
    /// before anything was.
    #[must_use]
    pub fn ms(&self) -> Option<i64> {
        let by_answers = self.bounds.map(|b| 0.clamp(b.least, b.most));
        by_answers.or_else(|| self.by_stamps())
    }

    /// What the provider's clock says when this machine's says `now_ms`, as far as is known.
    #[must_use]
    pub fn corrected(&self, now_ms: i64) -> i64 {
        now_ms + self.ms().unwrap_or(0)
    }

    fn by_stamps(&self) -> Option<i64> {
        if self.ahead.len() < STAMPS_MIN {
            return None;
        }
        let mut ahead: Vec<i64> = self.ahead.iter().copied().collect();
        ahead.sort_unstable();
        // Of an even number the lesser one.
        let middle = ahead[(ahead.len() - 1) / 2];
        (middle >= AHEAD_MIN_MS).then_some(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_that_may_be_right_is_and_one_that_was_set_is_found_anew() {
        let mut skew = Skew::default();
        assert_eq!(skew.ms(), None);
        skew.answered(SkewBounds::of(10_300, 10_400, 10_000));
        assert_eq!(skew.ms(), Some(0));
        skew.answered(SkewBounds::of(10_000, 10_100, 310_000));
        assert_eq!(skew.ms(), Some(299_900));
        skew.answered(SkewBounds::of(400_000, 400_100, 100_000));
        assert_eq!(skew.ms(), Some(-299_001), "ahead");
    }

    #[test]
    fn stamps_count_without_answers_and_a_broken_one_says_nothing() {
        let mut skew = Skew::default();
        for lead in [86_400_000, -200, -100] {
            skew.stamped(1_000 + lead, 1_000);
        }
        assert_eq!(skew.ms(), None);
        let mut skew = Skew::default();
        for lead in [299_000, 299_500, 299_800] {
            skew.stamped(1_000 + lead, 1_000);
        }
        assert_eq!(skew.ms(), Some(299_500));
        skew.answered(SkewBounds::of(1_000, 1_100, 1_000));
        assert_eq!(skew.ms(), Some(0), "an answer knows better");
    }

    proptest! {
        #[test]
        fn the_estimate_is_between_no_skew_and_the_real_one(
            real in -10_000_000_i64..10_000_000,
            answers in prop::collection::vec((0_i64..5_000, 0_i64..5_000, 0_i64..100_000), 1..20),
        ) {
            let mut skew = Skew::default();
            let mut sent = 1_700_000_000_000_i64;
            for (there, back, pause) in answers {
                let date = (sent + there + real) / 1_000 * 1_000;
                skew.answered(SkewBounds::of(sent, sent + there + back, date));
                let got = skew.ms().unwrap();
                prop_assert!((real.min(0)..=real.max(0)).contains(&got), "{got}");
                prop_assert!((got - real).abs() <= 11_000);
                sent += there + back + pause;
            }
        }
    }
}
