//! Support and resistance: prices at which a series turned, those near each other taken as one.

use serde::Serialize;

use super::strength::Strength;
use super::{Candle, highest, last, lowest};

/// How many candles are looked at.
const LOOKBACK: usize = 50;

/// Turns nearer to each other than this part of their price are of one level.
const NEAR: f64 = 0.005;

/// Levels of each kind that are told.
const LEVELS_MAX: usize = 3;

/// A price at which a series turned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Level {
    /// The mean of the turns.
    pub price: f64,
    /// How many there were.
    pub touches: u32,
    /// The same in a word.
    pub strength: Strength,
}

/// Prices at which the last 50 candles turned down, the most often touched first, three at most.
#[must_use]
pub fn resistances(candles: &[Candle]) -> Vec<Level> {
    let Some(recent) = last(candles, LOOKBACK) else {
        return Vec::new();
    };
    let mut turns = turns(recent, |c| c.high);
    turns.extend(highest(&recent[LOOKBACK - 5..]));
    levels(&turns)
}

/// Prices at which the last 50 candles turned up, as [`resistances`].
#[must_use]
pub fn supports(candles: &[Candle]) -> Vec<Level> {
    let Some(recent) = last(candles, LOOKBACK) else {
        return Vec::new();
    };
    let mut turns: Vec<f64> = turns(recent, |c| -c.low).iter().map(|p| -p).collect();
    turns.extend(lowest(&recent[LOOKBACK - 5..]));
    levels(&turns)
}

/// The lowest of these levels that lies above a price.
#[must_use]
pub fn nearest_resistance(levels: &[Level], price: f64) -> Option<Level> {
    let above = levels.iter().filter(|l| l.price > price);
    above.min_by(|a, b| a.price.total_cmp(&b.price)).copied()
}

/// The highest of these levels that lies below a price.
#[must_use]
pub fn nearest_support(levels: &[Level], price: f64) -> Option<Level> {
    let below = levels.iter().filter(|l| l.price < price);
    below.max_by(|a, b| a.price.total_cmp(&b.price)).copied()
}

/// Heights above both two before and both two after.
fn turns(candles: &[Candle], height: impl Fn(&Candle) -> f64) -> Vec<f64> {
    candles
        .windows(5)
        .filter_map(|w| {
            let middle = height(&w[2]);
            let is_top = [0, 1, 3, 4].iter().all(|n| height(&w[*n]) < middle);
            is_top.then_some(middle)
        })
        .collect()
}

fn levels(turns: &[f64]) -> Vec<Level> {
    let mut found: Vec<(f64, u32)> = Vec::new();
    for price in turns {
        let near = |(level, _): &&mut (f64, u32)| ((*level - price) / *level).abs() < NEAR;
        match found.iter_mut().find(near) {
            Some((level, touches)) => {
                *level = (*level * f64::from(*touches) + price) / f64::from(*touches + 1);
                *touches += 1;
            }
            None => found.push((*price, 1)),
        }
    }
    // Stable: of equals the earlier stays first.
    found.sort_by_key(|(_, touches)| std::cmp::Reverse(*touches));
    found.truncate(LEVELS_MAX);
    let level = |(price, touches)| Level {
        price,
        touches,
        strength: match touches {
            0 | 1 => Strength::Weak,
            2 => Strength::Moderate,
            _ => Strength::Strong,
        },
    };
    found.into_iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::candle;
    use super::*;

    /// Up and down between 10 and 11, ten minutes each way.
    fn waves() -> Vec<Candle> {
        (0..60)
            .map(|n| {
                let step = (n % 20) as f64;
                let p = 10.0 + if step <= 10.0 { step } else { 20.0 - step } / 10.0;
                candle(n, [p, p + 0.02, p - 0.02, p], 100)
            })
            .collect()
    }

    #[test]
    fn turns_at_the_same_price_make_a_level_of_their_number() {
        let waves = waves();
        let tops = resistances(&waves);
        assert!((tops[0].price - 11.02).abs() < 1e-9, "{tops:?}");
        assert_eq!((tops[0].touches, tops[0].strength), (2, Strength::Moderate));
        let bottoms = supports(&waves);
        assert!((bottoms[0].price - 9.98).abs() < 1e-9, "{bottoms:?}");
        let above = nearest_resistance(&tops, 10.6).unwrap();
        assert!((above.price - 11.02).abs() < 1e-9);
        assert!(nearest_support(&bottoms, 10.5).unwrap().price < 10.5);
        assert_eq!(nearest_resistance(&tops, 12.0), None);
    }

    #[test]
    fn fewer_candles_than_are_looked_at_have_no_levels() {
        assert!(resistances(&waves()[..49]).is_empty());
        assert!(supports(&[]).is_empty());
    }
}
