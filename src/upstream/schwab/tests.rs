//! The client against a server that does what Schwab, and whatever stands before it, has been seen to do.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use jiff::civil::date;
use serde_json::json;

use super::*;
use crate::market::{Candle, Session, Symbol, Timeframe};
use crate::resilience::{Evidence, FetchError};
use crate::runtime::clock::{Clock, system_ms};
use crate::upstream::fake::{Asked, Fake, Then, answer, hang};
use crate::upstream::resolve::lookups;

pub(super) const LONG: Duration = Duration::from_secs(20);
const OLD: &str =
    r#"{"creation_timestamp":1,"token":{"access_token":"old-secret","expires_at":2}}"#;
const NEW: &str =
    r#"{"creation_timestamp":1,"token":{"access_token":"newer-secret","expires_at":2}}"#;

/// A client, with its token file and a clock that stands at 12:00 New York of a Tuesday.
pub(super) struct World {
    pub(super) schwab: Schwab,
    token_file: PathBuf,
    _folder: tempfile::TempDir,
}

fn noon_ms() -> i64 {
    Session::new().at_ms(date(2026, 3, 10), 12, 0)
}

pub(super) fn world(fake: &Fake) -> World {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token.json");
    fs::write(&token_file, OLD).unwrap();
    let schwab = Schwab::new(&SchwabConfig {
        base_url: format!("{}/marketdata/v1", fake.url()),
        token_file: token_file.clone(),
        clock: Clock {
            offset_ms: noon_ms() - system_ms(),
        },
        roots: crate::upstream::Roots::default(),
        lookups: lookups(),
    });
    World {
        schwab,
        token_file,
        _folder: folder,
    }
}

pub(super) fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

impl World {
    fn minutes(&mut self) -> Result<Vec<Candle>, FetchError> {
        let deadline = Instant::now() + LONG;
        self.schwab
            .candles(&symbol("ELPW"), Timeframe::M1, deadline)
    }

    pub(super) fn quote(&mut self) -> Result<serde_json::Value, FetchError> {
        let deadline = Instant::now() + LONG;
        let quote = self.schwab.quote(&symbol("ELPW"), deadline)?;
        Ok(serde_json::Value::Object(quote))
    }
}

fn candles_of(fake: &Fake) -> Result<Vec<Candle>, FetchError> {
    world(fake).minutes()
}

fn candle(at_ms: i64, price: f64) -> serde_json::Value {
    json!({"open": price, "high": price, "low": price, "close": price, "volume": 7, "datetime": at_ms})
}

fn history(candles: &[serde_json::Value]) -> Vec<u8> {
    let body = json!({"symbol": "ELPW", "empty": candles.is_empty(), "candles": candles});
    answer("200 OK", &[], body.to_string())
}

fn bears(asked: &Asked, token: &str) -> bool {
    asked.header("authorization") == Some(&format!("Bearer {token}"))
}

#[test]
fn minutes_are_asked_from_four_in_new_york_and_only_that_day_s_come_back() {
    let open_ms = Session::new().open_ms(date(2026, 3, 10));
    let fake = Fake::saying(history(&[
        candle(open_ms - 60_000, 1.0),
        candle(open_ms + 60_000, 3.0),
        candle(open_ms, 2.0),
    ]));
    let got = candles_of(&fake).unwrap();
    let moments: Vec<i64> = got.iter().map(|c| c.at_ms).collect();
    assert_eq!(moments, [open_ms, open_ms + 60_000]);

    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert!(bears(&asked[0], "old-secret"));
    let (path, query) = asked[0].target.split_once('?').unwrap();
    assert_eq!(path, "/marketdata/v1/pricehistory");
    let value = |name: &str| {
        query
            .split('&')
            .find_map(|p| p.strip_prefix(&format!("{name}=")))
    };
    assert_eq!(value("symbol"), Some("ELPW"));
    assert_eq!(value("frequencyType"), Some("minute"));
    assert_eq!(value("frequency"), Some("1"));
    assert_eq!(value("needExtendedHoursData"), Some("true"));
    assert_eq!(value("startDate"), Some(open_ms.to_string().as_str()));
    let end_ms: i64 = value("endDate").unwrap().parse().unwrap();
    assert!(
        end_ms >= noon_ms() + 86_400_000,
        "a clock that is a day behind would lose the newest: {end_ms}"
    );
}

#[test]
fn days_are_asked_with_a_period_that_schwab_allows() {
    let fake = Fake::saying(history(&[candle(1_773_032_400_000, 2.0)]));
    let mut world = world(&fake);
    let deadline = Instant::now() + LONG;
    let got = world
        .schwab
        .candles(&symbol("ELPW"), Timeframe::Day, deadline);
    assert_eq!(got.unwrap().len(), 1);
    let target = &fake.asked()[0].target;
    for part in [
        "periodType=year",
        "period=1",
        "frequencyType=daily",
        "frequency=1",
    ] {
        assert!(target.contains(part), "{target}");
    }
    assert!(
        target.contains("&endDate="),
        "else today is missing: {target}"
    );
}

#[test]
fn a_slash_in_a_symbol_goes_over_the_wire_as_part_of_it() {
    let fake = Fake::saying(answer(
        "200 OK",
        &[],
        r#"{"BRK/B":{"quote":{"lastPrice":1.5}}}"#,
    ));
    let mut world = world(&fake);
    let deadline = Instant::now() + LONG;
    let quote = world.schwab.quote(&symbol("brk/b"), deadline).unwrap();
    assert_eq!(quote["lastPrice"], 1.5);
    let _no_candles = world
        .schwab
        .candles(&symbol("BRK/B"), Timeframe::M5, deadline);
    let asked = fake.asked();
    assert_eq!(asked[0].target, "/marketdata/v1/quotes?symbols=BRK%2FB");
    assert!(asked[1].target.contains("symbol=BRK%2FB&"));
}

#[test]
fn a_quote_keeps_every_field() {
    let quote = json!({"lastPrice": 12.34, "odd": [1, {"a": null}], "totalVolume": 9_007_199_254_740_993_u64});
    let body = json!({"ELPW": {"symbol": "ELPW", "quote": quote, "reference": {}}});
    let fake = Fake::saying(answer("200 OK", &[], body.to_string()));
    assert_eq!(world(&fake).quote().unwrap(), quote);
}

#[test]
fn what_schwab_does_not_know_is_no_data_whatever_form_it_says_so_in() {
    for (status, body) in [
        ("200 OK", r#"{"errors":{"invalidSymbols":["ELPW"]}}"#),
        ("200 OK", "{}"),
        (
            "200 OK",
            r#"{"ELPW":{"QuoteError":{"description":"not found"}}}"#,
        ),
        ("404 Not Found", r#"{"errors":[{"title":"Not Found"}]}"#),
    ] {
        let fake = Fake::saying(answer(status, &[], body));
        let failure = world(&fake).quote().unwrap_err();
        assert!(
            matches!(failure, FetchError::NoData { .. }),
            "{body}: {failure:?}"
        );
        assert_eq!(failure.evidence(), Evidence::Nothing);
    }
    let day = Session::new().open_ms(date(2026, 3, 10));
    for list in [
        vec![candle(day, 0.0), candle(day + 60_000, 0.0)],
        vec![candle(day - 86_400_000, 5.0), candle(day, 0.0)],
    ] {
        let candles = candles_of(&Fake::saying(history(&list))).unwrap();
        assert!(candles.is_empty(), "it is known and has none today");
    }
    for bytes in [
        history(&[]),
        answer("200 OK", &[], r#"{"symbol":"ELPW","empty":true}"#),
        answer("404 Not Found", &[], ""),
    ] {
        let failure = candles_of(&Fake::saying(bytes)).unwrap_err();
        assert!(matches!(failure, FetchError::NoData { .. }), "{failure:?}");
    }
}

#[test]
fn one_broken_candle_does_not_spoil_the_others() {
    let day = Session::new().open_ms(date(2026, 3, 10));
    let mut odd = candle(day, 1.0);
    odd["close"] = json!("NaN");
    let fake = Fake::saying(history(&[
        odd,
        json!(null),
        json!({"open": 1}),
        candle(day + 60_000, 0.0),
        candle(day + 120_000, 2.0),
        candle(day + 120_000, 2.5),
    ]));
    let got = candles_of(&fake).unwrap();
    let moments: Vec<(i64, f64)> = got.iter().map(|c| (c.at_ms, c.close)).collect();
    assert_eq!(moments, [(day + 120_000, 2.5)]);
}

#[test]
fn a_day_without_a_session_shows_the_one_before() {
    let day = Session::new().open_ms(date(2026, 3, 10));
    let list = [
        candle(day - 2 * 86_400_000, 4.0),
        candle(day - 86_400_000, 5.0),
    ];
    let got = candles_of(&Fake::saying(history(&list))).unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(
        got[0].at_ms,
        day - 86_400_000,
        "the newest session there is"
    );
}

#[test]
fn a_future_s_candles_come_under_its_contract_s_name() {
    let day = Session::new().open_ms(date(2026, 3, 10));
    let body = json!({"symbol": "/ESH26", "empty": false, "candles": [candle(day, 6_912.5)]});
    let fake = Fake::saying(answer("200 OK", &[], body.to_string()));
    let mut world = world(&fake);
    let deadline = Instant::now() + LONG;
    let got = world
        .schwab
        .candles(&symbol("/ES"), Timeframe::M1, deadline);
    assert_eq!(got.unwrap()[0].close, 6_912.5);
    assert!(fake.asked()[0].target.contains("symbol=%2FES&"));
}

#[test]
fn an_index_below_zero_keeps_its_candles() {
    let day = Session::new().open_ms(date(2026, 3, 10));
    let fake = Fake::saying(history(&[candle(day, -412.0)]));
    assert_eq!(candles_of(&fake).unwrap()[0].close, -412.0);
}

#[test]
fn a_refused_token_is_read_again_and_the_newer_one_used_once() {
    let fake = Fake::start(|asked, stream| {
        let bytes = if bears(asked, "newer-secret") {
            history(&[candle(Session::new().open_ms(date(2026, 3, 10)), 2.0)])
        } else {
            answer(
                "401 Unauthorized",
                &[],
                r#"{"errors":[{"title":"Unauthorized"}]}"#,
            )
        };
        stream.write_all(&bytes).unwrap();
        Then::KeepAlive
    });
    let mut world = world(&fake);
    let failure = world.minutes().unwrap_err();
    let words = failure.to_string();
    assert!(matches!(failure, FetchError::Token { .. }), "{words}");
    assert!(
        words.contains("token.json") && words.contains("ago"),
        "{words}"
    );
    assert!(!words.contains("secret"), "{words}");
    assert_eq!(
        (failure.http_status(), failure.evidence()),
        (503, Evidence::Nothing)
    );
    assert_eq!(fake.asked().len(), 2, "one retry");

    fs::write(&world.token_file, NEW).unwrap();
    assert_eq!(world.minutes().unwrap().len(), 1);
    assert_eq!(fake.asked().len(), 3, "the change is seen before the call");
}

#[test]
fn a_token_replaced_while_a_call_is_under_way_is_used_for_its_retry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.json");
    fs::write(&path, OLD).unwrap();
    let replaced = path.clone();
    let fake = Fake::start(move |asked, stream| {
        let bytes = if bears(asked, "newer-secret") {
            answer("200 OK", &[], r#"{"ELPW":{"quote":{"lastPrice":3.5}}}"#)
        } else {
            fs::write(&replaced, NEW).unwrap();
            answer("401 Unauthorized", &[], "")
        };
        stream.write_all(&bytes).unwrap();
        Then::KeepAlive
    });
    let mut schwab = Schwab::new(&SchwabConfig {
        base_url: fake.url(),
        token_file: path,
        clock: Clock::default(),
        roots: crate::upstream::Roots::default(),
        lookups: lookups(),
    });
    let quote = schwab
        .quote(&symbol("ELPW"), Instant::now() + LONG)
        .unwrap();
    assert_eq!(quote["lastPrice"], 3.5);
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn without_a_token_nobody_is_asked_and_the_file_is_named() {
    let fake = Fake::saying(history(&[]));
    let mut world = world(&fake);
    fs::remove_file(&world.token_file).unwrap();
    let failure = world.minutes().unwrap_err();
    assert!(matches!(failure, FetchError::Token { .. }), "{failure:?}");
    assert!(failure.to_string().contains("token.json"), "{failure}");
    assert!(fake.asked().is_empty());
}

#[test]
fn every_error_status_keeps_its_meaning_and_says_it_in_words() {
    let html = "<html><head><title>Access Denied</title></head><body>You…</body></html>";
    for (status, headers, body, code, http, words) in [
        ("403 Forbidden", vec![], html, 403, 502, "Access Denied"),
        (
            "400 Bad Request",
            vec![],
            r#"{"errors":[{"id":"1","status":"400","title":"Bad Request","detail":"bad startDate"}]}"#,
            400,
            502,
            "bad startDate",
        ),
        (
            "429 Too Many Requests",
            vec![("Retry-After", "7")],
            "",
            429,
            503,
            "429",
        ),
        (
            "500 Internal Server Error",
            vec![],
            r#"{"fault":{"faultstring":"down"}}"#,
            500,
            502,
            "down",
        ),
        (
            "503 Service Unavailable",
            vec![],
            "try later",
            503,
            502,
            "try later",
        ),
        (
            "302 Found",
            vec![("Location", "http://127.0.0.1:1/")],
            "",
            302,
            502,
            "302",
        ),
        ("204 No Content", vec![], "", 204, 502, "204"),
    ] {
        let fake = Fake::saying(answer(status, &headers, body));
        let failure = candles_of(&fake).unwrap_err();
        let FetchError::Status {
            code: got,
            retry_after,
            ..
        } = &failure
        else {
            panic!("{status}: {failure:?}");
        };
        assert_eq!((*got, failure.http_status()), (code, http), "{status}");
        assert_eq!(retry_after.is_some(), code == 429, "{status}");
        assert!(failure.to_string().contains(words), "{failure}");
    }
}

#[test]
fn a_page_or_garbage_in_place_of_json_is_malformed_and_short() {
    let long = format!("<html><title>{}</title>", "Access Denied ".repeat(500));
    for body in [
        long.as_str(),
        "",
        "[]",
        "null",
        "{\"candles\":7}",
        "{\"candles\":[",
        "\u{0}\u{1}",
    ] {
        for which in ["candles", "quote"] {
            let fake = Fake::saying(answer("200 OK", &[], body));
            let mut world = world(&fake);
            let failure = match which {
                "candles" => world.minutes().unwrap_err(),
                _ if body.starts_with("{\"candles\":7") => continue,
                _ => world.quote().unwrap_err(),
            };
            assert!(
                matches!(failure, FetchError::Malformed { .. }),
                "{which} {body:?}: {failure:?}"
            );
            assert!(failure.to_string().chars().count() < 400);
        }
    }
}

#[test]
fn a_connection_that_hangs_drops_or_breaks_off_is_a_failure_in_time() {
    let whole = history(&[candle(Session::new().open_ms(date(2026, 3, 10)), 2.0)]);
    let part = whole[..whole.len() - 20].to_vec();
    for (fake, word) in [
        (Fake::saying(Vec::new()), "before it answered"),
        (Fake::saying(part), "in the middle of its answer"),
        (Fake::saying("\u{7f}ELF\r\n\r\n"), "not HTTP"),
    ] {
        let words = candles_of(&fake).unwrap_err().to_string();
        assert!(words.contains(word), "{words}");
    }
    let fake = Fake::start(|_, stream| hang(stream));
    let mut world = world(&fake);
    let began = Instant::now();
    let deadline = began + Duration::from_millis(400);
    let failure = world
        .schwab
        .candles(&symbol("ELPW"), Timeframe::M1, deadline)
        .unwrap_err();
    assert!(matches!(failure, FetchError::Timeout { .. }), "{failure:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_retry_after_a_401_ends_by_the_same_deadline() {
    let fake = Fake::start(|asked, stream| {
        if asked.nth == 0 {
            thread::sleep(Duration::from_millis(200));
            stream
                .write_all(&answer("401 Unauthorized", &[], ""))
                .unwrap();
            return Then::KeepAlive;
        }
        hang(stream)
    });
    let mut world = world(&fake);
    let began = Instant::now();
    let deadline = began + Duration::from_millis(600);
    let failure = world.schwab.quote(&symbol("ELPW"), deadline).unwrap_err();
    assert!(matches!(failure, FetchError::Timeout { .. }), "{failure:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}
