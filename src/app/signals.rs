//! The `signals` thread: hears SIGINT and SIGTERM and tells `main`; hears SIGQUIT and asks the watchdog
//! for a report.

use std::io;

use crossbeam::channel::Receiver;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::supervise::{Class, Full, Supervisor, Tx};
use crate::watchdog::ToWatchdog;

/// Signals that can wait for `main`.
const SIGNALS_MAX: usize = 8;

/// Starts the thread. Returns the signals' names as they come, and the handle that ends it.
///
/// # Errors
/// When the system refuses the handlers or the thread.
pub fn start(
    supervisor: &Supervisor,
    class: Class,
    watchdog: Tx<ToWatchdog>,
) -> io::Result<(Receiver<&'static str>, Handle)> {
    let (tx, rx) = supervisor.channel("signals -> main", SIGNALS_MAX, Full::DropAndCount);
    let signals = Signals::new([SIGINT, SIGTERM, SIGQUIT])?;
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
    Ok((rx, handle))
}
