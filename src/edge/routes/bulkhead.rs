//! Kinds of work. Each has its own connections through the gate (a bulkhead), so that requests of one
//! kind that wait cannot take another's places: two things that can hang apart are two kinds.

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Waits for nobody.
    Instant,
    /// What the trader's files say: nothing to wait for, and up to megabytes to make.
    Files,
    /// Candles of the provider.
    Candles,
    /// Its quotes.
    Quotes,
    /// The trader app's watchlist.
    Watchlist,
    /// Its VWAPs.
    Vwap,
    /// Its stream health and rotation.
    Feed,
    /// Its signals and positions.
    Lists,
    /// Verdicts of the model.
    Validation,
    /// Whether the model is there.
    ModelStatus,
    /// Reports that the watchdog makes now, and drills.
    Dump,
    /// Past reports, from the disk.
    Reports,
}

/// All lanes, in the order of their numbers.
pub const LANES: [Lane; 12] = [
    Lane::Instant,
    Lane::Files,
    Lane::Candles,
    Lane::Quotes,
    Lane::Watchlist,
    Lane::Vwap,
    Lane::Feed,
    Lane::Lists,
    Lane::Validation,
    Lane::ModelStatus,
    Lane::Dump,
    Lane::Reports,
];

impl Lane {
    /// As errors and `/api/threads` name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Files => "runner and history",
            Self::Candles => "candle",
            Self::Quotes => "quote",
            Self::Watchlist => "watchlist",
            Self::Vwap => "VWAP",
            Self::Feed => "stream health",
            Self::Lists => "signal and position",
            Self::Validation => "validation",
            Self::ModelStatus => "model status",
            Self::Dump => "dump and drill",
            Self::Reports => "stall report",
        }
    }

    /// Its place in [`LANES`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_stands_at_its_number() {
        for (n, lane) in LANES.iter().enumerate() {
            assert_eq!(lane.index(), n, "{lane:?}");
        }
    }
}
