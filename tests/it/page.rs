//! The page over the wire: its files, what a browser may keep of them and may do, and the routes that
//! were made for it.

use crate::kit::{self, Got, Server, ask};

const PAGES: [&str; 3] = ["/", "/threads", "/docs"];

/// The files that a page names.
fn named(page: &Got) -> Vec<String> {
    let text = page.text();
    text.split("=\"")
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with("/assets/"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_page_is_asked_for_anew_each_time_and_sent_when_it_has_changed() {
    let server = Server::start(&[]);
    for path in PAGES {
        let page = server.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(
            page.header("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(page.header("Cache-Control"), Some("no-cache"));
        let etag = page.header("ETag").unwrap();
        let again = server.ask_with("GET", path, &[("If-None-Match", etag)]);
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(server.ask("HEAD", path).status, 200);
    }
    assert_eq!(server.ask("POST", "/").status, 405);
}

#[test]
fn a_pages_files_are_kept_for_good_and_are_what_they_say() {
    let server = Server::start(&[]);
    for path in PAGES {
        let files = named(&server.get(path));
        assert!(files.len() >= 2, "{path}: {files:?}");
        for file in &files {
            let got = server.get(file);
            assert_eq!(got.status, 200, "{file}");
            let keep = got.header("Cache-Control").unwrap();
            assert!(
                keep.contains("immutable") && !got.head.contains("no-cache"),
                "{keep}"
            );
            let kind = got.header("Content-Type").unwrap();
            let ending = file.rsplit('.').next().unwrap();
            let want = match ending {
                "js" => "text/javascript; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                _ => "image/svg+xml",
            };
            assert_eq!(kind, want);
            assert_eq!(got.header("X-Content-Type-Options"), Some("nosniff"));
            assert_eq!(got.header("Referrer-Policy"), Some("no-referrer"));
        }
    }
    assert_eq!(server.get("/assets/none.js").status, 404);
}

#[test]
fn a_pages_policy_lets_it_load_from_this_server_alone_and_nobody_frame_it() {
    let server = Server::start(&[]);
    for path in PAGES {
        let page = server.get(path);
        let policy = page.header("Content-Security-Policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{path}: {policy}"
        );
    }
}

#[test]
fn a_page_names_no_other_host_but_the_one_that_the_charts_licence_asks_for() {
    let server = Server::start(&[]);
    for path in PAGES {
        let text = server.get(path).text();
        if !text.contains("<script") {
            println!("the build left the page out: {path} is the plain one");
            continue;
        }
        for rest in text.split("://").skip(1) {
            assert!(rest.starts_with("www.tradingview.com/"), "{rest:.40}");
        }
    }
}

#[test]
fn a_report_is_listed_and_to_be_had_in_each_of_its_forms() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/api/stalls").json(), serde_json::json!([]));
    let dump = server.get("/api/threads/dump?format=json");
    assert_eq!(dump.status, 200);
    let list = server.eventually("/api/stalls", |got| got.json()[0]["name"].is_string());
    let name = list[0]["name"].as_str().unwrap();
    for (form, kind) in [
        ("json", "application/json"),
        ("text", "text/plain"),
        ("folded", "text/plain"),
    ] {
        let got = server.get(&format!("/api/stalls/{name}?format={form}"));
        assert_eq!(got.status, 200, "{form}");
        assert!(got.header("Content-Type").unwrap().starts_with(kind));
        assert!(got.body.len() > 100);
    }
    let other = server.get(&format!("/api/stalls/{name}?format=x"));
    assert_eq!(other.status, 400);
}

#[test]
fn a_report_that_there_is_not_is_404_whatever_its_name_points_to() {
    let server = Server::start(&[]);
    for bad in [
        "none",
        "..%2F..%2Fbackend",
        "%2e%2e%2fwatchdog",
        "20260101000000-1",
    ] {
        let got = server.get(&format!("/api/stalls/{bad}"));
        assert_eq!(got.status, 404, "{bad}");
        assert!(got.detail().contains("/api/stalls"), "{}", got.text());
    }
}

#[test]
fn the_list_of_threads_has_processor_times_stalls_and_whether_drills_are_allowed() {
    let server = Server::start(&[]);
    let threads = server.eventually("/api/threads", |got| {
        got.json()["threads"]
            .as_array()
            .is_some_and(|t| t.iter().any(|t| t["cpu_ms"].as_u64() > Some(0)))
    });
    assert_eq!(threads["drills"], true);
    assert!(threads["stalls"].is_array());
}

#[test]
fn health_tells_the_tokens_time_left_and_the_markets_time() {
    let server = Server::start(&[]);
    let health = server.eventually("/api/health", |got| {
        got.json()["token"]["remaining_seconds"].is_i64()
    });
    let left = health["token"]["remaining_seconds"].as_i64().unwrap();
    assert!((60..=1_800).contains(&left), "{left}");
    assert!(health["market_time_ms"].as_i64() > Some(1_600_000_000_000));
}

#[test]
fn a_page_from_this_server_may_ask_for_everything_whatever_its_name() {
    let server = Server::start(&[
        "--set",
        "http.hosts=charts.example",
        "--set",
        "http.origins=none.example",
    ]);
    let post = |host: &str, origin: &str| {
        let head = format!(
            "POST /api/validate/TOYO HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
        );
        kit::client::say(&server.address, head.as_bytes()).status
    };
    // What the validation says is another matter.
    for own in ["http://charts.example", "https://charts.example"] {
        assert_ne!(post("charts.example", own), 403, "{own}");
    }
    assert_eq!(post("charts.example", "http://other.example"), 403);
    assert_eq!(post("other.example", "http://other.example"), 421);
    let own = format!("http://{}", server.address);
    let got = ask(
        &server.address,
        "GET",
        "/api/watchlist",
        &[("Origin", &own)],
    );
    assert_ne!(got.status, 403);
}
