//! Candles and quotes: the candle cache's answers.

use crate::upstream::schwab::candles::MarketKey;

use super::cached::{ByKey, as_it_is};
use super::param::{SYMBOL, TIMEFRAME};

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
