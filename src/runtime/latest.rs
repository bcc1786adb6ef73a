//! A conflating channel of one place: the receiver sees the latest value, or none that is new.
//!
//! For state that replaces itself (a beat, a status, the wanted set of symbols). Publishing never
//! waits: a value that nobody took is replaced.

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

/// How often a publisher that meets a full place tries again before it gives up. Each round lost
/// means that another publisher's newer value won.
const PUBLISH_ROUNDS_MAX: usize = 16;

/// The publishing side.
#[derive(Debug)]
pub struct LatestTx<T> {
    tx: Sender<T>,
    rx: Receiver<T>,
}

/// The reading side. A clone competes for values: give each reader its own cell.
#[derive(Debug)]
pub struct LatestRx<T> {
    rx: Receiver<T>,
}

/// A new conflating cell.
#[must_use]
pub fn latest<T>() -> (LatestTx<T>, LatestRx<T>) {
    recent(1)
}

/// A cell with room for the most recent `places` values: a new one replaces the oldest. With two or more a
/// reader that comes while one is being replaced finds another, and none only where none is new.
#[must_use]
pub fn recent<T>(places: usize) -> (LatestTx<T>, LatestRx<T>) {
    #[expect(clippy::disallowed_methods, reason = "what it is made of")]
    let (tx, rx) = bounded(places);
    (LatestTx { tx, rx: rx.clone() }, LatestRx { rx })
}

impl<T> LatestTx<T> {
    /// Replaces what is there. Never waits.
    pub fn publish(&self, value: T) {
        let mut value = value;
        for _ in 0..PUBLISH_ROUNDS_MAX {
            match self.tx.try_send(value) {
                Ok(()) => return,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                    value = back;
                    let _replaced = self.rx.try_recv();
                }
            }
        }
    }
}

impl<T> LatestRx<T> {
    /// The latest value, if there is one that was not taken yet.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.rx.try_recv().ok()
    }

    /// For `select!`: becomes ready when there is a new value.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<T> {
        &self.rx
    }
}

impl<T> Clone for LatestTx<T> {
    fn clone(&self) -> Self {
        Self {
            tx: self.tx.clone(),
            rx: self.rx.clone(),
        }
    }
}

impl<T> Clone for LatestRx<T> {
    fn clone(&self) -> Self {
        Self {
            rx: self.rx.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_value_is_seen_and_only_once() {
        let (tx, rx) = latest();
        assert_eq!(rx.take(), None);
        tx.publish(1);
        tx.publish(2);
        assert_eq!(rx.take(), Some(2));
        assert_eq!(rx.take(), None);
    }

    #[test]
    fn while_one_of_two_is_replaced_the_other_is_there() {
        let (tx, rx) = recent(2);
        tx.publish(1);
        tx.publish(2);
        // A publisher that is held up in the middle of its third.
        assert_eq!(tx.rx.try_recv(), Ok(1));
        assert_eq!(rx.take(), Some(2));
    }
}
