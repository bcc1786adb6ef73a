//! What the trader app knows: passed through, or a degraded answer that clients already understand.

use crate::body::Body;
use crate::desk::{Failure, Reply};
use crate::market::Symbol;
use crate::trader::{TraderKey, answers};

use super::super::answer::Answer;
use super::super::context::Context;

/// `GET /api/watchlist`: the trader app's array; the last one, marked stale, while it is away; 503
/// only if there never was one.
pub fn watchlist(context: &Context<'_>) -> Answer {
    match context.ask_trader(TraderKey::Watchlist, context.deadline) {
        Ok(served) => Answer::served(&served, served.value.clone()),
        Err(failure) => {
            let mut answer = Answer::error(503, &format!("There is no watchlist yet: {failure}"));
            answer = answer.with_retry_after(failure.retry_after());
            answer
        }
    }
}

/// `GET /api/vwap/{symbol}`: always 200; `vwap` is null where the trader app gives none.
pub fn vwap(context: &Context<'_>, symbol: &Symbol) -> Answer {
    match context.ask_trader(TraderKey::Vwap(symbol.clone()), context.deadline) {
        Ok(served) if served.stale_because.is_some() => {
            let body = answers::stale_vwap(served.value.plain());
            Answer::served(&served, Body::once(body))
        }
        Ok(served) => Answer::served(&served, served.value.clone()),
        Err(failure) => Answer::json(answers::no_vwap(symbol, &failure)),
    }
}

/// `GET /api/vwap`: all symbols' VWAP; `{}` where the trader app gives none.
pub fn vwap_all(context: &Context<'_>) -> Answer {
    ask(context, TraderKey::VwapAll, |_| b"{}".to_vec())
}

/// `GET /api/streaming/health`: the trader app's own view of its stream.
pub fn stream_health(context: &Context<'_>) -> Answer {
    fresh_or(
        context.ask_trader(TraderKey::StreamHealth, context.deadline),
        answers::no_stream_health,
    )
}

/// `GET /api/streaming/rotation`: the trader app's rotation object.
pub fn rotation(context: &Context<'_>) -> Answer {
    fresh_or(
        context.ask_trader(TraderKey::Rotation, context.deadline),
        answers::no_rotation,
    )
}

/// `GET /api/signals`: the trader app's array, or `[]`.
pub fn signals(context: &Context<'_>) -> Answer {
    ask(context, TraderKey::Signals, |_| b"[]".to_vec())
}

/// `GET /api/positions`: the trader app's array, or `[]`.
pub fn positions(context: &Context<'_>) -> Answer {
    ask(context, TraderKey::Positions, |_| b"[]".to_vec())
}

fn ask(context: &Context<'_>, key: TraderKey, otherwise: impl Fn(&Failure) -> Vec<u8>) -> Answer {
    match context.ask_trader(key, context.deadline) {
        Ok(served) => Answer::served(&served, served.value.clone()),
        Err(failure) => Answer::json(otherwise(&failure)),
    }
}

/// A health or rotation of some time ago would tell a client that all is well: these are fresh or
/// they are an error.
fn fresh_or(reply: Reply<Body>, otherwise: impl Fn(&Failure) -> Vec<u8>) -> Answer {
    match reply {
        Ok(served) => match &served.stale_because {
            None => Answer::served(&served, served.value.clone()),
            Some(why) => Answer::json(otherwise(why)),
        },
        Err(failure) => Answer::json(otherwise(&failure)),
    }
}
