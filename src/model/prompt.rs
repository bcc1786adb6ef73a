//! The model's prompt: a template with places for the data. Pure.

use serde_json::{Map, Value, json};

use crate::market::{Candle, Symbol};

/// The template in the binary.
pub const BUILT_IN: &str = include_str!("prompt.txt");

/// Candles in a prompt.
const CANDLES_MAX: usize = 60;

/// The longest piece of JSON put into a prompt, in characters.
const PIECE_CHARS_MAX: usize = 4_000;

/// What goes into a prompt.
#[derive(Debug)]
pub struct PromptInputs<'a> {
    /// For `{symbol}`.
    pub symbol: &'a Symbol,
    /// For `{watchlist_entry}`.
    pub watchlist_entry: &'a Map<String, Value>,
    /// For `{quote}`: JSON.
    pub quote: Option<&'a [u8]>,
    /// For `{candles}`.
    pub candles: Option<&'a [Candle]>,
}

/// Fills the template's places. Each is filled once, in one pass: braces in the data are data.
#[must_use]
pub fn render(template: &str, inputs: &PromptInputs<'_>) -> String {
    let quote = inputs
        .quote
        .map_or("not available".into(), String::from_utf8_lossy);
    let candles = inputs.candles.map_or("not available".to_owned(), |all| {
        let rows: Vec<Value> = all[all.len().saturating_sub(CANDLES_MAX)..]
            .iter()
            .map(|c| json!([c.at_ms, c.open, c.high, c.low, c.close, c.volume]))
            .collect();
        Value::from(rows).to_string()
    });
    let entry = Value::Object(inputs.watchlist_entry.clone()).to_string();
    let places = [
        ("{symbol}", inputs.symbol.as_str()),
        ("{watchlist_entry}", entry.as_str()),
        ("{quote}", &quote),
        ("{candles}", &candles),
    ];
    let mut out = String::with_capacity(template.len() + 2_048);
    let mut rest = template;
    while let Some(brace) = rest.find('{') {
        out.push_str(&rest[..brace]);
        rest = &rest[brace..];
        match places.iter().find(|(place, _)| rest.starts_with(place)) {
            Some((place, text)) => {
                out.extend(text.chars().take(PIECE_CHARS_MAX));
                rest = &rest[place.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_braces_in_the_data_are_data() {
        let mut entry = Map::new();
        entry.insert("note".into(), Value::from("{symbol}{quote}"));
        let symbol: Symbol = "A".parse().unwrap();
        let inputs = PromptInputs {
            symbol: &symbol,
            watchlist_entry: &entry,
            quote: None,
            candles: Some(&[]),
        };
        let got = render(
            "{x} {symbol}: {watchlist_entry} {quote} {candles} {",
            &inputs,
        );
        assert_eq!(
            got,
            r#"{x} A: {"note":"{symbol}{quote}"} not available [] {"#
        );
    }

    #[test]
    fn the_built_in_template_has_every_place() {
        for place in ["{symbol}", "{watchlist_entry}", "{quote}", "{candles}"] {
            assert!(BUILT_IN.contains(place));
        }
    }
}
