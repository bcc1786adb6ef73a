//! Channels of one message.

use crossbeam::channel::{Receiver, Sender, bounded};

/// A channel for exactly one reply, or for the one write grant of a session. Who sends never waits: there is room
/// for the one message.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "what it is made of")]
pub fn one_shot<T>() -> (Sender<T>, Receiver<T>) {
    bounded(1)
}
