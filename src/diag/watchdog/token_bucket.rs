//! How many reports may be made: a few at once, then one at a time with a pause. Pure.
//!
//! A second thread that stalls is captured while it stalls, and a fault that makes everybody stall again
//! and again does not fill the log.

use std::time::{Duration, Instant};

/// Reports that may be made without a pause.
const AT_ONCE: u32 = 4;

/// One more may be made after this.
const EVERY: Duration = Duration::from_secs(5);

/// What is left.
#[derive(Debug)]
pub struct TokenBucket {
    left: u32,
    /// Since when more are being earned.
    since: Instant,
}

impl TokenBucket {
    /// All of it.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            left: AT_ONCE,
            since: now,
        }
    }

    /// Takes one, if one is left.
    pub fn take(&mut self, now: Instant) -> bool {
        while self.left < AT_ONCE && now.saturating_duration_since(self.since) >= EVERY {
            self.left += 1;
            self.since += EVERY;
        }
        if self.left == AT_ONCE {
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_come_at_once_and_then_one_at_a_time() {
        let mut now = Instant::now();
        let mut bucket = TokenBucket::new(now);
        assert!((0..AT_ONCE).all(|_| bucket.take(now)));
        assert!(!bucket.take(now));
        now += EVERY;
        assert!(bucket.take(now));
        assert!(!bucket.take(now));
        now += Duration::from_secs(3_600);
        assert!((0..AT_ONCE).all(|_| bucket.take(now)));
        assert!(!bucket.take(now));
    }
}
