//! What can be answered without asking anybody: the last snapshots that the watchdog, the quote hub and the
//! file readers published. Every connection reads them from the same watch channels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::diag::watchdog::{Snapshot, ThreadState};
use crate::runtime::{WatchRx, WatchTx, watch};
use crate::stream::StreamStatus;
use crate::upstream::trader_app::files::{FilesRead, History};

/// A watchdog that has not published for this long is itself an ailment …
const SNAPSHOT_OLD: Duration = Duration::from_secs(5);

/// … if it is found so twice, at least this far apart: a process that was stopped and goes on
/// finds every clock late, and the watchdog needs a tick to speak again.
const SILENT_AGAIN: Duration = Duration::from_secs(1);

/// One reader's view of what was published. A clone reads for itself from there on.
#[derive(Clone, Debug)]
pub struct Snapshots {
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

/// The publishing ends.
#[derive(Debug)]
pub struct SnapshotPublishers {
    /// For the watchdog.
    pub threads: WatchTx<Arc<Snapshot>>,
    /// For the quote hub.
    pub stream: WatchTx<Arc<StreamStatus>>,
    /// For the file reader.
    pub files: WatchTx<Arc<FilesRead>>,
    /// For the history reader.
    pub history: WatchTx<Arc<History>>,
}

/// The publishing ends, and a first view.
#[must_use]
pub fn snapshots() -> (SnapshotPublishers, Snapshots) {
    let (threads, snapshots) = watch();
    let (stream, streams) = watch();
    let (files, reads) = watch();
    let (history, histories) = watch();
    let publishers = SnapshotPublishers {
        threads,
        stream,
        files,
        history,
    };
    let view = Snapshots {
        snapshots,
        streams,
        reads,
        histories,
        snapshot: None,
        silent_since: None,
        stream: Arc::default(),
        files: None,
        history: None,
    };
    (publishers, view)
}

impl Snapshots {
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
