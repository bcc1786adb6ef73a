//! The `log-writer` thread: the only one that touches `backend.log`. What it cannot write is lost,
//! counted, and told once writing works again.

use std::io;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::runtime::{Lossy, Supervisor, ThreadKind, Tx};

use super::front::stamp;
use super::rotating::RotatingFile;
use super::{LogConfig, ToWriter};

/// How often an idle writer looks whether its file is still there.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// A failure is told on the console no more often than this.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Starts the thread. It hears no stop: the last lines are written after it, and it ends with the
/// process.
pub(super) fn start_writer(
    supervisor: &Supervisor,
    config: &LogConfig,
    lines: Receiver<ToWriter>,
    queue: Tx<ToWriter, Lossy>,
    console: Tx<ToWriter, Lossy>,
) -> io::Result<()> {
    let config = config.clone();
    supervisor.spawn(ThreadKind::LogWriter, move |heartbeat| {
        let mut sink = Sink {
            file: RotatingFile::new(
                config.files.backend(),
                config.file_bytes_max,
                config.files_max,
            ),
            queue: &queue,
            console: &console,
            failed: 0,
            told: 0,
            said: None,
        };
        loop {
            heartbeat.idle();
            let message = lines.recv_timeout(IDLE_CHECK_EVERY);
            heartbeat.begin("writing to backend.log");
            match message {
                Ok(ToWriter::Line(line)) => sink.write(&line),
                Ok(ToWriter::Banner(_)) => {}
                Ok(ToWriter::Flush(done)) => {
                    let _gone = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => sink.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    })?;
    Ok(())
}

struct Sink<'a> {
    file: RotatingFile,
    queue: &'a Tx<ToWriter, Lossy>,
    console: &'a Tx<ToWriter, Lossy>,
    /// Lines that could not be written.
    failed: u64,
    /// Lost lines that the log tells of.
    told: u64,
    said: Option<Instant>,
}

impl Sink<'_> {
    /// Has a file that was taken away made anew before the next line.
    fn look(&mut self) {
        if let Err(e) = self.file.ready() {
            self.say(&e);
        }
    }

    fn write(&mut self, line: &str) {
        if let Err(e) = self.file.append(format!("{line}\n").as_bytes()) {
            self.failed += 1;
            self.say(&e);
            return;
        }
        let lost = self.queue.drops() + self.failed;
        if lost > self.told {
            let words = format!(
                "{} [WARN] [LOG] {} log lines were lost because this file could not take them in time\n",
                stamp(Timestamp::now(), &TimeZone::system()),
                lost - self.told
            );
            if self.file.append(words.as_bytes()).is_ok() {
                self.told = lost;
            }
        }
    }

    /// Says it where it can still be said.
    fn say(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self
            .said
            .is_some_and(|at| now.duration_since(at) < SAY_EVERY)
        {
            return;
        }
        self.said = Some(now);
        let line = format!(
            "{} [ERROR] [LOG] writing {} failed: {error}; log lines are lost until it works again",
            stamp(Timestamp::now(), &TimeZone::system()),
            self.file.path().display()
        );
        self.console.offer(ToWriter::Line(line.into()));
    }
}
