//! The `log-writer` thread: the only one that touches `backend.log`. What it cannot write is lost,
//! counted, and told once writing works again.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};

use crate::runtime::{Lossy, Supervisor, ThreadKind, Tx};

use super::front::stamp_now;
use super::lossy::{Failure, LossyWriter};
use super::rotating::RotatingFile;
use super::{LogConfig, ToWriter};

/// How often an idle writer looks whether its file is still there.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(1);

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
        let path = config.files.backend();
        let file = RotatingFile::new(path.clone(), config.file_bytes_max, config.files_max);
        let mut writer = LossyWriter::new(file, lost_line);
        loop {
            heartbeat.idle();
            let message = lines.recv_timeout(IDLE_CHECK_EVERY);
            heartbeat.begin("writing to backend.log");
            let (now, refused) = (Instant::now(), queue.drops());
            let failure = match message {
                Ok(ToWriter::Line(line)) => {
                    writer.write(now, format!("{line}\n").as_bytes(), refused)
                }
                Ok(ToWriter::Banner(_)) => None,
                Ok(ToWriter::Flush(done)) => {
                    let _gone = done.try_send(());
                    None
                }
                // A file that was taken away is made anew before the next line.
                Err(RecvTimeoutError::Timeout) => writer.ready(now, refused),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(failure) = failure {
                tell(&console, &path, &failure);
            }
        }
    })?;
    Ok(())
}

fn lost_line(lost: u64) -> String {
    format!(
        "{} [WARN] [LOG] {lost} log lines were lost because this file could not take them in time\n",
        stamp_now()
    )
}

/// Says it where it can still be said.
fn tell(console: &Tx<ToWriter, Lossy>, file: &Path, failure: &Failure) {
    let line = format!(
        "{} [ERROR] [LOG] writing {} failed: {failure}; log lines are lost until it works again",
        stamp_now(),
        file.display()
    );
    console.offer(ToWriter::Line(line.into()));
}
