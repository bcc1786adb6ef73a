//! Logs that cannot block anybody.
//!
//! A log call, ours or a library's, makes one line and offers it to three bounded queues: of the
//! `log-writer` thread (the file), of the `log-console` thread (stderr, and the banner on stdout), and a
//! ring that the watchdog keeps for its reports. A full queue costs lines, which are counted and told.
//! The console has a thread of its own so that a terminal that nobody drains does not cost the file its
//! lines.
//!
//! flexi_logger gives levels by module and installs the front; the files are our own, see [`RotatingFile`].

mod console;
mod file;
mod files;
mod front;
mod lossy;
mod rotating;
#[cfg(test)]
#[path = "../../tests/kit/small_disk.rs"]
#[allow(dead_code, reason = "each user has its own part of it")]
mod small_disk;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use flexi_logger::{ErrorChannel, LogSpecification, Logger};
use thiserror::Error;

use crate::runtime::{LatestRx, Lossy, Supervisor, Tx, channels, one_shot, recent};

use front::Front;

pub use files::LogFiles;
pub use front::{stamp, stamp_now};
pub use lossy::{Failure, LossyWriter, Sink};
pub use rotating::RotatingFile;

/// Lines that the watchdog keeps for its reports.
pub const RING_LINES: usize = 200;

/// Between looks for room, at the end of everything.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(2);

/// Where logs go.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Their folder and names.
    pub files: LogFiles,
    /// "info", or by module: "info, ureq=warn".
    pub level: String,
    /// Whether lines also go to stderr.
    pub console: bool,
    /// Lines that can wait for each writer.
    pub queue: usize,
    /// The file is rotated at this size.
    pub file_bytes_max: u64,
    /// Rotated files kept.
    pub files_max: usize,
}

/// Why there can be no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// The level cannot be understood.
    #[error(
        "log.level {level:?} cannot be understood ({why}); use error, warn, info, debug or trace, or by module: \"info, ureq=warn\""
    )]
    Level {
        /// What was given.
        level: String,
        /// flexi_logger's words.
        why: String,
    },
    /// A logger is installed already, or a thread was refused.
    #[error("starting the log failed: {0}")]
    Start(#[from] io::Error),
}

/// What a writer gets.
#[derive(Debug)]
enum ToWriter {
    /// A log line, without its newline.
    Line(Arc<str>),
    /// A line for people, to stdout.
    Banner(String),
    /// Everything before is to be written; then this is told.
    Flush(Sender<()>),
}

/// The log as `main` sees it.
#[derive(Clone, Debug)]
pub struct LogHandle {
    file: Tx<ToWriter, Lossy>,
    console: Tx<ToWriter, Lossy>,
}

impl LogHandle {
    /// Prints a line for people to stdout, by way of the console's thread.
    pub fn banner(&self, line: impl Into<String>) {
        // A console that takes nothing has lost its reader anyway.
        self.console.offer(ToWriter::Banner(line.into()));
    }

    /// Waits until both writers have written what they have, or the deadline.
    pub fn drain(&self, deadline: Instant) {
        let waits: Vec<_> = [&self.file, &self.console]
            .into_iter()
            .filter_map(|writer| {
                let (done, wait) = one_shot();
                // No log line waits for room; this does, so that it is not lost behind the last of them.
                while writer.is_full() {
                    if Instant::now() >= deadline {
                        return None;
                    }
                    std::thread::sleep(ROOM_LOOK_EVERY);
                }
                writer.offer(ToWriter::Flush(done));
                Some(wait)
            })
            .collect();
        for wait in waits {
            let _late = wait.recv_deadline(deadline);
        }
    }

    /// Lines lost so far because a writer did not keep up.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.file.drops()
    }
}

/// Installs the process's logger and its panic hook and starts the writers. Also returns the ring that
/// the watchdog keeps.
///
/// # Errors
/// [`LogError`]. A folder that cannot be written is none: the server works without its log, says so on
/// the console, and the log begins when it can.
pub fn init(
    supervisor: &Supervisor,
    config: &LogConfig,
) -> Result<(LogHandle, LatestRx<Arc<str>>), LogError> {
    let level = LogSpecification::parse(&config.level).map_err(|e| LogError::Level {
        level: config.level.clone(),
        why: e.to_string(),
    })?;
    let (handle, ring, front) = start(supervisor, config)?;
    Logger::with(level)
        .log_to_writer(Box::new(front))
        .error_channel(ErrorChannel::DevNull)
        .start()
        .map_err(|e| LogError::Start(io::Error::other(e)))?;
    front::hook_panics();
    Ok((handle, ring))
}

/// The writers and the front, without installing anything.
fn start(
    supervisor: &Supervisor,
    config: &LogConfig,
) -> io::Result<(LogHandle, LatestRx<Arc<str>>, Front)> {
    let (file, lines) = supervisor.channel(channels::LOG_WRITER, config.queue);
    let (console, console_lines) = supervisor.channel(channels::LOG_CONSOLE, config.queue);
    let (keep, ring) = recent(RING_LINES);
    file::start_writer(supervisor, config, lines, file.clone(), console.clone())?;
    console::start_console(supervisor, console_lines, console.clone())?;
    let handle = LogHandle {
        file: file.clone(),
        console: console.clone(),
    };
    let front = Front::new(file, config.console.then_some(console), keep);
    Ok((handle, ring, front))
}

#[cfg(test)]
mod tests;
