//! Drills that were ordered and that their threads have not met yet. Pure.

use std::time::{Duration, Instant};

use crate::runtime::ThreadId;

/// A thread that does not beat within this does not take the order any more: a stall that comes when
/// nobody thinks of it is none that was ordered.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(15);

/// How a thread's own words begin while it is in a drill.
const IN_A_DRILL: &str = "a drill: ";

/// All that are waited for.
#[derive(Debug, Default)]
pub struct Drills(Vec<Ordered>);

#[derive(Debug)]
struct Ordered {
    thread: String,
    waiting: Vec<ThreadId>,
    all: usize,
    by: Instant,
}

impl Drills {
    /// One was ordered: of `thread` as its sender wrote it, which means these.
    pub fn ordered(&mut self, thread: &str, means: Vec<ThreadId>, by: Instant) {
        self.0.push(Ordered {
            thread: thread.to_owned(),
            all: means.len(),
            waiting: means,
            by,
        });
    }

    /// A thread says that it does this.
    pub fn hear(&mut self, id: ThreadId, doing: &str) {
        if !self.0.is_empty() && doing.starts_with(IN_A_DRILL) {
            self.met(id);
        }
    }

    /// A thread has met its order, or has ended.
    pub fn met(&mut self, id: ThreadId) {
        for ordered in &mut self.0 {
            ordered.waiting.retain(|waiting| *waiting != id);
        }
        self.0.retain(|ordered| !ordered.waiting.is_empty());
    }

    /// The lines of those that have expired.
    pub fn look(&mut self, now: Instant) -> Vec<String> {
        let expired = self.0.extract_if(.., |ordered| now >= ordered.by);
        expired
            .map(|o| {
                format!(
                    "[WARN] [WATCHDOG] a drill has expired: {}: {} of {} threads did not beat within {} s and do not stall any more; they had nothing to do, or are stuck already",
                    o.thread,
                    o.waiting.len(),
                    o.all,
                    EXPIRES_AFTER.as_secs()
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_meet_its_order_in_time_is_told_once() {
        let now = Instant::now();
        let mut drills = Drills::default();
        let by = now + EXPIRES_AFTER;
        drills.ordered("http-*", vec![ThreadId(1), ThreadId(2), ThreadId(3)], by);
        drills.ordered("probe", vec![ThreadId(4)], by);
        drills.hear(ThreadId(1), "a drill: sleep for 3 s");
        drills.hear(ThreadId(2), "asking");
        drills.met(ThreadId(4));
        assert!(drills.look(now).is_empty());
        let lines = drills.look(by);
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].contains("a drill has expired: http-*: 2 of 3 threads"),
            "{lines:?}"
        );
        assert!(drills.look(by).is_empty());
    }
}
