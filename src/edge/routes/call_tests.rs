//! Which requests mean which routes.

use super::super::param::{SYMBOL, TIMEFRAME};
use super::*;
use crate::market::Timeframe;
use proptest::prelude::*;

fn found(method: &str, path: &str, query: &str) -> Call {
    match call(method, path, query) {
        Ok(Asked::Call(call)) => call,
        other => panic!("{method} {path}?{query}: {other:?}"),
    }
}

/// A path of this route that works, and a query.
fn example(row: &Row) -> (String, String) {
    let mut path = row.path.to_owned();
    let mut query = Vec::new();
    for param in row.params {
        match param.place() {
            Place::Path => path = path.replace(&format!("{{{}}}", param.name()), param.example()),
            Place::Query => query.push(format!("{}={}", param.name(), param.example())),
        }
    }
    (path, query.join("&"))
}

#[test]
fn every_row_is_found_by_its_own_example_and_refuses_other_methods() {
    for row in ROUTES {
        let (path, query) = example(row);
        if matches!(row.source, Source::Page) && page::find(&path).is_none() {
            // A build without npm has one page.
            continue;
        }
        let got = found(row.method.name(), &path, &query);
        assert!(std::ptr::eq(got.row, row), "{path}");
        let other = if row.method == Method::Get {
            "POST"
        } else {
            "GET"
        };
        let wrong = call(other, &path, &query).unwrap_err();
        let allow = row.method.allow();
        assert!(matches!(wrong, NoRoute::Method { allow: a, .. } if a == allow));
        let options = call("OPTIONS", &path, "").unwrap();
        assert_eq!(options, Asked::Options { allow });
    }
}

#[test]
fn every_row_says_what_it_is_and_has_the_parameters_of_its_path() {
    for row in ROUTES {
        assert!(
            !row.does.is_empty() && !row.answers.is_empty(),
            "{}",
            row.path
        );
        for segment in template(row.path).filter(|s| s.starts_with('{')) {
            let name = segment.trim_matches(['{', '}']);
            let mut in_path = row.params.iter().filter(|p| p.place() == Place::Path);
            assert!(in_path.any(|p| p.name() == name), "{}", row.path);
        }
        let waits = !matches!(
            row.source,
            Source::Snapshot(_) | Source::Page | Source::Stream
        );
        let ends = row.path == "/api/shutdown";
        assert_eq!(row.bulkhead.is_some(), waits && !ends, "{}", row.path);
    }
}

#[test]
fn a_key_is_made_of_the_parameters_of_its_own_row() {
    for row in ROUTES {
        let (path, query) = example(row);
        let Ok(Asked::Call(call)) = call(row.method.name(), &path, &query) else {
            continue;
        };
        // What other sources read is seen where they are asked.
        if let Source::Cached(from) = row.source {
            from.check(&call.args).unwrap();
        }
    }
}

#[test]
fn a_symbol_is_the_same_on_every_route_however_its_path_is_escaped() {
    for (paths, want) in [
        (
            &["BRK/B", "BRK%2FB", "brk%2fb", "BRK/B/", "%20BRK/B%20"][..],
            "BRK/B",
        ),
        (&["/ES", "%2FES", "%2fes"], "/ES"),
        (
            &["./ADUF23C0.55", ".%2FADUF23C0.55", "%2E%2FADUF23C0.55"],
            "./ADUF23C0.55",
        ),
        (&["AUD/CAD"], "AUD/CAD"),
        (&["XYZ/WS/A", "XYZ%2FWS/A"], "XYZ/WS/A"),
        (
            &["AMZN%20%20230317C01360000", "AMZN++230317C01360000"],
            "AMZN  230317C01360000",
        ),
    ] {
        for path in paths {
            for (method, route) in [
                ("GET", "candles"),
                ("GET", "quote"),
                ("GET", "vwap"),
                ("POST", "validate"),
            ] {
                let got = found(method, &format!("/api/{route}/{path}"), "");
                assert!(got.row.bulkhead.is_some());
                assert_eq!(got.args.get(&SYMBOL).unwrap().as_str(), want);
            }
        }
    }
    for bad in ["A%20B", "A//B", "../x", "BRK%252FB", "ACAQ+", "%20"] {
        let e = call("GET", &format!("/api/quote/{bad}"), "").unwrap_err();
        assert!(
            matches!(e, NoRoute::Param(BadRequest::Symbol(_))),
            "{bad}: {e}"
        );
    }
    for none in ["/api/candles", "/api/quote/", "/api/candles//"] {
        let e = call("GET", none, "").unwrap_err();
        assert!(matches!(e, NoRoute::Unknown { .. }), "{none}: {e}");
    }
}

#[test]
fn parameters_are_read_from_the_query_and_checked() {
    let got = found("GET", "/api/candles/A", "x=1&timeframe=15m");
    assert_eq!(got.args.get(&TIMEFRAME), Ok(Timeframe::M15));
    let without = found("GET", "/api/candles/A", "");
    assert_eq!(without.args.get(&TIMEFRAME), Ok(Timeframe::M1));
    let e = call("GET", "/api/candles/A", "timeframe=2m").unwrap_err();
    assert!(e.to_string().contains("1m, 5m, 15m, D"), "{e}");
    for bad in ["since=-1", "limit=x", "limit="] {
        let e = call("GET", "/api/trade-history", bad).unwrap_err();
        assert_eq!(e.status(), 400, "{bad}: {e}");
    }
    let drill = |query| call("POST", "/api/drill", query).map(drop);
    drill("stall=main&how=sleep&for=1s").unwrap();
    for bad in [
        "how=sleep&for=1s",
        "stall=a&how=sleep",
        "stall=a&how=x&for=1s",
        "stall=a&how=sleep&for=1",
        "stall=a&how=sleep&for=99999s",
    ] {
        assert_eq!(drill(bad).unwrap_err().status(), 400, "{bad}");
    }
}

#[test]
fn a_parameter_that_a_row_lacks_is_an_error_and_not_a_default() {
    let got = found("GET", "/api/vwap/A", "");
    assert!(got.args.get(&TIMEFRAME).is_err());
}

#[test]
fn an_unknown_path_is_told_the_route_that_looks_like_it() {
    for (path, near) in [
        ("/api/candle/TOYO", Some("/api/candles/{symbol}")),
        ("/api/heatlh", Some("/api/health")),
        ("/api/watch-list", Some("/api/watchlist")),
        ("/api/threads/dumps", Some("/api/threads/dump")),
        ("/wp-login.php", None),
        ("/", None),
    ] {
        match call("GET", path, "") {
            Err(NoRoute::Unknown { near: got, .. }) => assert_eq!(got, near, "{path}"),
            other => assert!(near.is_none(), "{path}: {other:?}"),
        }
    }
    let e = call("GET", "/api/heatlh", "").unwrap_err();
    assert!(
        e.to_string()
            .contains("/api/heatlh (did you mean /api/health?);"),
        "{e}"
    );
}

#[test]
fn each_kind_of_work_has_its_own_bulkhead() {
    let of = |method, path| found(method, path, "").row.bulkhead.map(|kind| kind.name);
    assert_eq!(of("GET", "/api/health"), None);
    assert_eq!(of("GET", "/api/streaming/status"), None);
    assert_eq!(of("GET", "/api/streaming/health/"), Some("stream health"));
    assert_eq!(of("GET", "/api/candles/BRK%2FB"), Some("candle"));
    assert_eq!(of("GET", "/api/quote/X"), Some("quote"));
    assert_eq!(of("POST", "/api/validate/X"), Some("validation"));
    assert_eq!(of("GET", "/api/validate/status"), Some("model status"));
    assert_eq!(of("GET", "/api/threads"), None);
    assert_eq!(of("GET", "/api/threads/dump"), Some("dump and drill"));
    assert_eq!(of("GET", "/api/stalls/1"), Some("stall report"));
}

proptest! {
    #[test]
    fn nothing_panics(method in "[A-Z]{0,8}", path in "/?[ -~é]{0,60}", query in ".{0,40}") {
        let _ = call(&method, &path, &query);
    }
}
