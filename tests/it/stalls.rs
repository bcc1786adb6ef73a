//! Real stalls in real threads of the running program: seen in time, named with their function, the
//! rest served meanwhile, and over when they are over.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::kit::{self, Quotes, SHORT_LIMITS, Server, at_once, eventually, skip};
use serde_json::json;

fn order(server: &Server, thread: &str, how: &str, seconds: u32) {
    let path = format!("/api/drill?stall={thread}&how={how}&for={seconds}s");
    let got = server.ask("POST", &path);
    assert_eq!(got.status, 200, "{}", got.text());
}

/// The first verdict on this thread in watchdog.log, once it is there; errands wake the thread.
fn verdict(server: &Server, thread: &str, errand: impl Fn()) -> String {
    let words = format!("VERDICT: {thread} (");
    eventually(&words, || {
        errand();
        let log = server.log("watchdog.log");
        let line = log.lines().find(|l| l.contains(&words))?;
        Some(line.to_owned())
    })
}

/// Asks without caring for the answer, and not for long.
fn poke(server: &Server, path: &str) {
    poke_by(server, "GET", path);
}

fn poke_by(server: &Server, method: &str, path: &str) {
    use std::io::Write;
    if let Ok(mut stream) = std::net::TcpStream::connect(&server.address) {
        let _ = write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A thread, how it is stalled, the function that a report names, and what gives the thread something to do.
type Stall = (&'static str, &'static str, &'static str, &'static str);

/// One after the other, each over before the next begins.
fn are_named_with_their_function(stalls: &[Stall]) -> Server {
    let server = Server::start(SHORT_LIMITS);
    server.eventually("/api/threads", |got| got.status == 200);
    for &(thread, how, function, errand) in stalls {
        // The reader's class allows it 10 s outside of its declared waits.
        let seconds = if thread == "quote-reader" { 13 } else { 5 };
        order(&server, thread, how, seconds);
        let line = verdict(&server, thread, || {
            poke(&server, errand);
            assert!(matches!(server.get("/api/health").status, 200 | 503));
        });
        assert!(line.contains(function), "{thread} {how}: {line}");
        assert!(line.contains("src/runtime/drill.rs:"), "{line}");
        server.log_has("watchdog.log", &format!("{thread} is back after"));
    }
    server.eventually("/api/health", |got| got.status == 200);
    server
}

#[test]
fn stalls_on_a_mutex_a_channel_and_by_spinning_are_named_with_their_function() {
    let server = are_named_with_their_function(&[
        (
            "candle-cache",
            "mutex",
            "stall_on_a_mutex",
            "/api/candles/TOYO",
        ),
        (
            "trader-cache",
            "spin",
            "stall_by_spinning",
            "/api/vwap/TOYO",
        ),
        (
            "ollama-cache",
            "channel",
            "stall_on_a_channel",
            "/api/validate/status",
        ),
    ]);
    let log = server.log("watchdog.log");
    for marker in [
        "=== THREAD STACK DUMP ===",
        "--- Thread ",
        "=== END STACK DUMP ===",
        "Channels (waiting/room",
    ] {
        assert!(log.contains(marker), "{marker}");
    }
}

#[test]
fn stalls_in_a_write_an_open_and_a_read_are_named_with_their_function() {
    are_named_with_their_function(&[
        ("quote-hub", "write", "stall_in_a_write", "/api/health"),
        ("log-writer", "disk", "stall_in_an_open", "/api/health"),
        ("snapshot-cache", "read", "stall_in_a_read", "/api/runners"),
    ]);
}

#[test]
fn a_stall_by_sleeping_is_named_with_its_function() {
    are_named_with_their_function(&[("quote-reader", "sleep", "stall_by_sleeping", "/api/health")]);
}

#[test]
fn a_stalled_cache_makes_the_process_unhealthy_and_costs_only_its_own_routes() {
    let server = Server::start(SHORT_LIMITS);
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
    let mut quotes = Quotes::connect(&server.address);
    quotes.subscribe(&["TOYO"]);
    order(&server, "candle-cache", "sleep", 6);
    poke(&server, "/api/candles/ELPW");
    let health = eventually("health tells of it", || {
        let got = server.get("/api/health");
        (got.status == 503).then(|| got.json())
    });
    assert!(
        health["detail"].as_str().unwrap().contains("candle-cache"),
        "{health}"
    );
    let asked = server.get("/api/candles/TOYO");
    assert_eq!(asked.status, 503, "{}", asked.text());
    assert!(
        asked.detail().contains("candle-cache"),
        "{}",
        asked.detail()
    );
    for path in [
        "/api/watchlist",
        "/api/vwap/TOYO",
        "/api/streaming/status",
        "/api/trade-history",
    ] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    quotes.until("quotes go on", |m| m["type"] == "quote");
    server.eventually("/api/health", |got| got.status == 200);
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
}

/// Lines of `thread;outermost;…;innermost count`, one of them the candle cache's.
fn assert_folded(folded: &str) {
    for line in folded.lines() {
        let (stack, count) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(count.parse::<u32>().is_ok_and(|n| n > 0), "{line}");
        let frames: Vec<&str> = stack.split(';').collect();
        assert!(
            frames.len() > 2 && frames.iter().all(|f| !f.is_empty()),
            "{line}"
        );
    }
    let of_cache = |line: &str| line.starts_with("candle-cache;");
    assert!(folded.lines().any(of_cache), "{folded}");
}

#[test]
fn a_report_over_http_has_each_thread_whole_and_says_who_is_idle() {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    let text = server.get("/api/threads/dump");
    assert_eq!(text.status, 200);
    assert!(
        text.text().contains("no thread is stalled"),
        "{}",
        text.text()
    );
    let json = server.get("/api/threads/dump?format=json").json();
    let threads = json["dump"].as_array().unwrap();
    let named = |name: &str| {
        threads
            .iter()
            .find(|t| t["name"] == name)
            .unwrap_or_else(|| panic!("no {name}"))
    };
    for name in [
        "watchdog",
        "gate",
        "snapshot-cache",
        "candle-cache",
        "quote-hub",
        "log-writer",
        "notify-rs inoti",
    ] {
        assert!(
            !named(name)["frames"].as_array().unwrap().is_empty(),
            "{}",
            named(name)
        );
    }
    // A connection's thread may end while it is looked at.
    let lives = |t: &&serde_json::Value| t["missing"] != "it ended meanwhile";
    for t in threads.iter().filter(lives) {
        assert_eq!(t["truncated"], false, "{t}");
        assert_eq!(t["missing"], "", "{t}");
        assert_ne!(t["pace"], "unknown", "{t}");
    }
    // Nobody validates anything.
    for name in ["ollama-cache", "verdict-get-1"] {
        let t = named(name);
        assert_eq!(
            (&t["said"]["state"], &t["pace"]),
            (&json!("idle"), &json!("idle")),
            "{t}"
        );
    }
    let folded = server.get("/api/threads/dump?format=folded").text();
    assert_folded(&folded);
    assert_eq!(server.get("/api/threads/dump?format=xml").status, 400);
    server.eventually("/api/health", |got| got.status == 200);
}

/// What `tapewarden` with these arguments prints, in the folder of a server.
fn run(server: &Server, args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
        .args(args)
        .current_dir(server.home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn reports_and_drills_are_to_be_had_by_url() {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    let url = format!("http://{}", server.address);
    let text = run(&server, &["dump", "--url", &url]);
    for words in [", build ", "Open requests: ", " at rest, nothing refused: "] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert_folded(&run(
        &server,
        &["dump", "--url", &url, "--format", "folded"],
    ));
    let drill = [
        "drill",
        "--url",
        &url,
        "--stall",
        "ollama-cache",
        "--how",
        "channel",
        "--for",
        "4s",
    ];
    let told = run(&server, &drill);
    for words in [
        "STALLED: ollama-cache (",
        "VERDICT: ollama-cache (",
        "stall_on_a_channel",
        "ollama-cache is back after",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    server.eventually("/api/health", |got| got.status == 200);
}

#[test]
fn reports_are_to_be_had_by_process_and_signal_told_apart_and_listed() {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    let pid = server.pid().to_string();
    assert!(run(&server, &["dump", "--pid", &pid]).contains("asked for by SIGQUIT"));
    let first = run(&server, &["dump", "--pid", &pid, "--format", "json"]);
    std::fs::write(server.path("first.json"), first).unwrap();
    order(&server, "trader-cache", "mutex", 10);
    verdict(&server, "trader-cache", || poke(&server, "/api/vwap"));
    let diff = run(&server, &["dump", "--pid", &pid, "--diff", "first.json"]);
    let told: Vec<&str> = diff.lines().collect();
    let at = told.iter().position(|l| l.starts_with("~ trader-cache ("));
    let [was, is] = told[at.expect(&diff) + 1..][..2] else {
        unreachable!()
    };
    assert!(
        was.starts_with("    was ") && !was.contains("stall"),
        "{diff}"
    );
    assert!(
        is.starts_with("    is  stalled blocked in ") && is.contains("stall_on_a_mutex"),
        "{diff}"
    );
    assert!(diff.contains("+ drill-helper ("), "{diff}");
    for stands in ["ollama-cache (", "verdict-get-1 (", "presence-get-1 ("] {
        assert!(!diff.contains(stands), "{stands} in {diff}");
    }
    let listed = run(&server, &["stalls", "--log-dir", "logs"]);
    assert!(listed.lines().count() >= 4, "{listed}");
    assert!(
        run(&server, &["stalls", "show", "1", "--log-dir", "logs"])
            .contains("=== END STACK DUMP ===")
    );
    server.eventually("/api/health", |got| got.status == 200);
}

#[test]
fn a_log_that_nobody_writes_makes_the_process_unwell_and_nothing_else() {
    let server = Server::start(SHORT_LIMITS);
    let others = ["/api/watchlist", "/api/candles/TOYO", "/api/threads"];
    for path in others.iter().chain(&["/api/health"]) {
        server.eventually(path, |got| got.status == 200);
    }
    order(&server, "log-writer", "disk", 6);
    let health = server.eventually("/api/health", |got| got.status == 503);
    let words = health["detail"].as_str().unwrap();
    assert!(words.contains("log-writer has been stalled for"), "{words}");
    for path in others {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    server.eventually("/api/health", |got| got.status == 200);
}

#[test]
fn a_cache_that_stays_stalled_ends_the_process_with_its_own_code_and_a_last_report() {
    let mut args = SHORT_LIMITS.to_vec();
    args.extend(["--set", "watchdog.exit_after=2s"]);
    let mut server = Server::start(&args);
    server.eventually("/api/threads", |got| got.status == 200);
    order(&server, "quote-hub", "mutex", 60);
    assert_eq!(server.exit_code(), 70);
    let log = server.log("watchdog.log");
    assert!(log.contains("the process ends: unhealthy for"), "{log}");
    assert!(log.contains("VERDICT: quote-hub"), "{log}");
    assert!(server.log("backend.log").contains("exit code 70"));
    let kept = std::fs::read_dir(server.path("logs/reports")).unwrap();
    let mut texts: Vec<_> = kept
        .map(|e| e.unwrap().path())
        .filter(|path| path.extension().is_some_and(|x| x == "txt"))
        .collect();
    texts.sort();
    let last = std::fs::read_to_string(texts.last().unwrap()).unwrap();
    for words in [
        "VERDICT: quote-hub (",
        "=== THREAD STACK DUMP === the last report before the end | ",
        "stall_on_a_mutex",
        "=== END STACK DUMP ===",
    ] {
        assert!(last.contains(words), "{words} in {last}");
    }
}

#[test]
fn a_silent_watchdog_is_reported_by_another_and_its_raw_dump_can_be_named_later() {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    order(&server, "watchdog", "mutex", 15);
    let line = verdict(&server, "watchdog", || {
        assert_eq!(server.get("/api/trade-history").status, 200);
    });
    assert!(line.contains("stall_on_a_mutex"), "{line}");
    let raw = server.path("logs/watchdog-silent.raw");
    let out = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
        .arg("dump")
        .arg("--resolve")
        .arg(&raw)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && out.stderr.is_empty() && text.contains("stall_on_a_mutex"),
        "{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    server.log_has("backend.log", "the watchdog has been silent for");
    // It goes on where it was.
    server.log_has("watchdog.log", "the watchdog itself did not run for");
    order(&server, "trader-cache", "sleep", 4);
    verdict(&server, "trader-cache", || poke(&server, "/api/vwap"));
}

#[cfg(target_os = "linux")]
#[test]
fn stacks_are_copied_where_no_signal_can_be_queued() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    let pid = Pid::from_raw(server.pid().cast_signed());
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    prlimit(pid, Resource::Sigpending, none).unwrap();
    let json = server.get("/api/threads/dump?format=json").json();
    let threads = json["dump"].as_array().unwrap();
    let without: Vec<_> = threads.iter().filter(|t| t["missing"] != "").collect();
    assert!(threads.len() > 20 && without.is_empty(), "{without:#?}");
}

#[test]
fn a_session_whose_reader_or_writer_is_stuck_is_closed_and_the_client_can_connect_again() {
    let mut args = SHORT_LIMITS.to_vec();
    args.extend(["--set", "ws.ping_every=1s", "--set", "ws.write_deadline=1s"]);
    at_once(["reader", "writer"], |half| {
        let server = Server::start(&args);
        let mut quotes = Quotes::connect(&server.address);
        quotes.subscribe(&["TOYO"]);
        quotes.until("quotes", |m| m["type"] == "quote");
        let threads = server.eventually("/api/threads", |got| got.text().contains("-out\""));
        let writer = threads["threads"].as_array().unwrap().iter().find_map(|t| {
            let name = t["name"].as_str()?;
            name.ends_with("-out").then(|| name.to_owned())
        });
        let writer = writer.unwrap();
        let thread = match half {
            "reader" => writer.replace("ws-", "conn-").replace("-out", ""),
            _ => writer,
        };
        order(&server, &thread, "mutex", 30);
        let began = Instant::now();
        let why = loop {
            match quotes.next() {
                Ok(_) => assert!(began.elapsed() < kit::PATIENCE, "{half} stays"),
                Err(why) => break why,
            }
        };
        println!("{half} stuck: closed after {:.1?}: {why}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(20));
        // The gate does not wait until the writer has missed its reader.
        let told = match half {
            "reader" => "its thread does not go on",
            _ => "its writer is stuck",
        };
        server.log_has("backend.log", told);
        let mut again = Quotes::connect(&server.address);
        again.subscribe(&["TOYO"]);
        again.until("quotes again", |m| m["type"] == "quote");
        server.log_has("watchdog.log", &format!("STALLED: {thread} (conn"));
    });
}

#[test]
fn a_service_manager_is_told_of_the_start_the_watchdogs_life_and_the_end() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("notify.sock");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    let mut server = Server::start_by(home, |command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "2000000")
            .stderr(Stdio::null());
    });
    let hear = || {
        let mut bytes = [0; 1_024];
        let n = manager.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..n]).into_owned())
    };
    let until = |words: &str| {
        eventually(words, || hear()?.contains(words).then_some(()));
    };
    until("READY=1");
    until("WATCHDOG=1");
    until("WATCHDOG=1");
    order(&server, "watchdog", "sleep", 8);
    eventually("silence while the watchdog is stuck", || {
        hear().is_none().then_some(())
    });
    until("WATCHDOG=1");
    server.signal("TERM");
    until("STOPPING=1");
    assert_eq!(server.exit_code(), 0);
}

#[test]
fn stuck_fetchers_are_left_behind_and_their_requests_answered() {
    let server = Server::start(SHORT_LIMITS);
    server.eventually("/api/quote/TOYO", |got| got.status == 200);
    order(&server, "quote-fetch-*", "mutex", 60);
    // More than there are fetchers and none at the same moment, so that all of them are stuck with one.
    let began = Instant::now();
    let asked: Vec<_> = (1..=4)
        .map(|n| {
            std::thread::sleep(Duration::from_millis(50));
            let address = server.address.clone();
            std::thread::spawn(move || kit::get(&address, &format!("/api/quote/S{n}")).status)
        })
        .collect();
    for asked in asked {
        let status = asked.join().unwrap();
        assert!(matches!(status, 404 | 502..=504), "{status}");
    }
    println!("all answered after {:.1?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(15));
    // The breaker has seen failures; it tries again by itself once there are fetchers.
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
    server.eventually("/api/quote/ELPW", |got| got.status == 200);
    println!("quotes again after {:.1?}", began.elapsed());
    let log = server.log_has("watchdog.log", "STALLED: quote-fetch-1 (fetcher");
    assert!(!log.contains("quote-fetch-1 is back"), "{log}");
}

#[test]
fn a_worker_that_waits_for_a_cache_is_not_taken_to_be_stuck() {
    let server = Server::start(SHORT_LIMITS);
    server.eventually("/api/validate/status", |got| got.status == 200);
    order(&server, "ollama-cache", "sleep", 4);
    poke(&server, "/api/validate/status");
    let began = Instant::now();
    assert_eq!(server.get("/api/validate/status").status, 200);
    println!("waited for the cache for {:.1?}", began.elapsed());
    let log = server.log("backend.log");
    assert!(!log.contains("another is asked"), "{log}");
}

#[test]
fn drills_are_for_this_machine_and_only_where_they_are_allowed() {
    let server = Server::start(&["--set", "watchdog.allow_drills=false"]);
    let refused = server.ask("POST", "/api/drill?stall=candle-cache&how=mutex&for=1s");
    assert_eq!(refused.status, 403);
    assert!(refused.detail().contains("watchdog.allow_drills"));
    let allowed = Server::start(&[]);
    for (query, status) in [
        ("stall=nobody&how=mutex&for=1s", 404),
        ("stall=candle-cache&how=dance&for=1s", 400),
        ("how=mutex&for=1s", 400),
        ("stall=candle-cache&how=mutex&for=1h", 400),
    ] {
        let got = allowed.ask("POST", &format!("/api/drill?{query}"));
        assert_eq!(got.status, status, "{query}: {}", got.text());
    }
}

#[test]
fn drills_are_not_ordered_by_another_address_with_any_token() {
    const TOKEN: &str = "a-token-of-these-tests-0123456789";
    let Some(own) = kit::client::own_address() else {
        skip("this machine has no address but loopback ones");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("clients-token");
    std::fs::write(&file, TOKEN).unwrap();
    let server = Server::start_by(home, |command| {
        command.args(["--listen", "0.0.0.0:0", "--set"]);
        command.arg(format!("http.token_file={}", file.display()));
        command.stderr(Stdio::null());
    });
    let (_, port) = server.address.rsplit_once(':').unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let shown = [("Authorization", bearer.as_str())];
    let order = "/api/drill?stall=ollama-cache&how=sleep&for=1s";
    let ask =
        |ip: &str, method, path| kit::client::ask(&format!("{ip}:{port}"), method, path, &shown);
    let own = own.to_string();
    eventually("answers", || {
        (ask(&own, "GET", "/api/threads").status == 200).then_some(())
    });
    let refused = ask(&own, "POST", order);
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused.detail().contains("own machine"),
        "{}",
        refused.detail()
    );
    assert!(!server.log("watchdog.log").contains("a drill was ordered"));
    assert_eq!(ask("127.0.0.1", "POST", order).status, 200);
}

#[test]
fn reports_without_a_pause_during_traffic_fail_no_request_and_drop_no_stream() {
    let server = Server::start(&[]);
    server.eventually("/api/streaming/status", |got| {
        got.json()["connected"] == true
    });
    let mut quotes = Quotes::connect(&server.address);
    quotes.subscribe(&["TOYO"]);
    let until = Instant::now() + Duration::from_secs(8);
    let (address, pid) = (server.address.clone(), server.pid());
    let storm = std::thread::spawn(move || {
        while Instant::now() < until {
            let sent = Command::new("kill")
                .args(["-s", "QUIT", &pid.to_string()])
                .status();
            assert!(sent.unwrap().success());
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    let pollers: Vec<_> = (0..3)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut n = 0;
                while Instant::now() < until {
                    for path in [
                        "/api/health",
                        "/api/candles/TOYO",
                        "/api/vwap/TOYO",
                        "/api/trade-history",
                        "/api/watchlist",
                    ] {
                        let got = kit::get(&address, path);
                        assert_eq!(got.status, 200, "{path} {}", got.text());
                        n += 1;
                    }
                }
                n
            })
        })
        .collect();
    storm.join().unwrap();
    for poller in pollers {
        assert!(poller.join().unwrap() > 10);
    }
    quotes.until("the stream lives", |m| m["type"] == "quote");
    // A signal that comes while a report is made is answered by that one.
    let count = |words: &str| server.log("watchdog.log").matches(words).count();
    let made = || count("=== THREAD STACK DUMP === asked for by SIGQUIT | ");
    let whole = || count("=== END STACK DUMP ===");
    let before = eventually("a second without a report", || {
        let before = made();
        std::thread::sleep(Duration::from_secs(1));
        (made() == before).then_some(before)
    });
    assert_eq!(whole(), before);
    assert_eq!(count("no stacks were captured"), 0);
    server.signal("QUIT");
    eventually("one more report", || (whole() > before).then_some(()));
    assert_eq!((made(), whole()), (before + 1, before + 1));
    // Each took the signals of its time only.
    assert!(before > 1, "{before}");
}
