//! A set-up: everything that is known of a symbol when the model is asked about it, as values that a
//! prompt names and a page can show. Pure; what cannot be had is `None`.

mod stock;
mod timing;
mod trade;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::market::analysis::{
    Alignment, Bias, ExitSign, Flag, Gap, Level, MicroPullback, Strength, VolumeTrend, VwapZone,
    align, bias_1m, bias_5m, bias_15m, bias_day, ema, flag, highest, jackknife, lowest, macd_cross,
    micro_pullback, nearest_resistance, nearest_support, overall, percent_from, resample,
    resistances, supports, unfilled_gaps, volume_decline, volume_trend, vwap,
};
use crate::market::{Candle, Session, Symbol};

pub use stock::{Boost, Catalyst, Health, Pass, Pillars, Runner, Zone};
pub use timing::{Freshness, Timing};
pub use trade::{FirstPullback, Plan};

/// Gaps of at least so many percent are told.
const GAP_PERCENT_MIN: f64 = 1.0;

/// What a set-up is made of.
#[derive(Clone, Copy, Debug)]
pub struct SetupInputs<'a> {
    /// Of what.
    pub symbol: &'a Symbol,
    /// Its entry in the watchlist.
    pub entry: &'a Map<String, Value>,
    /// The provider's quote.
    pub quote: Option<&'a Map<String, Value>>,
    /// One-minute candles, oldest first.
    pub candles: Option<&'a [Candle]>,
    /// The trader app's VWAP.
    pub vwap: Option<f64>,
    /// Its entry in `runners.json`.
    pub runner: Option<&'a Map<String, Value>>,
    /// The session clock, in milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// A set-up. Prices in dollars, parts in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setup {
    /// Of what.
    pub symbol: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The last price.
    pub price: Option<f64>,
    /// The day's highest.
    pub day_high: Option<f64>,
    /// How far it opened from the last close.
    pub gap_percent: Option<f64>,
    /// Volume as a multiple of what is usual.
    pub volume_ratio: Option<f64>,
    /// Shares that can be traded.
    pub float: Option<f64>,
    /// The trader app's grade.
    pub quality_score: Option<f64>,
    /// The five pillars.
    pub pillars: Pillars,
    /// Where in the day it is.
    pub timing: Timing,
    /// The day's average price, weighted by volume.
    pub vwap: Option<VwapView>,
    /// Exponential averages of one-minute closes.
    pub ema9: Option<f64>,
    /// As above.
    pub ema20: Option<f64>,
    /// The nearest price above at which it turned.
    pub resistance: Option<Near>,
    /// The nearest below.
    pub support: Option<Near>,
    /// Whether trading quickens.
    pub volume_trend: Option<VolumeTrend>,
    /// The day's volume as a part of the float.
    pub float_rotation_percent: Option<f64>,
    /// Which way each timeframe points.
    pub biases: Biases,
    /// Why it moves.
    pub catalyst: Catalyst,
    /// What is known of it as a runner of several days.
    pub runner: Option<Runner>,
    /// How it holds its gain.
    pub health: Health,
    /// A panic of the morning that was bought.
    pub first_pullback: Option<FirstPullback>,
    /// Shapes in the last candles; none where there are too few.
    pub patterns: Option<Patterns>,
    /// Signs to get out.
    pub exits: Exits,
    /// Entry, stop and targets.
    pub plan: Option<Plan>,
}

/// A VWAP, and where the price lies from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct VwapView {
    /// The VWAP.
    pub price: f64,
    /// "trader app" or "candles"
    pub source: &'static str,
    /// The price's distance from it.
    pub distance_percent: Option<f64>,
    /// The zone of that distance.
    pub zone: Option<VwapZone>,
}

/// A price that holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Near {
    /// Where.
    pub price: f64,
    /// How often it held; none where it is only the day's extreme.
    pub touches: Option<u32>,
    /// The same in a word; none as above.
    pub strength: Option<Strength>,
}

/// Which way each timeframe points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Biases {
    /// Of one minute.
    pub m1: Option<Bias>,
    /// Of five.
    pub m5: Option<Bias>,
    /// Of fifteen.
    pub m15: Option<Bias>,
    /// Of the day.
    pub day: Option<Bias>,
    /// Together.
    pub alignment: Alignment,
}

/// Shapes in the last candles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Patterns {
    /// A rest under a flat top.
    pub micro_pullback: Option<MicroPullback>,
    /// A flag or pennant.
    pub flag: Option<Flag>,
    /// Jumps that nothing has filled.
    pub unfilled_gaps: Vec<Gap>,
}

/// Signs to get out; none where there are too few candles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exits {
    /// MACD.
    pub macd: Option<ExitSign>,
    /// Falling volume.
    pub volume: Option<ExitSign>,
    /// A spike that was sold.
    pub jackknife: Option<ExitSign>,
    /// "EXIT", "CAUTION" or "HOLD"
    pub overall: Option<&'static str>,
}

impl Setup {
    /// Puts everything together.
    #[must_use]
    pub fn of(inputs: &SetupInputs<'_>) -> Self {
        let session = Session::new();
        let candles = todays(&session, inputs.candles.unwrap_or_default());
        let entry = inputs.entry;
        let from_quote = |name| number(inputs.quote?, name);
        let price = from_quote("lastPrice")
            .or_else(|| candles.last().map(|c| c.close))
            .or_else(|| number(entry, "price"))
            .filter(|p| *p > 0.0);
        let day_high = from_quote("highPrice")
            .or_else(|| number(entry, "high"))
            .or_else(|| highest(candles))
            .filter(|p| *p > 0.0);
        let vwap = vwap_view(inputs.vwap, candles, price);
        let (resistance, support) = nearest(candles, price, day_high);
        let float = number(entry, "float").filter(|f| *f > 0.0);
        let timing = Timing::of(&session, inputs.now_ms, inputs.runner);
        let catalyst = Catalyst::of(entry, inputs.runner, inputs.now_ms);
        let runner = inputs.runner.map(Runner::of);
        let volume_ratio = number(entry, "volume_ratio");
        let health = Health::of(entry, inputs.quote, price, day_high, vwap.as_ref());
        let exits = exits(candles, health.status.as_deref());
        Self {
            symbol: inputs.symbol.as_str().to_owned(),
            at_ms: inputs.now_ms,
            price,
            day_high,
            gap_percent: number(entry, "gap_percent"),
            volume_ratio,
            float,
            quality_score: number(entry, "quality_score"),
            pillars: Pillars::of(entry, inputs.runner, price, &catalyst),
            ema9: ema(candles, 9),
            ema20: ema(candles, 20),
            volume_trend: volume_trend(candles),
            float_rotation_percent: rotation(inputs.quote, candles, float),
            biases: biases(candles, vwap.as_ref()),
            first_pullback: FirstPullback::find(
                price,
                vwap.as_ref(),
                volume_ratio,
                &catalyst,
                candles,
                &timing,
            ),
            patterns: patterns(candles),
            exits,
            plan: Plan::of(price, vwap.as_ref(), support.as_ref(), runner.as_ref()),
            timing,
            vwap,
            resistance,
            support,
            catalyst,
            runner,
            health,
        }
    }
}

/// The candles of the trading day of the last one.
fn todays<'a>(session: &Session, candles: &'a [Candle]) -> &'a [Candle] {
    let Some(last) = candles.last() else {
        return candles;
    };
    let open_ms = session.open_ms(session.trading_day(last.at_ms));
    &candles[candles.partition_point(|c| c.at_ms < open_ms)..]
}

fn vwap_view(said: Option<f64>, candles: &[Candle], price: Option<f64>) -> Option<VwapView> {
    let said = said.filter(|v| *v > 0.0).map(|v| (v, "trader app"));
    let (at, source) = said.or_else(|| Some((vwap(candles)?, "candles")))?;
    let distance_percent = price.map(|p| percent_from(at, p));
    Some(VwapView {
        price: at,
        source,
        distance_percent,
        zone: distance_percent.map(VwapZone::of),
    })
}

/// The nearest levels; where there is none, the day's extremes.
fn nearest(
    candles: &[Candle],
    price: Option<f64>,
    day_high: Option<f64>,
) -> (Option<Near>, Option<Near>) {
    let Some(price) = price else {
        return (None, None);
    };
    let level = |l: Level| Near {
        price: l.price,
        touches: Some(l.touches),
        strength: Some(l.strength),
    };
    let extreme = |price| Near {
        price,
        touches: None,
        strength: None,
    };
    let above = nearest_resistance(&resistances(candles), price).map(level);
    let below = nearest_support(&supports(candles), price).map(level);
    let high = day_high.filter(|h| *h >= price).map(extreme);
    let low = lowest(candles).filter(|l| *l <= price).map(extreme);
    (above.or(high), below.or(low))
}

fn biases(candles: &[Candle], vwap: Option<&VwapView>) -> Biases {
    let m1 = bias_1m(candles);
    let m5 = bias_5m(&resample(candles, 5));
    let m15 = bias_15m(&resample(candles, 15), vwap.map(|v| v.price));
    let day = bias_day(candles);
    Biases {
        m1,
        m5,
        m15,
        day,
        alignment: align(&[m1, m5, m15, day]),
    }
}

fn patterns(candles: &[Candle]) -> Option<Patterns> {
    (candles.len() >= 15).then(|| Patterns {
        micro_pullback: micro_pullback(candles),
        flag: flag(candles),
        unfilled_gaps: unfilled_gaps(candles, GAP_PERCENT_MIN),
    })
}

fn exits(candles: &[Candle], health: Option<&str>) -> Exits {
    let (macd, volume, jackknife) = (
        macd_cross(candles),
        volume_decline(candles),
        jackknife(candles),
    );
    let signs = overall(&[&macd, &volume, &jackknife]);
    Exits {
        overall: match (health, signs) {
            (Some("DEAD"), _) => Some("EXIT"),
            (Some("COOLING"), Some("HOLD") | None) => Some("CAUTION"),
            (_, signs) => signs,
        },
        macd,
        volume,
        jackknife,
    }
}

#[expect(clippy::cast_precision_loss, reason = "volumes are far below 2^53")]
fn rotation(
    quote: Option<&Map<String, Value>>,
    candles: &[Candle],
    float: Option<f64>,
) -> Option<f64> {
    let traded: u64 = candles.iter().map(|c| c.volume).sum();
    let traded = quote
        .and_then(|q| number(q, "totalVolume"))
        .or_else(|| (!candles.is_empty()).then_some(traded as f64))?;
    Some(traded / float? * 100.0)
}

/// A finite number, also one written as text.
fn number(map: &Map<String, Value>, name: &str) -> Option<f64> {
    let value = match map.get(name)? {
        Value::Number(n) => n.as_f64()?,
        Value::String(s) => s.trim().parse().ok()?,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// A text that is not empty.
fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = map.get(name)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

fn object<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    map.get(name)?.as_object()
}

#[cfg(test)]
mod tests;
