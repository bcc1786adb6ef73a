//! What a worker can answer without asking anybody: the latest word of the watchdog, the quote hub
//! and the file readers, published to each worker's own cells. A worker that takes a stuck one's place finds the same there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::diag::watchdog::{Snapshot, ThreadState};
use crate::runtime::{WatchRx, WatchTx, watch};
use crate::stream::StreamStatus;
use crate::upstream::trader_app::files::{FilesRead, History};

/// A watchdog that has not published for this long is itself an ailment …
const SNAPSHOT_OLD: Duration = Duration::from_secs(5);

/// … if a worker finds it so twice, at least this far apart: a process that was stopped and goes on
/// finds every clock late, and the watchdog needs a tick to speak again.
const SILENT_AGAIN: Duration = Duration::from_secs(1);

/// One worker's boards.
#[derive(Clone, Debug)]
pub struct Boards {
    snapshots: WatchRx<Arc<Snapshot>>,
    streams: WatchRx<Arc<StreamStatus>>,
    reads: WatchRx<Arc<FilesRead>>,
    histories: WatchRx<Arc<History>>,
    snapshot: Option<Arc<Snapshot>>,
    /// Since when the last snapshot was seen to be too old.
    silent_since: Option<Instant>,
    stream: Arc<StreamStatus>,
    files: Option<Arc<FilesRead>>,
    history: Option<Arc<History>>,
}

/// The publishing ends of all workers' boards.
#[derive(Debug, Default)]
pub struct BoardPublishers {
    /// For the watchdog.
    pub snapshots: Vec<WatchTx<Arc<Snapshot>>>,
    /// For the quote hub.
    pub streams: Vec<WatchTx<Arc<StreamStatus>>>,
    /// For the file reader.
    pub reads: Vec<WatchTx<Arc<FilesRead>>>,
    /// For the history reader.
    pub histories: Vec<WatchTx<Arc<History>>>,
}

/// Boards for `workers` workers.
#[must_use]
pub fn boards(workers: usize) -> (BoardPublishers, Vec<Boards>) {
    let mut publishers = BoardPublishers::default();
    let boards = (0..workers)
        .map(|_| {
            let (snapshots, snapshots_rx) = watch();
            let (streams, streams_rx) = watch();
            let (reads, reads_rx) = watch();
            let (histories, histories_rx) = watch();
            publishers.snapshots.push(snapshots);
            publishers.streams.push(streams);
            publishers.reads.push(reads);
            publishers.histories.push(histories);
            Boards {
                snapshots: snapshots_rx,
                streams: streams_rx,
                reads: reads_rx,
                histories: histories_rx,
                snapshot: None,
                silent_since: None,
                stream: Arc::default(),
                files: None,
                history: None,
            }
        })
        .collect();
    (publishers, boards)
}

impl Boards {
    /// Takes what was published since the last look. True if there was something.
    pub fn look(&mut self, now: Instant) -> bool {
        let mut new_word = false;
        if let Some(new) = self.snapshots.changed() {
            self.snapshot = Some(new);
            new_word = true;
        }
        let silent = self
            .snapshot
            .as_ref()
            .is_some_and(|s| now.saturating_duration_since(s.at) > SNAPSHOT_OLD);
        self.silent_since = silent.then(|| self.silent_since.unwrap_or(now));
        if let Some(new) = self.streams.changed() {
            self.stream = new;
            new_word = true;
        }
        if let Some(new) = self.reads.changed() {
            self.files = Some(new);
            new_word = true;
        }
        if let Some(new) = self.histories.changed() {
            self.history = Some(new);
            new_word = true;
        }
        new_word
    }

    /// The watchdog's last snapshot; none in the first moments.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }

    /// The hub's last status.
    #[must_use]
    pub fn stream(&self) -> &StreamStatus {
        &self.stream
    }

    /// The other files as last read; none before the first read.
    #[must_use]
    pub fn files(&self) -> Option<&FilesRead> {
        self.files.as_deref()
    }

    /// The trade history as last read; none before the first read.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// Whether the watchdog says that this thread is stalled or dead: asking it would only cost the
    /// client its patience.
    #[must_use]
    pub fn is_down(&self, thread: &str) -> bool {
        self.snapshot.as_ref().is_some_and(|s| {
            s.threads.iter().any(|t| {
                t.name == thread && matches!(t.state, ThreadState::Stalled | ThreadState::Dead)
            })
        })
    }

    /// Every reason why the process is unhealthy, in sentences.
    #[must_use]
    pub fn ailments(&self, now: Instant) -> Vec<String> {
        let Some(snapshot) = &self.snapshot else {
            return Vec::new();
        };
        let mut ailments = snapshot.problems.clone();
        let silent = now.saturating_duration_since(snapshot.at);
        if self
            .silent_since
            .is_some_and(|since| now.saturating_duration_since(since) >= SILENT_AGAIN)
        {
            ailments.push(format!(
                "the watchdog itself has not reported for {} s",
                silent.as_secs()
            ));
        }
        ailments
    }
}
