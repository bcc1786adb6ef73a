//! A limit of requests a minute, spent evenly. Pure.
//!
//! Two rules hold together. None is allowed while `per_minute` were made in the last 60 seconds, ever. And
//! a quarter of the minute's requests may be made at once; the rest comes back evenly, by the second, so
//! that no burst leaves who asks afterwards without. Of the quarter a third is kept for requests that
//! somebody waits for, and another for who asks at all: what nobody asked for may take the rest. (The generic cell rate algorithm: the time at which everything spent is paid back.)

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The window that the limit is for.
const WINDOW: Duration = Duration::from_secs(60);

/// A smaller limit has no parts: all of it may be spent at once.
const PARTED_FROM: u32 = 8;

/// For whom a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Somebody sees nothing until it is answered.
    Waited,
    /// There is an older value to be seen meanwhile.
    Refresh,
    /// What there is is current; the upstream may know it better.
    Spare,
}

/// Remembers when the requests of the last minute were made.
#[derive(Clone, Debug)]
pub struct Budget {
    per_minute: u32,
    /// How long one request takes to come back.
    cost: Duration,
    /// How much may be owed, by need.
    waited_max: Duration,
    refresh_max: Duration,
    spare_max: Duration,
    /// When everything that was spent has come back.
    paid_at: Option<Instant>,
    made: VecDeque<Instant>,
}

impl Budget {
    /// A whole budget.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let per_minute = per_minute.max(1);
        let (burst, evenly, kept) = if per_minute >= PARTED_FROM {
            let burst = per_minute / 4;
            (burst, per_minute - burst, burst / 3)
        } else {
            (per_minute, per_minute, 0)
        };
        // Rounded up: the burst and what comes back in a window are never more than the limit.
        let cost = WINDOW / evenly + Duration::from_nanos(1);
        Self {
            per_minute,
            cost,
            waited_max: cost * burst,
            refresh_max: cost * (burst - kept),
            spare_max: cost * (burst - kept).saturating_sub(kept).max(1),
            paid_at: None,
            made: VecDeque::with_capacity(per_minute as usize),
        }
    }

    /// The limit.
    #[must_use]
    pub fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// When a request may be made: now, or later.
    #[must_use]
    pub fn room_at(&self, now: Instant, need: Need) -> Instant {
        let mut at = now;
        let may_owe = match need {
            Need::Waited => self.waited_max,
            Need::Refresh => self.refresh_max,
            Need::Spare => self.spare_max,
        };
        if let Some(paid_at) = self.paid_at {
            let owed = paid_at.saturating_duration_since(now) + self.cost;
            at += owed.saturating_sub(may_owe);
        }
        let per_minute = self.per_minute as usize;
        let live = self.made.iter().filter(|m| **m + WINDOW > at).count();
        if live >= per_minute {
            // The oldest that still counts and must leave the window first.
            let leaves = self.made.len() - per_minute;
            if let Some(oldest) = self.made.get(leaves) {
                at = at.max(*oldest + WINDOW);
            }
        }
        at
    }

    /// Makes a request now, if there is room.
    pub fn take(&mut self, now: Instant, need: Need) -> bool {
        let room = self.room_at(now, need) <= now;
        if room {
            self.charge(now);
        }
        room
    }

    /// A request was made that nobody asked room for: a later one waits for it.
    pub fn charge(&mut self, now: Instant) {
        while self.made.front().is_some_and(|m| *m + WINDOW <= now) {
            self.made.pop_front();
        }
        self.made.push_back(now);
        let owed_from = self.paid_at.map_or(now, |at| at.max(now));
        self.paid_at = Some(owed_from + self.cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn need(kind: usize) -> Need {
        [Need::Waited, Need::Refresh, Need::Spare][kind]
    }

    #[test]
    fn a_burst_takes_a_quarter_and_refreshes_leave_a_part_of_it() {
        let mut budget = Budget::new(120);
        let now = Instant::now();
        let spare = (0..100).filter(|_| budget.take(now, Need::Spare)).count();
        let refreshes = (0..100).filter(|_| budget.take(now, Need::Refresh)).count();
        let waited = (0..100).filter(|_| budget.take(now, Need::Waited)).count();
        assert_eq!((spare, refreshes, waited), (10, 10, 10));
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_limit_and_room_is_where_it_is_said_to_be(
            limit in 1_u32..30, steps in prop::collection::vec((0_u64..30_000, 0..4, 0_usize..3), 1..160)
        ) {
            let mut budget = Budget::new(limit);
            let mut now = Instant::now();
            let mut made: Vec<Instant> = Vec::new();
            for (wait, kind, whose) in steps {
                now += Duration::from_millis(if kind == 1 { 0 } else { wait });
                if kind == 0 {
                    budget.charge(now);
                    made.push(now);
                    continue;
                }
                let room_at = budget.room_at(now, need(whose));
                let took = budget.take(now, need(whose));
                prop_assert_eq!(took, room_at <= now);
                if !took {
                    now = room_at;
                    prop_assert!(budget.take(now, need(whose)));
                }
                made.push(now);
                let recent = made.iter().filter(|m| **m + WINDOW > now).count();
                prop_assert!(recent <= limit as usize);
            }
        }

        #[test]
        fn after_any_burst_who_is_waited_for_has_room_within_a_hundredth_of_the_window(
            limit in 120_u32..600, steps in prop::collection::vec((0_u64..2_000, 0_usize..400), 1..60)
        ) {
            let mut budget = Budget::new(limit);
            let mut now = Instant::now();
            for (wait, burst) in steps {
                now += Duration::from_millis(wait);
                for n in 0..burst {
                    budget.take(now, need(n % 3));
                }
                let wait = budget.room_at(now, Need::Waited) - now;
                prop_assert!(wait <= Duration::from_millis(667), "{:?}", wait);
            }
        }

        #[test]
        fn room_only_comes_nearer_and_waited_ones_never_wait_longer(
            limit in 1_u32..200, spent in 0_usize..300, waits in prop::collection::vec(0_u64..5_000, 1..30)
        ) {
            let mut budget = Budget::new(limit);
            let mut now = Instant::now();
            for _ in 0..spent {
                budget.take(now, Need::Waited);
            }
            let mut before = budget.room_at(now, Need::Refresh);
            for wait in waits {
                now += Duration::from_millis(wait);
                let at = budget.room_at(now, Need::Refresh);
                prop_assert!(at <= before.max(now), "time alone brings room");
                prop_assert!(budget.room_at(now, Need::Waited) <= at);
                prop_assert!(at <= budget.room_at(now, Need::Spare));
                before = at;
            }
        }
    }
}
