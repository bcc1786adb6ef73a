//! Kinds of work. Each has its own permits (a bulkhead), so that requests of one kind that wait cannot
//! take another's: two things that can hang apart are two kinds. What waits for nobody needs none.

use std::time::{Duration, Instant};

use crate::runtime::{Permit, Semaphore, Supervisor};

/// A kind of work that a request may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bulkhead {
    /// Candles of the provider.
    Candles,
    /// The provider's quotes.
    Quotes,
    /// The trader app's watchlist.
    Watchlist,
    /// The trader app's VWAPs.
    Vwap,
    /// The trader app's stream health and rotation.
    Feed,
    /// The trader app's signals and positions.
    Lists,
    /// Verdicts of the model.
    Validation,
    /// Whether the model is there.
    ModelStatus,
    /// Reports that the watchdog makes now, and drills.
    Dump,
    /// Past reports, from the disk.
    Reports,
}

impl Bulkhead {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Candles,
        Self::Quotes,
        Self::Watchlist,
        Self::Vwap,
        Self::Feed,
        Self::Lists,
        Self::Validation,
        Self::ModelStatus,
        Self::Dump,
        Self::Reports,
    ];

    /// As errors and `/api/threads` name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Candles => "candle",
            Self::Quotes => "quote",
            Self::Watchlist => "watchlist",
            Self::Vwap => "VWAP",
            Self::Feed => "stream health",
            Self::Lists => "signal and position",
            Self::Validation => "validation",
            Self::ModelStatus => "model status",
            Self::Dump => "dump and drill",
            Self::Reports => "stall report",
        }
    }
}

/// A bulkhead's bounds.
#[derive(Clone, Copy, Debug)]
pub struct BulkheadLimits {
    /// Requests that may be under way at once.
    pub permits: usize,
    /// By when one is answered, from its arrival on.
    pub deadline: Duration,
    /// How long one waits for a permit: who finds all of them taken is told soon.
    pub patience: Duration,
}

/// All bulkheads.
#[derive(Clone, Debug)]
pub struct Bulkheads {
    /// In the order of [`Bulkhead::ALL`].
    all: Vec<(BulkheadLimits, Semaphore)>,
}

impl Bulkheads {
    /// Makes their permits.
    #[must_use]
    pub fn new(supervisor: &Supervisor, limits: impl Fn(Bulkhead) -> BulkheadLimits) -> Self {
        let one = |bulkhead: Bulkhead| {
            let limits = limits(bulkhead);
            let name = format!("{} requests: free permits", bulkhead.name());
            (limits, supervisor.semaphore(name, limits.permits))
        };
        Self {
            all: Bulkhead::ALL.map(one).into(),
        }
    }

    /// The bounds of one.
    #[must_use]
    pub fn limits(&self, bulkhead: Bulkhead) -> &BulkheadLimits {
        &self.all[bulkhead as usize].0
    }

    /// A permit of one, waited for until `by`; none when all were taken until then.
    #[must_use]
    pub fn acquire(&self, bulkhead: Bulkhead, by: Instant) -> Option<Permit> {
        self.all[bulkhead as usize].1.acquire(by).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bulkhead_stands_at_its_number() {
        for (n, bulkhead) in Bulkhead::ALL.iter().enumerate() {
            assert_eq!(*bulkhead as usize, n, "{bulkhead:?}");
        }
    }
}
