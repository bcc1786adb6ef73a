//! Validation of a set-up by the model.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::candles::MarketKey;
use crate::desk::Failure;
use crate::market::{Symbol, Timeframe};
use crate::model::{self, ModelKey, PromptInputs, ValidateRequest};
use crate::trader::{TraderKey, watchlist_entry};

use super::super::answer::Answer;
use super::super::context::Context;

/// How long candles and a quote for the prompt are waited for; the prompt does without what is later.
const INPUTS_DEADLINE: Duration = Duration::from_secs(2);

/// `/api/validate/status` answers before this has passed.
const STATUS_DEADLINE: Duration = Duration::from_millis(4_500);

/// `POST /api/validate/{symbol}`: the model's verdict, or a `wait` with the reason why there is none.
/// A verdict that takes longer than a client waits is kept for the next request.
pub fn validate(context: &Context<'_>, symbol: &Symbol) -> Answer {
    let watchlist = match context.ask_trader(TraderKey::Watchlist, context.deadline) {
        Ok(served) => served.value,
        Err(failure) => {
            return Answer::error(
                503,
                &format!("{symbol} cannot be validated, there is no watchlist: {failure}"),
            )
            .with_retry_after(failure.retry_after());
        }
    };
    let Some(entry) = watchlist_entry(watchlist.plain(), symbol) else {
        return Answer::error(
            400,
            &format!("{symbol} is not in the watchlist; only its symbols are validated"),
        );
    };
    let inputs_by = context.deadline.min(Instant::now() + INPUTS_DEADLINE);
    let quote = context.ask_market(MarketKey::Quote(symbol.clone()), inputs_by);
    let candles = context.ask_market(MarketKey::Candles(symbol.clone(), Timeframe::M1), inputs_by);
    let prompt = model::render(
        &context.config.prompt,
        &PromptInputs {
            symbol,
            watchlist_entry: &entry,
            quote: quote.as_ref().ok().map(|q| q.value.body.plain().as_ref()),
            candles: candles
                .as_ref()
                .ok()
                .and_then(|c| c.value.candles.as_deref()),
        },
    );
    let request = ValidateRequest {
        symbol: symbol.clone(),
        prompt: prompt.into(),
    };
    let asked = Instant::now();
    match context.ask_model(ModelKey::Validate(request), context.deadline) {
        Ok(served) if served.stale_because.is_none() => {
            let cached = served.as_of < asked;
            Answer::json(model::answer((*served.value).clone(), cached))
        }
        // An old verdict on an old price would be worse than none.
        Ok(served) => no_verdict(symbol, served.stale_because.as_ref(), context),
        Err(failure) => no_verdict(symbol, Some(&failure), context),
    }
}

fn no_verdict(symbol: &Symbol, why: Option<&Failure>, context: &Context<'_>) -> Answer {
    let why = why.unwrap_or(&Failure::Cancelled);
    let verdict = model::fallback(symbol, why, context.config.clock.wall_ms());
    Answer::json(model::answer(verdict, false))
}

/// `GET /api/validate/status`: `{"available":bool,"cache_ttl_seconds":60}`.
pub fn status(context: &Context<'_>) -> Answer {
    let by = context.deadline.min(Instant::now() + STATUS_DEADLINE);
    let available = context
        .ask_model(ModelKey::Status, by)
        .is_ok_and(|served| served.stale_because.is_none());
    Answer::value(&json!({
        "available": available,
        "cache_ttl_seconds": context.config.validate_ttl.as_secs(),
    }))
}
