//! The end of everything, told once to everybody.
//!
//! A [`Stop`] is a channel on which nothing is ever sent: dropping its [`Stopper`] closes it, and
//! every `select!` that listens on [`Stop::receiver`] wakes at once.

use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// Held by `main`; dropping it tells every thread to end.
#[derive(Debug)]
pub struct Stopper {
    _tx: Sender<()>,
}

/// Held by every thread.
#[derive(Clone, Debug)]
pub struct Stop {
    rx: Receiver<()>,
}

/// A new pair.
#[must_use]
pub fn stop() -> (Stopper, Stop) {
    #[expect(clippy::disallowed_methods, reason = "what it is made of")]
    let (tx, rx) = bounded(0);
    (Stopper { _tx: tx }, Stop { rx })
}

impl Stop {
    /// Whether the end was told.
    #[must_use]
    pub fn is_set(&self) -> bool {
        matches!(self.rx.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Sleeps for `time`, or less if the end comes first. True if the end came.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> bool {
        matches!(
            self.rx.recv_timeout(time),
            Err(RecvTimeoutError::Disconnected)
        )
    }

    /// For `select!`: becomes ready (disconnected) at the end.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<()> {
        &self.rx
    }
}
