//! What a snapshot has besides the ledger's own: CPU times and past stalls.

use std::time::Instant;

use super::cpu::CpuTimes;
use super::snapshot::Snapshot;
use super::stall_history::StallHistory;

/// Kept from one look to the next.
#[derive(Debug, Default)]
pub struct Figures {
    cpu: CpuTimes,
    history: StallHistory,
}

impl Figures {
    /// Adds them. `now_ms`: in milliseconds since the Unix epoch.
    pub fn add(&mut self, snapshot: &mut Snapshot, now: Instant, now_ms: i64) {
        self.cpu.look(now, snapshot.threads.iter().map(|t| t.tid));
        for thread in &mut snapshot.threads {
            thread.cpu_ms = self.cpu.ms(thread.tid);
        }
        snapshot.stalls = self.history.look(&snapshot.threads, now, now_ms);
    }
}
