//! The quote stream from a source that does what the tests say to clients over real sockets.

use std::collections::BTreeSet;

use crate::kit::{Fault, Quotes, Upstreams, at_once, eventually};
use serde_json::json;

const QUICK: &[&str] = &["stream.backoff_min=50ms", "stream.backoff_max=200ms"];

fn set(symbols: &[&str]) -> BTreeSet<String> {
    symbols.iter().map(|s| (*s).to_owned()).collect()
}

fn wants(up: &Upstreams, symbols: &[&str]) {
    eventually(&format!("the source sends {symbols:?}"), || {
        (up.trader.stream.subscribed() == set(symbols)).then_some(())
    });
}

#[test]
fn two_clients_get_their_own_symbols_and_neither_silences_the_other() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut a = Quotes::connect(&server.address);
    let mut b = Quotes::connect(&server.address);
    a.until_status(true);
    b.until_status(true);
    a.subscribe(&["toyo", "ELPW"]);
    b.subscribe(&["TOYO"]);
    wants(&up, &["ELPW", "TOYO"]);
    for n in 1..=3 {
        up.trader
            .stream
            .quote(&json!({"symbol": "ELPW", "last_price": n, "n": n}));
        up.trader
            .stream
            .quote(&json!({"symbol": "NOBODY", "last_price": n, "n": n}));
        up.trader
            .stream
            .quote(&json!({"symbol": "TOYO", "last_price": n, "n": n, "odd": "kept"}));
    }
    for n in 1..=3 {
        let elpw = a.next().unwrap();
        assert_eq!(
            (&elpw["type"], &elpw["symbol"], &elpw["n"]),
            (&json!("quote"), &json!("ELPW"), &json!(n))
        );
        let toyo = a.next().unwrap();
        assert_eq!(
            (&toyo["symbol"], &toyo["n"], &toyo["odd"]),
            (&json!("TOYO"), &json!(n), &json!("kept"))
        );
        assert_eq!(b.next().unwrap(), toyo, "the same bytes for everybody");
    }
    b.unsubscribe(&["TOYO"]);
    b.subscribe(&["AAAA"]);
    wants(&up, &["AAAA", "ELPW", "TOYO"]);
    drop(b);
    wants(&up, &["ELPW", "TOYO"]);
    up.trader.stream.quote(&json!({"symbol": "TOYO", "n": 9}));
    assert_eq!(a.next().unwrap()["n"], 9);
    assert_eq!(
        server.get("/api/streaming/status").json()["symbols"],
        json!(["ELPW", "TOYO"])
    );
}

#[test]
fn partial_updates_are_merged_and_what_clients_say_wrong_is_told() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut client = Quotes::connect(&server.address);
    client.until_status(true);
    for wrong in [
        "nonsense",
        "{}",
        r#"{"action":"dance","symbols":[]}"#,
        r#"{"action":"subscribe","symbols":["no good!"]}"#,
    ] {
        client.say(wrong);
        let error = client.next().unwrap();
        assert!(
            error["type"] == "error" && error["detail"].is_string(),
            "{wrong}: {error}"
        );
    }
    client.subscribe(&["TOYO"]);
    wants(&up, &["TOYO"]);
    up.trader.stream.quote(
        &json!({"symbol": "TOYO", "last_price": 2.0, "bid_price": 1.9, "total_volume": 100}),
    );
    up.trader
        .stream
        .quote(&json!({"symbol": "TOYO", "total_volume": 150, "bid_price": null}));
    client.next().unwrap();
    assert_eq!(
        client.next().unwrap(),
        json!({"type": "quote", "symbol": "TOYO", "last_price": 2.0, "bid_price": 1.9, "total_volume": 150})
    );
}

#[test]
fn a_lost_source_is_told_and_comes_back_with_all_subscriptions() {
    let mut up = Upstreams::start();
    let server = up.server(QUICK);
    let mut client = Quotes::connect(&server.address);
    client.until_status(true);
    client.subscribe(&["TOYO", "ELPW"]);
    wants(&up, &["ELPW", "TOYO"]);
    // Dropped and back at once.
    up.trader.stream.drop_clients();
    client.until_status(false);
    client.until_status(true);
    wants(&up, &["ELPW", "TOYO"]);
    // Away for a while; wishes change meanwhile.
    up.trader.http.fake.go_away();
    up.trader.stream.drop_clients();
    client.until_status(false);
    client.subscribe(&["AAAA"]);
    client.unsubscribe(&["ELPW"]);
    let late = Quotes::connect(&server.address).next().unwrap();
    assert_eq!(late, json!({"type": "status", "connected": false}));
    assert_eq!(
        server.get("/api/streaming/status").json()["connected"],
        false
    );
    up.trader.http.fake.come_back();
    client.until_status(true);
    wants(&up, &["AAAA", "TOYO"]);
    up.trader.stream.quote(&json!({"symbol": "AAAA", "n": 1}));
    client.until("a quote of AAAA", |m| m["symbol"] == "AAAA");
    // It leaves in its own words.
    up.trader.stream.say("41");
    client.until_status(false);
    client.until_status(true);
    wants(&up, &["AAAA", "TOYO"]);
}

#[test]
fn a_source_that_falls_silent_is_left_and_found_again() {
    let up = Upstreams::start();
    up.trader.stream.announce_pings_and_send_none(300);
    let server = up.server(QUICK);
    let mut client = Quotes::connect(&server.address);
    for _ in 0..2 {
        client.until_status(true);
        client.until_status(false);
    }
    server.log_has(
        "backend.log",
        "silent for longer than its own ping interval",
    );
}

#[test]
fn a_source_that_hangs_or_refuses_at_the_upgrade_costs_nothing_but_quotes() {
    let faults = [
        (Fault::Hang, "did not answer the upgrade in time"),
        (
            Fault::Status(400, None, "no WebSocket"),
            "without a WebSocket backend",
        ),
        (Fault::Garbage, "the upgrade failed"),
    ];
    at_once(faults, |(fault, words)| {
        let up = Upstreams::start();
        up.trader.http.fault("/socket.io/", fault);
        let mut server = up.server(&[
            "stream.backoff_min=50ms",
            "stream.backoff_max=200ms",
            "stream.connect_deadline=500ms",
        ]);
        server.log_has("backend.log", words);
        assert_eq!(server.get("/api/watchlist").status, 200);
        up.trader.http.heal();
        let mut client = Quotes::connect(&server.address);
        client.until_status(true);
        assert_eq!(server.ask("POST", "/api/shutdown").status, 200);
        assert_eq!(server.exit_code(), 0);
    });
}

#[test]
fn garbage_from_the_source_is_skipped_and_quotes_go_on() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut client = Quotes::connect(&server.address);
    client.until_status(true);
    client.subscribe(&["TOYO"]);
    wants(&up, &["TOYO"]);
    for nonsense in [
        "42",
        "42[",
        "42[]",
        "42[1]",
        "42[\"quote_update\"]",
        "42[\"quote_update\",7]",
        "42[\"quote_update\",{\"symbol\":\"not a symbol\"}]",
        "429999999999999999999[\"x\"]",
        "45999-[\"quote_update\"]",
        "9",
        "",
        "43",
        "42/other,[\"quote_update\",{}]",
        "42[\"volume_spike\",{\"symbol\":7}]",
    ] {
        up.trader.stream.say(nonsense);
    }
    up.trader.stream.quote(&json!({"symbol": "TOYO", "n": 1}));
    client.until("the quote after the garbage", |m| m["n"] == 1);
}

#[test]
fn spikes_are_active_and_the_newest_of_a_symbol_wins() {
    let up = Upstreams::start();
    let server = up.server(&["stream.backoff_min=50ms", "stream.spike_window=2s"]);
    server.eventually("/api/streaming/status", |g| g.json()["connected"] == true);
    for ratio in [3.5, 4.5] {
        up.trader.stream.emit(
            "volume_spike",
            &json!({"symbol": "TOYO", "spike_ratio": ratio, "first_hour": true}),
        );
    }
    let spikes = server.eventually("/api/volume-spikes/active", |g| {
        g.json()["spikes"]["TOYO"]["spike_ratio"] == 4.5
    });
    assert_eq!(spikes["spikes"]["TOYO"]["first_hour"], true);
    assert!(spikes["spikes"]["TOYO"]["received_at"].is_number());
    server.eventually("/api/volume-spikes/active", |g| {
        g.json() == json!({"spikes": {}})
    });
}

#[test]
fn a_client_that_stops_reading_does_not_slow_the_others_and_is_closed() {
    let up = Upstreams::start();
    let server = up.server(&["stream.backoff_min=50ms", "ws.write_deadline=1s"]);
    let mut stuck = Quotes::connect(&server.address);
    let mut live = Quotes::connect(&server.address);
    for client in [&mut stuck, &mut live] {
        client.until_status(true);
        client.subscribe(&["TOYO", "ELPW"]);
    }
    wants(&up, &["ELPW", "TOYO"]);
    let padding = "x".repeat(20_000);
    let source = up.trader.stream.clone();
    let sending = std::thread::spawn(move || {
        for n in 1..=1_500 {
            source.quote(&json!({"symbol": "TOYO", "n": n, "padding": padding}));
        }
        source.quote(&json!({"symbol": "ELPW", "last": true}));
    });
    let mut before = 0;
    loop {
        let message = live.next().unwrap();
        if message["last"] == true {
            break;
        }
        let n = message["n"].as_i64().unwrap();
        assert!(n > before, "{n} after {before}");
        before = n;
    }
    sending.join().unwrap();
    eventually("the stuck client is closed", || {
        (server.get("/api/streaming/status").json()["clients"] == 1).then_some(())
    });
    // By its writer after 1 s, or by the hub a little later, whichever sees it first.
    server.log_has("backend.log", "it took nothing for ");
    drop(stuck);
}

#[test]
fn frames_that_are_too_large_or_none_end_only_their_own_session() {
    use std::io::Write;
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut well = Quotes::connect(&server.address);
    well.until_status(true);
    let attacks: [&[u8]; 4] = [
        // 16 MB, masked, announced.
        &[0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4],
        // Not masked.
        &[0x81, 0x05, b'h', b'e', b'l', b'l', b'o'],
        // Reserved bits and opcode.
        &[0xff, 0x80, 0, 0, 0, 0],
        // Not UTF-8.
        &[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe],
    ];
    for bytes in attacks {
        let mut bad = Quotes::connect(&server.address);
        bad.until_status(true);
        bad.raw().write_all(bytes).unwrap();
        assert!(bad.next().is_err(), "{bytes:?} ended nothing");
    }
    let many: Vec<String> = (0..10_000).map(|n| format!("S{n}")).collect();
    let mut greedy = Quotes::connect(&server.address);
    greedy.until_status(true);
    for some in many.chunks(2_000) {
        greedy.subscribe(&some.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let error = greedy.until("a word about too many symbols", |m| m["type"] == "error");
    assert!(
        error["detail"].as_str().unwrap().contains("too many"),
        "{error}"
    );
    well.subscribe(&["TOYO"]);
    eventually("the well-behaved one is served", || {
        up.trader.stream.subscribed().contains("TOYO").then_some(())
    });
    assert!(up.trader.stream.subscribed().len() <= 1_001);
    up.trader.stream.quote(&json!({"symbol": "TOYO", "n": 1}));
    well.until("its quote", |m| m["n"] == 1);
}
