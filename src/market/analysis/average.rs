//! Averages: volume-weighted and exponential, and what is read off them.

use serde::Serialize;

use super::{Candle, last, mean_volume, volume};

/// How far a price lies from the VWAP, as entries are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VwapZone {
    /// Within 2.5 %: where entries are best.
    Green,
    /// Within 3.5 %: extended.
    Yellow,
    /// Beyond: who buys chases.
    Red,
}

impl VwapZone {
    /// The zone of a distance in percent, to either side.
    #[must_use]
    pub fn of(distance_percent: f64) -> Self {
        match distance_percent.abs() {
            d if d <= 2.5 => Self::Green,
            d if d <= 3.5 => Self::Yellow,
            _ => Self::Red,
        }
    }

    /// "GREEN"
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "GREEN",
            Self::Yellow => "YELLOW",
            Self::Red => "RED",
        }
    }
}

/// Whether trading quickens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeTrend {
    /// The last five candles have 10 % more than the five before.
    Increasing,
    /// Neither.
    Steady,
    /// They have 10 % less.
    Declining,
}

impl VolumeTrend {
    /// "increasing"
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Increasing => "increasing",
            Self::Steady => "steady",
            Self::Declining => "declining",
        }
    }
}

/// The volume-weighted average of the candles' typical prices, (high + low + close) / 3; none where
/// nothing was traded. A VWAP is of one session: who asks gives that session's candles.
#[must_use]
pub fn vwap(candles: &[Candle]) -> Option<f64> {
    let (paid, shares) = candles.iter().fold((0.0, 0.0), |(paid, shares), c| {
        let typical = (c.high + c.low + c.close) / 3.0;
        (paid + typical * volume(c), shares + volume(c))
    });
    (shares > 0.0).then(|| paid / shares)
}

/// The exponential moving average of closes after the last candle: it begins with the mean of the first
/// `period` closes, and each later one weighs 2 / (period + 1).
#[must_use]
pub fn ema(candles: &[Candle], period: u32) -> Option<f64> {
    let closes: Vec<f64> = candles.iter().map(|c| c.close).collect();
    emas(&closes, period).last().copied()
}

/// The histogram of MACD (12, 26, 9): how far the difference of both averages lies above its own average.
#[must_use]
pub fn macd_histogram(candles: &[Candle]) -> Option<f64> {
    let closes: Vec<f64> = candles.iter().map(|c| c.close).collect();
    let (fast, slow) = (emas(&closes, 12), emas(&closes, 26));
    // Both end with the last candle; the slow one begins later.
    let behind = fast.len().checked_sub(slow.len())?;
    let line: Vec<f64> = fast[behind..]
        .iter()
        .zip(&slow)
        .map(|(f, s)| f - s)
        .collect();
    Some(line.last()? - emas(&line, 9).last()?)
}

/// Whether the last five candles have more volume than the five before, or less.
#[must_use]
pub fn volume_trend(candles: &[Candle]) -> Option<VolumeTrend> {
    let (before, recent) = last(candles, 10)?.split_at(5);
    let (before, recent) = (mean_volume(before), mean_volume(recent));
    Some(if recent > before * 1.1 {
        VolumeTrend::Increasing
    } else if recent < before * 0.9 {
        VolumeTrend::Declining
    } else {
        VolumeTrend::Steady
    })
}

/// One average for each value from the `period`th on.
fn emas(values: &[f64], period: u32) -> Vec<f64> {
    let first = usize::try_from(period).unwrap_or(usize::MAX);
    if period == 0 || values.len() < first {
        return Vec::new();
    }
    let weight = 2.0 / (f64::from(period) + 1.0);
    let mut ema = values[..first].iter().sum::<f64>() / f64::from(period);
    let mut all = vec![ema];
    for value in &values[first..] {
        ema += (value - ema) * weight;
        all.push(ema);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::testing::{candle, closes};
    use super::*;

    #[test]
    fn vwap_weighs_typical_prices_by_volume() {
        let two = [
            candle(0, [10.0, 12.0, 9.0, 12.0], 100),  // typical 11
            candle(1, [12.0, 15.0, 12.0, 15.0], 300), // typical 14
        ];
        assert_eq!(vwap(&two), Some(13.25));
        assert_eq!(vwap(&[candle(0, [1.0; 4], 0)]), None);
    }

    #[test]
    fn an_ema_begins_with_the_mean_and_needs_as_many_candles() {
        let c = closes(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(ema(&c[..2], 3), None);
        assert_eq!(ema(&c[..3], 3), Some(2.0));
        // 2 + (4 - 2) / 2 = 3, 3 + (5 - 3) / 2 = 4
        assert_eq!(ema(&c, 3), Some(4.0));
    }

    #[test]
    fn macd_is_flat_on_a_line_and_turns_with_the_price() {
        let line: Vec<f64> = (0..60).map(|n| 2.0 + 0.1 * f64::from(n)).collect();
        assert!(macd_histogram(&closes(&line[..33])).is_none());
        let flat = macd_histogram(&closes(&line)).unwrap();
        assert!(flat.abs() < 1e-3, "{flat}");
        let mut turned = line.clone();
        turned.extend([7.0, 6.5, 6.0]);
        assert!(macd_histogram(&closes(&turned)).unwrap() < -0.05);
    }

    #[test]
    fn zones_and_volume_trends_have_their_limits() {
        let zones = [0.0, -2.5, 2.6, -3.5, 3.6].map(VwapZone::of);
        use VwapZone::{Green, Red, Yellow};
        assert_eq!(zones, [Green, Green, Yellow, Yellow, Red]);
        let of = |v: u64| -> Vec<_> {
            (0..10)
                .map(|n| candle(n, [1.0; 4], if n < 5 { 100 } else { v }))
                .collect()
        };
        assert_eq!(volume_trend(&of(111)), Some(VolumeTrend::Increasing));
        assert_eq!(volume_trend(&of(110)), Some(VolumeTrend::Steady));
        assert_eq!(volume_trend(&of(89)), Some(VolumeTrend::Declining));
        assert_eq!(volume_trend(&of(89)[1..]), None);
    }
}
