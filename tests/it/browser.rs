//! The page in a real browser: headless Chromium, driven by `tests/browser/scenarios.mjs`, which orders
//! from here what upstreams and the server are to do meanwhile. Installed by `tests/browser/install.sh`;
//! without `TAPEWARDEN_BROWSER=1` these tests only say so. Screenshots are left in
//! `target/browser/shots`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::kit::server::dies_with_the_test;
use crate::kit::{self, Fault, SHORT_LIMITS, Server, Upstreams, eventually, skip};
use serde_json::json;

/// Where everything is installed; none where it is not.
fn installed() -> Option<PathBuf> {
    if std::env::var_os("TAPEWARDEN_BROWSER").is_none() {
        skip("run tests/browser/install.sh and set TAPEWARDEN_BROWSER=1");
        return None;
    }
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser"))
}

/// The sources as they are now, beside what was installed for them.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if name != "package-lock.json" {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn sources(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// Runs a scenario to its end; `obey` does what it orders and answers.
fn run(scenario: &str, server: &Server, mut obey: impl FnMut(&str) -> String) {
    let folder = installed().unwrap();
    // Each scenario copies for itself: they run at the same time.
    let scripts = folder.join(format!("run-{scenario}"));
    copy(&sources("tests/browser"), &scripts);
    let mut node = Command::new("node");
    dies_with_the_test(&mut node);
    let mut child = node
        .arg(scripts.join("scenarios.mjs"))
        .arg(scenario)
        .arg(format!("http://{}", server.address))
        .arg(folder.join("shots"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = child.stdin.take().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.strip_prefix("> ") {
            Some(order) => writeln!(orders, "{}", obey(order)).unwrap(),
            None => println!("{scenario}: {line}"),
        }
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{scenario}: {status}");
}

fn no_orders(order: &str) -> String {
    panic!("nobody expects {order:?}")
}

/// A quote as the trader app sends it.
fn quote(symbol: &str, price: f64, volume: u64, at_ms: i64) -> serde_json::Value {
    json!({"symbol": symbol, "last_price": price, "bid_price": price, "ask_price": price,
        "total_volume": volume, "trade_time_ms": at_ms, "quote_time_ms": at_ms})
}

#[test]
fn the_pages_cores_hold_and_its_types_are_sound() {
    let Some(folder) = installed() else { return };
    let page = folder.join("page");
    copy(&sources("src/web"), &page);
    for script in ["check", "test"] {
        let status = Command::new("npm")
            .args(["run", "--silent", script])
            .current_dir(&page)
            .status()
            .unwrap();
        assert!(status.success(), "npm run {script}");
    }
}

#[test]
fn the_chart_shows_the_apis_candles_and_is_driven_by_keys() {
    if installed().is_none() {
        return;
    }
    let server = Server::start(&[]);
    // What is not there yet in the first moments is a 503, and that is on a browser's console.
    for path in ["/api/watchlist", "/api/runners", "/api/candles/TOYO"] {
        server.eventually(path, |got| got.status == 200);
    }
    run("chart", &server, no_orders);
}

#[test]
fn a_page_of_another_site_spends_no_call_and_changes_nothing() {
    if installed().is_none() {
        return;
    }
    let upstreams = Upstreams::start();
    let server = upstreams.server(&["watchdog.allow_drills=true"]);
    run("foreign", &server, no_orders);
    // The browser did ask, a hundred times and more.
    let log = server.log_has("backend.log", "(64 so far)");
    assert!(log.contains("http://attacker.example"), "{log}");
    let asked = upstreams.schwab.0.fake.asked();
    let by_them = |path: &str| {
        ["AA", "SCRP", "STYL", "PREF", "NCOR", "CORS", "FRAM", "SAND"]
            .iter()
            .any(|symbol| path.contains(symbol))
    };
    let spent: Vec<_> = asked.iter().filter(|a| by_them(&a.target)).collect();
    assert!(spent.is_empty(), "{} calls", spent.len());
    assert_eq!(upstreams.model.0.count("/api/generate"), 0);
    assert_eq!(server.get("/api/health").status, 200);
}

#[test]
fn the_page_falls_back_to_polling_and_comes_back() {
    if installed().is_none() {
        return;
    }
    let mut upstreams = Upstreams::start();
    // The test's own silences are longer than those that would make the server look for a new stream.
    upstreams
        .trader
        .stream
        .announce_pings_and_send_none(300_000);
    let server = upstreams.server(&["stream.backoff_min=50ms", "stream.backoff_max=200ms"]);
    run("fallback", &server, |order| {
        let words: Vec<&str> = order.split(' ').collect();
        match words[..] {
            ["quote", price, volume] => {
                wait_for_the_stream(&upstreams);
                let now = kit::upstream::now_ms();
                let (price, volume) = (price.parse().unwrap(), volume.parse().unwrap());
                upstreams
                    .trader
                    .stream
                    .quote(&quote("TOYO", price, volume, now));
            }
            ["trader", "away"] => upstreams.trader.http.fake.go_away(),
            ["trader", "back"] => upstreams.trader.http.fake.come_back(),
            _ => panic!("nobody expects {order:?}"),
        }
        "done".into()
    });
}

fn wait_for_the_stream(upstreams: &Upstreams) {
    eventually("a subscription to TOYO", || {
        upstreams
            .trader
            .stream
            .subscribed()
            .contains("TOYO")
            .then_some(())
    });
}

#[test]
fn long_lists_stay_where_they_were_scrolled_and_doubles_are_shown_once_each() {
    if installed().is_none() {
        return;
    }
    let upstreams = Upstreams::start();
    let symbols: Vec<_> = (0..60)
        .map(|n| json!({"symbol": format!("W{n:02}")}))
        .collect();
    let watchlist = serde_json::to_string(&symbols).unwrap();
    upstreams
        .trader
        .http
        .fault("/api/watchlist", Fault::Status(200, None, watchlist.leak()));
    std::fs::write(
        upstreams.file("runners.json"),
        r#"{"version":1,"active_runners":[{"symbol":"TOYO","gap_age_days":0},{"symbol":"TOYO","gap_age_days":1},{"symbol":"ELPW"}]}"#,
    )
    .unwrap();
    let server = upstreams.server(&[]);
    server.eventually("/api/watchlist", |got| got.status == 200);
    run("lists", &server, no_orders);
}

/// What a real trader app says; the page's own tests read the same.
fn owners(name: &str) -> String {
    std::fs::read_to_string(sources("src/web/tests/trader").join(name)).unwrap()
}

/// Every time in it later by so much.
fn later(value: &mut serde_json::Value, by: jiff::SignedDuration) {
    match value {
        serde_json::Value::String(text) => {
            if let Ok(at) = text.parse::<jiff::Timestamp>() {
                *text = (at + by).to_string();
            }
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(|v| later(v, by)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|v| later(v, by)),
        _ => {}
    }
}

/// The trader app says what the owner's does, as if it were 13:50 of its day now.
fn speak_as_the_owners(upstreams: &Upstreams) {
    let now = jiff::Timestamp::now();
    let then: jiff::Timestamp = "2026-03-10T13:50:00Z".parse().unwrap();
    for (path, name) in [
        ("/api/watchlist", "watchlist.json"),
        ("/api/signals", "signals.json"),
        ("/api/positions", "positions.json"),
        ("/api/streaming/rotation", "rotation.json"),
    ] {
        let mut body = serde_json::from_str(&owners(name)).unwrap();
        later(&mut body, now.duration_since(then));
        let said = body.to_string().leak();
        upstreams
            .trader
            .http
            .fault(path, Fault::Status(200, None, said));
    }
    std::fs::write(upstreams.file("runners.json"), owners("runners.json")).unwrap();
}

/// Its trades were made an hour after the first candle.
fn trade_as_the_owners(upstreams: &Upstreams, server: &Server) {
    let candles = server.eventually("/api/candles/VERO", |got| got.status == 200);
    let first = candles[0]["timestamp"].as_i64().unwrap();
    let hour = jiff::Timestamp::from_millisecond(first + 3_600_000).unwrap();
    let then: jiff::Timestamp = "2026-03-10T13:44:00Z".parse().unwrap();
    let lines: Vec<String> = owners("trade_outcomes.jsonl")
        .lines()
        .map(|line| {
            let mut trade = serde_json::from_str(line).unwrap();
            later(&mut trade, hour.duration_since(then));
            trade.to_string()
        })
        .collect();
    // Another file in its place, not more lines of the same.
    let fresh = upstreams.file("fresh.jsonl");
    std::fs::write(&fresh, lines.join("\n") + "\n").unwrap();
    std::fs::rename(fresh, upstreams.trades()).unwrap();
    server.eventually("/api/trade-history", |got| {
        got.json()[0]["symbol"] == "VERO"
    });
}

#[test]
fn all_that_a_real_trader_app_says_is_shown() {
    if installed().is_none() {
        return;
    }
    let upstreams = Upstreams::start();
    speak_as_the_owners(&upstreams);
    let server = upstreams.server(&[]);
    server.eventually("/api/watchlist", |got| got.status == 200);
    trade_as_the_owners(&upstreams, &server);
    run("owner", &server, |order| {
        let words: Vec<&str> = order.split(' ').collect();
        let ["quote", symbol, price, change] = words[..] else {
            panic!("nobody expects {order:?}")
        };
        eventually("a subscription", || {
            upstreams
                .trader
                .stream
                .subscribed()
                .contains(symbol)
                .then_some(())
        });
        let mut said = quote(symbol, price.parse().unwrap(), 10, kit::upstream::now_ms());
        said["net_change"] = change.parse::<f64>().unwrap().into();
        upstreams.trader.stream.quote(&said);
        "done".into()
    });
}

#[test]
fn a_chart_is_there_soon_after_the_providers_hang() {
    if installed().is_none() {
        return;
    }
    let upstreams = Upstreams::start();
    let server = upstreams.server(&[]);
    server.eventually("/api/watchlist", |got| got.status == 200);
    run("hang", &server, |order| {
        match order {
            "provider hangs" => upstreams.schwab.0.fault("/", Fault::Hang),
            "provider is back" => {
                upstreams.schwab.0.heal();
                upstreams.schwab.0.fake.close_connections();
            }
            _ => panic!("nobody expects {order:?}"),
        }
        "done".into()
    });
}

#[test]
fn an_old_position_is_never_shown_as_live() {
    if installed().is_none() {
        return;
    }
    let mut upstreams = Upstreams::start();
    speak_as_the_owners(&upstreams);
    let server = upstreams.server(&[]);
    for path in ["/api/watchlist", "/api/positions", "/api/vwap/VERO"] {
        server.eventually(path, |got| got.status == 200);
    }
    run("away", &server, |order| {
        match order {
            "trader away" => upstreams.trader.http.fake.go_away(),
            "trader back" => upstreams.trader.http.fake.come_back(),
            _ => panic!("nobody expects {order:?}"),
        }
        "done".into()
    });
}

#[test]
fn the_page_lives_without_websocket() {
    if installed().is_none() {
        return;
    }
    let upstreams = Upstreams::start();
    let server = upstreams.server(&["schwab.fresh_quote=100ms"]);
    run("polling", &server, |order| {
        let price = order.strip_prefix("provider says ").unwrap();
        upstreams.schwab.says(price.parse().unwrap());
        "done".into()
    });
}

#[test]
fn a_server_that_wants_a_token_gets_it_from_the_browser() {
    if installed().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), "a-token-of-the-test").unwrap();
    let server = Server::start_by(home, |command| {
        command
            .args(["--set", "http.token_file=token"])
            .stderr(Stdio::null());
    });
    run("token", &server, no_orders);
}

#[test]
fn words_stand_in_place_of_blanks() {
    if installed().is_none() {
        return;
    }
    let mut upstreams = Upstreams::start();
    let settings = [
        "schwab.fresh_candles=200ms",
        "schwab.breaker_open=1s",
        "schwab.failure_hold=100ms",
        "schwab.stale_patience=200ms",
        "schwab.attempts_max=1",
    ];
    let server = upstreams.server(&settings);
    run("words", &server, |order| {
        match order {
            "provider away" => {
                // Longer than candles are fresh.
                std::thread::sleep(Duration::from_millis(300));
                upstreams.schwab.0.fake.go_away();
            }
            "provider back" => {
                upstreams.schwab.0.fake.come_back();
                server.eventually("/api/candles/TOYO", |got| {
                    got.status == 200 && got.header("X-Data-Stale").is_none()
                });
            }
            _ => panic!("nobody expects {order:?}"),
        }
        "done".into()
    });
}

#[test]
fn a_server_that_stands_still_is_shown_as_such_and_recovers() {
    if installed().is_none() {
        return;
    }
    let server = Server::start(SHORT_LIMITS);
    run("stalled", &server, |order| {
        match order {
            "stop" => server.signal("STOP"),
            "continue" => server.signal("CONT"),
            "drill candle-cache" => {
                let got = server.ask("POST", "/api/drill?stall=candle-cache&how=sleep&for=16s");
                assert_eq!(got.status, 200, "{}", got.text());
                begin_a_drill(&server);
            }
            _ => panic!("nobody expects {order:?}"),
        }
        "done".into()
    });
}

/// A cache takes its order where it beats, and a cache that nobody asks does not beat.
fn begin_a_drill(server: &Server) {
    let address = server.address.clone();
    std::thread::spawn(move || kit::get(&address, "/api/candles/ELPW"));
}

#[test]
fn the_page_of_threads_names_the_culprit_of_a_real_drill() {
    if installed().is_none() {
        return;
    }
    let settings = [
        "--set",
        "watchdog.busy_cache=1s",
        "--set",
        "watchdog.busy_conn=2s",
        "--set",
        "http.slots_market=2",
        "--set",
        "http.slots_trader=2",
        "--set",
        "http.slots_model=2",
    ];
    let server = Server::start(&settings);
    run("threads", &server, |order| {
        match order {
            "ask for candles" => begin_a_drill(&server),
            "stop" => server.signal("STOP"),
            "continue" => server.signal("CONT"),
            _ => panic!("nobody expects {order:?}"),
        }
        "done".into()
    });
}

#[test]
fn the_page_of_routes_shows_each_and_tries_it() {
    if installed().is_none() {
        return;
    }
    run("docs", &Server::start(&[]), no_orders);
}

#[test]
fn eight_hours_of_quotes_leave_the_heap_flat() {
    if installed().is_none() {
        return;
    }
    const SYMBOLS: [&str; 5] = ["TOYO", "AAA", "BBB", "CCC", "DDD"];
    /// Of the eight hours' clock.
    const BETWEEN_QUOTES_MS: i64 = 500;
    const QUOTES_PER_SECOND: u32 = 5_000;
    let upstreams = Upstreams::start();
    let server = upstreams.server(&[]);
    // After the candles there are; the page takes the stream's clock as it comes.
    let begin = (kit::upstream::now_ms() / 60_000 + 1) * 60_000;
    let (mut volume, mut sent) = (1_000_u64, 0_u64);
    run("day", &server, |order| {
        let hour: i64 = order.strip_prefix("hour ").unwrap().parse().unwrap();
        // After the eighth the clock stands still: as many quotes again, and no new candle.
        let stands_still = hour == 9;
        let stream = &upstreams.trader.stream;
        eventually("subscriptions", || {
            let subscribed = stream.subscribed();
            SYMBOLS
                .iter()
                .all(|s| subscribed.contains(*s))
                .then_some(())
        });
        let from = begin + (hour - 1) * 3_600_000 - if stands_still { 60_000 } else { 0 };
        let mut price = 0.0;
        let begun = Instant::now();
        for (n, at) in (from..from + 3_600_000)
            .step_by(usize::try_from(BETWEEN_QUOTES_MS).unwrap())
            .enumerate()
        {
            volume += 7;
            price = 2.0 + hour as f64 / 100.0 + (n % 90) as f64 / 1_000.0;
            for symbol in SYMBOLS {
                let at = if stands_still { from + n as i64 } else { at };
                stream.quote(&quote(symbol, price, volume, at));
                sent += 1;
            }
            let due = begun + Duration::from_secs(1) / QUOTES_PER_SECOND * (n as u32 * 5);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        format!("{price} {sent}")
    });
}
