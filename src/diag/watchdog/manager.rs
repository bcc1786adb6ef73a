//! The service manager's own watchdog (systemd's `sd_notify`), told by ours: if ours stops, it ends the
//! process. Does nothing where no manager asks for it (`NOTIFY_SOCKET`, `WATCHDOG_USEC`), or on a system
//! that has none.

use std::time::{Duration, Instant};

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
            every: asked_for().map(|interval| interval / 2),
            next: Instant::now(),
        }
    }

    /// At each of the watchdog's looks.
    pub fn look(&mut self, now: Instant) {
        if let Some(every) = self.every
            && now >= self.next
        {
            self.next = now + every;
            tell(Word::Watchdog);
        }
    }
}

/// The server answers.
pub fn ready() {
    tell(Word::Ready);
}

/// The server ends.
pub fn stopping() {
    tell(Word::Stopping);
}

enum Word {
    Ready,
    Watchdog,
    Stopping,
}

#[cfg(unix)]
fn asked_for() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// A manager that cannot be told acts as if we were gone, which is its job.
#[cfg(unix)]
fn tell(word: Word) {
    use sd_notify::NotifyState;
    let state = match word {
        Word::Ready => NotifyState::Ready,
        Word::Watchdog => NotifyState::Watchdog,
        Word::Stopping => NotifyState::Stopping,
    };
    let _nobody_asks = sd_notify::notify(&[state]);
}

#[cfg(not(unix))]
fn asked_for() -> Option<Duration> {
    None
}

#[cfg(not(unix))]
fn tell(_: Word) {}
