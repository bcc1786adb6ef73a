//! The places of a prompt's template: every name, and where its value comes from. Pure.

use std::borrow::Cow;

use serde_json::{Map, json};

use crate::market::Candle;

use super::setup::{Near, Pass, Setup, VwapView};
use super::words;

/// Candles in a prompt.
const CANDLES_MAX: usize = 60;

/// What goes into a prompt.
#[derive(Clone, Copy, Debug)]
pub struct PromptInputs<'a> {
    /// What was made of everything.
    pub setup: &'a Setup,
    /// The symbol's entry in the watchlist as it came.
    pub entry: &'a Map<String, serde_json::Value>,
    /// The provider's quote: JSON.
    pub quote: Option<&'a [u8]>,
    /// One-minute candles.
    pub candles: Option<&'a [Candle]>,
}

/// What a place holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number, and its usual decimals.
    Number {
        /// The number.
        value: f64,
        /// How many decimals it has where the template does not say.
        decimals: usize,
    },
    /// Words.
    Text(Cow<'static, str>),
}

/// Which forms a place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Those of numbers.
    Number,
    /// Those of texts.
    Text,
}

/// One place.
#[derive(Clone, Copy)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// Which forms it takes.
    pub kind: Kind,
    /// Its value; none where it cannot be had.
    pub value: fn(&PromptInputs<'_>) -> Option<Value>,
}

const fn number(name: &'static str, value: fn(&PromptInputs<'_>) -> Option<Value>) -> Place {
    let kind = Kind::Number;
    Place { name, kind, value }
}

const fn text(name: &'static str, value: fn(&PromptInputs<'_>) -> Option<Value>) -> Place {
    let kind = Kind::Text;
    Place { name, kind, value }
}

/// A price: cents, or four decimals below a dollar.
fn price(value: Option<f64>) -> Option<Value> {
    let decimals = if value?.abs() < 1.0 { 4 } else { 2 };
    rounded(value, decimals)
}

fn rounded(value: Option<f64>, decimals: usize) -> Option<Value> {
    value.map(|value| Value::Number { value, decimals })
}

/// A number as it came: whole, or with what stands behind its point, two digits at most.
fn plain(value: Option<f64>) -> Option<Value> {
    let v = value?;
    let digits = |n: f64| ((v * n).round() / n - v).abs() < 1e-9;
    let decimals = if digits(1.0) {
        0
    } else if digits(10.0) {
        1
    } else {
        2
    };
    rounded(value, decimals)
}

fn say(text: impl Into<Cow<'static, str>>) -> Option<Value> {
    Some(Value::Text(text.into()))
}

fn yes(value: Option<bool>) -> Option<Value> {
    say(if value? { "Yes" } else { "No" })
}

fn pass(value: Option<Pass>) -> Option<Value> {
    say(value?.as_str())
}

fn near(at: Option<Near>, extreme: &'static str) -> Option<Value> {
    say(at?.strength.map_or(extreme, |s| s.as_str()))
}

fn vwap<T>(i: &PromptInputs<'_>, of: impl Fn(&VwapView) -> Option<T>) -> Option<T> {
    i.setup.vwap.as_ref().and_then(of)
}

fn side(i: &PromptInputs<'_>, average: Option<f64>) -> Option<Value> {
    say(if i.setup.price? > average? {
        "above"
    } else {
        "below"
    })
}

/// Every place, in the order in which errors list them.
pub const PLACES: &[Place] = &[
    text("symbol", |i| say(i.setup.symbol.clone())),
    number("price", |i| price(i.setup.price)),
    number("high", |i| price(i.setup.day_high)),
    number("gap_percent", |i| plain(i.setup.gap_percent)),
    number("quality_score", |i| plain(i.setup.quality_score)),
    number("volume_ratio", |i| plain(i.setup.volume_ratio)),
    number("float", |i| rounded(i.setup.float, 0)),
    text("float_formatted", |i| say(words::shares(i.setup.float?))),
    text("pillar_gap", |i| pass(i.setup.pillars.gap)),
    text("pillar_volume", |i| pass(i.setup.pillars.volume)),
    text("pillar_float", |i| pass(i.setup.pillars.float)),
    text("pillar_price", |i| pass(i.setup.pillars.price)),
    text("pillar_catalyst", |i| pass(i.setup.pillars.catalyst)),
    number("pillars_score", |i| plain(Some(i.setup.pillars.score))),
    text("current_time", |i| say(i.setup.timing.time.clone())),
    number("minutes_since_open", |i| {
        let minutes = i32::try_from(i.setup.timing.minutes_since_open).ok()?;
        rounded(Some(minutes.into()), 0)
    }),
    text("time_window", |i| say(i.setup.timing.window)),
    text("signal_freshness", |i| {
        say(i.setup.timing.freshness.as_str())
    }),
    number("gap_age_days", |i| plain(Some(i.setup.timing.gap_age_days))),
    number("vwap", |i| price(vwap(i, |v| Some(v.price)))),
    number("vwap_distance_percent", |i| {
        rounded(vwap(i, |v| v.distance_percent), 2)
    }),
    text("vwap_zone", |i| say(vwap(i, |v| v.zone)?.as_str())),
    text("chase_risk_assessment", |i| {
        say(words::chase_risk(vwap(i, |v| v.zone)?))
    }),
    number("ema9", |i| price(i.setup.ema9)),
    number("ema20", |i| price(i.setup.ema20)),
    text("ema9_position", |i| side(i, i.setup.ema9)),
    text("ema20_position", |i| side(i, i.setup.ema20)),
    text("ema_trend", |i| {
        let is_up = i.setup.ema9? > i.setup.ema20?;
        say(if is_up { "bullish" } else { "bearish" })
    }),
    number("resistance_1", |i| {
        price(i.setup.resistance.map(|r| r.price))
    }),
    text("resistance_1_strength", |i| {
        near(i.setup.resistance, "the day's high")
    }),
    number("support_1", |i| price(i.setup.support.map(|s| s.price))),
    text("support_1_strength", |i| {
        near(i.setup.support, "the day's low")
    }),
    text("volume_trend", |i| say(i.setup.volume_trend?.as_str())),
    number("float_rotation_percent", |i| {
        rounded(i.setup.float_rotation_percent, 1)
    }),
    text("tf_1m_bias", |i| say(words::bias(i.setup.biases.m1?))),
    text("tf_5m_bias", |i| say(words::bias(i.setup.biases.m5?))),
    text("tf_15m_bias", |i| say(words::bias(i.setup.biases.m15?))),
    text("tf_daily_bias", |i| say(words::bias(i.setup.biases.day?))),
    text("timeframe_alignment", |i| {
        say(words::alignment(i.setup.biases.alignment)?)
    }),
    number("aligned_count", |i| {
        let alignment = i.setup.biases.alignment;
        let count = u32::try_from(alignment.bullish).ok()?;
        rounded((alignment.known > 0).then(|| count.into()), 0)
    }),
    text("catalyst_type", |i| say(i.setup.catalyst.kind.clone()?)),
    number("catalyst_strength", |i| plain(i.setup.catalyst.strength)),
    text("has_definitive_catalyst", |i| {
        yes(i.setup.catalyst.definitive)
    }),
    text("catalyst_details", |i| {
        say(i.setup.catalyst.details.clone()?)
    }),
    text("catalyst_boosted", |i| {
        yes(Some(
            i.setup
                .catalyst
                .boost
                .as_ref()
                .is_some_and(|b| b.is_upgrade()),
        ))
    }),
    text("catalyst_boost_section", |i| {
        say(words::boost(i.setup.catalyst.boost.as_ref()))
    }),
    text("is_runner", |i| yes(Some(i.setup.runner.is_some()))),
    text("runner_section", |i| {
        say(words::runner(i.setup.runner.as_ref()))
    }),
    text("health_status", |i| say(i.setup.health.status.clone()?)),
    text("health_warning", |i| say(i.setup.health.warning())),
    text("price_trend", |i| say(i.setup.health.trend()?)),
    number("price_change_from_high", |i| {
        rounded(i.setup.health.from_high_percent, 1)
    }),
    number("gap_fade_percent", |i| {
        rounded(i.setup.health.gap_fade_percent, 1)
    }),
    text("in_entry_zone", |i| yes(i.setup.health.in_entry_zone)),
    text("is_chasing", |i| yes(i.setup.health.is_chasing)),
    text("first_pullback_detected", |i| {
        yes(Some(i.setup.first_pullback.is_some()))
    }),
    text("first_pullback_section", |i| {
        say(words::first_pullback(
            i.setup.first_pullback,
            &i.setup.catalyst,
        ))
    }),
    text("micro_pullback_detected", |i| {
        say(words::micro_pullback(i.setup.patterns.as_ref()?))
    }),
    text("flag_pattern_detected", |i| {
        say(words::flag(i.setup.patterns.as_ref()?))
    }),
    text("unfilled_gaps", |i| {
        say(words::gaps(i.setup.patterns.as_ref()?))
    }),
    text("exit_macd", |i| say(i.setup.exits.macd.as_ref()?.words())),
    text("exit_volume", |i| {
        say(i.setup.exits.volume.as_ref()?.words())
    }),
    text("exit_jackknife", |i| {
        say(i.setup.exits.jackknife.as_ref()?.words())
    }),
    text("exit_overall", |i| say(i.setup.exits.overall?)),
    number("entry_zone_price", |i| price(i.setup.plan.map(|p| p.entry))),
    number("stop_zone_price", |i| price(i.setup.plan.map(|p| p.stop))),
    number("risk_dollars", |i| price(i.setup.plan.map(|p| p.risk))),
    number("risk_percent", |i| {
        rounded(i.setup.plan.map(|p| p.risk_percent), 1)
    }),
    number("target_2r", |i| price(i.setup.plan.map(|p| p.target_2r))),
    number("target_3r", |i| price(i.setup.plan.map(|p| p.target_3r))),
    text("watchlist_entry", |i| {
        let entry = serde_json::Value::Object(i.entry.clone());
        say(entry.to_string())
    }),
    text("quote", |i| {
        say(String::from_utf8_lossy(i.quote?).into_owned())
    }),
    text("candles", |i| {
        let all = i.candles?;
        let rows: Vec<serde_json::Value> = all[all.len().saturating_sub(CANDLES_MAX)..]
            .iter()
            .map(|c| json!([c.at_ms, c.open, c.high, c.low, c.close, c.volume]))
            .collect();
        say(serde_json::Value::from(rows).to_string())
    }),
];

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::market::{Session, Symbol};
    use crate::upstream::ollama::setup::SetupInputs;
    use jiff::civil::date;

    /// Inputs with an entry and a price and nothing else, seventeen minutes after the open.
    pub fn inputs<T>(f: impl Fn(&PromptInputs<'_>) -> T) -> T {
        let symbol: Symbol = "TOYO".parse().unwrap();
        let entry = json!({"note": "{symbol}{quote}"});
        let known =
            json!({"price": 4.5, "gap_percent": 40.5, "float": 1_234_567, "volume_ratio": 12});
        let setup = Setup::of(&SetupInputs {
            symbol: &symbol,
            entry: known.as_object().unwrap(),
            quote: None,
            candles: None,
            vwap: None,
            runner: None,
            now_ms: Session::new().at_ms(date(2026, 2, 4), 9, 47),
        });
        f(&PromptInputs {
            setup: &setup,
            entry: entry.as_object().unwrap(),
            quote: None,
            candles: None,
        })
    }
}
