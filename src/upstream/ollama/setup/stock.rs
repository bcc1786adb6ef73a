//! What the trader app's watchlist and runners say of a symbol.

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::market::analysis::{VwapZone, percent_from};

use super::{VwapView, number, object, text};

/// Catalysts that are known to move a stock.
const KNOWN_CATALYSTS: [&str; 10] = [
    "CLINICAL_TRIAL",
    "SEC_8K_EARNINGS",
    "PRODUCT_LAUNCH",
    "CONTRACT",
    "FDA_APPROVAL",
    "FDA",
    "EARNINGS",
    "PARTNERSHIP",
    "ACQUISITION",
    "MERGER",
];

/// News older than this is no boost.
const BOOST_MINUTES_MAX: i64 = 30;

/// Entry zones of a runner that are told.
const ZONES_MAX: usize = 2;

/// Whether a pillar stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Pass {
    /// It does.
    Pass,
    /// Nearly.
    Partial,
    /// It does not.
    Fail,
}

impl Pass {
    /// "PASS"
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Partial => "PARTIAL",
            Self::Fail => "FAIL",
        }
    }

    fn of(pass: bool, partial: bool) -> Self {
        match (pass, partial) {
            (true, _) => Self::Pass,
            (false, true) => Self::Partial,
            (false, false) => Self::Fail,
        }
    }
}

/// The five pillars of a momentum set-up: a gap of 10 %, five times the usual volume, a float below 20
/// million, a price from 2 to 20, a catalyst. A runner's gap and catalyst are those of its first day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pillars {
    /// 10 % or more.
    pub gap: Option<Pass>,
    /// 5 or more; from 3 on in part.
    pub volume: Option<Pass>,
    /// Below 20 million; below 50 in part.
    pub float: Option<Pass>,
    /// From 2 to 20; above 1 and up to 30 in part.
    pub price: Option<Pass>,
    /// A known kind, a definitive one, or a strength of 7; of 4 in part.
    pub catalyst: Option<Pass>,
    /// How many stand; one in part is half.
    pub score: f64,
}

impl Pillars {
    pub(super) fn of(
        entry: &Map<String, Value>,
        runner: Option<&Map<String, Value>>,
        price: Option<f64>,
        catalyst: &Catalyst,
    ) -> Self {
        let first_gap = runner.and_then(|r| number(r, "original_gap_percent"));
        let gap = first_gap.or_else(|| number(entry, "gap_percent"));
        let gap = gap.map(|g| Pass::of(g >= 10.0, false));
        let volume = number(entry, "volume_ratio").map(|v| Pass::of(v >= 5.0, v >= 3.0));
        let float = number(entry, "float").filter(|f| *f > 0.0);
        let float = float.map(|f| Pass::of(f < 20e6, f < 50e6));
        let price = price.map(|p| Pass::of((2.0..=20.0).contains(&p), p > 1.0 && p <= 30.0));
        let catalyst = catalyst.pillar();
        let stands = [gap, volume, float, price, catalyst];
        let points = stands.iter().flatten().map(|p| match p {
            Pass::Pass => 1.0,
            Pass::Partial => 0.5,
            Pass::Fail => 0.0,
        });
        Self {
            gap,
            volume,
            float,
            price,
            catalyst,
            score: points.sum(),
        }
    }
}

/// Why a stock moves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Catalyst {
    /// "FDA_APPROVAL"
    pub kind: Option<String>,
    /// From 1 to 10.
    pub strength: Option<f64>,
    /// Whether the trader app is sure of it.
    pub definitive: Option<bool>,
    /// What is thought of it.
    pub details: Option<String>,
    /// How many headlines there are.
    pub news: usize,
    /// News of the last half hour.
    pub boost: Option<Boost>,
}

/// News of the last half hour that was weighed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boost {
    /// The headline.
    pub headline: Option<String>,
    /// "CRITICAL"
    pub priority: Option<String>,
    /// How old it is.
    pub minutes_ago: i64,
    /// The catalyst's strength before …
    pub previous_score: f64,
    /// … and after it.
    pub new_score: f64,
}

impl Boost {
    /// Whether it made the catalyst stronger.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.new_score > self.previous_score
    }

    fn of(regrade: &Map<String, Value>, now_ms: i64) -> Option<Self> {
        let minutes_ago = (now_ms - time_ms(text(regrade, "timestamp")?)?) / 60_000;
        (..=BOOST_MINUTES_MAX).contains(&minutes_ago).then(|| Self {
            headline: text(regrade, "headline").map(str::to_owned),
            priority: text(regrade, "priority").map(str::to_owned),
            minutes_ago: minutes_ago.max(0),
            previous_score: number(regrade, "previous_score").unwrap_or(0.0),
            new_score: number(regrade, "new_score").unwrap_or(0.0),
        })
    }
}

impl Catalyst {
    pub(super) fn of(
        entry: &Map<String, Value>,
        runner: Option<&Map<String, Value>>,
        now_ms: i64,
    ) -> Self {
        let analysis = object(entry, "llm_analysis");
        let said = |name| analysis.and_then(|a| text(a, name)).map(str::to_owned);
        let first = runner.and_then(|r| text(r, "original_catalyst"));
        Self {
            kind: said("catalyst_type").or_else(|| first.map(str::to_owned)),
            strength: analysis.and_then(|a| number(a, "catalyst_strength")),
            definitive: entry
                .get("has_definitive_catalyst")
                .and_then(Value::as_bool),
            details: said("recommendation"),
            news: entry
                .get("news")
                .and_then(Value::as_array)
                .map_or(0, Vec::len),
            boost: object(entry, "realtime_regrade").and_then(|r| Boost::of(r, now_ms)),
        }
    }

    /// Whether anything speaks for the move.
    pub(super) fn is_there(&self) -> bool {
        self.news > 0 || self.definitive == Some(true) || self.strength.is_some_and(|s| s >= 7.0)
    }

    fn pillar(&self) -> Option<Pass> {
        if self.kind.is_none() && self.strength.is_none() && self.definitive.is_none() {
            return None;
        }
        let kind = self.kind.as_deref().unwrap_or("").to_ascii_uppercase();
        let strength = self.strength.unwrap_or(0.0);
        let known = KNOWN_CATALYSTS.contains(&kind.as_str());
        let pass = known || self.definitive == Some(true) || strength >= 7.0;
        let partial = matches!(&*kind, "SEC_8K_OTHER" | "OTHER") || strength >= 4.0;
        Some(Pass::of(pass, partial))
    }
}

/// A runner of several days.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Runner {
    /// "CONSOLIDATING"
    pub status: Option<String>,
    /// Days since its first gap.
    pub gap_age_days: Option<f64>,
    /// How far it has come back from its high.
    pub pullback_percent: Option<f64>,
    /// How far it has come in all.
    pub cumulative_move_percent: Option<f64>,
    /// From 0 to 100.
    pub quality_score: Option<f64>,
    /// Where to enter, the first two.
    pub entry_zones: Vec<Zone>,
    /// Where to get out.
    pub stop_zone: Option<Zone>,
}

/// A price and what makes it one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Zone {
    /// Where.
    pub price: f64,
    /// Its trigger or reason.
    pub why: Option<String>,
}

impl Runner {
    pub(super) fn of(runner: &Map<String, Value>) -> Self {
        let zone = |zone: &Map<String, Value>, why| {
            Some(Zone {
                price: number(zone, "price").filter(|p| *p > 0.0)?,
                why: text(zone, why).map(str::to_owned),
            })
        };
        let zones = runner.get("entry_zones").and_then(Value::as_array);
        Self {
            status: text(runner, "status").map(str::to_owned),
            gap_age_days: number(runner, "gap_age_days"),
            pullback_percent: number(runner, "pullback_percent"),
            cumulative_move_percent: number(runner, "cumulative_move_percent"),
            quality_score: number(runner, "quality_score"),
            entry_zones: zones
                .into_iter()
                .flatten()
                .filter_map(|z| zone(z.as_object()?, "trigger"))
                .take(ZONES_MAX)
                .collect(),
            stop_zone: object(runner, "stop_zone").and_then(|z| zone(z, "reason")),
        }
    }
}

/// How a stock holds its gain. What the trader app measured counts before what is computed here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// "HOT", "COOLING", "DEAD": the trader app's word.
    pub status: Option<String>,
    /// The price from the day's high; 0 or less.
    pub from_high_percent: Option<f64>,
    /// How much of the gap was given back.
    pub gap_fade_percent: Option<f64>,
    /// Whether the price is near enough to the VWAP.
    pub in_entry_zone: Option<bool>,
    /// Whether it is too far above.
    pub is_chasing: Option<bool>,
}

impl Health {
    pub(super) fn of(
        entry: &Map<String, Value>,
        quote: Option<&Map<String, Value>>,
        price: Option<f64>,
        day_high: Option<f64>,
        vwap: Option<&VwapView>,
    ) -> Self {
        let metrics = object(entry, "health_metrics");
        let measured = |name: &str| metrics.and_then(|m| m.get(name)).and_then(Value::as_bool);
        let zone = vwap.and_then(|v| v.zone);
        let is_above = vwap.and_then(|v| v.distance_percent).map(|d| d > 0.0);
        Self {
            status: text(entry, "health_status").map(str::to_ascii_uppercase),
            from_high_percent: day_high
                .zip(price)
                .map(|(h, p)| percent_from(h, p).min(0.0)),
            gap_fade_percent: metrics
                .and_then(|m| number(m, "gap_fade_pct"))
                .or_else(|| gap_fade(quote?, price?)),
            in_entry_zone: measured("in_entry_zone").or(zone.map(|z| z == VwapZone::Green)),
            is_chasing: measured("is_chasing")
                .or_else(|| Some(zone? == VwapZone::Red && is_above?)),
        }
    }

    /// What the price does below its high, in words.
    #[must_use]
    pub fn trend(&self) -> Option<&'static str> {
        Some(match self.from_high_percent? {
            p if p <= -10.0 => "fading hard, far below the day's high",
            p if p <= -5.0 => "fading below the day's high",
            p if p <= -2.0 => "pulling back a little from the day's high",
            p if p < 0.0 => "stable, just below the day's high",
            _ => "at the day's high",
        })
    }

    /// What the model is to mind; empty if nothing.
    #[must_use]
    pub fn warning(&self) -> &'static str {
        match self.status.as_deref() {
            Some("DEAD") => {
                "CRITICAL: the stock is DEAD: its gap has faded and its price falls. No entry."
            }
            Some("COOLING") => {
                "CAUTION: the stock is COOLING. An entry only in the GREEN zone at a stable price."
            }
            _ if self.is_chasing == Some(true) => {
                "WARNING: the price is extended. DO NOT CHASE: wait until it is back in its zone."
            }
            _ => "",
        }
    }
}

/// How much of an upward gap was given back since the open.
fn gap_fade(quote: &Map<String, Value>, price: f64) -> Option<f64> {
    let (open, close) = (number(quote, "openPrice")?, number(quote, "closePrice")?);
    (open > close && close > 0.0).then(|| ((open - price) / (open - close) * 100.0).max(0.0))
}

/// ISO 8601 with a zone, or without one in this machine's.
fn time_ms(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = local.to_zoned_datetime(TimeZone::system());
    zoned.ok().map(|z| z.timestamp().as_millisecond())
}
