//! One quote as the stream carries it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::symbol::Symbol;

/// A merged quote: the symbol, and every field that the source ever sent of it, unknown ones kept.
///
/// Known fields, all optional: `last_price`, `bid_price`, `ask_price`, `total_volume`, `last_size`,
/// `high_price`, `low_price`, `open_price`, `net_change`, `quote_time_ms`, `trade_time_ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// Whose.
    pub symbol: Symbol,
    /// Everything else; `symbol` and `type` never stand in here.
    pub fields: Map<String, Value>,
}

impl Quote {
    /// A field as a number, if it is there and is one.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<f64> {
        self.fields.get(field).and_then(Value::as_f64)
    }

    /// The frame that clients get: `{"type":"quote","symbol":…, …fields}`.
    #[must_use]
    pub fn to_frame_json(&self) -> String {
        // Values and strings always have a JSON form.
        serde_json::to_string(&Frame(self)).unwrap_or_default()
    }
}

/// Serializes a quote as its frame, without copying its fields.
struct Frame<'a>(&'a Quote);

impl Serialize for Frame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields.len() + 2))?;
        map.serialize_entry("type", "quote")?;
        map.serialize_entry("symbol", self.0.symbol.as_str())?;
        for (field, value) in &self.0.fields {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_names_its_type_and_symbol_and_keeps_every_field() {
        let mut fields = Map::new();
        fields.insert("last_price".into(), Value::from(2.5));
        fields.insert("odd".into(), Value::from("x"));
        let symbol = "TOYO".parse().unwrap();
        assert_eq!(
            Quote { symbol, fields }.to_frame_json(),
            r#"{"type":"quote","symbol":"TOYO","last_price":2.5,"odd":"x"}"#
        );
    }
}
