//! Events of the trader app's stream.

use serde::{Deserialize, Serialize};

/// The stream's event `quote_update`, merged: after a symbol's first one only changed fields come. A
/// `trade_time_ms` or `last_price` of 0 is a snapshot from before the first trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StreamQuote {
    /// Upper case.
    pub symbol: String,
    /// In dollars.
    pub last_price: f64,
    /// In dollars.
    pub bid_price: f64,
    /// In dollars.
    pub ask_price: f64,
    /// Shares traded so far today.
    pub total_volume: u64,
    /// Shares of the last trade.
    pub last_size: u64,
    /// The day's highest price, in dollars.
    pub high_price: f64,
    /// Its lowest.
    pub low_price: f64,
    /// Its first.
    pub open_price: f64,
    /// The last price less the close before, in dollars.
    pub net_change: f64,
    /// When bid or ask were last set, in milliseconds since the Unix epoch.
    pub quote_time_ms: i64,
    /// When it was last traded.
    pub trade_time_ms: i64,
}

/// The stream's event `volume_spike`: more volume than usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct VolumeSpike {
    /// Upper case.
    pub symbol: String,
    /// The current rate against the average.
    pub spike_ratio: f64,
    /// Shares a minute now.
    pub current_rate_per_min: f64,
    /// Shares a minute before.
    pub average_rate_per_min: f64,
    /// The ratio from which on it counts as a spike.
    pub threshold: f64,
    /// Whether it is the first hour of the regular session, which has its own threshold.
    pub first_hour: bool,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
}
