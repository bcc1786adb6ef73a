//! What a model's answer means. Pure, tolerant of form, strict about sense.

use serde_json::{Map, Value, json};

use crate::market::Symbol;
use crate::resilience::FetchError;

use super::number::{number, percent};
use super::reply::{self, bare, field};

/// Sentences and characters kept of what a model writes.
const REASONS_MAX: usize = 10;
/// As above.
const TEXT_CHARS_MAX: usize = 500;

/// A checked verdict, with every field of the answer but `cached`.
pub type Verdict = Map<String, Value>;

/// Reads a model's text: a verdict, as [`reply::verdict`] finds it, with numbers as [`number`] and
/// [`percent`] read them. A `buy` has all prices in order and a confidence above zero.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, symbol: &Symbol, now_ms: i64) -> Result<Verdict, String> {
    let raw = reply::verdict(text, symbol)?;
    let signal = signal(&raw)?;
    let price = |name: &str| field(&raw, name).and_then(number);
    let (entry, stop, target) = (
        price("entry_price"),
        price("stop_price"),
        price("target_price"),
    );
    let mut ratio = price("risk_reward_ratio");
    let confidence = field(&raw, "confidence").and_then(percent);
    if signal == "buy" {
        let (Some(entry), Some(stop), Some(target)) = (entry, stop, target) else {
            let names = ["entry_price", "stop_price", "target_price"];
            let missing = names.iter().find(|name| price(name).is_none());
            return Err(format!(
                "it says buy without entry, stop and target: {}",
                as_written(&raw, missing.unwrap_or(&""))
            ));
        };
        if confidence.is_none_or(|c| c <= 0.0) {
            return Err(format!(
                "it says buy without confidence: {}",
                as_written(&raw, "confidence")
            ));
        }
        if !(0.0 < stop && stop < entry && entry < target) {
            return Err("it says buy with prices out of order (stop < entry < target)".into());
        }
        ratio = ratio.or_else(|| Some(((target - entry) / (entry - stop) * 100.0).round() / 100.0));
    }
    let reasoning: Vec<String> = match field(&raw, "reasoning") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(cut).collect(),
        Some(Value::String(one)) => vec![cut(one)],
        _ => Vec::new(),
    };
    let concern = field(&raw, "key_concern").and_then(Value::as_str).map(cut);
    Ok(body(
        symbol,
        now_ms,
        signal,
        [entry, stop, target, ratio],
        confidence.unwrap_or(0.0).clamp(0.0, 100.0),
        &reasoning[..reasoning.len().min(REASONS_MAX)],
        concern.as_deref(),
    ))
}

/// The verdict when there is none: `wait`, and why.
#[must_use]
pub fn fallback(symbol: &Symbol, why: &FetchError, now_ms: i64) -> Verdict {
    let why = match why {
        FetchError::Timeout { .. } => {
            format!("{why}; a verdict that comes later is kept for five minutes: ask again")
        }
        _ => why.to_string(),
    };
    body(
        symbol,
        now_ms,
        "wait",
        [None; 4],
        0.0,
        std::slice::from_ref(&why),
        Some("No verdict of the model: judge this set-up yourself"),
    )
}

/// A verdict as clients get it.
#[must_use]
pub fn answer(mut verdict: Verdict, cached: bool) -> Vec<u8> {
    verdict.insert("cached".into(), Value::Bool(cached));
    Value::Object(verdict).to_string().into_bytes()
}

/// `timestamp` is ISO 8601 in UTC.
fn body(
    symbol: &Symbol,
    now_ms: i64,
    signal: &str,
    [entry, stop, target, ratio]: [Option<f64>; 4],
    confidence: f64,
    reasoning: &[String],
    concern: Option<&str>,
) -> Verdict {
    let timestamp = jiff::Timestamp::from_millisecond(now_ms)
        .map(|t| t.to_string())
        .unwrap_or_default();
    let value = json!({
        "signal": signal,
        "entry_price": entry,
        "stop_price": stop,
        "target_price": target,
        "confidence": confidence,
        "reasoning": reasoning,
        "risk_reward_ratio": ratio,
        "key_concern": concern,
        "timestamp": timestamp,
        "symbol": symbol.as_str(),
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `buy`, `wait` or `no_trade`, however it is written: "NO TRADE", "no-trade".
fn signal(raw: &Map<String, Value>) -> Result<&'static str, String> {
    let said = field(raw, "signal").and_then(Value::as_str).map(bare);
    match said.as_deref() {
        Some("buy") => Ok("buy"),
        Some("wait") => Ok("wait"),
        Some("notrade") => Ok("no_trade"),
        _ => Err(format!(
            "its signal is none of buy, wait, no_trade: {}",
            as_written(raw, "signal")
        )),
    }
}

/// `"confidence" is "high"`, for errors.
fn as_written(raw: &Map<String, Value>, name: &str) -> String {
    match field(raw, name) {
        None => format!("{name} is missing"),
        Some(value) => {
            let value: String = value.to_string().chars().take(60).collect();
            format!("{name} is {value}")
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbol() -> Symbol {
        "A".parse().unwrap()
    }

    #[test]
    fn fences_words_and_numbers_as_text_are_understood() {
        let text = "Sure!\n```json\n{\"signal\":\"BUY\",\"entry_price\":\"$2.00\",\"stop_price\":1.5,\"target_price\":3,\"confidence\":140,\"reasoning\":\"one\"}\n```";
        let got = parse(text, &symbol(), 0).unwrap();
        assert_eq!(got["signal"], "buy");
        assert_eq!(got["entry_price"], 2.0);
        assert_eq!(got["risk_reward_ratio"], 2.0);
        assert_eq!(got["confidence"], 100.0);
        assert_eq!(got["reasoning"], json!(["one"]));
        assert_eq!(got["timestamp"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "I would buy",
            "{}",
            r#"{"signal":"sell"}"#,
            r#"{"signal":"buy","entry_price":2,"stop_price":3,"target_price":4}"#,
            r#"{"signal":"buy","entry_price":2}"#,
            r#"{"signal":"wait""#,
            r#"{"signal":"buy","entry_price":2,"stop_price":1,"target_price":4}"#,
            r#"{"signal":"buy","entry_price":2,"stop_price":1,"target_price":4,"confidence":0}"#,
            r#"{"signal":"buy","entry_price":2,"stop_price":1,"target_price":4,"confidence":-5}"#,
            r#"{"signal":"buy","entry_price":2,"stop_price":1,"target_price":4,"confidence":NaN}"#,
            r#"{"signal":"buy","entry_price":NaN,"stop_price":1,"target_price":4,"confidence":50}"#,
            r#"{"signal":null}"#,
        ] {
            assert!(parse(bad, &symbol(), 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn verdicts_as_models_write_them_are_understood() {
        let v = json!({"signal":"buy","entry_price":4.2,"stop_price":3.98,"target_price":4.75,"confidence":72});
        let with = |field: &str, value: Value| {
            let mut v = v.clone();
            v[field] = value;
            v.to_string()
        };
        for (text, signal, confidence) in [
            (v.to_string(), "buy", 72.0),
            (with("confidence", json!(0.85)), "buy", 85.0),
            (with("confidence", json!("85%")), "buy", 85.0),
            (with("confidence", json!("85/100")), "buy", 85.0),
            (
                format!("<think>\nWeigh {{entry, stop}}: 2.5 to 1.\n</think>\n\n{v}"),
                "buy",
                72.0,
            ),
            (format!("{v}\n\nNote: {{entry}} is a limit."), "buy", 72.0),
            (with("signal", json!("NO TRADE")), "no_trade", 72.0),
            (with("signal", json!("no-trade.")), "no_trade", 72.0),
            (v.to_string().replace('}', ",}"), "buy", 72.0),
            (v.to_string().replace('"', "'"), "buy", 72.0),
            (v.to_string().replace("4.75", "1,234.50"), "buy", 72.0),
            (with("target_price", json!("1,234.50")), "buy", 72.0),
            (json!({"TOYO": v}).to_string(), "buy", 72.0),
            (json!([{"verdict": v}]).to_string(), "buy", 72.0),
            (
                r#"{"signal":"wait","confidence":NaN}"#.to_owned(),
                "wait",
                0.0,
            ),
        ] {
            let got = parse(&text, &symbol(), 0).unwrap_or_else(|e| panic!("{e}: {text}"));
            assert_eq!(
                (&got["signal"], &got["confidence"]),
                (&json!(signal), &json!(confidence)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_refused_is_told_as_it_was_written() {
        for (text, why) in [
            (r#"{"signal":"hold"}"#, "signal is \"hold\""),
            (
                r#"{"signal":"buy","entry_price":"4.20-4.30","stop_price":1,"target_price":9}"#,
                "entry_price is \"4.20-4.30\"",
            ),
            (
                r#"{"signal":"buy","entry_price":2,"stop_price":1,"target_price":4,"confidence":"high"}"#,
                "confidence is \"high\"",
            ),
            (
                r#"{"signal":"buy","entry_price":2,"stop_price":1,"target_price":4}"#,
                "confidence is missing",
            ),
        ] {
            let got = parse(text, &symbol(), 0).unwrap_err();
            assert!(got.contains(why), "{got}");
        }
    }

    #[test]
    fn the_fallback_has_every_field_and_says_why() {
        let why = FetchError::Unreachable {
            upstream: "the model",
            why: "refused".into(),
        };
        let body: Value =
            serde_json::from_slice(&answer(fallback(&symbol(), &why, 0), false)).unwrap();
        for field in [
            "signal",
            "entry_price",
            "stop_price",
            "target_price",
            "confidence",
            "reasoning",
            "risk_reward_ratio",
            "key_concern",
            "timestamp",
            "symbol",
            "cached",
        ] {
            assert!(body.get(field).is_some(), "{field}");
        }
        assert_eq!(body["signal"], "wait");
        assert!(body["reasoning"][0].as_str().unwrap().contains("refused"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}(\\{\"signal\":\"(buy|wait)\"[^}]{0,40}\\})?\\PC{0,20}") {
            let _ = parse(&text, &symbol(), 0);
        }
    }
}
