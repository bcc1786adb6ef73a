//! Candles and quotes: the candle desk's answers.

use crate::candles::MarketOut;
use crate::desk::Reply;

use super::super::answer::Answer;

/// `GET /api/candles/{symbol}?timeframe=`: an array of candles, oldest first.
/// `GET /api/quote/{symbol}`: the provider's quote object.
#[must_use]
pub fn answer(reply: Reply<MarketOut>) -> Answer {
    match reply {
        Ok(served) => Answer::served(&served, served.value.body.clone()),
        Err(failure) => Answer::failure(&failure),
    }
}
