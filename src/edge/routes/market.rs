//! Candles and quotes: the candle cache's answers.

use crate::cache::Reply;
use crate::upstream::schwab::candles::{MarketKey, MarketOut};

use super::param::{Args, BadRequest, SYMBOL, TIMEFRAME};
use crate::edge::answer::Answer;

/// `GET /api/candles/{symbol}?timeframe=`
pub fn candles(args: &Args) -> Result<MarketKey, BadRequest> {
    Ok(MarketKey::Candles(
        args.get(&SYMBOL)?,
        args.get(&TIMEFRAME)?,
    ))
}

/// `GET /api/quote/{symbol}`
pub fn quote(args: &Args) -> Result<MarketKey, BadRequest> {
    Ok(MarketKey::Quote(args.get(&SYMBOL)?))
}

/// `GET /api/candles/{symbol}?timeframe=`: an array of candles, oldest first; empty for a symbol that is
/// known and has none yet. `GET /api/quote/{symbol}`: the provider's quote object.
///
/// | instead | when |
/// |---|---|
/// | the older one, marked stale | there is one: of candles any, of a quote for `schwab.stale_quote` |
/// | 404 | nobody knows the symbol: neither the watchlist, nor the stream, nor its quote |
/// | 502, 504 | what the provider said, or that it was silent; at the request's deadline where it may pass |
/// | 503 | it is left alone (breaker, 429, budget), there is no token, or too many wait |
#[must_use]
pub fn answer(reply: Reply<MarketOut>) -> Answer {
    match reply {
        Ok(served) => Answer::served(&served, served.value.body.clone()),
        Err(failure) => Answer::failure(&failure),
    }
}
