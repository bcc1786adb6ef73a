//! A symbol is the same on every route and the stream, however it is written.

use std::sync::Barrier;
use std::time::Duration;

use crate::kit::{Fault, Quotes, Server, Upstreams, eventually};
use serde_json::json;

const OPTION: &str = "AMZN  230317C01360000";

#[test]
fn every_route_takes_a_symbol_however_it_is_written() {
    let up = Upstreams::start();
    up.trader.http.fault(
        "/api/watchlist",
        Fault::Status(200, None, "[{\"symbol\":\" brk/b \"},\"/ES\"]"),
    );
    let server = up.server(&[]);
    for (symbol, paths) in [
        ("BRK/B", &["BRK/B", "brk%2fb", "%20BRK/B%20"][..]),
        ("/ES", &["/ES", "%2FES"]),
        ("./ADUF23C0.55", &["./ADUF23C0.55", ".%2FADUF23C0.55"]),
        (
            OPTION,
            &[
                "AMZN%20%20230317C01360000",
                "amzn+230317c01360000",
                "AMZN230317C01360000",
            ],
        ),
    ] {
        for path in paths {
            for route in ["candles", "quote", "vwap"] {
                let got = server.get(&format!("/api/{route}/{path}"));
                assert_eq!(got.status, 200, "{route}/{path}: {}", got.text());
            }
            let got = server.ask("POST", &format!("/api/validate/{path}"));
            if ["BRK/B", "/ES"].contains(&symbol) {
                assert_eq!(got.status, 200, "{path}: {}", got.text());
                assert_eq!(got.json()["symbol"], symbol);
            } else {
                assert_eq!(got.status, 400, "{path}: {}", got.text());
                assert!(got.detail().contains(symbol), "{}", got.text());
            }
        }
    }
    for bad in ["A%20B", "A//B", "%5EVIX", "ACAQ+"] {
        assert_eq!(server.get(&format!("/api/quote/{bad}")).status, 400);
    }
}

#[test]
fn the_stream_takes_and_gives_a_symbol_however_it_is_written() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let mut quotes = Quotes::connect(&server.address);
    quotes.until_status(true);
    quotes.subscribe(&[" brk/b ", "/ES", "./ADUF23C0.55", "amzn 230317c01360000"]);
    let want = ["./ADUF23C0.55", "/ES", OPTION, "BRK/B"];
    eventually("the source is asked for all four", || {
        up.trader.stream.subscribed().iter().eq(want).then_some(())
    });
    let quote = json!({"symbol": "AMZN230317C01360000", "last_price": 1.5, "trade_time_ms": 1});
    up.trader.stream.quote(&quote);
    let got = quotes.until("its quote", |m| m["type"] == "quote");
    assert_eq!(
        (&got["symbol"], &got["last_price"]),
        (&json!(OPTION), &json!(1.5))
    );
    up.trader.stream.emit(
        "volume_spike",
        &json!({"symbol": " toyo ", "spike_ratio": 4}),
    );
    let got = server.eventually("/api/volume-spikes/active", |got| {
        got.json()["spikes"]["TOYO"].is_object()
    });
    assert_eq!(got["spikes"]["TOYO"]["symbol"], "TOYO");
    quotes.unsubscribe(&["AMZN230317C01360000", "BRK/B", "/es", "./aduf23c0.55"]);
    eventually("nothing is asked for", || {
        up.trader.stream.subscribed().is_empty().then_some(())
    });
}

#[test]
fn quotes_are_asked_for_by_list_and_one_by_one_where_lists_are_not_known() {
    let up = Upstreams::start();
    let one_fetcher = ["schwab.quote_fetchers=1", "schwab.fresh_quote=1ms"];
    let server = up.server(&one_fetcher);
    let quote = |path: &str| server.get(&format!("/api/quote/{path}"));
    let future =
        "{\"/ESZ26\":{\"quote\":{\"lastPrice\":6912.5},\"reference\":{\"product\":\"/ES\"}}}";
    up.schwab
        .0
        .fault("/quotes?symbols=%2FES", Fault::Status(200, None, future));
    assert_eq!(quote("/ES").json()["lastPrice"], 6912.5);
    up.schwab.0.heal();
    assert_eq!(quote("AUD/CAD").status, 200);
    assert_eq!(up.schwab.0.count("/quotes?symbols="), 2);
    up.schwab.knows_no_lists();
    assert_eq!(quote("NOPE").status, 404);
    for symbol in ["AAAA", "BBBB", "BRK/B"] {
        assert_eq!(quote(symbol).status, 200);
    }
    assert_eq!(up.schwab.0.count("/quotes?symbols="), 3, "it is remembered");
    assert_eq!(up.schwab.0.count("/BRK%2FB/quotes"), 1);
    server.log_has("backend.log", "/quotes?symbols= is not known there");
}

/// Asks for all these quotes at once, while the only fetcher is busy with another; their statuses.
fn asked_at_once(up: &Upstreams, server: &Server, busy: &str, symbols: &[&str]) -> Vec<u16> {
    let slow = format!("/quotes?symbols={busy}");
    up.schwab
        .0
        .fault(&slow, Fault::Slow(Duration::from_secs(1)));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.get(&format!("/api/quote/{busy}")).status);
        eventually("the fetcher is busy", || {
            (up.schwab.0.count(&slow) == 1).then_some(())
        });
        let askers: Vec<_> = symbols
            .iter()
            .map(|symbol| scope.spawn(move || server.get(&format!("/api/quote/{symbol}")).status))
            .collect();
        assert_eq!(first.join().unwrap(), 200);
        askers.into_iter().map(|a| a.join().unwrap()).collect()
    })
}

#[test]
fn quotes_that_are_wanted_at_the_same_moment_are_one_call_and_each_has_its_own_answer() {
    let up = Upstreams::start();
    let server = up.server(&["schwab.quote_fetchers=1", "http.answer_deadline=4s"]);
    let symbols = [
        "AAAA", "BBBB", "BRK/B", "/ES", "NOPE", "CCCC", "$SPX", "DDDD",
    ];
    let got = asked_at_once(&up, &server, "FIRST", &symbols);
    assert_eq!(got, [200, 200, 200, 200, 404, 200, 200, 200]);
    // Who came late is in a call of its own.
    let calls = up.schwab.0.count("/quotes?symbols=");
    assert!(calls <= 5, "{calls} calls for nine symbols");
    // One that makes the provider fail costs the others a second call.
    up.schwab
        .0
        .fault("/quotes?symbols=BAD", Fault::Status(500, None, "{}"));
    let got = asked_at_once(&up, &server, "SECOND", &["EEEE", "BAD", "FFFF", "GGGG"]);
    assert_eq!(got, [200, 502, 200, 200]);
    up.schwab.knows_no_lists();
    let got = asked_at_once(&up, &server, "THIRD", &["HHHH", "IIII", "NONE", "JJJJ"]);
    assert_eq!(got, [200, 200, 404, 200]);
    assert_eq!(up.schwab.0.count("/IIII/quotes"), 1);
}

#[test]
fn quotes_asked_for_at_once_are_few_calls_though_fetchers_are_free() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    for round in 0..5 {
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (start, server) = (&start, &server);
                scope.spawn(move || {
                    start.wait();
                    let got = server.get(&format!("/api/quote/R{round}N{n}"));
                    assert_eq!(got.status, 200, "{}", got.text());
                });
            }
        });
    }
    let calls = up.schwab.0.count("/quotes?symbols=");
    assert!(calls <= 20, "{calls} calls for forty symbols");
}
