//! The market provider fails in every way; candles and quotes are stale or say why, the rest does not
//! notice, and all is back by itself.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::routes::Part;
use crate::kit::town::{Town, Trial};
use crate::kit::{Fault, Upstreams, get};

/// A fault of everything at the provider: what it is called, for how many seconds, what it does, and what those
/// are told who need it.
type Fails = (&'static str, u64, Fault, Option<&'static str>);

/// One after the other, each over before the next begins.
fn cost_only_what_needs_the_provider(faults: impl IntoIterator<Item = Fails>) -> Town {
    let mut town = Town::start(&[]);
    for (name, seconds, fault, words) in faults {
        let trial = Trial::harmless(name, seconds).breaking(&[Part::Schwab]);
        let trial = words.map_or(trial, |words| trial.saying(words));
        town.trial(
            trial,
            |town| town.up.schwab.0.fault("/", fault.clone()),
            |town| {
                town.up.schwab.0.heal();
                town.up.schwab.0.fake.close_connections();
            },
        );
    }
    town
}

/// What those are told whose provider is too slow; it takes longer than a client waits.
const TOO_SLOW: Option<&str> = Some("did not answer within");

#[test]
fn a_provider_that_hangs_costs_only_what_needs_it() {
    let hangs = ("the provider hangs", 12, Fault::Hang, TOO_SLOW);
    cost_only_what_needs_the_provider([hangs]).empties();
}

#[test]
fn a_provider_that_drips_costs_only_what_needs_it() {
    let drips = (
        "the provider sends one byte a second",
        12,
        Fault::Drip,
        TOO_SLOW,
    );
    cost_only_what_needs_the_provider([drips]).empties();
}

#[test]
fn a_provider_that_answers_wrongly_costs_only_what_needs_it() {
    let told = [
        (
            "the provider answers with 100 MB",
            Fault::Huge,
            "longer than",
        ),
        ("the provider sends bad gzip", Fault::BadGzip, "gzip"),
        (
            "the provider drops in mid-body",
            Fault::Truncated,
            "in the middle of its answer",
        ),
        (
            "the provider drops before it answers",
            Fault::Drop,
            "before it answered",
        ),
    ];
    let faults = told.map(|(name, fault, words)| (name, 4, fault, Some(words)));
    cost_only_what_needs_the_provider(faults).empties();
}

#[test]
fn a_provider_that_fails_is_slow_or_refuses_costs_only_what_needs_it() {
    let fails = Fault::Status(500, None, "{}");
    let slow = Fault::Slow(Duration::from_millis(800));
    let mut town = cost_only_what_needs_the_provider([
        ("the provider fails", 4, fails, Some("answered 500")),
        ("the provider is slow", 4, slow, None),
    ]);
    town.trial(
        Trial::harmless("the provider refuses", 5)
            .breaking(&[Part::Schwab])
            .saying("nothing listens"),
        |town| town.up.schwab.0.fake.go_away(),
        |town| town.up.schwab.0.fake.come_back(),
    );
    town.empties();
}

/// As the old page asks for a chart: three tries, half a second between two, and then "failed" for good.
/// Returns when it had its candles.
fn old_page(address: &str, symbol: &str) -> Option<Instant> {
    for _ in 0..3 {
        if get(address, &format!("/api/candles/{symbol}")).status == 200 {
            return Some(Instant::now());
        }
        thread::sleep(Duration::from_millis(500));
    }
    None
}

/// What was asked while it hung is never answered, also afterwards.
#[test]
fn after_a_hang_of_twenty_seconds_every_page_has_its_chart_within_three() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    up.schwab.0.fault("/", Fault::Hang);
    let began = Instant::now();
    let address = Arc::new(server.address.clone());
    let page = |symbol: &'static str, pause: Option<u64>| {
        let address = address.clone();
        thread::spawn(move || match pause {
            None => old_page(&address, symbol).expect("it shows \"failed\" for good"),
            Some(ms) => loop {
                if get(&address, &format!("/api/candles/{symbol}")).status == 200 {
                    break Instant::now();
                }
                thread::sleep(Duration::from_millis(ms));
            },
        })
    };
    let mut pages = vec![("the old page", page("TOYO", None))];
    for (symbol, seconds) in [("ELPW", 1), ("VRLK", 3), ("MQZT", 10)] {
        // Who pauses for longer than that asks while it hangs, and is answered after it.
        let starts = if seconds > 2 { 15 } else { 1 };
        thread::sleep(
            (began + Duration::from_secs(starts)).saturating_duration_since(Instant::now()),
        );
        pages.push((symbol, page(symbol, Some(seconds * 1_000))));
    }
    thread::sleep((began + Duration::from_secs(20)).saturating_duration_since(Instant::now()));
    up.schwab.0.heal();
    let ended = Instant::now();
    for (who, page) in pages {
        let after = page.join().unwrap().saturating_duration_since(ended);
        println!("{who}: its chart {after:?} after the hang");
        assert!(after < Duration::from_secs(3), "{who}: {after:?}");
    }
    // 20 s of each kind, tried each 2 s.
    let calls = up.schwab.0.count("/");
    println!("{calls} calls");
    assert!(calls < 40, "{calls} calls of a provider that hangs");
}

/// A provider that refuses everything and wishes to be left alone for so many seconds.
fn refuses(up: &Upstreams, seconds: &'static str) {
    let wish = Some(("Retry-After", seconds));
    up.schwab.0.fault("/", Fault::Status(429, wish, "{}"));
}

#[test]
fn a_wish_to_be_left_alone_for_an_hour_is_told_and_means_a_minute() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    refuses(&up, "3600");
    let refused = server.get("/api/candles/ELPW");
    assert_eq!(refused.status, 503);
    let words = refused.detail();
    assert!(
        words.contains("asked to be left alone for 3600 s"),
        "{words}"
    );
    // That it is kept to for that minute and no longer is tried by a clock of its own in `src/cache/tests.rs`.
    assert_eq!(refused.header("retry-after"), Some("60"));
}

#[test]
fn a_wish_to_be_left_alone_is_kept_to_and_who_asks_at_its_end_waits_for_it() {
    const WISH: Duration = Duration::from_secs(6);
    let up = Upstreams::start();
    let server = up.server(&["schwab.fresh_candles=1s", "http.answer_deadline=2s"]);
    assert_eq!(server.get("/api/candles/TOYO").status, 200);
    refuses(&up, "6");
    assert_eq!(server.get("/api/candles/ELPW").status, 503);
    let asked = Instant::now();
    let calls = up.schwab.0.count("/");
    up.schwab.0.heal();
    while asked.elapsed() < WISH - Duration::from_secs(2) {
        let stale = server.get("/api/candles/TOYO");
        // Fresh for its first second.
        let is_old = asked.elapsed() > Duration::from_secs(2);
        assert!(stale.status == 200 && (stale.header("x-data-stale").is_some() || !is_old));
        assert_eq!(server.get("/api/quote/ELPW").status, 503);
        assert_eq!(up.schwab.0.count("/"), calls, "it is left alone");
        thread::sleep(Duration::from_millis(200));
    }
    thread::sleep((WISH - Duration::from_secs(1)).saturating_sub(asked.elapsed()));
    let got = server.get("/api/candles/ELPW");
    println!("back after {:?}", asked.elapsed());
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(asked.elapsed() < WISH + Duration::from_secs(2));
    assert_eq!(server.get("/api/quote/ELPW").status, 200);
}
