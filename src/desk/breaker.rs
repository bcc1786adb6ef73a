//! A circuit breaker: an upstream that keeps failing is left alone for a while. Pure.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one probe is let through.
    pub open_for: Duration,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Call.
    Closed,
    /// Call: this is the one probe.
    Probe,
    /// Do not call before this has passed.
    Open {
        /// Until the next probe may be made.
        retry_in: Duration,
    },
}

/// Closed: calls pass. Open: none does. Half-open: one probe decides.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    failures: u32,
    open_until: Option<Instant>,
    probing: bool,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            failures: 0,
            open_until: None,
            probing: false,
        }
    }

    /// What a call made now would be. Changes nothing.
    #[must_use]
    pub fn look(&self, now: Instant) -> Permit {
        match self.open_until {
            None => Permit::Closed,
            Some(until) if until > now => Permit::Open {
                retry_in: until - now,
            },
            Some(_) if self.probing => Permit::Open {
                retry_in: Duration::from_secs(1),
            },
            Some(_) => Permit::Probe,
        }
    }

    /// Asks to call now; a granted probe must be followed by `success`, `failure` or `abandon`.
    pub fn enter(&mut self, now: Instant) -> Permit {
        let permit = self.look(now);
        if permit == Permit::Probe {
            self.probing = true;
        }
        permit
    }

    /// A call ended well. True if that closed the breaker.
    pub fn success(&mut self) -> bool {
        self.failures = 0;
        self.probing = false;
        self.open_until.take().is_some()
    }

    /// A call failed. True if that opened the breaker (again).
    pub fn failure(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let was_probe = std::mem::take(&mut self.probing);
        let opens =
            was_probe || (self.open_until.is_none() && self.failures >= self.config.failures);
        if opens {
            self.open_until = Some(now + self.config.open_for);
        }
        opens
    }

    /// A granted probe was never made, or said nothing: another may be.
    pub fn abandon(&mut self) {
        self.probing = false;
    }

    /// Failures in a row so far.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: BreakerConfig = BreakerConfig {
        failures: 3,
        open_for: Duration::from_secs(60),
    };

    #[test]
    fn three_failures_open_it_one_probe_decides() {
        let mut breaker = Breaker::new(CONFIG);
        let start = Instant::now();
        assert!(!breaker.failure(start));
        assert!(!breaker.failure(start));
        assert!(breaker.failure(start));
        assert!(matches!(breaker.enter(start), Permit::Open { .. }));
        let later = start + Duration::from_secs(60);
        assert_eq!(breaker.enter(later), Permit::Probe);
        assert!(matches!(breaker.enter(later), Permit::Open { .. }));
        assert!(breaker.failure(later));
        assert!(matches!(breaker.enter(later), Permit::Open { .. }));
        let again = later + Duration::from_secs(60);
        assert_eq!(breaker.enter(again), Permit::Probe);
        assert!(breaker.success());
        assert_eq!(breaker.enter(again), Permit::Closed);
    }

    proptest! {
        #[test]
        fn there_is_never_a_second_probe(steps in prop::collection::vec((0_u8..4, 0_u64..90), 1..200)) {
            let mut breaker = Breaker::new(CONFIG);
            let mut now = Instant::now();
            let mut probes = 0;
            for (what, wait) in steps {
                now += Duration::from_secs(wait);
                match what {
                    0 => if breaker.enter(now) == Permit::Probe { probes += 1 },
                    1 => { breaker.success(); probes = 0 }
                    2 => { breaker.failure(now); probes = 0 }
                    _ => { breaker.abandon(); probes = 0 }
                }
                prop_assert!(probes <= 1);
            }
        }
    }
}
