//! The `sentinel` thread: watches the watchdog, and takes the last report when that is silent.
//!
//! The watchdog can be caught by what it is to report: a thread that is stuck in the allocator holds up
//! everybody who allocates. So while the watchdog is silent this thread allocates nothing and takes no
//! lock: it has all stacks copied to a file on disk that was opened at the start, and asks the symbolizer,
//! another process, for the report. If the watchdog stays silent `main` ends the process; if `main` is
//! caught as well, this thread does.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::diag::capture::{BETWEEN_ROUNDS, Capture, CopiesStacks, end_at_once, raw};
use crate::diag::symbolizer::{ReportContext, SILENT_WATCHDOG, ThreadReport};
use crate::logging::LogFiles;
use crate::runtime::{LatestRx, Supervisor, ThreadKind, WatchRx};

use super::symbolizer_link::SymbolizerLink;

/// A watchdog silent for this long is said to be so, with a report.
pub const WATCHDOG_SILENT: Duration = Duration::from_secs(10);

/// A watchdog silent for this long ends the process: nobody would see a freeze any more.
pub const WATCHDOG_LOST: Duration = Duration::from_secs(60);

/// How long `main` has for an orderly end before the process ends at once.
const MAIN_PATIENCE: Duration = Duration::from_secs(10);

/// The exit code of a process that a stall ended, for the service manager.
pub const EXIT_STALLED: u8 = 70;

/// Between looks.
const SENTINEL_CHECKS_EVERY: Duration = Duration::from_millis(250);

/// A look that comes this late means that the whole process was stopped or suspended.
const SUSPENDED: Duration = Duration::from_secs(4);

/// How the watchdog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeatState {
    /// It beats.
    Beats,
    /// It has been silent for too long.
    Silent,
    /// It has been silent for so long that the process must end.
    Lost,
}

/// Watches one beat. Pure.
#[derive(Clone, Copy, Debug)]
pub struct BeatCheck {
    beat: Instant,
    looked: Instant,
}

impl BeatCheck {
    /// Opened now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            beat: now,
            looked: now,
        }
    }

    /// Looks, `beat` being the last that was heard since.
    pub fn look(&mut self, beat: Option<Instant>, now: Instant) -> BeatState {
        if now.saturating_duration_since(self.looked) > SUSPENDED {
            self.beat = now;
        }
        self.looked = now;
        self.beat = self.beat.max(beat.unwrap_or(self.beat));
        match self.silent(now) {
            time if time > WATCHDOG_LOST => BeatState::Lost,
            time if time > WATCHDOG_SILENT => BeatState::Silent,
            _ => BeatState::Beats,
        }
    }

    /// For how long nothing was heard.
    #[must_use]
    pub fn silent(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.beat)
    }
}

/// The file that the last report's raw dump goes to, and who fills it.
#[derive(Debug)]
pub struct LastResort {
    capture: Capture,
    path: PathBuf,
    context: Vec<u8>,
}

impl LastResort {
    /// Opens the file in the folder of the logs.
    ///
    /// # Errors
    /// The system's.
    pub fn new(files: &LogFiles) -> io::Result<Self> {
        std::fs::create_dir_all(files.dir())?;
        let path = files.silent_raw();
        // What the process before this one left may be all that tells why it ended.
        if std::fs::metadata(&path).is_ok_and(|m| m.len() > 0) {
            std::fs::rename(&path, files.silent_before_raw())?;
        }
        let seconds = WATCHDOG_SILENT.as_secs();
        let watchdog = ThreadReport {
            name: "watchdog".into(),
            thread: Some(ThreadKind::Watchdog.into()),
            class: "watchdog".into(),
            state: "stalled".into(),
            activity: "watching the others".into(),
            beat_age_ms: seconds * 1_000,
            ..ThreadReport::default()
        };
        let context = ReportContext {
            reason: format!(
                "the watchdog itself has been silent for {seconds} s; what the threads say of themselves is not known"
            ),
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            threads: vec![watchdog],
            ..ReportContext::default()
        };
        Ok(Self {
            capture: Capture::on_disk(&path)?,
            path,
            context: serde_json::to_vec(&context)?,
        })
    }

    /// The file's number, for the symbolizer.
    #[must_use]
    pub fn fd(&self) -> u32 {
        self.capture.fd()
    }

    /// All stacks to the file. Allocates nothing and takes no lock.
    pub fn take(&mut self) {
        self.capture.begin();
        self.capture.add(raw::CONTEXT, &self.context);
        self.capture.round(1);
        std::thread::sleep(BETWEEN_ROUNDS);
        self.capture.round(2);
    }
}

impl Drop for LastResort {
    fn drop(&mut self) {
        if std::fs::metadata(&self.path).is_ok_and(|m| m.len() == 0) {
            let _left_empty = std::fs::remove_file(&self.path);
        }
    }
}

/// Starts the thread. `beats` are the watchdog's, `symbolizers` those who can be asked.
///
/// # Errors
/// When the system refuses the thread.
pub fn start_sentinel(
    supervisor: &Supervisor,
    last_resort: Option<LastResort>,
    beats: WatchRx<Instant>,
    symbolizers: LatestRx<SymbolizerLink>,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    let last_resort = std::cell::RefCell::new(last_resort);
    supervisor.spawn(ThreadKind::Sentinel, move |heartbeat| {
        let mut last_resort = last_resort.borrow_mut();
        let (mut beats, mut symbolizer) = (beats.clone(), None);
        let mut check = BeatCheck::new(Instant::now());
        let mut taken = false;
        while !stop.is_set() {
            heartbeat.idle();
            std::thread::sleep(SENTINEL_CHECKS_EVERY);
            symbolizer = symbolizers.take().or(symbolizer);
            let now = Instant::now();
            match check.look(beats.changed(), now) {
                BeatState::Beats => taken = false,
                BeatState::Silent if !taken => {
                    taken = true;
                    heartbeat.begin("capturing all stacks: the watchdog is silent");
                    if let Some(last_resort) = &mut *last_resort {
                        last_resort.take();
                        let _raw_stays = symbolizer
                            .as_mut()
                            .is_some_and(|s: &mut SymbolizerLink| s.ask(SILENT_WATCHDOG));
                    }
                }
                BeatState::Silent => {}
                BeatState::Lost => {
                    if check.silent(now) > WATCHDOG_LOST + MAIN_PATIENCE {
                        end_at_once(EXIT_STALLED);
                    }
                }
            }
        }
        // A report that nobody needs leaves no empty file behind.
        *last_resort = None;
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_for(check: &mut BeatCheck, now: &mut Instant, time: Duration) -> BeatState {
        let until = *now + time;
        let mut state = BeatState::Beats;
        while *now < until {
            *now += SENTINEL_CHECKS_EVERY;
            state = check.look(None, *now);
        }
        state
    }

    #[test]
    fn silence_is_seen_and_so_is_its_end() {
        let mut now = Instant::now();
        let mut check = BeatCheck::new(now);
        assert_eq!(
            look_for(&mut check, &mut now, WATCHDOG_SILENT),
            BeatState::Beats
        );
        assert_eq!(
            look_for(&mut check, &mut now, SENTINEL_CHECKS_EVERY),
            BeatState::Silent
        );
        assert_eq!(
            look_for(&mut check, &mut now, WATCHDOG_LOST),
            BeatState::Lost
        );
        assert_eq!(check.look(Some(now), now), BeatState::Beats);
    }

    #[test]
    fn a_stopped_process_is_no_silence() {
        let mut now = Instant::now();
        let mut check = BeatCheck::new(now);
        now += Duration::from_secs(3_600);
        assert_eq!(check.look(None, now), BeatState::Beats);
        assert_eq!(
            look_for(&mut check, &mut now, WATCHDOG_SILENT),
            BeatState::Beats
        );
    }

    #[cfg(captures_stacks)]
    #[test]
    fn an_empty_file_is_not_left_behind_and_a_full_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let files = LogFiles::new(dir.path().to_owned(), 1);
        let file = files.silent_raw();
        let last_resort = LastResort::new(&files).unwrap();
        assert!(file.exists());
        drop(last_resort);
        assert!(!file.exists());
        let mut last_resort = LastResort::new(&files).unwrap();
        last_resort.take();
        drop(last_resort);
        assert!(file.exists());
        // A process that starts after it does not wipe it.
        let before = std::fs::read(&file).unwrap();
        drop(LastResort::new(&files).unwrap());
        assert!(!file.exists());
        assert_eq!(std::fs::read(files.silent_before_raw()).unwrap(), before);
    }
}
