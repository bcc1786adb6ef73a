//! Threads that stalled and have another in their place. Pure.

use std::collections::HashSet;

use crate::runtime::ThreadId;

/// Stuck threads that have another in their place, at most: a fault that catches every new one must not
/// fill the process.
pub const REPLACED_MAX: usize = 64;

/// Who can be replaced, and who is.
#[derive(Debug, Default)]
pub struct Replacements {
    replaceable: HashSet<ThreadId>,
    /// Another is being started in their place.
    starting: HashSet<ThreadId>,
    /// Another was; they have not ended yet.
    replaced: HashSet<ThreadId>,
}

impl Replacements {
    /// This thread shares its work with others of its kind.
    pub fn may_replace(&mut self, id: ThreadId) {
        self.replaceable.insert(id);
    }

    /// Whether another is to be started in this stalled thread's place. What fails is tried again when the
    /// stall is told again; if the thread goes on before, it keeps its place.
    pub fn stalled(&mut self, id: ThreadId) -> bool {
        self.starting.remove(&id);
        let room = self.starting.len() + self.replaced.len() < REPLACED_MAX;
        let start = room && self.replaceable.contains(&id) && !self.replaced.contains(&id);
        if start {
            self.starting.insert(id);
        }
        start
    }

    /// Starting another has come to its end. True where the stalled thread must end as soon as it can.
    pub fn started(&mut self, id: ThreadId, succeeded: bool) -> bool {
        let retire = self.starting.remove(&id) && succeeded;
        if retire {
            self.replaced.insert(id);
        }
        retire
    }

    /// Whether another was started in its place.
    #[must_use]
    pub fn is_replaced(&self, id: ThreadId) -> bool {
        self.replaced.contains(&id)
    }

    /// The thread has ended.
    pub fn ended(&mut self, id: ThreadId) {
        self.replaceable.remove(&id);
        self.starting.remove(&id);
        self.replaced.remove(&id);
    }

    /// Whether nothing is remembered.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.replaceable.is_empty() && self.starting.is_empty() && self.replaced.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_thread_is_replaced_once_and_only_so_many_are() {
        let mut replacements = Replacements::default();
        let all = (0..=REPLACED_MAX as u64).map(ThreadId);
        all.clone().for_each(|id| replacements.may_replace(id));
        assert!(!replacements.stalled(ThreadId(999)), "it is one of a kind");
        // A system that has no more threads.
        assert!(replacements.stalled(ThreadId(0)));
        assert!(!replacements.started(ThreadId(0), false));
        let started: Vec<ThreadId> = all.filter(|id| replacements.stalled(*id)).collect();
        assert_eq!(started.len(), REPLACED_MAX);
        for id in &started {
            assert!(replacements.started(*id, true));
            assert!(!replacements.started(*id, true));
            assert!(!replacements.stalled(*id));
        }
        let one_more = ThreadId(REPLACED_MAX as u64);
        assert!(!replacements.stalled(one_more));
        replacements.ended(started[0]);
        assert!(replacements.stalled(one_more));
    }
}
