//! What the watchdog publishes of all threads and channels, for `/api/health`, `/api/threads` and
//! `/metrics`. Plain data, made anew at every tick and shared unchanged.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::runtime::{Ends, Peer, ThreadName};

/// How a thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ThreadState {
    /// Waits for work.
    Idle,
    /// Works, or waits within a deadline.
    Busy,
    /// Its beat is overdue.
    Stalled,
    /// A panic ended it for good.
    Dead,
}

/// One thread.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadView {
    /// As the kernel shows it.
    pub name: String,
    /// Its kind and number; none of one that is dead.
    #[serde(skip)]
    pub thread: Option<ThreadName>,
    /// For whom it waits, where it does.
    #[serde(skip)]
    pub waiting_for: Option<Peer>,
    /// The client's request that it has in hand.
    #[serde(skip)]
    pub request: Option<u64>,
    /// The kernel's number; 0 before it ran or where the system has none.
    pub tid: u32,
    /// "http", "cache" …
    pub class: &'static str,
    /// How it stands.
    pub state: ThreadState,
    /// What it said it was doing.
    pub activity: String,
    /// Age of its last beat.
    pub beat_age_ms: u64,
    /// How long its beat is overdue; absent while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_ms: Option<u64>,
    /// Panics that it was restarted after.
    pub restarts: u32,
    /// CPU time since it began, where the system tells.
    pub cpu_ms: Option<u64>,
}

/// One channel.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelView {
    /// Its name.
    pub name: String,
    /// Who sends and who receives; none of a semaphore.
    #[serde(skip)]
    pub ends: Option<Ends>,
    /// Messages waiting.
    pub depth: usize,
    /// Messages that fit.
    pub capacity: usize,
    /// Messages refused since the start.
    pub drops: u64,
    /// What happens when it is full.
    pub when_full: String,
}

impl ChannelView {
    /// Whether what lies in it waits for nobody: if it is full all is well.
    #[must_use]
    pub fn is_stock(&self) -> bool {
        self.ends.is_none_or(|ends| ends.is_stock)
    }
}

/// One stall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StallRecord {
    /// The thread.
    pub name: String,
    /// Its number.
    pub tid: u32,
    /// Its class.
    pub class: &'static str,
    /// What it said it was doing.
    pub activity: String,
    /// When it was last heard of, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// How long it was silent; none while it is.
    pub lasted_ms: Option<u64>,
}

/// Everything at one tick.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was made: a reader that finds it old knows that the watchdog is silent.
    pub at: Instant,
    /// Sorted by name.
    pub threads: Vec<ThreadView>,
    /// Sorted by name.
    pub channels: Vec<ChannelView>,
    /// Sentences, one for each reason why the process is unhealthy; empty while it is healthy.
    pub problems: Vec<String>,
    /// What is wrong with the server's own port; one of the problems.
    pub port: Option<String>,
    /// Stalls seen since the start, ended ones included.
    pub stalls_total: u64,
    /// The last of them, the oldest first.
    pub stalls: Arc<[StallRecord]>,
}

impl Snapshot {
    /// Whether nothing is stalled or dead, and the port answers.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let well = |t: &ThreadView| matches!(t.state, ThreadState::Idle | ThreadState::Busy);
        self.problems.is_empty() && self.threads.iter().all(well)
    }
}
