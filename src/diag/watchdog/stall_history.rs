//! The stalls since the start, the last of them: who, doing what, from when, for how long. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::runtime::clock::millis;

use super::snapshot::{StallRecord, ThreadState, ThreadView};

/// More are forgotten, the oldest first.
const STALLS_MAX: usize = 100;

/// All that are remembered.
#[derive(Debug, Default)]
pub struct StallHistory {
    /// Each with when it was last heard of by a clock that never jumps.
    stalls: VecDeque<(StallRecord, Instant)>,
    told: Arc<[StallRecord]>,
}

impl StallHistory {
    /// Takes how the threads stand now; gives the stalls, the oldest first.
    pub fn look(
        &mut self,
        threads: &[ThreadView],
        now: Instant,
        now_ms: i64,
    ) -> Arc<[StallRecord]> {
        let mut changed = false;
        for (open, since) in &mut self.stalls {
            if open.lasted_ms.is_some() {
                continue;
            }
            let is_it = |t: &ThreadView| t.state == ThreadState::Stalled && is_of(open, t);
            if !threads.iter().any(is_it) {
                open.lasted_ms = Some(millis(now.saturating_duration_since(*since)));
                changed = true;
            }
        }
        for thread in threads.iter().filter(|t| t.state == ThreadState::Stalled) {
            let mut open = self.stalls.iter().filter(|(s, _)| s.lasted_ms.is_none());
            if open.any(|(s, _)| is_of(s, thread)) {
                continue;
            }
            if self.stalls.len() == STALLS_MAX {
                self.stalls.pop_front();
            }
            let silent = i64::try_from(thread.beat_age_ms).unwrap_or(i64::MAX);
            let since = now.checked_sub(Duration::from_millis(thread.beat_age_ms));
            let stall = StallRecord {
                name: thread.name.clone(),
                tid: thread.tid,
                class: thread.class,
                activity: thread.activity.clone(),
                since_ms: now_ms.saturating_sub(silent),
                lasted_ms: None,
            };
            self.stalls.push_back((stall, since.unwrap_or(now)));
            changed = true;
        }
        if changed {
            self.told = self.stalls.iter().map(|(s, _)| s.clone()).collect();
        }
        Arc::clone(&self.told)
    }
}

/// Where the system gives threads no numbers, the name must do.
fn is_of(stall: &StallRecord, thread: &ThreadView) -> bool {
    stall.tid == thread.tid && stall.name == thread.name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(tid: u32, state: ThreadState) -> ThreadView {
        ThreadView {
            thread: None,
            waiting_for: None,
            request: None,
            name: format!("t-{tid}"),
            tid,
            class: "cache",
            state,
            activity: "deciding".into(),
            beat_age_ms: 2_000,
            overdue_ms: None,
            restarts: 0,
            cpu_ms: None,
        }
    }

    #[test]
    fn a_stall_is_remembered_from_the_last_beat_to_the_next() {
        let mut history = StallHistory::default();
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let (idle, stalled) = (ThreadState::Idle, ThreadState::Stalled);
        assert!(
            history
                .look(&[thread(1, idle)], at(9_000), 9_000)
                .is_empty()
        );
        let lasting = history.look(&[thread(1, stalled), thread(2, idle)], at(10_000), 10_000);
        assert_eq!((lasting[0].since_ms, lasting[0].lasted_ms), (8_000, None));
        let same = history.look(&[thread(1, stalled)], at(10_250), 10_250);
        assert!(Arc::ptr_eq(&lasting, &same));
        // The wall clock goes back meanwhile.
        let over = history.look(&[thread(1, idle), thread(2, stalled)], at(11_000), 500);
        assert_eq!(over[0].lasted_ms, Some(3_000));
        // A thread that is gone stalls no longer.
        let gone = history.look(&[], at(12_000), 1_500);
        assert!(gone.len() == 2 && gone.iter().all(|s| s.lasted_ms.is_some()));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut history = StallHistory::default();
        let now = Instant::now();
        for tid in 1..=150 {
            history.look(&[thread(tid, ThreadState::Stalled)], now, i64::from(tid));
        }
        let told = history.look(&[], now, 1_000);
        assert_eq!((told.len(), told[0].tid), (STALLS_MAX, 51));
    }
}
