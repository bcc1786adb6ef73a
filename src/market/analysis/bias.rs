//! Which way each timeframe points, and whether they agree.

use serde::Serialize;

use super::{Candle, highest, last, lowest, percent_from};

/// Which way a series points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Up.
    Bullish,
    /// Down.
    Bearish,
    /// Neither.
    Neutral,
}

impl Direction {
    /// "bullish"
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bullish => "bullish",
            Self::Bearish => "bearish",
            Self::Neutral => "neutral",
        }
    }
}

/// A direction, and what it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bias {
    /// Which way.
    pub direction: Direction,
    /// "higher highs and lows"
    pub reason: &'static str,
}

/// What several timeframes say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Alignment {
    /// That of the most, if at least two point there and fewer to the other side.
    pub direction: Direction,
    /// How many are bullish …
    pub bullish: usize,
    /// … of so many that are known.
    pub known: usize,
}

const fn bias(direction: Direction, reason: &'static str) -> Option<Bias> {
    Some(Bias { direction, reason })
}

use Direction::{Bearish, Bullish, Neutral};

/// Of one-minute candles: five that rise or fall in highs and lows, else the last one's push.
#[must_use]
pub fn bias_1m(candles: &[Candle]) -> Option<Bias> {
    let recent = last(candles, 5)?;
    let pairs = || recent.windows(2);
    if pairs().all(|w| w[1].high >= w[0].high && w[1].low >= w[0].low) {
        return bias(Bullish, "higher highs and lows");
    }
    if pairs().all(|w| w[1].high <= w[0].high && w[1].low <= w[0].low) {
        return bias(Bearish, "lower highs and lows");
    }
    let (before, now) = (&recent[3], &recent[4]);
    if now.close > now.open && now.close > before.close {
        return bias(Bullish, "bullish momentum");
    }
    if now.close < now.open && now.close < before.close {
        return bias(Bearish, "bearish momentum");
    }
    bias(Neutral, "consolidating")
}

/// Of five-minute candles: three with lows that do not fall, or highs that do not rise, by more than
/// 0.2 %.
#[must_use]
pub fn bias_5m(candles: &[Candle]) -> Option<Bias> {
    let recent = last(candles, 3)?;
    if recent.windows(2).all(|w| w[1].low >= w[0].low * 0.998) {
        return bias(Bullish, "higher lows");
    }
    if recent.windows(2).all(|w| w[1].high <= w[0].high * 1.002) {
        return bias(Bearish, "lower highs");
    }
    bias(Neutral, "in a range")
}

/// Of fifteen-minute candles: where the last price lies from the VWAP, by 1 %; without one from the mean
/// of the last three closes, by 0.5 %.
#[must_use]
pub fn bias_15m(candles: &[Candle], vwap: Option<f64>) -> Option<Bias> {
    let price = candles.last()?.close;
    if let Some(vwap) = vwap.filter(|v| *v > 0.0) {
        return match percent_from(vwap, price) {
            d if d > 1.0 => bias(Bullish, "above VWAP"),
            d if d < -1.0 => bias(Bearish, "below VWAP"),
            _ => bias(Neutral, "near VWAP"),
        };
    }
    let mean = last(candles, 3)?.iter().map(|c| c.close).sum::<f64>() / 3.0;
    match percent_from(mean, price) {
        d if d > 0.5 => bias(Bullish, "uptrend"),
        d if d < -0.5 => bias(Bearish, "downtrend"),
        _ => bias(Neutral, "sideways"),
    }
}

/// Of a session's candles: in which third of the session's range the last price lies.
#[must_use]
pub fn bias_day(session: &[Candle]) -> Option<Bias> {
    let price = session.last()?.close;
    let (high, low) = (highest(session)?, lowest(session)?);
    if high <= low {
        return bias(Neutral, "no range yet");
    }
    match (price - low) / (high - low) {
        p if p > 0.66 => bias(Bullish, "in the upper third of its day"),
        p if p < 0.33 => bias(Bearish, "in the lower third of its day"),
        _ => bias(Neutral, "in the middle of its day"),
    }
}

/// What the known ones of several biases say together.
#[must_use]
pub fn align(biases: &[Option<Bias>]) -> Alignment {
    let known: Vec<Direction> = biases.iter().flatten().map(|b| b.direction).collect();
    let count = |wanted| known.iter().filter(|d| **d == wanted).count();
    let (bullish, bearish) = (count(Bullish), count(Bearish));
    let direction = if bullish > bearish && bullish >= 2 {
        Bullish
    } else if bearish > bullish && bearish >= 2 {
        Bearish
    } else {
        Neutral
    };
    Alignment {
        direction,
        bullish,
        known: known.len(),
    }
}

/// Longer candles of one-minute ones, on the clock's multiples; the last one only if its last minute is
/// there.
#[must_use]
pub fn resample(minutes: &[Candle], length_minutes: u32) -> Vec<Candle> {
    let length_ms = i64::from(length_minutes.max(1)) * 60_000;
    let start = |c: &Candle| c.at_ms.div_euclid(length_ms) * length_ms;
    let mut longer: Vec<Candle> = Vec::new();
    for minute in minutes {
        match longer.last_mut() {
            Some(one) if one.at_ms == start(minute) => one.extend(minute),
            _ => longer.push(Candle {
                at_ms: start(minute),
                ..*minute
            }),
        }
    }
    let is_whole = minutes
        .last()
        .is_none_or(|c| c.at_ms + 60_000 >= start(c) + length_ms);
    if !is_whole {
        longer.pop();
    }
    longer
}

#[cfg(test)]
mod tests {
    use super::super::testing::{candle, closes};
    use super::*;

    fn direction(bias: Option<Bias>) -> Direction {
        bias.unwrap().direction
    }

    #[test]
    fn a_minute_bias_is_read_from_five_candles_and_then_from_the_last() {
        let up = closes(&[1.0, 1.1, 1.2, 1.3, 1.4]);
        assert_eq!(bias_1m(&up), bias(Bullish, "higher highs and lows"));
        assert_eq!(bias_1m(&up[1..]), None);
        let down = closes(&[1.4, 1.3, 1.2, 1.1, 1.0]);
        assert_eq!(bias_1m(&down), bias(Bearish, "lower highs and lows"));
        let push = closes(&[1.0, 1.2, 1.0, 1.1, 1.3]);
        assert_eq!(bias_1m(&push), bias(Bullish, "bullish momentum"));
        let drop = closes(&[1.0, 1.2, 1.0, 1.1, 1.05]);
        assert_eq!(bias_1m(&drop), bias(Bearish, "bearish momentum"));
    }

    #[test]
    fn longer_biases_have_their_tolerances() {
        let of = |lows: [f64; 3]| -> Vec<Candle> {
            (0..)
                .zip(lows)
                .map(|(n, l)| candle(n, [l, l + 0.1, l, l], 1))
                .collect()
        };
        assert_eq!(direction(bias_5m(&of([1.0, 0.999, 0.998]))), Bullish);
        assert_eq!(direction(bias_5m(&of([1.0, 0.95, 0.94]))), Bearish);
        assert_eq!(direction(bias_5m(&of([1.0, 1.5, 1.2]))), Neutral);
        let flat = closes(&[10.0, 10.0, 10.0]);
        assert_eq!(bias_15m(&flat, Some(9.8)), bias(Bullish, "above VWAP"));
        assert_eq!(bias_15m(&flat, Some(10.05)), bias(Neutral, "near VWAP"));
        assert_eq!(bias_15m(&flat, Some(10.2)), bias(Bearish, "below VWAP"));
        assert_eq!(bias_15m(&flat, None), bias(Neutral, "sideways"));
        let rising = closes(&[9.0, 9.5, 10.0]);
        assert_eq!(bias_15m(&rising, None), bias(Bullish, "uptrend"));
        assert_eq!(direction(bias_day(&rising)), Bullish);
        assert_eq!(direction(bias_day(&closes(&[10.0, 9.5, 9.0]))), Bearish);
        assert_eq!(direction(bias_day(&closes(&[10.0, 9.0, 9.5]))), Neutral);
        assert_eq!(direction(bias_day(&closes(&[10.0]))), Neutral);
        assert_eq!(bias_day(&[]), None);
    }

    #[test]
    fn two_that_agree_and_are_more_decide() {
        let of = |directions: &[Direction]| {
            let all: Vec<_> = directions.iter().map(|d| bias(*d, "")).collect();
            align(&all)
        };
        let most = of(&[Bullish, Bullish, Bearish, Neutral]);
        assert_eq!((most.direction, most.bullish, most.known), (Bullish, 2, 4));
        assert_eq!(of(&[Bullish, Bearish, Bearish]).direction, Bearish);
        assert_eq!(of(&[Bullish, Bullish, Bearish, Bearish]).direction, Neutral);
        assert_eq!(of(&[Bullish]).direction, Neutral);
        assert_eq!(align(&[None, None]).known, 0);
    }

    #[test]
    fn longer_candles_stand_on_the_clock_and_are_whole() {
        let minutes: Vec<Candle> = (3..11)
            .map(|n| candle(n, [1.0, 2.0 + n as f64, 0.5, n as f64], 10))
            .collect();
        let five = resample(&minutes, 5);
        let starts: Vec<i64> = five.iter().map(|c| c.at_ms / 60_000).collect();
        assert_eq!(starts, [0, 5], "the one that began at 10 is not over");
        assert_eq!(
            (five[1].volume, five[1].close, five[1].high),
            (50, 9.0, 11.0)
        );
        assert!(resample(&[], 5).is_empty());
    }
}
