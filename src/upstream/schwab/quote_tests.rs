//! Quotes by list and one by one, against a server that knows both forms or one.

use std::io::Write;
use std::time::Instant;

use serde_json::json;

use super::tests::{LONG, symbol, world};
use super::*;
use crate::market::Symbol;
use crate::resilience::FetchError;
use crate::upstream::fake::{Asked, Fake, Then, answer};

#[test]
fn quotes_of_several_symbols_are_one_call_and_each_has_its_own() {
    let fake = Fake::saying(answer(
        "200 OK",
        &[],
        r#"{"BRK/B":{"quote":{"lastPrice":1.5}},"/ESZ26":{"quote":{"lastPrice":2.5},"reference":{"product":"/ES"}},
            "ELPW":{"quote":7},"errors":{"invalidSymbols":["NOPE"]}}"#,
    ));
    let mut world = world(&fake);
    let symbols = ["/ES", "NOPE", "BRK/B", "ELPW"].map(symbol);
    let deadline = Instant::now() + LONG;
    let got = world.schwab.quotes(&symbols, deadline).unwrap();
    let [
        Some(Ok(es)),
        Some(Err(nope)),
        Some(Ok(brk)),
        Some(Err(elpw)),
    ] = &got[..]
    else {
        panic!("{got:?}");
    };
    assert_eq!(
        (&es["lastPrice"], &brk["lastPrice"]),
        (&json!(2.5), &json!(1.5))
    );
    assert_eq!(nope.to_string(), "No data for quote NOPE");
    assert!(matches!(elpw, FetchError::Malformed { .. }), "{elpw}");
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].target,
        "/marketdata/v1/quotes?symbols=%2FES%2CNOPE%2CBRK%2FB%2CELPW"
    );
    assert_eq!(world.schwab.further_calls(), 0);
}

#[test]
fn the_longest_list_of_symbols_makes_a_url_that_every_server_takes() {
    let fake = Fake::saying(answer("200 OK", &[], "{}"));
    let mut world = world(&fake);
    let symbols: Vec<Symbol> = (0..QUOTES_MAX)
        .map(|n| symbol(&format!("A/B/C/D/E/F/G/H/I/J/K/{n:02}")))
        .collect();
    let deadline = Instant::now() + LONG;
    let got = world.schwab.quotes(&symbols, deadline).unwrap();
    assert!(got.iter().all(Option::is_none), "it says nothing of any");
    let asked = &fake.asked()[0].target;
    assert!(asked.len() < 4_096, "{}", asked.len());
}

#[test]
fn where_the_list_of_quotes_is_not_known_the_form_for_one_symbol_is_asked_and_remembered() {
    let fake = Fake::start(|asked, stream| {
        let bytes = if asked.target.ends_with("/ELPW/quotes") {
            answer("200 OK", &[], r#"{"ELPW":{"quote":{"lastPrice":3.5}}}"#)
        } else {
            answer("404 Not Found", &[], r#"{"errors":[{"status":"404"}]}"#)
        };
        stream.write_all(&bytes).unwrap();
        Then::KeepAlive
    });
    let mut world = world(&fake);
    let deadline = Instant::now() + LONG;
    // Neither form knows it: that says nothing about the list.
    let failure = world.schwab.quote(&symbol("NOPE"), deadline).unwrap_err();
    assert!(matches!(failure, FetchError::NoData { .. }), "{failure}");
    assert_eq!(world.schwab.further_calls(), 1);
    let both = ["ELPW", "TOYO"].map(symbol);
    for (n, further) in [(4, 1), (5, 0)] {
        let got = world.schwab.quotes(&both, deadline).unwrap();
        assert!(
            matches!(&got[..], [Some(Ok(_)), None]),
            "the second is asked for by itself: {got:?}"
        );
        assert_eq!(
            (fake.asked().len(), world.schwab.further_calls()),
            (n, further)
        );
    }
}

#[test]
fn a_symbol_that_spoils_the_list_leaves_the_others_to_be_asked_by_themselves() {
    let fake = Fake::start(|asked, stream| {
        let bytes = if asked.target.contains("TOYO") {
            answer("400 Bad Request", &[], "{}")
        } else {
            answer("200 OK", &[], r#"{"ELPW":{"quote":{"lastPrice":3.5}}}"#)
        };
        stream.write_all(&bytes).unwrap();
        Then::KeepAlive
    });
    let mut world = world(&fake);
    let deadline = Instant::now() + LONG;
    let both = ["ELPW", "TOYO"].map(symbol);
    let got = world.schwab.quotes(&both, deadline).unwrap();
    assert!(matches!(&got[..], [Some(Ok(_)), None]), "{got:?}");
    assert_eq!(world.schwab.further_calls(), 1);
    let failure = world.schwab.quote(&both[1], deadline).unwrap_err();
    assert!(matches!(failure, FetchError::Status { code: 400, .. }));
}

#[test]
fn a_list_of_quotes_that_is_refused_is_not_asked_for_in_another_form() {
    for status in ["401 Unauthorized", "429 Slow Down", "500 Oops"] {
        let fake = Fake::saying(answer(status, &[], "{}"));
        world(&fake).quote().unwrap_err();
        let lists = |asked: &Asked| asked.target.contains("/quotes?symbols=");
        assert!(fake.asked().iter().all(lists), "{status}");
    }
}
