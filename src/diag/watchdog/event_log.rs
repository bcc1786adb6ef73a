//! The `watchdog-log` thread: the only one that touches `watchdog.log`, and the reports that had to be made
//! without the symbolizer.
//!
//! A disk that hangs holds up this thread, which is then seen to be stalled as any other, and never the
//! watchdog. What the file does not take is lost, counted, and told once it takes something again.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::diag::symbolizer::{ReportFormats, ReportStore};
use crate::logging::{LogFiles, LossyWriter, RotatingFile, stamp, stamp_now};
use crate::runtime::{Lossy, Supervisor, ThreadKind, Tx, channels};

/// Entries that can wait: lines, most of the time.
const ENTRIES_MAX: usize = 256;

/// Where the watchdog's lines and reports go.
#[derive(Clone, Debug)]
pub struct EventLogConfig {
    /// Its folder and name.
    pub files: LogFiles,
    /// It is rotated at this size.
    pub file_bytes_max: u64,
    /// Rotated files kept.
    pub files_max: usize,
    /// Reports kept beside it.
    pub reports_max: usize,
}

/// What is to be kept.
#[derive(Debug)]
enum LogEntry {
    /// For `watchdog.log`.
    Lines(Vec<u8>),
    /// A report that nobody could name the stacks of.
    Report(Box<UnnamedReport>),
}

/// A report that was made without the symbolizer, with the captured bytes, which can be named later.
#[derive(Debug)]
pub struct UnnamedReport {
    /// Its files' name, without an ending.
    pub name: String,
    /// What could be said.
    pub formats: Arc<ReportFormats>,
    /// For `tapewarden dump --resolve`.
    pub raw: Vec<u8>,
}

/// The watchdog's side. Never waits.
#[derive(Debug)]
pub struct EventLog {
    tx: Tx<LogEntry, Lossy>,
    zone: TimeZone,
}

impl EventLog {
    /// Starts the thread. It ends when what it was given is written and nobody is left to give it more.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(supervisor: &Supervisor, config: EventLogConfig) -> io::Result<Self> {
        let (tx, entries) = supervisor.channel(channels::WATCHDOG_LOG, ENTRIES_MAX);
        let lost = tx.counter();
        supervisor.spawn(ThreadKind::WatchdogLog, move |heartbeat| {
            let path = config.files.watchdog();
            let file = RotatingFile::new(path.clone(), config.file_bytes_max, config.files_max);
            let mut writer = LossyWriter::new(file, lost_line);
            let store = ReportStore::new(config.files.reports(), config.reports_max);
            heartbeat.begin("opening watchdog.log");
            // So that a folder that cannot be written shows at once, and the file is open before it is needed.
            let _told_by_the_log_writer = writer.ready(Instant::now(), lost.get());
            loop {
                heartbeat.idle();
                let Ok(entry) = entries.recv() else { return };
                heartbeat.begin("writing to watchdog.log");
                match entry {
                    LogEntry::Report(report) => keep(&store, &report),
                    LogEntry::Lines(lines) => {
                        if let Some(failure) = writer.write(Instant::now(), &lines, lost.get()) {
                            log::error!(target: "WATCHDOG", "writing {} failed: {failure}", path.display());
                        }
                    }
                }
            }
        })?;
        Ok(Self {
            tx,
            zone: TimeZone::system(),
        })
    }

    /// Now, as the log's lines begin.
    #[must_use]
    pub fn stamp(&self) -> String {
        stamp(Timestamp::now(), &self.zone)
    }

    /// A line: `[LEVEL] [WATCHDOG] words`.
    pub fn line(&self, line: &str) {
        self.entry(format!("{} {line}\n", self.stamp()).into_bytes());
    }

    /// Whole lines.
    pub fn entry(&self, bytes: Vec<u8>) {
        self.tx.offer(LogEntry::Lines(bytes));
    }

    /// A report that was made without the symbolizer.
    pub fn unnamed(&self, report: UnnamedReport) {
        self.tx.offer(LogEntry::Report(Box::new(report)));
    }
}

fn lost_line(lost: u64) -> String {
    format!(
        "{} [WARN] [WATCHDOG] {lost} entries before this one could not be written here\n",
        stamp_now()
    )
}

fn keep(store: &ReportStore, report: &UnnamedReport) {
    let kept = store
        .put_raw(&report.name, &report.raw)
        .and_then(|()| store.put(&report.name, &report.formats, false));
    if let Err(e) = kept {
        log::error!(target: "WATCHDOG", "keeping the report {} beside the logs failed: {e}", report.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_does_not_take_is_counted_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watchdog.log");
        std::fs::create_dir(&path).unwrap();
        let file = RotatingFile::new(path.clone(), 1_000, 1);
        let (mut writer, now) = (LossyWriter::new(file, lost_line), Instant::now());
        assert!(writer.write(now, b"one\n", 0).is_some());
        assert!(writer.write(now, b"two\n", 3).is_none());
        std::fs::remove_dir(&path).unwrap();
        for line in ["three\n", "four\n"] {
            assert!(writer.write(now, line.as_bytes(), 3).is_none());
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[2], lines.len()), ("three", "four", 3));
        assert!(
            lines[1].ends_with("5 entries before this one could not be written here"),
            "{text}"
        );
    }

    #[test]
    fn a_report_without_names_is_kept_with_what_can_be_named_later() {
        let dir = tempfile::tempdir().unwrap();
        let store = ReportStore::new(dir.path().to_owned(), 2);
        let report = UnnamedReport {
            name: "20260204".into(),
            formats: Arc::new(ReportFormats {
                text: "no call stacks".into(),
                ..ReportFormats::default()
            }),
            raw: b"raw".to_vec(),
        };
        keep(&store, &report);
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        assert_eq!(read("20260204.raw"), b"raw");
        assert_eq!(read("20260204.txt"), b"no call stacks");
    }
}
