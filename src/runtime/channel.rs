//! The one place that makes queues: every one has a name, a bound and a policy for when it is full.

use std::time::Instant;

use crossbeam::channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded};

use super::counter::Counter;
use super::gauge::{Full, Gauge};
use super::spawn::{Notice, Supervisor};

/// The sending side of a named queue.
#[derive(Debug)]
pub struct Tx<T> {
    tx: Sender<T>,
    drops: Counter,
}

impl<T> Clone for Tx<T> {
    fn clone(&self) -> Self {
        Self {
            tx: self.tx.clone(),
            drops: self.drops.clone(),
        }
    }
}

impl<T> Tx<T> {
    /// Sends if there is room, else counts a drop and hands the message back. Never waits.
    ///
    /// # Errors
    /// The message, when the queue is full or its reader is gone.
    pub fn offer(&self, message: T) -> Result<(), T> {
        self.tx.try_send(message).map_err(|e| {
            self.drops.add(1);
            match e {
                TrySendError::Full(m) | TrySendError::Disconnected(m) => m,
            }
        })
    }

    /// Sends, waiting for room until `deadline`; then counts a drop and hands the message back.
    ///
    /// # Errors
    /// The message, when the deadline passed or the reader is gone.
    pub fn send_by(&self, message: T, deadline: Instant) -> Result<(), T> {
        self.tx.send_deadline(message, deadline).map_err(|e| {
            self.drops.add(1);
            match e {
                SendTimeoutError::Timeout(m) | SendTimeoutError::Disconnected(m) => m,
            }
        })
    }

    /// How many messages wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.tx.len()
    }

    /// How many messages were refused so far.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.drops.get()
    }

    /// The same for somebody who shall not keep the queue open.
    #[must_use]
    pub fn counter(&self) -> Counter {
        self.drops.clone()
    }
}

impl Supervisor {
    /// A bounded queue. Its reader is handed to one thread, or to several that share the work.
    #[must_use]
    pub fn channel<T: Send + 'static>(
        &self,
        name: impl Into<String>,
        capacity: usize,
        full: Full,
    ) -> (Tx<T>, Receiver<T>) {
        let (tx, rx) = bounded(capacity);
        let drops = Counter::default();
        let seen = rx.clone();
        self.notify(Notice::Channel(Box::new(Gauge {
            name: name.into(),
            capacity,
            full,
            depth: Box::new(move || seen.len()),
            drops: drops.clone(),
        })));
        (Tx { tx, drops }, rx)
    }

    /// A bounded queue that lives and dies with one connection, so that its own gauge would only
    /// bury the others. The reader sees a disconnect when every sender is gone, and the reverse.
    #[must_use]
    pub fn private_channel<T>(&self, capacity: usize) -> (Tx<T>, Receiver<T>) {
        let (tx, rx) = bounded(capacity);
        let drops = Counter::default();
        (Tx { tx, drops }, rx)
    }
}
