//! The `signals` thread: hears SIGINT and SIGTERM and tells `main`; hears SIGQUIT and asks the watchdog
//! for a report. Where a system has no such signals nobody listens: Ctrl-C ends the process at once, and
//! `POST /api/shutdown` in an orderly way.

use std::io;

use crossbeam::channel::Receiver;

use crate::supervise::{Class, Full, Supervisor, Tx};
use crate::watchdog::ToWatchdog;

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
    class: Class,
    watchdog: Tx<ToWatchdog>,
) -> io::Result<(Receiver<&'static str>, Listening)> {
    let (tx, rx) = supervisor.channel("signals -> main", SIGNALS_MAX, Full::DropAndCount);
    let listening = listen(supervisor, class, watchdog, tx)?;
    Ok((rx, listening))
}

#[cfg(not(unix))]
fn listen(
    _: &Supervisor,
    _: Class,
    _: Tx<ToWatchdog>,
    _: Tx<&'static str>,
) -> io::Result<Listening> {
    Ok(Listening {})
}

#[cfg(unix)]
fn listen(
    supervisor: &Supervisor,
    class: Class,
    watchdog: Tx<ToWatchdog>,
    tx: Tx<&'static str>,
) -> io::Result<Listening> {
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGQUIT])?;
    let handle = signals.handle();
    let signals = std::cell::RefCell::new(signals);
    supervisor.spawn("signals", class, move |pulse| {
        pulse.idle();
        for signal in signals.borrow_mut().forever() {
            if signal == SIGQUIT {
                let wanted = ToWatchdog::Dump {
                    why: "SIGQUIT".into(),
                    reply: None,
                };
                // A full inbox holds enough wishes for reports.
                let _wanted_already = watchdog.offer(wanted);
                continue;
            }
            let name = if signal == SIGINT {
                "SIGINT"
            } else {
                "SIGTERM"
            };
            // With eight untaken signals the process is ending already.
            let _ending = tx.offer(name);
        }
    })?;
    Ok(Listening { handle })
}
