//! What a model's answer means. Pure, tolerant of form, strict about sense.

use serde_json::{Map, Value, json};

use crate::desk::Failure;
use crate::market::Symbol;

/// Sentences and characters kept of what a model writes.
const REASONS_MAX: usize = 10;
/// As above.
const TEXT_CHARS_MAX: usize = 500;

/// A checked verdict, with every field of the answer but `cached`.
pub type Verdict = Map<String, Value>;

/// Reads a model's text: a JSON object, possibly with words or code fences around it.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, symbol: &Symbol, now_ms: i64) -> Result<Verdict, String> {
    let (start, end) = (text.find('{'), text.rfind('}'));
    let object = match (start, end) {
        (Some(start), Some(end)) if start < end => &text[start..=end],
        _ => return Err("there is no JSON object in it".into()),
    };
    let raw: Map<String, Value> =
        serde_json::from_str(object).map_err(|e| format!("it is not JSON ({e})"))?;
    let signal = raw
        .get("signal")
        .and_then(Value::as_str)
        .map(|s| s.trim().to_ascii_lowercase())
        .filter(|s| matches!(s.as_str(), "buy" | "wait" | "no_trade"))
        .ok_or("its signal is none of buy, wait, no_trade")?;
    let entry = number(&raw, "entry_price");
    let stop = number(&raw, "stop_price");
    let target = number(&raw, "target_price");
    let mut ratio = number(&raw, "risk_reward_ratio");
    if signal == "buy" {
        let (Some(entry), Some(stop), Some(target)) = (entry, stop, target) else {
            return Err("it says buy without entry, stop and target".into());
        };
        if !(0.0 < stop && stop < entry && entry < target) {
            return Err("it says buy with prices out of order (stop < entry < target)".into());
        }
        ratio = ratio.or_else(|| Some(((target - entry) / (entry - stop) * 100.0).round() / 100.0));
    }
    let reasoning: Vec<String> = match raw.get("reasoning") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(cut).collect(),
        Some(Value::String(one)) => vec![cut(one)],
        _ => Vec::new(),
    };
    let concern = raw.get("key_concern").and_then(Value::as_str).map(cut);
    Ok(body(
        symbol,
        now_ms,
        &signal,
        [entry, stop, target, ratio],
        number(&raw, "confidence").unwrap_or(0.0).clamp(0.0, 100.0),
        &reasoning[..reasoning.len().min(REASONS_MAX)],
        concern.as_deref(),
    ))
}

/// The verdict when there is none: `wait`, and why.
#[must_use]
pub fn fallback(symbol: &Symbol, why: &Failure, now_ms: i64) -> Verdict {
    let why = match why {
        Failure::Timeout { .. } => {
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

/// A finite number, also one written as text.
fn number(raw: &Map<String, Value>, field: &str) -> Option<f64> {
    let value = match raw.get(field)? {
        Value::Number(n) => n.as_f64()?,
        Value::String(s) => s.trim().trim_start_matches('$').parse().ok()?,
        _ => return None,
    };
    value.is_finite().then_some(value)
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
        ] {
            assert!(parse(bad, &symbol(), 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_fallback_has_every_field_and_says_why() {
        let why = Failure::Unreachable {
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
