//! The service manager's own watchdog (systemd's `sd_notify`), told by ours: if ours stops, it ends the
//! process. Does nothing where no manager asks for it (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// When the manager is to be told again.
#[derive(Debug)]
pub struct Manager {
    every: Option<Duration>,
    next: Instant,
}

impl Manager {
    /// As the manager asks through the environment. It is told twice in its interval.
    #[must_use]
    pub fn from_environment() -> Self {
        Self {
            every: sd_notify::watchdog_enabled().map(|interval| interval / 2),
            next: Instant::now(),
        }
    }

    /// At each of the watchdog's looks.
    pub fn look(&mut self, now: Instant) {
        if let Some(every) = self.every
            && now >= self.next
        {
            self.next = now + every;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// The server answers.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The server ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A manager that cannot be told acts as if we were gone, which is its job.
fn tell(state: &[NotifyState<'_>]) {
    let _nobody_asks = sd_notify::notify(state);
}
