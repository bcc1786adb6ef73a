//! The `signals` thread: hears SIGINT and SIGTERM and tells `main`.

use std::io;

use crossbeam::channel::Receiver;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::supervise::{Class, Full, Supervisor};

/// Signals that can wait for `main`.
const SIGNALS_MAX: usize = 8;

/// Starts the thread. Returns the signals' names as they come, and the handle that ends it.
///
/// # Errors
/// When the system refuses the handlers or the thread.
pub fn start(
    supervisor: &Supervisor,
    class: Class,
) -> io::Result<(Receiver<&'static str>, Handle)> {
    let (tx, rx) = supervisor.channel("signals -> main", SIGNALS_MAX, Full::DropAndCount);
    let signals = Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    let signals = std::cell::RefCell::new(signals);
    supervisor.spawn("signals", class, move |pulse| {
        pulse.idle();
        for signal in signals.borrow_mut().forever() {
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
