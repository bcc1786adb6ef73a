//! One file per family of routes. Some routes are answered from what somebody has ready: a cache, or the
//! boards. [`source`] is the table of these; they are answered by the gate without a worker where the
//! answer is at hand. The others are handed the request's [`Context`].

use super::{files, process, stalls, stream, threads, validate};
use crate::edge::request::Handshake;
use crate::upstream::schwab::candles::MarketKey;
use crate::upstream::trader_app::TraderKey;

use super::context::{Context, HttpConfig};
use super::router::Route;
use super::snapshots::Boards;
use crate::edge::answer::Answer;
use crate::edge::answer::page::Asset;

pub use super::market::answer as market_answer;
pub use super::page::answer as page_answer;
pub use super::process::preflight;
pub use super::stream::not_a_stream;
pub use super::trader::answer as trader_answer;
pub use super::validate::VALIDATION_INPUTS_MAX;

/// Who has a route's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The candle cache.
    Market(MarketKey),
    /// The trader cache.
    Trader(TraderKey),
    /// The boards.
    Boards,
    /// The program itself: a file of the page.
    Page(&'static Asset),
}

/// Whose data a route is answered from; none if there is more to it.
#[must_use]
pub fn source(route: &Route) -> Option<Source> {
    Some(match route {
        Route::Candles(symbol, timeframe) => {
            Source::Market(MarketKey::Candles(symbol.clone(), *timeframe))
        }
        Route::Quote(symbol) => Source::Market(MarketKey::Quote(symbol.clone())),
        Route::Watchlist => Source::Trader(TraderKey::Watchlist),
        Route::Vwap(symbol) => Source::Trader(TraderKey::Vwap(symbol.clone())),
        Route::VwapAll => Source::Trader(TraderKey::VwapAll),
        Route::StreamHealth => Source::Trader(TraderKey::StreamHealth),
        Route::Rotation => Source::Trader(TraderKey::Rotation),
        Route::Signals => Source::Trader(TraderKey::Signals),
        Route::Positions => Source::Trader(TraderKey::Positions),
        Route::Health
        | Route::Threads
        | Route::Metrics
        | Route::StreamStatus
        | Route::VolumeSpikes
        | Route::Runners
        | Route::TradeHistory(_) => Source::Boards,
        Route::Page(asset) => Source::Page(asset),
        Route::Dump(_)
        | Route::Stalls
        | Route::Stall(..)
        | Route::Drill { .. }
        | Route::Shutdown
        | Route::LanePing
        | Route::QuoteStream
        | Route::Options { .. }
        | Route::Validate(_)
        | Route::ValidateStatus => return None,
    })
}

/// What the boards say to a route whose [`source`] they are.
#[must_use]
pub fn board_answer(route: &Route, boards: &Boards, config: &HttpConfig) -> Answer {
    match route {
        Route::Health => process::health(boards, config),
        Route::Threads => process::threads(boards, config),
        Route::Metrics => process::metrics(boards),
        Route::StreamStatus => stream::status(boards, config),
        Route::VolumeSpikes => stream::spikes(boards, config),
        Route::Runners => files::runners(boards),
        Route::TradeHistory(trades) => files::trade_history(boards, *trades),
        _ => Answer::error(500, "The server looked for this answer in the wrong place"),
    }
}

/// Answers a request. Waits no longer than the context's deadline.
pub fn answer(route: &Route, context: &Context<'_>) -> Answer {
    match source(route) {
        Some(Source::Market(key)) => {
            return market_answer(context.ask(key, context.deadline));
        }
        Some(Source::Trader(key)) => {
            let reply = context.ask(key.clone(), context.deadline);
            return trader_answer(&key, reply);
        }
        Some(Source::Page(asset)) => return page_answer(asset),
        Some(Source::Boards) => return board_answer(route, context.boards, context.config),
        None => {}
    }
    match route {
        Route::Dump(form) => threads::dump(context, *form),
        Route::Stalls => stalls::list(context),
        Route::Stall(name, form) => stalls::report(context, name, *form),
        Route::Drill { thread, drill } => threads::drill(context, thread, *drill),
        Route::Shutdown => process::shutdown(context),
        Route::Options { allow } => process::options(allow),
        Route::Validate(symbol) => validate::validate(context, symbol),
        Route::ValidateStatus => validate::status(context),
        // Written in another way than the gate knows it, so that it asked nobody for the handshake.
        Route::QuoteStream => not_a_stream(&Handshake::NotAsked).unwrap_or_else(Answer::empty),
        // The gate's own ping; the routes with a source are answered above.
        _ => Answer::empty(),
    }
}
