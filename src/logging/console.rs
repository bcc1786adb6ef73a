//! The `log-console` thread: the only one that touches stdout and stderr. A terminal or pipe that takes
//! nothing blocks this thread and costs console lines, nothing else.

use std::io::{self, Write};
use std::time::Instant;

use crossbeam::channel::Receiver;

use crate::runtime::{Lossy, Supervisor, ThreadKind, Tx};

use super::ToWriter;
use super::lossy::{LossyWriter, Sink};

/// Starts the thread. It hears no stop: the last lines are written after it, and it ends with the process.
pub(super) fn start_console(
    supervisor: &Supervisor,
    lines: Receiver<ToWriter>,
    queue: Tx<ToWriter, Lossy>,
) -> io::Result<()> {
    supervisor.spawn(ThreadKind::LogConsole, move |heartbeat| {
        let mut writer = LossyWriter::new(Stderr, lost_line);
        loop {
            heartbeat.idle();
            let message = lines.recv();
            heartbeat.begin("writing to the console");
            // A closed terminal takes nothing more: lines go to the file all the same.
            match message {
                Ok(ToWriter::Line(line)) => {
                    let line = format!("{line}\n");
                    let _closed = writer.write(Instant::now(), line.as_bytes(), queue.drops());
                }
                Ok(ToWriter::Banner(line)) => {
                    #[expect(clippy::disallowed_methods, reason = "this thread may wait")]
                    let mut out = io::stdout();
                    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
                }
                Ok(ToWriter::Flush(done)) => {
                    let _gone = done.try_send(());
                }
                Err(_) => return,
            }
        }
    })?;
    Ok(())
}

#[derive(Debug)]
struct Stderr;

impl Sink for Stderr {
    #[expect(clippy::disallowed_methods, reason = "this thread may wait")]
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::stderr().write_all(bytes)
    }
}

fn lost_line(lost: u64) -> String {
    format!("({lost} log lines did not fit on this console; backend.log has them)\n")
}
