//! Where to get in and out, and the first pullback.

use serde::Serialize;

use crate::market::Candle;
use crate::market::analysis::green_run;

use super::{Catalyst, Near, Runner, Timing, VwapView};

/// Without a better one a stop is this part of the price.
const STOP_PART: f64 = 0.95;

/// A first pullback is within so many minutes of the open …
const PULLBACK_MINUTES_MAX: i64 = 120;
/// … no further below the VWAP …
const PULLBACK_PERCENT_MIN: f64 = -15.0;
/// … at this multiple of the usual volume …
const PULLBACK_VOLUME_MIN: f64 = 50.0;
/// … and bought for so many candles.
const PULLBACK_RUN_MIN: usize = 2;

/// A trade: where to enter, where to get out, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// A runner's first entry zone, else the VWAP, else the price.
    pub entry: f64,
    /// A runner's stop zone, else the support or 5 % below the price, whichever is lower.
    pub stop: f64,
    /// What a share can lose.
    pub risk: f64,
    /// The same of the entry.
    pub risk_percent: f64,
    /// Twice the risk above the entry.
    pub target_2r: f64,
    /// Three times.
    pub target_3r: f64,
}

impl Plan {
    pub(super) fn of(
        price: Option<f64>,
        vwap: Option<&VwapView>,
        support: Option<&Near>,
        runner: Option<&Runner>,
    ) -> Option<Self> {
        let price = price?;
        let zone = runner.and_then(|r| r.entry_zones.first()).map(|z| z.price);
        let entry = zone.or_else(|| vwap.map(|v| v.price)).unwrap_or(price);
        let low = price * STOP_PART;
        let stop = runner
            .and_then(|r| r.stop_zone.as_ref())
            .map_or_else(|| support.map_or(low, |s| s.price.min(low)), |z| z.price);
        // A price that has fallen below what was meant to be the stop makes no trade without one.
        let stop = if stop < entry {
            stop
        } else {
            entry * STOP_PART
        };
        let risk = entry - stop;
        Some(Self {
            entry,
            stop,
            risk,
            risk_percent: risk / entry * 100.0,
            target_2r: entry + 2.0 * risk,
            target_3r: entry + 3.0 * risk,
        })
    }
}

/// A panic of the morning into support that is being bought: in the first two hours, below the VWAP, at
/// fifty times the usual volume, with a catalyst and at least two rising candles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FirstPullback {
    /// How far below the VWAP; negative.
    pub vwap_distance_percent: f64,
    /// The volume's multiple.
    pub volume_ratio: f64,
    /// Rising candles.
    pub green_candles: usize,
    /// Minutes since the open.
    pub minutes_since_open: i64,
}

impl FirstPullback {
    pub(super) fn find(
        price: Option<f64>,
        vwap: Option<&VwapView>,
        volume_ratio: Option<f64>,
        catalyst: &Catalyst,
        candles: &[Candle],
        timing: &Timing,
    ) -> Option<Self> {
        price?;
        let found = Self {
            vwap_distance_percent: vwap?.distance_percent?,
            volume_ratio: volume_ratio?,
            green_candles: green_run(candles),
            minutes_since_open: timing.minutes_since_open,
        };
        let is_one = found.minutes_since_open <= PULLBACK_MINUTES_MAX
            && (PULLBACK_PERCENT_MIN..0.0).contains(&found.vwap_distance_percent)
            && found.volume_ratio >= PULLBACK_VOLUME_MIN
            && catalyst.is_there()
            && found.green_candles >= PULLBACK_RUN_MIN;
        is_one.then_some(found)
    }
}
