//! What is seen of a queue from outside.

use std::fmt;

use super::counter::Counter;

/// What happens to a message that finds its queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The asker is answered 503 at once.
    Shed,
    /// The sender keeps the latest of each key and offers it again.
    Conflate,
    /// The message is lost and counted.
    DropAndCount,
    /// The sender waits, with a deadline: its own work is what must slow down.
    WaitWithDeadline,
    /// It cannot be full; the words say why.
    Never(&'static str),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shed => f.write_str("shed"),
            Self::Conflate => f.write_str("conflate"),
            Self::DropAndCount => f.write_str("drop and count"),
            Self::WaitWithDeadline => f.write_str("wait with deadline"),
            Self::Never(why) => write!(f, "never full: {why}"),
        }
    }
}

/// How the watchdog looks at a queue.
pub struct Gauge {
    /// The queue's name, as `/api/threads` shows it.
    pub name: String,
    /// How many messages fit.
    pub capacity: usize,
    /// What happens when it is full.
    pub full: Full,
    /// How many messages wait now.
    pub depth: Box<dyn Fn() -> usize + Send>,
    /// How many messages were refused so far.
    pub drops: Counter,
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Gauge({} {}/{})",
            self.name,
            (self.depth)(),
            self.capacity
        )
    }
}
