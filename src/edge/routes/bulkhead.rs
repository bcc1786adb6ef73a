//! Kinds of work. Each has its own permits (a bulkhead), so that requests of one kind that wait cannot
//! take another's: two things that can hang apart are two kinds. What waits for nobody needs none.
//!
//! They stand beside the routes that need them, in `table.rs`.

use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::runtime::{Permit, Semaphore, Supervisor};

/// Who finds all permits taken is told after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// A kind of work that a request may have to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Bulkhead {
    /// As errors and `/api/threads` name it.
    pub name: &'static str,
    /// Requests that may be under way at once.
    permits: fn(&Settings) -> usize,
    /// By when one is answered, from its arrival on.
    deadline: fn(&Settings) -> Duration,
    /// How long one waits for a permit; none: until its deadline.
    patience: Option<Duration>,
    /// Whether its requests wait for none but the watchdog and the reader of past reports.
    pub for_operators: bool,
}

impl Bulkhead {
    /// Answered within `http.answer_deadline`.
    pub(super) const fn new(name: &'static str, permits: fn(&Settings) -> usize) -> Self {
        Self {
            name,
            permits,
            deadline: |settings| settings.http.answer_deadline,
            patience: Some(PATIENCE),
            for_operators: false,
        }
    }

    pub(super) const fn within(self, deadline: fn(&Settings) -> Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Whoever has a permit is answered by the deadline, and all who wait with it.
    pub(super) const fn patient(self) -> Self {
        let patience = None;
        Self { patience, ..self }
    }

    pub(super) const fn for_operators(self) -> Self {
        let for_operators = true;
        Self {
            for_operators,
            ..self
        }
    }

    fn limits(&self, settings: &Settings) -> BulkheadLimits {
        let deadline = (self.deadline)(settings);
        BulkheadLimits {
            permits: (self.permits)(settings),
            deadline,
            patience: self.patience.unwrap_or(deadline),
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

/// A bulkhead at work.
#[derive(Clone, Debug)]
pub struct Permits {
    /// Of which kind of work.
    pub name: &'static str,
    /// Its bounds.
    pub limits: BulkheadLimits,
    free: Semaphore,
}

impl Permits {
    /// A permit, waited for until `by`; none when all were taken until then.
    #[must_use]
    pub fn acquire(&self, by: Instant) -> Option<Permit> {
        self.free.acquire(by).ok()
    }
}

/// All bulkheads.
#[derive(Clone, Debug)]
pub struct Bulkheads(Vec<Permits>);

impl Bulkheads {
    /// Makes the permits of all these, each once.
    #[must_use]
    pub fn new(
        supervisor: &Supervisor,
        settings: &Settings,
        all: impl Iterator<Item = &'static Bulkhead>,
    ) -> Self {
        let mut made: Vec<Permits> = Vec::new();
        for bulkhead in all {
            let name = bulkhead.name;
            if made.iter().any(|other| other.name == name) {
                continue;
            }
            let limits = bulkhead.limits(settings);
            let free =
                supervisor.semaphore(format!("{name} requests: free permits"), limits.permits);
            made.push(Permits { name, limits, free });
        }
        Self(made)
    }

    /// That of this kind of work; none of one that was not among all.
    #[must_use]
    pub fn of(&self, bulkhead: &Bulkhead) -> Option<&Permits> {
        self.0.iter().find(|permits| permits.name == bulkhead.name)
    }
}
