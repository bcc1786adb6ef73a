//! Signs that it is time to get out.

use serde::Serialize;

use super::{Candle, last, macd_histogram, mean_volume};

/// How much a sign says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Nothing.
    Ok,
    /// Watch it.
    Warning,
    /// Get out.
    Exit,
}

/// One sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExitSign {
    /// How much it says.
    pub urgency: Urgency,
    /// In words.
    pub reason: String,
}

impl ExitSign {
    /// "WARNING: momentum weakens"
    #[must_use]
    pub fn words(&self) -> String {
        let urgency = match self.urgency {
            Urgency::Ok => "OK",
            Urgency::Warning => "WARNING",
            Urgency::Exit => "EXIT",
        };
        format!("{urgency}: {}", self.reason)
    }
}

fn sign(urgency: Urgency, reason: impl Into<String>) -> Option<ExitSign> {
    let reason = reason.into();
    Some(ExitSign { urgency, reason })
}

/// MACD: whether its histogram turned negative with the last candle, weakens, or is negative.
#[must_use]
pub fn macd_cross(candles: &[Candle]) -> Option<ExitSign> {
    let now = macd_histogram(candles)?;
    let before = macd_histogram(&candles[..candles.len() - 1]);
    match before {
        Some(before) if before > 0.0 && now < 0.0 => {
            sign(Urgency::Exit, "crossed its signal downwards")
        }
        Some(before) if now > 0.0 && now < before => sign(Urgency::Warning, "momentum weakens"),
        _ if now > 0.0 => sign(Urgency::Ok, "bullish momentum"),
        _ => sign(Urgency::Warning, "below its signal"),
    }
}

/// Volume: whether the last five candles have less than 70 %, or half, of the five before.
#[must_use]
pub fn volume_decline(candles: &[Candle]) -> Option<ExitSign> {
    let (before, recent) = last(candles, 10)?.split_at(5);
    let before = mean_volume(before);
    if before <= 0.0 {
        return None;
    }
    let part = mean_volume(recent) / before;
    let down = format!("volume down {:.0} %", (1.0 - part) * 100.0);
    match part {
        p if p < 0.5 => sign(Urgency::Exit, down),
        p if p < 0.7 => sign(Urgency::Warning, down),
        _ => sign(Urgency::Ok, "volume holds"),
    }
}

/// A spike that was sold: the last of five candles falls and closes more than 2 %, or 3 %, below the
/// high of those before it.
#[must_use]
pub fn jackknife(candles: &[Candle]) -> Option<ExitSign> {
    let recent = last(candles, 5)?;
    let (now, before) = recent.split_last()?;
    let high = before.iter().map(|c| c.high).fold(f64::MIN, f64::max);
    let below = (high - now.close) / high * 100.0;
    if now.high > high || now.close >= now.open || below <= 2.0 {
        return sign(Urgency::Ok, "no rejection");
    }
    let words = format!("rejected {below:.1} % below the high");
    sign(
        if below > 3.0 {
            Urgency::Exit
        } else {
            Urgency::Warning
        },
        words,
    )
}

/// The most urgent of the signs that are known: "EXIT", "CAUTION" or "HOLD".
#[must_use]
pub fn overall(signs: &[&Option<ExitSign>]) -> Option<&'static str> {
    let most = signs
        .iter()
        .filter_map(|s| s.as_ref())
        .map(|s| s.urgency)
        .max()?;
    Some(match most {
        Urgency::Exit => "EXIT",
        Urgency::Warning => "CAUTION",
        Urgency::Ok => "HOLD",
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{candle, closes};
    use super::*;

    fn urgency(sign: Option<ExitSign>) -> Urgency {
        sign.unwrap().urgency
    }

    #[test]
    fn macd_tells_a_cross_a_weakening_and_a_rise() {
        let rise = |n: u32| 2.0 + f64::from(n * n) / 500.0;
        let mut prices: Vec<f64> = (0..60).map(rise).collect();
        assert_eq!(urgency(macd_cross(&closes(&prices))), Urgency::Ok);
        prices.push(prices[59]);
        assert_eq!(urgency(macd_cross(&closes(&prices))), Urgency::Warning);
        let crossing = (0..40).find_map(|_| {
            prices.push(prices[prices.len() - 1] - 0.1);
            let sign = macd_cross(&closes(&prices))?;
            (sign.urgency == Urgency::Exit).then_some(prices.len())
        });
        assert!(crossing.is_some(), "a long fall crosses the signal once");
        prices.push(1.0);
        assert_eq!(urgency(macd_cross(&closes(&prices))), Urgency::Warning);
        assert_eq!(macd_cross(&closes(&prices[..33])), None);
    }

    #[test]
    fn volume_is_told_at_seven_tenths_and_a_half() {
        let of = |v: u64| -> Vec<_> {
            (0..10)
                .map(|n| candle(n, [1.0; 4], if n < 5 { 100 } else { v }))
                .collect()
        };
        assert_eq!(urgency(volume_decline(&of(70))), Urgency::Ok);
        assert_eq!(urgency(volume_decline(&of(69))), Urgency::Warning);
        assert_eq!(
            volume_decline(&of(40)).unwrap().words(),
            "EXIT: volume down 60 %"
        );
        assert_eq!(volume_decline(&of(1)[2..]), None);
    }

    #[test]
    fn a_sold_spike_is_told_by_how_far_it_fell() {
        let spike = |close: f64| {
            let mut c = closes(&[10.0, 10.0, 10.0]);
            c.push(candle(3, [10.0, 11.0, 10.0, 10.9], 1));
            c.push(candle(4, [10.9, 10.9, close, close], 1));
            c
        };
        assert_eq!(urgency(jackknife(&spike(10.85))), Urgency::Ok);
        assert_eq!(urgency(jackknife(&spike(10.75))), Urgency::Warning);
        assert_eq!(urgency(jackknife(&spike(10.0))), Urgency::Exit);
        assert_eq!(jackknife(&spike(10.0)[1..]), None);
    }

    #[test]
    fn the_most_urgent_sign_counts() {
        let of = |u| sign(u, "x");
        assert_eq!(overall(&[&of(Urgency::Ok), &None]), Some("HOLD"));
        assert_eq!(
            overall(&[&of(Urgency::Warning), &of(Urgency::Ok)]),
            Some("CAUTION")
        );
        assert_eq!(
            overall(&[&of(Urgency::Exit), &of(Urgency::Warning)]),
            Some("EXIT")
        );
        assert_eq!(overall(&[&None]), None);
    }
}
