//! Reproducible chance: every number is a pure function of a key and a position, so that it is the
//! same in whatever order it is asked for. No thread, no channel, no state.

/// 2^64 divided by the golden ratio: consecutive multiples are spread evenly.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// 2^53, the number of steps that a float in [0, 1) can tell apart.
const UNIT_STEPS: f64 = (1_u64 << 53) as f64;

/// A stream of numbers that can be read at any position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed ^ GOLDEN))
    }

    /// Another stream, independent of this one and of those of other parts.
    pub(super) fn of(self, part: u64) -> Self {
        Self(mix(self.0 ^ mix(part.wrapping_mul(GOLDEN).wrapping_add(1))))
    }

    /// 64 even bits.
    pub(super) fn bits(self, at: u64) -> u64 {
        mix(self.0.wrapping_add(at.wrapping_mul(GOLDEN)))
    }

    /// A number in [0, 1).
    pub(super) fn unit(self, at: u64) -> f64 {
        (self.bits(at) >> 11) as f64 / UNIT_STEPS
    }

    /// A number in [low, high).
    pub(super) fn between(self, at: u64, low: f64, high: f64) -> f64 {
        low + self.unit(at) * (high - low)
    }

    /// A whole number in [low, high); `low` where that is empty.
    pub(super) fn pick(self, at: u64, low: u32, high: u32) -> u32 {
        let width = u64::from(high.saturating_sub(low).max(1));
        // The remainder is below `width`, which came from 32 bits.
        low + u32::try_from(self.bits(at) % width).unwrap_or(0)
    }

    /// Smooth noise in [-1, 1] over the line, one independent value for each whole `x` ≥ 0.
    pub(super) fn noise(self, x: f64) -> f64 {
        let cell = x.max(0.0).floor();
        let part = x.max(0.0) - cell;
        let left = self.unit(cell as u64);
        let right = self.unit(cell as u64 + 1);
        let eased = part * part * (3.0 - 2.0 * part);
        2.0 * (left + (right - left) * eased) - 1.0
    }
}

/// Steele, Lea and Flood's finalizer ("Fast splittable pseudorandom number generators", 2014).
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_the_same_in_any_order() {
        let rng = Rng::new(7).of(3);
        let forward: Vec<f64> = (0..10_000).map(|i| rng.unit(i)).collect();
        let backward: Vec<f64> = (0..10_000).rev().map(|i| rng.unit(i)).collect();
        assert!(forward.iter().eq(backward.iter().rev()));
        let mean = forward.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        assert_ne!(rng.bits(0), Rng::new(7).of(4).bits(0));
        assert_ne!(rng.bits(0), Rng::new(8).of(3).bits(0));
    }

    #[test]
    fn noise_is_continuous_and_bounded() {
        let rng = Rng::new(1);
        let mut before = rng.noise(0.0);
        for step in 1..5_000 {
            let here = rng.noise(f64::from(step) / 100.0);
            assert!((-1.0..=1.0).contains(&here));
            assert!((here - before).abs() < 0.05);
            before = here;
        }
    }
}
