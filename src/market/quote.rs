//! One quote as the stream carries it.

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
        let mut object = Map::with_capacity(self.fields.len() + 2);
        object.insert("type".into(), Value::from("quote"));
        object.insert("symbol".into(), Value::from(self.symbol.as_str()));
        for (k, v) in &self.fields {
            object.insert(k.clone(), v.clone());
        }
        Value::Object(object).to_string()
    }
}
