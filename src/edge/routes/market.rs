//! Candles and quotes: the candle cache's answers.

use crate::upstream::schwab::candles::MarketKey;

use super::cached::{ByKey, as_it_is};
use super::param::{SYMBOL, TIMEFRAME};
use super::schema::Schema;

/// `GET /api/candles/{symbol}?timeframe=`: an array of candles, oldest first; empty for a symbol that is
/// known and has none yet.
pub static CANDLES: ByKey<MarketKey> = ByKey {
    key: |args| {
        Ok(MarketKey::Candles(
            args.get(&SYMBOL)?,
            args.get(&TIMEFRAME)?,
        ))
    },
    answer: as_it_is,
};

/// `GET /api/quote/{symbol}`: the provider's quote object, for `schwab.stale_quote` also when it is stale.
pub static QUOTE: ByKey<MarketKey> = ByKey {
    key: |args| Ok(MarketKey::Quote(args.get(&SYMBOL)?)),
    answer: as_it_is,
};

pub(super) static CANDLES_SCHEMA: Schema = Schema {
    name: "Candles",
    json: r##"{
  "type": "array",
  "items": {
    "type": "object",
    "required": ["timestamp", "open", "high", "low", "close", "volume"],
    "properties": {
      "timestamp": {"type": "integer", "description": "Its beginning, in milliseconds since the Unix epoch"},
      "open": {"type": "number"},
      "high": {"type": "number"},
      "low": {"type": "number"},
      "close": {"type": "number"},
      "volume": {"type": "integer", "minimum": 0}
    },
    "additionalProperties": false
  },
  "description": "Oldest first"
}"##,
    parts: &[],
};

pub(super) static QUOTE_SCHEMA: Schema = Schema {
    name: "Quote",
    json: r##"{
  "type": "object",
  "description": "The provider's quote object, fields that it adds kept",
  "properties": {
    "lastPrice": {"type": ["number", "null"]},
    "bidPrice": {"type": ["number", "null"]},
    "askPrice": {"type": ["number", "null"]},
    "highPrice": {"type": ["number", "null"]},
    "lowPrice": {"type": ["number", "null"]},
    "openPrice": {"type": ["number", "null"]},
    "closePrice": {"type": ["number", "null"]},
    "netChange": {"type": ["number", "null"]},
    "netPercentChange": {"type": ["number", "null"]},
    "mark": {"type": ["number", "null"]},
    "markChange": {"type": ["number", "null"]},
    "markPercentChange": {"type": ["number", "null"]},
    "totalVolume": {"type": ["number", "null"]},
    "lastSize": {"type": ["number", "null"]},
    "bidSize": {"type": ["number", "null"]},
    "askSize": {"type": ["number", "null"]},
    "quoteTime": {"type": ["number", "null"], "description": "In milliseconds since the Unix epoch"},
    "tradeTime": {"type": ["number", "null"], "description": "In milliseconds since the Unix epoch"},
    "bidTime": {"type": ["number", "null"], "description": "In milliseconds since the Unix epoch"},
    "askTime": {"type": ["number", "null"], "description": "In milliseconds since the Unix epoch"}
  },
  "minProperties": 1
}"##,
    parts: &[],
};
