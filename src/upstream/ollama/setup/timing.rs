//! Where in its day a set-up is.

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::market::{NEW_YORK, Phase, Session};

use super::number;

/// How old the morning's momentum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// In the first hour, or before the open.
    Fresh,
    /// In the second.
    Aging,
    /// In the third.
    Stale,
    /// Later.
    Expired,
}

impl Freshness {
    /// "fresh"
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Aging => "aging",
            Self::Stale => "stale",
            Self::Expired => "expired",
        }
    }
}

/// Where in its day a set-up is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// "09:47 AM" in New York.
    pub time: String,
    /// Since 09:30 of the trading day; 0 before.
    pub minutes_since_open: i64,
    /// "PREMARKET", "PRIME_TIME", "MORNING", "LUNCH", "AFTERNOON", "POWER_HOUR", "AFTER_HOURS" or "CLOSED"
    pub window: &'static str,
    /// How old the morning's momentum is.
    pub freshness: Freshness,
    /// Days since a runner's first gap; 0 for what is none.
    pub gap_age_days: f64,
}

impl Timing {
    pub(super) fn of(session: &Session, now_ms: i64, runner: Option<&Map<String, Value>>) -> Self {
        let open_ms = session.at_ms(session.trading_day(now_ms), 9, 30);
        let minutes = ((now_ms - open_ms) / 60_000).max(0);
        let zone = TimeZone::get(NEW_YORK).unwrap_or(TimeZone::UTC);
        let local = jiff::Timestamp::from_millisecond(now_ms)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned_datetime(zone);
        Self {
            time: local.strftime("%I:%M %p").to_string(),
            minutes_since_open: minutes,
            window: match session.phase(now_ms) {
                Phase::Pre => "PREMARKET",
                Phase::Regular => window(minutes),
                Phase::After => "AFTER_HOURS",
                Phase::Closed => "CLOSED",
            },
            freshness: match minutes {
                ..60 => Freshness::Fresh,
                60..120 => Freshness::Aging,
                120..180 => Freshness::Stale,
                _ => Freshness::Expired,
            },
            gap_age_days: runner
                .and_then(|r| number(r, "gap_age_days"))
                .unwrap_or(0.0),
        }
    }
}

fn window(minutes_since_open: i64) -> &'static str {
    match minutes_since_open {
        ..60 => "PRIME_TIME",
        60..120 => "MORNING",
        120..210 => "LUNCH",
        210..330 => "AFTERNOON",
        _ => "POWER_HOUR",
    }
}
