//! The `signals` thread: hears SIGINT and SIGTERM, and SIGHUP where a terminal was closed, and tells `main`;
//! hears SIGQUIT and asks the watchdog for a report; says what others mean, instead of ending by them. Where a system has no such signals nobody listens: Ctrl-C ends the process at once, and
//! `POST /api/shutdown` in an orderly way.

use std::io;

use crossbeam::channel::Receiver;
#[cfg(unix)]
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXFSZ,
};

use crate::diag::watchdog::ToWatchdog;
use crate::runtime::{Lossy, Supervisor, ThreadKind, Tx, channels};

/// Signals that can wait for `main`.
const SIGNALS_MAX: usize = 8;

/// Ends the thread.
#[derive(Debug)]
pub struct Listening {
    #[cfg(unix)]
    handle: signal_hook::iterator::Handle,
}

impl Listening {
    /// No signal is heard from here on.
    pub fn end(&self) {
        #[cfg(unix)]
        self.handle.close();
    }
}

/// Starts the thread. Returns the signals' names as they come, and what ends it.
///
/// # Errors
/// When the system refuses the handlers or the thread.
pub fn start(
    supervisor: &Supervisor,
    watchdog: Tx<ToWatchdog>,
) -> io::Result<(Receiver<&'static str>, Listening)> {
    let (tx, rx) = supervisor.channel(channels::SIGNALS, SIGNALS_MAX);
    let listening = listen(supervisor, watchdog, tx)?;
    Ok((rx, listening))
}

#[cfg(not(unix))]
fn listen(_: &Supervisor, _: Tx<ToWatchdog>, _: Tx<&'static str, Lossy>) -> io::Result<Listening> {
    Ok(Listening {})
}

#[cfg(unix)]
fn listen(
    supervisor: &Supervisor,
    watchdog: Tx<ToWatchdog>,
    tx: Tx<&'static str, Lossy>,
) -> io::Result<Listening> {
    let has_terminal = has_terminal();
    let heard = HEARD.iter().filter(|(number, _)| {
        // Who starts a program so (nohup) wants it to survive the terminal.
        *number != SIGHUP || !is_ignored(SIGHUP)
    });
    let signals = signal_hook::iterator::Signals::new(heard.map(|(number, _)| *number))?;
    let handle = signals.handle();
    let signals = std::cell::RefCell::new(signals);
    supervisor.spawn(ThreadKind::Signals, move |heartbeat| {
        heartbeat.idle();
        for number in signals.borrow_mut().forever() {
            let name = HEARD.iter().find(|(n, _)| *n == number);
            let name = name.map_or("a signal", |(_, name)| name);
            match meaning(number, has_terminal) {
                Meaning::End => {
                    // With eight untaken signals the process is ending already.
                    tx.offer(name);
                }
                Meaning::Report => {
                    let wanted = ToWatchdog::Dump {
                        why: name.into(),
                        reply: None,
                    };
                    // A full inbox holds enough wishes for reports.
                    let _wanted_already = watchdog.offer(wanted);
                }
                Meaning::GoOn(words) => log::info!(target: "MAIN", "{name}: {words}"),
            }
        }
    })?;
    Ok(Listening { handle })
}

/// Each of these would end the process by itself, without a word in the log.
#[cfg(unix)]
const HEARD: [(i32, &str); 11] = [
    (SIGINT, "SIGINT"),
    (SIGTERM, "SIGTERM"),
    (SIGQUIT, "SIGQUIT"),
    (SIGHUP, "SIGHUP"),
    (SIGUSR1, "SIGUSR1"),
    (SIGUSR2, "SIGUSR2"),
    (SIGALRM, "SIGALRM"),
    (SIGVTALRM, "SIGVTALRM"),
    (SIGPROF, "SIGPROF"),
    (SIGIO, "SIGIO"),
    (SIGXFSZ, "SIGXFSZ"),
];

/// What is done about a signal.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    End,
    Report,
    GoOn(&'static str),
}

#[cfg(unix)]
fn meaning(signal: i32, has_terminal: bool) -> Meaning {
    match signal {
        SIGINT | SIGTERM => Meaning::End,
        SIGHUP if has_terminal => Meaning::End,
        SIGHUP => Meaning::GoOn(
            "token files and log files are looked at again every second or two, whoever changes them; settings are read at a start",
        ),
        SIGQUIT => Meaning::Report,
        SIGXFSZ => Meaning::GoOn(
            "a file has reached the limit of this process (ulimit -f, or LimitFSIZE in a unit file); what does not fit is lost",
        ),
        _ => Meaning::GoOn("it means nothing here; SIGQUIT gets a report, SIGTERM ends"),
    }
}

/// Whether a terminal can be closed under this process: a service has none.
#[cfg(unix)]
fn has_terminal() -> bool {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(c"/dev/tty", flags, Mode::empty()).is_ok()
}

/// Whether this process was started with a signal ignored, where the system tells.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = crate::files::proc::read("self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_closed_terminal_ends_what_was_started_there_and_no_service() {
        assert_eq!(meaning(SIGHUP, true), Meaning::End);
        assert!(matches!(meaning(SIGHUP, false), Meaning::GoOn(_)));
        assert!(matches!(meaning(SIGUSR1, true), Meaning::GoOn(_)));
    }
}
