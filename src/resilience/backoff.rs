//! Jittered exponential backoff. Pure: the random number is handed in.

use std::time::Duration;

/// Bounds of a backoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait, before jitter.
    pub min: Duration,
    /// The longest wait, before jitter.
    pub max: Duration,
}

impl Backoff {
    /// The wait before try number `attempt + 1`: `min` doubled `attempt - 1` times, at most `max`,
    /// times 0.5 to 1.5 as `random` says, so that many clients do not come back in step.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        let base = self.min.saturating_mul(1 << doublings).min(self.max);
        let per_mille = 500 + u32::try_from(random % 1_001).unwrap_or(0);
        base.saturating_mul(per_mille) / 1_000
    }
}

/// A small reproducible source of random numbers (splitmix64), for jitter and nothing else.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_delay_stays_between_half_the_first_and_one_and_a_half_the_longest(
            attempt in 0_u32..100, random: u64
        ) {
            let backoff = Backoff {
                min: Duration::from_secs(1),
                max: Duration::from_secs(5),
            };
            let delay = backoff.delay(attempt, random);
            prop_assert!(delay >= Duration::from_millis(500));
            prop_assert!(delay <= Duration::from_millis(7_500));
        }
    }

    #[test]
    fn waits_double_until_the_longest() {
        let backoff = Backoff {
            min: Duration::from_secs(1),
            max: Duration::from_secs(5),
        };
        let middle = 500;
        let waits: Vec<u64> = (1..=5)
            .map(|a| backoff.delay(a, middle).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
    }
}
