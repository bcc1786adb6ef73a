//! The route table: a row for each route says everything about it. Matching, 404 with near names, 405 and
//! `Allow`, the bulkheads, `/api/openapi.json`, `/docs` and the lists that tests walk are made from it.

use super::bulkhead::Bulkhead;
use super::param::{
    DUMP_FORM, FILE, FOR, HOW, LIMIT, SINCE, STALL, STALL_FORM, STALL_NAME, SYMBOL, TIMEFRAME,
};
use super::row::{Lead, Reply, Row, Source, get, post, reply};
use super::schema::{ERROR_SCHEMA, Schema, TEXT_SCHEMA};
use super::{files, market, openapi, process, stalls, stream, threads, trader, validate};

const JSON: &[&str] = &["application/json"];
const TEXT: &[&str] = &["text/plain"];
const REPORT: &[&str] = &["text/plain", "application/json"];
const PAGE: &[&str] = &["text/html"];
const FILES: &[&str] = &["text/javascript", "text/css", "image/svg+xml"];

const fn json(schema: &'static Schema, when: &'static str) -> Reply {
    reply(200, JSON, schema, when)
}

const fn error(status: u16, when: &'static str) -> Reply {
    reply(status, JSON, &ERROR_SCHEMA, when)
}

const NO_ROOM: Reply = error(
    503,
    "too many requests of this kind wait, or whom it asks is left alone for now",
);
const LATE: Reply = error(504, "whom it asks did not answer in time");
const BROKEN: Reply = error(
    502,
    "whom it asks answered with an error or with something unusable",
);
const REPORT_NAME: Lead = Lead {
    from: "/0/name",
    to: "/api/stalls/{name}",
    param: "name",
};
const NOT_READ: Reply = error(503, "not read yet, in the first second after the start");

static CANDLES: Bulkhead = Bulkhead::new("candle", |s| s.http.slots_market);
static QUOTES: Bulkhead = Bulkhead::new("quote", |s| s.http.slots_quotes);
static WATCHLIST: Bulkhead = Bulkhead::new("watchlist", |s| s.http.slots_trader);
static VWAP: Bulkhead = Bulkhead::new("VWAP", |s| s.http.slots_trader);
static FEED: Bulkhead = Bulkhead::new("stream health", |s| s.http.slots_trader);
static LISTS: Bulkhead = Bulkhead::new("signal and position", |s| s.http.slots_trader);
static VALIDATION: Bulkhead = Bulkhead::new("validation", |s| s.http.slots_model)
    .within(|s| s.model.deadline + validate::VALIDATION_INPUTS_MAX);
static MODEL_STATUS: Bulkhead = Bulkhead::new("model status", |_| validate::STATUS_PERMITS)
    .within(|s| validate::STATUS_DEADLINE.min(s.http.answer_deadline))
    .patient();
static DUMP: Bulkhead = Bulkhead::new("dump and drill", |s| s.http.slots_diagnosis).for_operators();
static REPORTS: Bulkhead =
    Bulkhead::new("stall report", |s| s.http.slots_diagnosis).for_operators();

use Source::{Cached, Do, Page, Snapshot, Stream};

/// All routes. Of two that fit a path the first counts; those that are polled most stand first.
pub static ROUTES: &[Row] = &[
    get(
        "/api/candles/{symbol}",
        Cached(&market::CANDLES),
        &[json(&market::CANDLES_SCHEMA, "oldest first; empty for a known symbol that has none yet"), error(404, "nobody knows the symbol"), BROKEN, NO_ROOM, LATE],
    )
    .params(&[&SYMBOL, &TIMEFRAME])
    .behind(&CANDLES)
    .degraded("the older candles, marked stale")
    .does("The candles of a symbol"),
    get(
        "/api/vwap/{symbol}",
        Cached(&trader::VWAP),
        &[json(&trader::VWAP_SCHEMA, "`vwap` is null where there is none")],
    )
    .params(&[&SYMBOL])
    .behind(&VWAP)
    .degraded("the last one with `stale`, for as long as it may be shown; else `vwap` null")
    .does("The volume-weighted average price of a symbol"),
    get(
        "/api/quote/{symbol}",
        Cached(&market::QUOTE),
        &[json(&market::QUOTE_SCHEMA, "the provider's quote object"), error(404, "nobody knows the symbol"), BROKEN, NO_ROOM, LATE],
    )
    .params(&[&SYMBOL])
    .behind(&QUOTES)
    .degraded("the older quote, marked stale, for `schwab.stale_quote`")
    .does("The quote of a symbol"),
    get(
        "/api/watchlist",
        Cached(&trader::WATCHLIST),
        &[json(&trader::WATCHLIST_SCHEMA, "the trader app's rows"), NO_ROOM],
    )
    .behind(&WATCHLIST)
    .degraded("the last one, marked stale; 503 only if there never was one")
    .does("The trader app's watchlist"),
    get(
        "/api/health",
        Snapshot(process::health),
        &[json(&process::HEALTH_SCHEMA, "no thread is stalled"), reply(503, JSON, &process::HEALTH_SCHEMA, "a thread is stalled; `detail` says which")],
    )
    .does("Whether the server is well"),
    get(
        "/api/signals",
        Cached(&trader::SIGNALS),
        &[json(&trader::SIGNALS_SCHEMA, "the trader app's signals")],
    )
    .behind(&LISTS)
    .degraded("the last ones, marked stale; else empty, marked stale")
    .does("The trader app's signals"),
    get(
        "/api/positions",
        Cached(&trader::POSITIONS),
        &[json(&trader::POSITIONS_SCHEMA, "the trader app's open positions")],
    )
    .behind(&LISTS)
    .degraded("the last ones, marked stale; else empty, marked stale")
    .does("The trader app's open positions"),
    get(
        "/api/runners",
        Snapshot(files::runners),
        &[json(&files::RUNNERS_SCHEMA, "runners.json as last read in one piece"), error(503, "the file was not read yet, or cannot be")],
    )
    .does("The trader's `runners.json`"),
    get(
        "/api/trade-history",
        Snapshot(files::trade_history),
        &[json(&files::TRADES_SCHEMA, "`X-Total-Count` says how many there are").telling(&["X-Total-Count", "X-Lines-Left-Out"]), error(500, "the file cannot be read"), NOT_READ],
    )
    .params(&[&SINCE, &LIMIT])
    .does("The trader's paper trades, oldest first"),
    get(
        "/api/vwap",
        Cached(&trader::VWAP_ALL),
        &[json(&trader::VWAPS_SCHEMA, "by symbol")],
    )
    .behind(&VWAP)
    .degraded("the last ones, marked stale; else empty, marked stale")
    .does("All volume-weighted average prices that the trader app has"),
    get(
        "/api/streaming/status",
        Snapshot(stream::status),
        &[json(&stream::STATUS_SCHEMA, "the state of the quote stream")],
    )
    .does("Whether quotes come in"),
    get(
        "/api/streaming/health",
        Cached(&trader::STREAM_HEALTH),
        &[json(&trader::STREAM_HEALTH_SCHEMA, "the trader app's own word of its feed")],
    )
    .behind(&FEED)
    .degraded("an error in 200: the last one would say that all is well")
    .does("The trader app's own feed"),
    get(
        "/api/streaming/rotation",
        Cached(&trader::ROTATION),
        &[json(&trader::ROTATION_SCHEMA, "which symbols the trader app's feed carries")],
    )
    .behind(&FEED)
    .degraded("an error in 200: the last one would say that all is well")
    .does("The trader app's rotation of symbols"),
    get(
        "/api/volume-spikes/active",
        Snapshot(stream::spikes),
        &[json(&stream::SPIKES_SCHEMA, "by symbol")],
    )
    .does("Volume spikes of the last `stream.spike_window`"),
    get(
        "/api/validate/status",
        Do(validate::status),
        &[json(&validate::STATUS_SCHEMA, "whether verdicts can be had"), NO_ROOM],
    )
    .behind(&MODEL_STATUS)
    .does("Whether the model is there"),
    post(
        "/api/validate/{symbol}",
        Do(validate::validate),
        &[json(&validate::VERDICT_SCHEMA, "the model's verdict, or `wait` with the reason why there is none"), error(400, "no symbol, or not one of the watchlist"), NO_ROOM],
    )
    .params(&[&SYMBOL])
    .behind(&VALIDATION)
    .degraded("`wait` with the reason")
    .does("The model's verdict on a symbol of the watchlist"),
    get(
        "/api/threads",
        Snapshot(process::threads),
        &[json(&process::THREADS_SCHEMA, "as the watchdog saw them last"), NOT_READ],
    )
    .does("Every thread, channel and stall"),
    get(
        "/api/threads/dump",
        Do(threads::dump),
        &[reply(200, REPORT, &threads::REPORT_SCHEMA, "in the form that was asked for"), NO_ROOM, LATE],
    )
    .params(&[&DUMP_FORM])
    .behind(&DUMP)
    .does("Every thread's stack, now"),
    get(
        "/api/stalls",
        Do(stalls::list),
        &[json(&stalls::STALLS_SCHEMA, "the newest first").leading(REPORT_NAME), error(500, "the folder cannot be read"), NO_ROOM, LATE],
    )
    .behind(&REPORTS)
    .does("Past stall reports"),
    get(
        "/api/stalls/{name}",
        Do(stalls::report),
        &[reply(200, REPORT, &threads::REPORT_SCHEMA, "in the form that was asked for"), error(404, "there is no such report (any more)"), error(500, "it cannot be read"), NO_ROOM, LATE],
    )
    .params(&[&STALL_NAME, &STALL_FORM])
    .behind(&REPORTS)
    .does("One past stall report"),
    post(
        "/api/drill",
        Do(threads::drill),
        &[json(&threads::DRILL_SCHEMA, "ordered"), error(403, "not from this machine, or not allowed by the settings"), error(404, "no such thread"), NO_ROOM, LATE],
    )
    .params(&[&STALL, &HOW, &FOR])
    .behind(&DUMP)
    .once_only()
    .does("A real stall, to see what it does; from this machine only, and where `watchdog.allow_drills` is set"),
    post(
        "/api/shutdown",
        Do(process::shutdown),
        &[json(&process::SHUTDOWN_SCHEMA, "the server ends"), error(403, "not from this machine")],
    )
    .does("An orderly end; from this machine only"),
    get("/api/ws/quotes", Stream, &[reply(101, &[], &TEXT_SCHEMA, "the stream begins"), error(426, "no handshake, or one of another version").telling(&["Upgrade"]), error(503, "as many streams as there may be")])
        .does("The quote stream, by WebSocket"),
    get(
        "/api/openapi.json",
        Snapshot(|_, _, _| Ok(openapi::answer(ROUTES))),
        &[json(&openapi::OPEN_API_SCHEMA, "OpenAPI 3.1")],
    )
    .does("This list of routes, for programs"),
    get("/metrics", Snapshot(process::metrics), &[reply(200, TEXT, &TEXT_SCHEMA, "Prometheus' format"), NOT_READ])
        .does("The same as `/api/threads`, for Prometheus"),
    get("/", Page, &[reply(200, PAGE, &TEXT_SCHEMA, "the page")]).does("The chart page"),
    get("/threads", Page, &[reply(200, PAGE, &TEXT_SCHEMA, "the page")]).does("The page of threads and stalls"),
    get("/docs", Page, &[reply(200, PAGE, &TEXT_SCHEMA, "the page")]).does("The page of routes: what each takes and answers, and to try it"),
    get("/assets/{file}", Page, &[reply(200, FILES, &TEXT_SCHEMA, "the file"), error(404, "no such file")])
        .params(&[&FILE])
        .does("What the pages name"),
];
