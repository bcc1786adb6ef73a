//! The one place that reads the time.
//!
//! Durations are measured on the monotonic clock, so that a suspended machine or a clock set back
//! gives no false stall. Wall time is milliseconds since the Unix epoch; with the embedded market it
//! can be shifted, so that there is always a market open. Cores never read a clock: they are handed
//! a [`Now`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, for durations and deadlines.
    pub mono: Instant,
    /// Milliseconds since the Unix epoch, shifted by the session clock's offset.
    pub wall_ms: i64,
}

impl Now {
    /// The moment `later` after this one.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self {
            mono: self.mono + later,
            wall_ms: self.wall_ms + i64::try_from(later.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// Reads both clocks. A plain value: every thread has its own copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Added to the system's wall clock, in milliseconds. 0 but for a shifted embedded market.
    pub offset_ms: i64,
}

impl Clock {
    /// The current moment.
    #[must_use]
    pub fn now(self) -> Now {
        Now {
            mono: Instant::now(),
            wall_ms: self.wall_ms(),
        }
    }

    /// Milliseconds since the Unix epoch on the session clock.
    #[must_use]
    pub fn wall_ms(self) -> i64 {
        system_ms() + self.offset_ms
    }
}

/// Milliseconds since the Unix epoch as the system tells it, never shifted: for logs and tokens.
#[must_use]
pub fn system_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// A duration in whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
