//! The trader's files: the threads `file-reader` (runners, the token's expiry) and `history-reader` follow
//! them and publish what they say as snapshots. In: the system's change notices, and a slow look
//! of their own, since notices can be lost. Nobody waits for these threads: a stalled disk costs freshness,
//! not answers, and a history that takes long or never ends holds up nothing else.

pub(crate) mod history;
pub(crate) mod read;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{select_biased, tick};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::runtime::{Channel, Lossy, Supervisor, ThreadKind, WatchTx, channels};
use crate::upstream::schwab::TokenExpiry;

pub use history::Lines;
pub use read::{History, Runners};

use read::{HistoryFile, RunnersFile, history_path, is_folder, runners_path};

/// How often the files are looked at without a notice.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// After a notice this long is waited for the rest of the same edit.
const SETTLE: Duration = Duration::from_millis(20);

/// Notices that can wait; one is enough to look.
const NOTICES_MAX: usize = 64;

/// What is small, as last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesRead {
    /// The last good `runners.json`; none while there never was one.
    pub runners: Option<Runners>,
    /// What is wrong with it now.
    pub runners_error: Option<String>,
    /// When the access token expires, in milliseconds since the Unix epoch, where its file tells.
    pub token_expires_ms: Option<i64>,
    /// Whether there is an access token in its file.
    pub has_token: bool,
}

/// Starts both threads.
///
/// # Errors
/// When the system refuses one.
pub fn start_file_readers(
    supervisor: &Supervisor,
    data_dir: PathBuf,
    token_file: PathBuf,
    reads: WatchTx<Arc<FilesRead>>,
    histories: WatchTx<Arc<History>>,
) -> io::Result<()> {
    follow_history(supervisor, &data_dir, histories)?;
    follow_runners_and_token(supervisor, data_dir, token_file, reads)
}

fn follow_history(
    supervisor: &Supervisor,
    data_dir: &Path,
    histories: WatchTx<Arc<History>>,
) -> io::Result<()> {
    let folders = vec![data_dir.to_owned(), data_dir.join("paper_trading")];
    let path = history_path(data_dir);
    let make = move || -> Look {
        let mut history = HistoryFile::new(path.clone());
        let histories = histories.clone();
        Box::new(move |is_due| {
            let changed = history.look();
            if changed {
                say(&history.history);
            }
            // Also at each slow look: a publication that met many readers at once may have been lost.
            if changed || is_due {
                histories.publish(Arc::new(history.history.clone()));
            }
        })
    };
    let (kind, notices) = (ThreadKind::HistoryReader, channels::HISTORY_NOTICES);
    follow(supervisor, kind, notices, folders, make)
}

fn follow_runners_and_token(
    supervisor: &Supervisor,
    data_dir: PathBuf,
    token_file: PathBuf,
    reads: WatchTx<Arc<FilesRead>>,
) -> io::Result<()> {
    let folders = vec![data_dir.clone()];
    let make = move || -> Look {
        let mut runners = RunnersFile::new(runners_path(&data_dir));
        let mut token = TokenExpiry::new(token_file.clone());
        let reads = reads.clone();
        Box::new(move |is_due| {
            let runners_changed = runners.look();
            if runners_changed && let Some(why) = &runners.error {
                let kept = if runners.good.is_some() {
                    "; the last good one is served"
                } else {
                    ""
                };
                log::warn!(target: "FILES", "{why}{kept}");
            }
            let read = |token: &TokenExpiry| FilesRead {
                runners: runners.good.clone(),
                runners_error: runners.error.clone(),
                token_expires_ms: token.at_ms,
                has_token: token.has_token,
            };
            // Before the token is looked for: it may lie on another disk.
            if runners_changed || is_due {
                reads.publish(Arc::new(read(&token)));
            }
            if token.look() {
                reads.publish(Arc::new(read(&token)));
            }
        })
    };
    let (kind, notices) = (ThreadKind::FileReader, channels::FILE_NOTICES);
    follow(supervisor, kind, notices, folders, make)
}

/// Looks at files: told whether everything is to be published, changed or not.
type Look = Box<dyn FnMut(bool)>;

/// A thread that looks whenever something changes in `folders`, and now and then.
fn follow(
    supervisor: &Supervisor,
    kind: ThreadKind,
    changes: Channel<Lossy>,
    folders: Vec<PathBuf>,
    make: impl Fn() -> Look + Send + 'static,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    let (notices_tx, notices) = supervisor.channel(changes, NOTICES_MAX);
    supervisor.spawn(kind, move |heartbeat| {
        let tell = notices_tx.clone();
        // The watcher's own thread only sends: a full queue holds a notice already. Reading a file is
        // an event too, which must not lead to the next reading.
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if !event.is_ok_and(|e| e.kind.is_access()) {
                    tell.offer(());
                }
            })
            .ok();
        let mut watched: Vec<PathBuf> = Vec::new();
        let mut look = make();
        let looks = tick(LOOK_EVERY);
        let mut told: Option<Instant> = None;
        loop {
            heartbeat.begin("reading the trader's files");
            watch(watcher.as_mut(), &mut watched, &folders);
            let is_due = told.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
            look(is_due);
            if is_due {
                told = Some(Instant::now());
            }
            heartbeat.idle();
            select_biased! {
                recv(stop.receiver()) -> _ => return,
                recv(notices) -> _ => {
                    if stop.sleep(SETTLE) {
                        return;
                    }
                    for _ in notices.try_iter() {}
                }
                recv(looks) -> _ => {}
            }
        }
    })?;
    Ok(())
}

/// Watches the folders that are there now. A folder that was removed is watched anew when it is back;
/// until that is seen, the slow look does.
fn watch(
    watcher: Option<&mut RecommendedWatcher>,
    watched: &mut Vec<PathBuf>,
    folders: &[PathBuf],
) {
    let Some(watcher) = watcher else { return };
    for folder in folders {
        let there = is_folder(folder);
        let known = watched.iter().position(|w| w == folder);
        match (there, known) {
            (true, None) if watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() => {
                watched.push(folder.clone());
            }
            (false, Some(i)) => {
                let _gone = watcher.unwatch(folder);
                watched.swap_remove(i);
            }
            _ => {}
        }
    }
}

/// What is mended and left out is accounted for where it is read.
fn say(history: &History) {
    if let History::Unreadable(why) = history {
        log::warn!(target: "FILES", "{why}");
    }
}
