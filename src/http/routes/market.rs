//! Candles and quotes: the candle desk's answers.

use crate::candles::MarketKey;
use crate::market::{Symbol, Timeframe};

use super::super::answer::Answer;
use super::super::context::Context;

/// `GET /api/candles/{symbol}?timeframe=`: an array of candles, oldest first.
pub fn candles(context: &Context<'_>, symbol: &Symbol, timeframe: Timeframe) -> Answer {
    ask(context, MarketKey::Candles(symbol.clone(), timeframe))
}

/// `GET /api/quote/{symbol}`: the provider's quote object.
pub fn quote(context: &Context<'_>, symbol: &Symbol) -> Answer {
    ask(context, MarketKey::Quote(symbol.clone()))
}

fn ask(context: &Context<'_>, key: MarketKey) -> Answer {
    match context.ask_market(key, context.deadline) {
        Ok(served) => Answer::served(&served, served.value.body.clone()),
        Err(failure) => Answer::failure(&failure),
    }
}
