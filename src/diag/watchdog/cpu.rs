//! How much CPU time each thread has used, from /proc, at most once a second. Reading it takes some
//! microseconds a thread and waits for no thread.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant};

use crate::files::proc;

/// Between looks.
const CPU_READ_EVERY: Duration = Duration::from_secs(1);

/// As last looked at.
#[derive(Debug, Default)]
pub struct CpuTimes {
    at: Option<Instant>,
    ms: HashMap<u32, u64>,
}

impl CpuTimes {
    /// Looks at these threads, if it is time.
    pub fn look(&mut self, now: Instant, tids: impl Iterator<Item = u32>) {
        if self
            .at
            .is_some_and(|at| now.saturating_duration_since(at) < CPU_READ_EVERY)
        {
            return;
        }
        self.at = Some(now);
        self.ms = tids.filter_map(|tid| Some((tid, used_ms(tid)?))).collect();
    }

    /// What a thread has used since it began, in milliseconds; none where the system does not tell.
    #[must_use]
    pub fn ms(&self, tid: u32) -> Option<u64> {
        self.ms.get(&tid).copied()
    }
}

/// The first number of `schedstat` is the time on a CPU in nanoseconds (Linux,
/// Documentation/scheduler/sched-stats.rst).
fn used_ms(tid: u32) -> Option<u64> {
    if !cfg!(target_os = "linux") || tid == 0 {
        return None;
    }
    let mut file = proc::open(&format!("self/task/{tid}/schedstat")).ok()?;
    // One call has all of it, and there are a hundred threads to ask about each second.
    let mut bytes = [0; 64];
    let n = file.read(&mut bytes).ok()?;
    let text = str::from_utf8(&bytes[..n]).ok()?;
    let ns: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(ns / 1_000_000)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_is_seen_to() {
        let tid = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let begun = Instant::now();
        let mut cpu = CpuTimes::default();
        cpu.look(begun, [tid, 0].into_iter());
        let before = cpu.ms(tid).unwrap();
        while used_ms(tid).unwrap() < before + 20 {
            assert!(begun.elapsed() < Duration::from_secs(30), "no time passed");
        }
        cpu.look(begun, [tid].into_iter());
        assert_eq!(cpu.ms(tid), Some(before), "looked again too early");
        cpu.look(begun + CPU_READ_EVERY, [tid].into_iter());
        assert!(cpu.ms(tid).unwrap() >= before + 20);
        assert_eq!(cpu.ms(0), None);
    }
}
