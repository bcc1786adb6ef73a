//! Candles and the timeframes that they come in.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// One candle, in the form in which clients get it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Candle {
    /// When it opens, in milliseconds since the Unix epoch.
    #[serde(rename = "timestamp")]
    pub at_ms: i64,
    /// Price of the first trade.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Price of the last trade.
    pub close: f64,
    /// Shares traded.
    pub volume: u64,
}

impl Candle {
    /// Takes in what came after it: another candle of the same time, or a shorter one within it.
    pub fn extend(&mut self, later: &Self) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume = self.volume.saturating_add(later.volume);
    }

    /// Before the first trade of the day the provider sends candles with all prices 0: no data.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.open == 0.0 && self.high == 0.0 && self.low == 0.0 && self.close == 0.0
    }
}

/// A candle's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timeframe {
    /// One minute.
    #[default]
    M1,
    /// Five minutes.
    M5,
    /// Fifteen minutes.
    M15,
    /// One trading day.
    Day,
}

/// A timeframe that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown timeframe {given:?}: use one of 1m, 5m, 15m, D")]
pub struct UnknownTimeframe {
    /// What was given, cut to a readable length.
    pub given: String,
}

impl Timeframe {
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::M1, Self::M5, Self::M15, Self::Day];

    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::Day => "D",
        }
    }

    /// Its length in minutes; none for a day, whose candle covers a session.
    #[must_use]
    pub fn minutes(self) -> Option<u32> {
        match self {
            Self::M1 => Some(1),
            Self::M5 => Some(5),
            Self::M15 => Some(15),
            Self::Day => None,
        }
    }
}

impl FromStr for Timeframe {
    type Err = UnknownTimeframe;

    fn from_str(text: &str) -> Result<Self, UnknownTimeframe> {
        Self::ALL
            .into_iter()
            .find(|t| t.as_str() == text)
            .ok_or_else(|| UnknownTimeframe {
                given: text.chars().take(32).collect(),
            })
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
