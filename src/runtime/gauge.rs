//! What is seen of a queue from outside.

use std::fmt;

use super::channels::{Ends, Full};
use super::counter::Counter;

/// How the watchdog looks at a queue.
pub struct Gauge {
    /// Its name, as `/api/threads` shows it.
    pub name: String,
    /// Who sends and who receives; none of a semaphore, whose permits lie here until they are wanted.
    pub ends: Option<Ends>,
    /// How many messages fit.
    pub capacity: usize,
    /// How many messages wait now.
    pub depth: Box<dyn Fn() -> usize + Send>,
    /// How many messages were refused so far.
    pub drops: Counter,
}

impl Gauge {
    /// What happens to a message that finds it full.
    #[must_use]
    pub fn full(&self) -> Full {
        self.ends
            .map_or(Full::Never("it has room for every permit"), |e| e.full)
    }
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
