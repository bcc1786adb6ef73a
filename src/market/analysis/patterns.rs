//! Shapes that are traded: flags and pennants, micro-pullbacks, gaps, runs of rising candles.

use serde::Serialize;

use super::strength::Strength;
use super::{Candle, highest, lowest, mean_volume, percent_from, volume};

/// Which pattern follows a pole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// A rise, and a rest as wide at its end as at its begin.
    BullFlag,
    /// The same after a fall.
    BearFlag,
    /// A rest that narrows.
    Pennant,
}

impl FlagKind {
    /// "bull flag"
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BullFlag => "bull flag",
            Self::BearFlag => "bear flag",
            Self::Pennant => "pennant",
        }
    }
}

/// A pole of 5 % or more in three to eight candles, and a rest after it that is at most 2 % wide.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Flag {
    /// Which.
    pub kind: FlagKind,
    /// Where the price leaves the rest in the pole's direction.
    pub breakout: f64,
    /// One pole's length beyond.
    pub target: f64,
    /// How well it is formed.
    pub strength: Strength,
}

/// The last seven candles rest in a narrow range under a flat top.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MicroPullback {
    /// The top.
    pub trigger: f64,
    /// The bottom.
    pub stop: f64,
    /// How well it is formed.
    pub strength: Strength,
}

/// A jump between a close and the next open that no later price has closed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// Its upper price.
    pub top: f64,
    /// Its lower price.
    pub bottom: f64,
    /// Its size, of the close before it; negative where the price fell.
    pub percent: f64,
    /// When the candle after it began, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// Candles in which a flag is looked for.
const FLAG_LOOKBACK: usize = 20;

/// The least part of its price that a pole moves.
const POLE_MIN: f64 = 0.05;

/// The widest rest, as a part of its top.
const REST_MAX: f64 = 0.02;

/// Candles of a micro-pullback.
const PULLBACK: usize = 7;

/// How far the highs of a flat top may lie from their mean.
const FLAT_TOP_MAX: f64 = 0.005;

/// Unfilled gaps that are told, the latest.
const GAPS_MAX: usize = 5;

/// Candles in a run of rising ones that are counted.
const RUN_MAX: usize = 10;

/// A flag or pennant in the last 20 candles; with less than 15 none is found.
#[must_use]
pub fn flag(candles: &[Candle]) -> Option<Flag> {
    let recent = &candles[candles.len().saturating_sub(FLAG_LOOKBACK)..];
    if recent.len() < 15 {
        return None;
    }
    let (pole, moved) = longest_pole(recent)?;
    let rest = &recent[pole.end..];
    let (top, bottom) = (highest(rest)?, lowest(rest)?);
    let width = (top - bottom) / top;
    if !(3..=10).contains(&rest.len()) || width > REST_MAX {
        return None;
    }
    let (first, second) = rest.split_at(rest.len() / 2);
    let narrows = highest(second)? - lowest(second)? < (highest(first)? - lowest(first)?) * 0.7;
    let height = (recent[pole.end - 1].close - recent[pole.start].open).abs();
    let (kind, breakout, target) = if moved > 0.0 {
        (FlagKind::BullFlag, top, top + height)
    } else {
        (FlagKind::BearFlag, bottom, bottom - height)
    };
    let size = moved.abs();
    let strength = if size > 0.12 && width < 0.015 || narrows && size > 0.08 {
        Strength::Strong
    } else if size > 0.08 {
        Strength::Moderate
    } else {
        Strength::Weak
    };
    Some(Flag {
        kind: if narrows { FlagKind::Pennant } else { kind },
        breakout,
        target,
        strength,
    })
}

/// The candles of the greatest move with at least five after its begin's window, and how far it went as a
/// part of its first price.
fn longest_pole(recent: &[Candle]) -> Option<(std::ops::Range<usize>, f64)> {
    let mut best: Option<(std::ops::Range<usize>, f64)> = None;
    for length in 3..=8 {
        for start in 0..=recent.len().saturating_sub(length + 5) {
            let pole = start..start + length;
            let open = recent[start].open;
            let moved = (recent[pole.end - 1].close - open) / open;
            let is_more = best.as_ref().is_none_or(|(_, b)| moved.abs() > b.abs());
            if moved.abs() >= POLE_MIN && is_more {
                best = Some((pole, moved));
            }
        }
    }
    best
}

/// A rest of seven candles, at most 2 % high, under a top that is flat to 0.5 %, and not below what came
/// before it.
#[must_use]
pub fn micro_pullback(candles: &[Candle]) -> Option<MicroPullback> {
    if candles.len() < PULLBACK + 3 {
        return None;
    }
    let (earlier, recent) = candles.split_at(candles.len() - PULLBACK);
    let (top, bottom) = (highest(recent)?, lowest(recent)?);
    let width = (top - bottom) / top;
    let count = f64::from(u32::try_from(PULLBACK).unwrap_or(u32::MAX));
    let mean = recent.iter().map(|c| c.high).sum::<f64>() / count;
    let uneven = recent.iter().map(|c| (c.high - mean).abs() / mean);
    let uneven = uneven.fold(0.0, f64::max);
    let before = lowest(&earlier[earlier.len().saturating_sub(5)..])?;
    if width > REST_MAX || uneven > FLAT_TOP_MAX || bottom < before {
        return None;
    }
    let mut strength = if width < 0.01 {
        Strength::Moderate
    } else {
        Strength::Weak
    };
    if volume(recent.last()?) < mean_volume(recent) * 0.8 {
        strength = strength.more();
    }
    if uneven < 0.002 {
        strength = strength.more();
    }
    Some(MicroPullback {
        trigger: top,
        stop: bottom,
        strength,
    })
}

/// The latest five gaps of at least so many percent that nothing has filled since.
#[must_use]
pub fn unfilled_gaps(candles: &[Candle], percent_min: f64) -> Vec<Gap> {
    let mut open: Vec<Gap> = Vec::new();
    for pair in candles.windows(2) {
        let (before, now) = (pair[0].close, &pair[1]);
        let percent = percent_from(before, now.open);
        if before > 0.0 && percent.abs() >= percent_min {
            open.push(Gap {
                top: before.max(now.open),
                bottom: before.min(now.open),
                percent,
                at_ms: now.at_ms,
            });
        }
        open.retain(|gap| {
            if gap.percent > 0.0 {
                now.low > gap.bottom
            } else {
                now.high < gap.top
            }
        });
    }
    open.split_off(open.len().saturating_sub(GAPS_MAX))
}

/// How many of the last candles rose one after the other, ten at most.
#[must_use]
pub fn green_run(candles: &[Candle]) -> usize {
    let latest = candles.iter().rev().take(RUN_MAX);
    latest.take_while(|c| c.close > c.open).count()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{candle, closes};
    use super::*;

    /// Eight flat candles, a pole of five to 11, a rest of seven between 10.9 and 11.
    fn flagged() -> Vec<Candle> {
        let mut all = vec![10.0; 8];
        all.extend([10.2, 10.4, 10.6, 10.8, 11.0]);
        let mut c = closes(&all);
        for n in 13..20 {
            c.push(candle(n, [10.95, 11.0, 10.9, 10.95], 50));
        }
        c
    }

    #[test]
    fn a_pole_and_a_narrow_rest_are_a_flag_with_a_target_one_pole_away() {
        let flag = flag(&flagged()).unwrap();
        assert_eq!(flag.kind, FlagKind::BullFlag);
        assert_eq!(flag.breakout, 11.0);
        assert!((flag.target - 12.0).abs() < 1e-9, "{flag:?}");
        assert_eq!(flag.strength, Strength::Moderate);
        assert_eq!(super::flag(&flagged()[6..]), None, "too few");
        assert_eq!(super::flag(&closes(&[10.0; 20])), None, "no pole");
    }

    #[test]
    fn a_fall_makes_a_bear_flag_and_a_rest_that_narrows_a_pennant() {
        let mirrored: Vec<Candle> = flagged()
            .iter()
            .map(|c| Candle {
                open: 20.0 - c.open,
                high: 20.0 - c.low,
                low: 20.0 - c.high,
                close: 20.0 - c.close,
                ..*c
            })
            .collect();
        let bear = flag(&mirrored).unwrap();
        assert_eq!(bear.kind, FlagKind::BearFlag);
        assert!((bear.target - 8.0).abs() < 1e-9, "{bear:?}");
        let mut narrows = flagged();
        for c in &mut narrows[16..] {
            (c.high, c.low) = (10.96, 10.94);
        }
        let pennant = flag(&narrows).unwrap();
        assert_eq!(pennant.kind, FlagKind::Pennant);
        assert_eq!(pennant.strength, Strength::Strong);
    }

    #[test]
    fn a_rest_under_a_flat_top_is_a_micro_pullback() {
        let found = micro_pullback(&flagged()).unwrap();
        assert_eq!((found.trigger, found.stop), (11.0, 10.9));
        assert_eq!(found.strength, Strength::Strong);
        let mut broken = flagged();
        broken[19].low = 9.0;
        assert_eq!(micro_pullback(&broken), None);
        assert_eq!(micro_pullback(&flagged()[11..]), None, "too few");
    }

    #[test]
    fn a_gap_is_told_until_a_price_fills_it() {
        let mut c = vec![
            candle(0, [10.0; 4], 1),
            candle(1, [10.5, 10.6, 10.4, 10.5], 1),
            candle(2, [10.3, 10.4, 10.1, 10.2], 1),
        ];
        let gaps = unfilled_gaps(&c, 1.0);
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert_eq!(
            (gaps[0].bottom, gaps[0].top, gaps[0].at_ms),
            (10.0, 10.5, 60_000)
        );
        assert!((gaps[0].percent - 5.0).abs() < 1e-9 && gaps[1].percent < 0.0);
        c.push(candle(3, [10.2, 10.2, 10.0, 10.1], 1));
        let left = unfilled_gaps(&c, 1.0);
        assert_eq!(left.len(), 1, "the upward one was filled: {left:?}");
        assert!(unfilled_gaps(&c, 20.0).is_empty());
    }

    #[test]
    fn a_run_ends_at_the_first_candle_that_did_not_rise() {
        assert_eq!(green_run(&closes(&[3.0, 2.0, 2.5, 3.0])), 2);
        assert_eq!(green_run(&closes(&[3.0, 2.0])), 0);
        let long: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(green_run(&closes(&long)), 10);
    }
}
