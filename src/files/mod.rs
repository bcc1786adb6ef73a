//! The trader's files: the `file-reader` thread follows them and publishes what they say to the
//! workers' boards. In: the system's change notices, and a slow look of its own, since notices can be
//! lost. Nobody waits for this thread: a stalled disk costs freshness, not answers.

pub(crate) mod history;
pub(crate) mod read;
pub mod regular;
mod reports;
pub mod scratch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{select_biased, tick};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::providers::schwab::TokenExpiry;
use crate::supervise::{Class, Full, KeptTx, Supervisor};

pub use reports::{NoReport, ToReports, Wanted, start_report_reader};

pub use history::Lines;
pub use read::{History, Runners};

use read::{HistoryFile, RunnersFile, history_path, is_folder, runners_path};

/// How often the files are looked at without a notice.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// After a notice this long is waited for the rest of the same edit.
const SETTLE: Duration = Duration::from_millis(20);

/// Notices that can wait; one is enough to look.
const NOTICES_MAX: usize = 64;

/// Everything as last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesRead {
    /// The last good `runners.json`; none while there never was one.
    pub runners: Option<Runners>,
    /// What is wrong with it now.
    pub runners_error: Option<String>,
    /// The trade history.
    pub history: History,
    /// When the access token expires, in milliseconds since the Unix epoch, where its file tells.
    pub token_expires_ms: Option<i64>,
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses it.
pub fn start_file_reader(
    supervisor: &Supervisor,
    class: Class,
    data_dir: PathBuf,
    token_file: PathBuf,
    boards: Vec<KeptTx<Arc<FilesRead>>>,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    let (notices_tx, notices) = supervisor.channel("file notices", NOTICES_MAX, Full::DropAndCount);
    supervisor.spawn("file-reader", class, move |pulse| {
        let tell = notices_tx.clone();
        // The watcher's own thread only sends: a full queue holds a notice already. Reading a file is
        // an event too, which must not lead to the next reading.
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if !event.is_ok_and(|e| e.kind.is_access()) {
                    let _ = tell.offer(());
                }
            })
            .ok();
        let mut watched: Vec<PathBuf> = Vec::new();
        let mut runners = RunnersFile::new(runners_path(&data_dir));
        let mut history = HistoryFile::new(history_path(&data_dir));
        let mut token = TokenExpiry::new(token_file.clone());
        let looks = tick(LOOK_EVERY);
        let mut told: Option<Instant> = None;
        loop {
            pulse.begin("reading the trader's files");
            watch(watcher.as_mut(), &mut watched, &data_dir);
            let runners_changed = runners.look();
            let history_changed = history.look();
            let token_changed = token.look();
            if runners_changed && let Some(why) = &runners.error {
                let kept = if runners.good.is_some() {
                    "; the last good one is served"
                } else {
                    ""
                };
                log::warn!(target: "FILES", "{why}{kept}");
            }
            if history_changed {
                say(&history.history);
            }
            // Told again at each slow look: a worker that took another's place has heard nothing yet.
            let changed = runners_changed || history_changed || token_changed;
            if changed || told.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
                told = Some(Instant::now());
                let read = Arc::new(FilesRead {
                    runners: runners.good.clone(),
                    runners_error: runners.error.clone(),
                    history: history.history.clone(),
                    token_expires_ms: token.at_ms,
                });
                for board in &boards {
                    board.publish(Arc::clone(&read));
                }
            }
            pulse.idle();
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
fn watch(watcher: Option<&mut RecommendedWatcher>, watched: &mut Vec<PathBuf>, data_dir: &Path) {
    let Some(watcher) = watcher else { return };
    for folder in [data_dir.to_owned(), data_dir.join("paper_trading")] {
        let there = is_folder(&folder);
        let known = watched.iter().position(|w| *w == folder);
        match (there, known) {
            (true, None) if watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok() => {
                watched.push(folder);
            }
            (false, Some(i)) => {
                let _gone = watcher.unwatch(&folder);
                watched.swap_remove(i);
            }
            _ => {}
        }
    }
}

fn say(history: &History) {
    match history {
        History::Missing => {}
        History::Unreadable(why) => log::warn!(target: "FILES", "{why}"),
        History::Read {
            starts, skipped, ..
        } if *skipped > 0 => log::warn!(
            target: "FILES",
            "the trade history has {} trades; {skipped} lines of it are no JSON objects and are left out",
            starts.len()
        ),
        History::Read { .. } => {}
    }
}
