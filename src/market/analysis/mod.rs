//! What momentum traders read off a series: averages, levels, patterns, biases, signs to get out. Pure
//! functions over candles, oldest first; with too few of them there is no answer.

mod average;
mod bias;
mod exits;
mod levels;
mod patterns;
mod strength;

pub use average::{VolumeTrend, VwapZone, ema, macd_histogram, volume_trend, vwap};
pub use bias::{Alignment, Bias, Direction, align, bias_1m, bias_5m, bias_15m, bias_day, resample};
pub use exits::{ExitSign, Urgency, jackknife, macd_cross, overall, volume_decline};
pub use levels::{Level, nearest_resistance, nearest_support, resistances, supports};
pub use patterns::{
    Flag, FlagKind, Gap, MicroPullback, flag, green_run, micro_pullback, unfilled_gaps,
};
pub use strength::Strength;

use super::candle::Candle;

/// The highest price of candles; none of none.
#[must_use]
pub fn highest(candles: &[Candle]) -> Option<f64> {
    candles.iter().map(|c| c.high).reduce(f64::max)
}

/// The lowest price of candles; none of none.
#[must_use]
pub fn lowest(candles: &[Candle]) -> Option<f64> {
    candles.iter().map(|c| c.low).reduce(f64::min)
}

/// By how many percent `price` lies above `base`; below it is negative.
#[must_use]
pub fn percent_from(base: f64, price: f64) -> f64 {
    (price - base) / base * 100.0
}

/// The last `n` candles; none if there are fewer.
fn last(candles: &[Candle], n: usize) -> Option<&[Candle]> {
    Some(&candles[candles.len().checked_sub(n)?..])
}

#[expect(clippy::cast_precision_loss, reason = "volumes are far below 2^53")]
fn volume(candle: &Candle) -> f64 {
    candle.volume as f64
}

/// The mean volume of a few candles.
fn mean_volume(candles: &[Candle]) -> f64 {
    let all: f64 = candles.iter().map(volume).sum();
    all / f64::from(u32::try_from(candles.len().max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
pub(super) mod testing {
    use super::Candle;

    /// A candle of the minute `n`: open, high, low, close, volume.
    pub fn candle(n: i64, ohlc: [f64; 4], volume: u64) -> Candle {
        let [open, high, low, close] = ohlc;
        Candle {
            at_ms: n * 60_000,
            open,
            high,
            low,
            close,
            volume,
        }
    }

    /// Minutes that open where the one before closed and touch nothing else.
    pub fn closes(closes: &[f64]) -> Vec<Candle> {
        let mut open = closes.first().copied().unwrap_or(0.0);
        (0..)
            .zip(closes)
            .map(|(n, close)| {
                let c = candle(n, [open, open.max(*close), open.min(*close), *close], 100);
                open = *close;
                c
            })
            .collect()
    }
}
