//! The server itself: a clock that jumps, a panic in each kind of thread, a watchdog that is stuck, the
//! end in the middle of everything.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tapewarden::runtime::threads::{OnPanic, ThreadKind};

use crate::kit::bystanders::Records;
use crate::kit::client::try_say;
use crate::kit::faults::{ShiftedClock, flood, small_pipe};
use crate::kit::routes::ROUTES;
use crate::kit::town::{LIVELY, Stream, Town, Trial};
use crate::kit::{self, Fault, Quotes, Server, Upstreams, at_once, eventually, get, skip};

const TOKEN: &str = "a-token-of-these-tests-0123456789";

#[test]
fn a_wall_clock_that_jumps_is_no_stall_and_costs_nobody_anything() {
    let Some(clock) = ShiftedClock::build() else {
        skip("no C compiler");
        return;
    };
    let up = Upstreams::start();
    let mut args = up.args();
    for setting in LIVELY {
        args.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.args(&args).stderr(Stdio::null());
        clock.load(command);
    });
    let mut town = Town::around(up, server);
    for (name, seconds) in [
        ("the wall clock goes back an hour", -3_600),
        ("the wall clock goes forward a day", 86_400),
        ("the wall clock is right again", 0),
    ] {
        town.trial(Trial::harmless(name, 5), |_| clock.shift(seconds), |_| {});
    }
    let watchdog = town.server.log("watchdog.log");
    assert!(!watchdog.contains("STALL"), "{watchdog}");
    town.empties();
}

/// What a drill's order names for a kind of thread: the first of several, or all whose end is one client's.
fn meant(kind: ThreadKind) -> String {
    let row = kind.row();
    match row.name.split_once("-N") {
        None => row.name.to_owned(),
        Some((name, _)) if row.on_panic == OnPanic::End => format!("{name}-*"),
        Some((name, _)) => format!("{name}-1"),
    }
}

/// The kinds that can be made to panic. `apart` are those of the embedded market, of a stream's client and of
/// the clients' token, which a town does not have; they are tried with a server of their own.
fn kinds(apart: bool) -> impl Iterator<Item = ThreadKind> {
    let all = ThreadKind::ALL.iter().copied();
    all.filter(move |kind| {
        let row = kind.row();
        let is_apart = row.class == "sim" || matches!(row.name, "ws-N-out" | "token-reader");
        row.no_drill.is_none() && is_apart == apart
    })
}

/// Waits until the log tells of a panic in a thread whose name is, or with `*` begins, so.
fn until_panic(server: &Server, name: &str, errand: impl Fn()) {
    // `sim-schwab` is not `sim-schwab-1`.
    let words = match name.strip_suffix('*') {
        Some(begin) => format!("thread {begin}"),
        None => format!("thread {name} "),
    };
    eventually(&format!("the panic of {name}"), || {
        errand();
        let log = server.log("backend.log");
        let mut panics = log.lines().filter(|l| l.contains("[PANIC]"));
        panics.any(|l| l.contains(&words)).then_some(())
    });
}

#[test]
fn a_panic_in_each_kind_of_thread_is_told_and_the_thread_begins_anew() {
    let mut town = Town::start(&[
        "watchdog.allow_drills=true",
        "model.cache_ttl=50ms",
        "model.status_ttl=50ms",
        "model.fetchers=1",
        "trader.fresh_watchlist=500ms",
        "watchdog.heartbeat_every=1s",
        // A place that is lost for good is seen at once.
        "http.slots_market=1",
    ]);
    town.all_is_well(Instant::now(), "before any panic");
    let mut slowest = Duration::ZERO;
    let all = kinds(false);
    // What a connection loses is its client's alone: the last, so that all others' answers can be judged.
    let (last, others): (Vec<_>, Vec<_>) = all.partition(|kind| kind.row().class == "conn");
    let names: Vec<String> = others.into_iter().chain(last).map(meant).collect();
    for name in &names {
        let name = name.as_str();
        if name == "conn-*" {
            honest_in_time(town.bystanders.records());
        }
        let order = format!("/api/drill?stall={name}&how=panic&for=1s");
        let order = town.server.ask("POST", &order);
        // The connection that takes the order may be the first to meet it.
        let itself =
            name == "conn-*" && (order.status, order.text().contains("panicked")) == (500, true);
        assert!(order.status == 200 || itself, "{name}: {}", order.text());
        // It meets its order where it has something to do.
        until_panic(&town.server, name, || {
            let _may_fail = try_say(
                &town.server.address,
                b"GET /api/stalls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            );
        });
        let back = town.all_is_well(Instant::now(), name);
        println!("{name}: back after {back:?}");
        slowest = slowest.max(back);
        assert!(back < Duration::from_secs(10), "{name}: {back:?}");
    }
    println!("{} kinds, the slowest back after {slowest:?}", names.len());
    let log = town.server.log("backend.log");
    assert!(
        log.contains("drill.rs"),
        "a panic is told with its backtrace"
    );
    let watchdog = town.server.log("watchdog.log");
    assert!(!watchdog.contains("STALLED"), "{watchdog}");
    town.empties();
}

#[test]
fn a_panic_in_the_threads_of_the_market_a_stream_or_the_token_is_told_and_all_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("clients-token");
    std::fs::write(&token, TOKEN).unwrap();
    let server = Server::start_by(home, |command| {
        let file = format!("http.token_file={}", token.display());
        command.stderr(Stdio::null()).args(["--set", &file]);
        command.args(["--set", "ws.ping_every=1s"]);
    });
    let bearer = format!("Bearer {TOKEN}");
    let ask = |method: &str, path: &str| {
        server.ask_with(method, path, &[("Authorization", bearer.as_str())])
    };
    let is_well = |path: &str| {
        eventually(path, || {
            let got = ask("GET", path);
            (got.status == 200 && got.header("x-data-stale").is_none()).then_some(())
        });
    };
    let watch = || {
        let path = format!("/api/ws/quotes?token={TOKEN}");
        let mut quotes = Quotes::try_connect_to(&server.address, &path).unwrap();
        quotes.subscribe(&["TOYO"]);
        quotes
    };
    watch().until("quotes", |m| m["type"] == "quote");
    let _waits_for_pings = watch();
    let names: Vec<String> = kinds(true).map(meant).collect();
    assert!(names.len() > 1, "{names:?}");
    // All before any is met: what accepts connections meets its order when those that there are have panicked.
    for name in &names {
        let order = ask("POST", &format!("/api/drill?stall={name}&how=panic&for=1s"));
        assert_eq!(order.status, 200, "{name}: {}", order.text());
    }
    for name in &names {
        until_panic(&server, name, || {
            ask("GET", "/api/candles/TOYO");
            ask("GET", "/api/watchlist");
        });
    }
    for path in ["/api/health", "/api/candles/TOYO", "/api/watchlist"] {
        is_well(path);
    }
    watch().until("quotes", |m| m["type"] == "quote");
    let watchdog = server.log("watchdog.log");
    assert!(!watchdog.contains("STALLED"), "{watchdog}");
}

/// Every request was answered, in time, well or with a reason.
fn honest_in_time(records: &Records) {
    for sample in &records.samples {
        let reason = sample.detail.as_ref().is_some_and(|d| d.len() > 20);
        let honest = match sample.outcome {
            Ok(200) => true,
            Ok(status) => status >= 500 && reason,
            Err(_) => false,
        };
        assert!(
            honest && sample.took < ROUTES[sample.route].within(),
            "{sample:?}"
        );
    }
}

#[test]
fn threads_that_end_while_the_watchdog_is_stuck_are_not_missed_for_ever() {
    // Three notices for each connection, and room for 8,192.
    const CONNECTIONS: usize = 4_000;
    const CLIENTS: usize = 4;
    let server = Server::start(&[
        "--set",
        "watchdog.busy_conn=3s",
        "--set",
        "watchdog.heartbeat_every=1s",
    ]);
    let threads = |server: &Server| {
        let listed = server.get("/api/threads").json()["threads"].clone();
        listed.as_array().map_or(0, Vec::len)
    };
    server.eventually("/api/threads", |got| got.status == 200);
    let before = threads(&server);
    // Long enough for all of them on a busy machine.
    let order = server.ask("POST", "/api/drill?stall=watchdog&how=sleep&for=15s");
    assert_eq!(order.status, 200);
    at_once(0..CLIENTS, |_| {
        for _ in 0..CONNECTIONS / CLIENTS {
            // Health would tell of the watchdog.
            let got = get(&server.address, "/api/volume-spikes/active");
            assert_eq!(got.status, 200, "{}", got.text());
        }
    });
    server.log_has("watchdog.log", "the watchdog itself did not run for");
    eventually("a heartbeat that tells of lost notices", || {
        let log = server.log("backend.log");
        let mut beats = log.lines().filter(|l| l.contains(" notices lost"));
        beats.any(|l| !l.contains(" 0 notices lost")).then_some(())
    });
    eventually("no more threads than before", || {
        (threads(&server) <= before + 2).then_some(())
    });
    // Longer than a connection may take.
    std::thread::sleep(Duration::from_secs(4));
    let log = server.log("watchdog.log");
    assert!(!log.contains("STALLED: conn-"), "{log}");
}

#[test]
fn a_watchdog_that_is_stuck_ends_the_process_with_its_own_code() {
    let mut server = Server::start(&["--set", "watchdog.allow_drills=true"]);
    server.eventually("/api/threads", |got| got.status == 200);
    let order = server.ask("POST", "/api/drill?stall=watchdog&how=sleep&for=120s");
    assert_eq!(order.status, 200, "{}", order.text());
    let began = Instant::now();
    // Everything else is served until then.
    while began.elapsed() < Duration::from_secs(20) {
        for path in ["/api/runners", "/api/candles/TOYO", "/api/vwap/TOYO"] {
            assert_eq!(server.get(path).status, 200, "{path}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    while began.elapsed() < Duration::from_secs(60) && server.child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.exit_code(), 70);
    println!("ended {:?} after the watchdog stuck", began.elapsed());
}

#[test]
fn sigterm_in_the_middle_of_all_that_ends_it_in_time() {
    let up = Upstreams::start();
    let (_reader, console) = small_pipe();
    let mut args = up.args();
    for setting in LIVELY.iter().chain(&["log.level=trace"]) {
        args.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    let mut server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        // A console that takes nothing may hold back the banner as well: the log has the address.
        command
            .args(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::from(console));
    });
    server.eventually("/api/watchlist", |got| got.status == 200);
    let mut town_quotes: Vec<Quotes> = (0..10).map(|_| Quotes::connect(&server.address)).collect();
    for quotes in &mut town_quotes {
        quotes.subscribe(&kit::bystanders::STREAMED);
    }
    up.fault(&Fault::Hang);
    let held = flood(&server.address, 500, |n| match n % 3 {
        0 => format!("GET /api/candles/S{n} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
        1 => b"GET /api/hea".to_vec(),
        _ => Vec::new(),
    });
    let log = server.path("logs/backend.log");
    std::fs::remove_file(&log).unwrap();
    kit::faults::fifo(&log);
    std::thread::sleep(Duration::from_secs(2));
    let asked = Instant::now();
    server.signal("TERM");
    assert_eq!(server.exit_code(), 0);
    println!("ended {:?} after SIGTERM", asked.elapsed());
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    drop(held);
}

/// Everything at once, one part after another, and all of it comes back.
#[test]
fn all_upstreams_lost_at_once_come_back_all() {
    let mut town = Town::start(&[]);
    use kit::routes::Part;
    town.trial(
        Trial::harmless("every upstream hangs and its connections drop", 10)
            .breaking(&[Part::Schwab, Part::Trader, Part::Model])
            .with_stream(Stream::Lost),
        |town| {
            town.up.fault(&Fault::Hang);
            town.up.trader.stream.drop_clients();
        },
        |town| town.up.heal(),
    );
    assert_eq!(get(&town.server.address, "/api/health").status, 200);
    town.empties();
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_names_stacks_and_is_stuck_costs_their_names_and_is_replaced() {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    let symbolizer = eventually("a symbolizer", || server.symbolizer());
    kit::small_disk::run("kill", &["-STOP", &symbolizer.to_string()]);
    let report = server.get("/api/threads/dump");
    assert_eq!(report.status, 200);
    assert!(
        report
            .text()
            .contains("no call stacks: the process that names stacks did not answer")
    );
    // What was captured can still be named.
    let raw = eventually("the raw dump", || {
        let reports = std::fs::read_dir(server.path("logs/reports")).ok()?;
        let paths = reports.flatten().map(|e| e.path());
        paths
            .into_iter()
            .find(|p| p.extension().is_some_and(|e| e == "raw"))
    });
    eventually("its text", || {
        raw.with_extension("txt").exists().then_some(())
    });
    let named = std::process::Command::new(env!("CARGO_BIN_EXE_tapewarden"))
        .args(["dump", "--resolve"])
        .arg(&raw)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&named.stdout);
    assert!(text.contains("> tapewarden::"), "{text}");
    eventually("another symbolizer", || {
        server.symbolizer().filter(|pid| *pid != symbolizer)
    });
    server.eventually("/api/threads/dump?format=json", |got| {
        got.status == 200 && got.text().contains("tapewarden::")
    });
}
