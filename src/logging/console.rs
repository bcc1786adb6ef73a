//! The `log-console` thread: the only one that touches stdout and stderr. A terminal or pipe that takes
//! nothing blocks this thread and costs console lines, nothing else.

use std::io::{self, Write};

use crossbeam::channel::Receiver;

use crate::runtime::{Lossy, Supervisor, ThreadKind, Tx};

use super::ToWriter;

/// Starts the thread. It hears no stop: the last lines are written after it, and it ends with the process.
pub(super) fn start_console(
    supervisor: &Supervisor,
    lines: Receiver<ToWriter>,
    queue: Tx<ToWriter, Lossy>,
) -> io::Result<()> {
    supervisor.spawn(ThreadKind::LogConsole, move |heartbeat| {
        let mut told = 0;
        loop {
            heartbeat.idle();
            let message = lines.recv();
            heartbeat.begin("writing to the console");
            // A closed terminal takes nothing more: lines go to the file all the same.
            match message {
                Ok(ToWriter::Line(line)) => {
                    let _closed = writeln!(io::stderr(), "{line}");
                }
                Ok(ToWriter::Banner(line)) => {
                    let mut out = io::stdout();
                    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
                }
                Ok(ToWriter::Flush(done)) => {
                    let _gone = done.try_send(());
                }
                Err(_) => return,
            }
            let lost = queue.drops();
            if lost > told {
                let _closed = writeln!(
                    io::stderr(),
                    "({} log lines did not fit on this console; backend.log has them)",
                    lost - told
                );
                told = lost;
            }
        }
    })?;
    Ok(())
}
