//! One file per family of routes. Each function is handed the request's [`Context`] and returns the
//! [`Answer`].

mod files;
mod market;
mod process;
mod stream;
mod threads;
mod trader;
mod validate;

use super::answer::Answer;
use super::context::Context;
use super::router::Route;

/// Answers a request. Waits no longer than the context's deadline.
pub fn answer(route: &Route, context: &Context<'_>) -> Answer {
    match route {
        Route::Health => process::health(context),
        Route::Threads => process::threads(context),
        Route::Dump(form) => threads::dump(context, *form),
        Route::Drill { thread, drill } => threads::drill(context, thread, *drill),
        Route::Metrics => process::metrics(context),
        Route::Shutdown => process::shutdown(context),
        Route::LanePing => Answer::empty(),
        Route::Preflight { allow } => process::preflight(allow),
        Route::Candles(symbol, timeframe) => market::candles(context, symbol, *timeframe),
        Route::Quote(symbol) => market::quote(context, symbol),
        Route::Watchlist => trader::watchlist(context),
        Route::Vwap(symbol) => trader::vwap(context, symbol),
        Route::VwapAll => trader::vwap_all(context),
        Route::StreamHealth => trader::stream_health(context),
        Route::Rotation => trader::rotation(context),
        Route::Signals => trader::signals(context),
        Route::Positions => trader::positions(context),
        Route::StreamStatus => stream::status(context),
        Route::VolumeSpikes => stream::spikes(context),
        Route::Runners => files::runners(context),
        Route::TradeHistory(trades) => files::trade_history(context, *trades),
        Route::Validate(symbol) => validate::validate(context, symbol),
        Route::ValidateStatus => validate::status(context),
    }
}
