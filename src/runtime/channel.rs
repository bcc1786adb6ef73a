//! The one place that makes queues: every one has a name, a bound and a policy for when it is full.

use std::marker::PhantomData;
use std::time::Instant;

use crossbeam::channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded};

use super::channels::{Channel, Ends, Lossy, Pool, Queue};
use super::counter::Counter;
use super::gauge::Gauge;
use super::spawn::{Notice, Supervisor};

/// The sending side of a channel with this policy: [`Queue`], [`Lossy`] or [`Pool`].
///
/// A sender cannot do what its channel's policy forbids. Who only drops cannot wait:
///
/// ```compile_fail
/// # use std::time::Instant;
/// # use tapewarden::runtime::{Supervisor, channels};
/// # fn f(supervisor: &Supervisor) {
/// let (log, _lines) = supervisor.channel(channels::LOG_WRITER, 8);
/// let _ = log.send_by("a line", Instant::now());
/// # }
/// ```
///
/// ```
/// # use tapewarden::runtime::{Supervisor, channels};
/// # fn f(supervisor: &Supervisor) {
/// let (log, _lines) = supervisor.channel(channels::LOG_WRITER, 8);
/// log.offer("a line");
/// # }
/// ```
#[derive(Debug)]
pub struct Tx<T, P = Queue> {
    tx: Sender<T>,
    drops: Counter,
    policy: PhantomData<P>,
}

impl<T, P> Clone for Tx<T, P> {
    fn clone(&self) -> Self {
        Self::of(self.tx.clone(), self.drops.clone())
    }
}

impl<T> Tx<T, Queue> {
    /// Sends if there is room, else counts a drop and hands the message back. Never waits.
    ///
    /// # Errors
    /// The message, when the queue is full or its reader is gone.
    pub fn offer(&self, message: T) -> Result<(), T> {
        self.try_send(message)
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
}

impl<T> Tx<T, Lossy> {
    /// Sends if there is room; else the message is lost and counted. Never waits.
    pub fn offer(&self, message: T) {
        drop(self.try_send(message));
    }
}

impl<T> Tx<T, Pool> {
    /// Puts something in, for which there is room. A reader that is gone needs nothing any more.
    pub fn put(&self, message: T) {
        if let Err(e) = self.tx.try_send(message) {
            debug_assert!(!e.is_full(), "a pool has no room, which cannot be");
            self.drops.add(1);
        }
    }
}

impl<T, P> Tx<T, P> {
    fn of(tx: Sender<T>, drops: Counter) -> Self {
        Self {
            tx,
            drops,
            policy: PhantomData,
        }
    }

    fn try_send(&self, message: T) -> Result<(), T> {
        self.tx.try_send(message).map_err(|e| {
            self.drops.add(1);
            match e {
                TrySendError::Full(m) | TrySendError::Disconnected(m) => m,
            }
        })
    }

    /// How many messages wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.tx.len()
    }

    /// Whether there is no room now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.tx.is_full()
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
    /// A channel of the table with room for `capacity` messages. Its reader is handed to one thread, or to
    /// several that share the work.
    #[must_use]
    pub fn channel<T: Send + 'static, P>(
        &self,
        channel: Channel<P>,
        capacity: usize,
    ) -> (Tx<T, P>, Receiver<T>) {
        self.gauged(channel.ends.to_string(), Some(channel.ends), capacity)
    }

    /// A channel with a gauge of this name.
    pub(super) fn gauged<T: Send + 'static, P>(
        &self,
        name: String,
        ends: Option<Ends>,
        capacity: usize,
    ) -> (Tx<T, P>, Receiver<T>) {
        #[expect(clippy::disallowed_methods, reason = "by a row of the table")]
        let (tx, rx) = bounded(capacity);
        let drops = Counter::default();
        let seen = rx.clone();
        self.notify(Notice::Channel(Box::new(Gauge {
            name,
            ends,
            capacity,
            depth: Box::new(move || seen.len()),
            drops: drops.clone(),
        })));
        (Tx::of(tx, drops), rx)
    }

    /// A bounded queue that lives and dies with one connection, so that its own gauge would only
    /// bury the others. The reader sees a disconnect when every sender is gone, and the reverse.
    #[must_use]
    pub fn private_channel<T>(&self, capacity: usize) -> (Tx<T>, Receiver<T>) {
        #[expect(clippy::disallowed_methods, reason = "by a row of the table")]
        let (tx, rx) = bounded(capacity);
        (Tx::of(tx, Counter::default()), rx)
    }
}
