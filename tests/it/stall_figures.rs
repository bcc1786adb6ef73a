//! Figures of stalls and reports, and what was promised of them, held against a release build on a machine
//! that does little else: `cargo test --release --test it -- --ignored --nocapture stall_figures`. And the
//! stacks checked against a debugger's.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::kit::{self, SHORT_LIMITS, Server, eventually, skip};
use serde_json::Value;

/// A stall is seen this long after its class's limit at the latest.
const SEEN_MAX: Duration = Duration::from_secs(2);

/// Its report is on disk this long after that.
const ON_DISK_MAX: Duration = Duration::from_secs(1);

/// Of 100 requests for something else 99 take less.
const ELSEWHERE_MAX: Duration = Duration::from_millis(100);

/// Ten reports cost the server no more memory than this.
const TEN_REPORTS_KB_MAX: u64 = 10 * 1024;

/// A thread to be stalled, and how to give it something to do, so that it meets its order.
struct Row {
    thread: &'static str,
    /// For how long: longer than its class is allowed.
    seconds: u64,
    /// Paths that are asked for all the time.
    errands: &'static [&'static str],
}

const fn row(thread: &'static str, seconds: u64, errands: &'static [&'static str]) -> Row {
    Row {
        thread,
        seconds,
        errands,
    }
}

/// Threads that answer from memory.
const OWNERS: [Row; 5] = [
    row("candle-cache", 4, &["/api/candles/TOYO"]),
    row("trader-cache", 4, &["/api/watchlist"]),
    row("ollama-cache", 4, &["/api/validate/status"]),
    row("quote-hub", 4, &["/api/streaming/status"]),
    row("snapshot-cache", 4, &["/api/runners"]),
];

/// Threads that face clients.
const EDGE: [Row; 4] = [
    row("gate", 5, &["/api/health"]),
    row(A_CONNECTION, 5, &[]),
    row(A_STREAM, 5, &[]),
    row("log-writer", 4, &["/api/health"]),
];

/// Threads that face the rest of the world, with a class that allows 10 s.
const WORLD: [Row; 5] = [
    row("quote-fetch-1", 13, &["/api/quote/TOYO", "/api/quote/ELPW"]),
    row("vwap-get-1", 13, &["/api/vwap/TOYO", "/api/vwap/ELPW"]),
    row("quote-reader", 13, &[]),
    row("file-reader", 13, &[]),
    row("sim-files", 13, &[]),
];

/// A connection that is kept and asks.
const A_CONNECTION: &str = "conn-";

/// The writer of a quote stream.
const A_STREAM: &str = "ws-";

const KINDS: [(&str, &str); 7] = [
    ("mutex", "stall_on_a_mutex"),
    ("spin", "stall_by_spinning"),
    ("sleep", "stall_by_sleeping"),
    ("read", "stall_in_a_read"),
    ("write", "stall_in_a_write"),
    ("disk", "stall_in_an_open"),
    ("channel", "stall_on_a_channel"),
];

fn reports(server: &Server) -> usize {
    std::fs::read_dir(server.path("logs/reports")).map_or(0, |dir| {
        dir.flatten()
            .filter(|e| e.path().extension().is_some_and(|x| x == "txt"))
            .count()
    })
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or_default()
}

/// Polls that go on meanwhile, on a connection of their own, each for something else so that nobody has
/// the answer at hand: how long each took.
fn polls(mut client: KeptAlive, over: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let path = format!("/api/trade-history?limit={}", 1 + times.len() % 60);
        let began = Instant::now();
        assert_eq!(client.get(&path), 200, "{path}");
        times.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    times
}

/// A client that keeps its connection.
struct KeptAlive(BufReader<TcpStream>);

impl KeptAlive {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    /// The status.
    fn get(&mut self, path: &str) -> u16 {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(n) = line.strip_prefix("content-length: ") {
                length = n.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length]).unwrap();
        status
    }
}

/// The names of the threads that live and begin so.
fn named(server: &Server, begin: &str) -> HashSet<String> {
    let threads = server.get("/api/threads").json();
    let list = threads["threads"].as_array().unwrap();
    let names = list.iter().map(|t| t["name"].as_str().unwrap().to_owned());
    names.filter(|n| n.starts_with(begin)).collect()
}

/// "no beat for 1.2 s (limit 1.0 s)" -> 0.2
fn beyond_limit(line: &str) -> Duration {
    let number = |after: &str| {
        let rest = line.split(after).nth(1).unwrap();
        rest.split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    Duration::from_secs_f64((number("no beat for ") - number("(limit ")).max(0.0))
}

/// Each kind of stall in each of these threads. All figures are printed before a broken promise fails.
fn every_kind_in(rows: &[Row]) {
    println!("thread | kind | seen beyond the limit | report on disk after | p99 elsewhere");
    let mut worst = [Duration::ZERO; 3];
    let mut broken = Vec::new();
    for row in rows {
        let mut args = SHORT_LIMITS.to_vec();
        args.extend([
            "--set",
            "schwab.quote_fetchers=1",
            "--set",
            "trader.fetchers=1",
        ]);
        let server = Server::start(&args);
        server.eventually("/api/trade-history?limit=1", |got| got.status == 200);
        server.eventually("/api/streaming/status", |got| {
            got.json()["connected"] == true
        });
        server.eventually("/api/threads", |got| got.status == 200);
        for (how, function) in KINDS {
            let before = reports(&server);
            let seen_before = server.log("watchdog.log").len();
            let over = Arc::new(AtomicBool::new(false));
            let poller = KeptAlive::connect(&server.address);
            let elsewhere = std::thread::spawn({
                let over = Arc::clone(&over);
                move || polls(poller, &over)
            });
            // A connection or a stream is made for the stall, and known by being new. The list is as of the
            // watchdog's last look, which must have seen the others.
            std::thread::sleep(Duration::from_secs(1));
            let known = named(&server, row.thread);
            let (mut conn, mut stream) = (None, None);
            match row.thread {
                A_CONNECTION => {
                    let mut client = KeptAlive::connect(&server.address);
                    assert_eq!(client.get("/api/health"), 200);
                    conn = Some(client);
                }
                A_STREAM => {
                    let mut quotes = kit::Quotes::connect(&server.address);
                    quotes.subscribe(&["TOYO"]);
                    quotes.until("a quote", |m| m["type"] == "quote");
                    stream = Some(quotes);
                }
                _ => {}
            }
            let thread = if conn.is_some() || stream.is_some() {
                // Those of the questions themselves end at once.
                eventually("the new thread alone", || {
                    let now = named(&server, row.thread);
                    let again = named(&server, row.thread);
                    let mut new = now.intersection(&again).filter(|n| !known.contains(*n));
                    let first = new.next().cloned();
                    first.filter(|_| new.next().is_none())
                })
            } else {
                row.thread.to_owned()
            };
            let path = format!("/api/drill?stall={thread}&how={how}&for={}s", row.seconds);
            assert_eq!(server.ask("POST", &path).status, 200, "{thread}");
            let fresh = |words: &str| {
                let log = server.log("watchdog.log");
                log.get(seen_before..)
                    .and_then(|new| new.lines().find(|l| l.contains(words)))
                    .map(str::to_owned)
            };
            // The errand's own answer may take as long as the stall.
            let mut wakers: Vec<_> = row
                .errands
                .iter()
                .map(|errand| {
                    let (address, over) = (server.address.clone(), Arc::clone(&over));
                    std::thread::spawn(move || {
                        while !over.load(Ordering::Relaxed) {
                            let _any = kit::get(&address, errand);
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    })
                })
                .collect();
            if let Some(mut client) = conn {
                wakers.push(std::thread::spawn(move || {
                    assert_eq!(client.get("/api/runners"), 200);
                }));
            }
            let seen = eventually(&thread, || fresh(&format!("STALLED: {thread} (")));
            let at = Instant::now();
            eventually("the report", || (reports(&server) > before).then_some(()));
            let on_disk = at.elapsed();
            let line = eventually("the verdict", || fresh(&format!("VERDICT: {thread} (")));
            assert!(line.contains(function), "{line}");
            eventually("its end", || fresh(&format!("{thread} is back after")));
            over.store(true, Ordering::Relaxed);
            for waker in wakers {
                waker.join().unwrap();
            }
            drop(stream);
            let slow = p99(elsewhere.join().unwrap());
            let beyond = beyond_limit(&seen);
            let figures = format!("{thread} | {how} | {beyond:.2?} | {on_disk:.2?} | {slow:.2?}");
            println!("{figures}");
            if beyond > SEEN_MAX || on_disk > ON_DISK_MAX || slow > ELSEWHERE_MAX {
                broken.push(figures);
            }
            for (worst, now) in worst.iter_mut().zip([beyond, on_disk, slow]) {
                *worst = (*worst).max(now);
            }
        }
    }
    println!(
        "worst: seen {:.2?} beyond the limit, report on disk after {:.2?}, p99 elsewhere {:.2?}",
        worst[0], worst[1], worst[2]
    );
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
#[ignore = "takes four minutes; prints figures"]
fn every_kind_in_threads_that_answer_from_memory() {
    every_kind_in(&OWNERS);
}

#[test]
#[ignore = "takes four minutes; prints figures"]
fn every_kind_in_threads_that_face_clients() {
    every_kind_in(&EDGE);
}

#[test]
#[ignore = "takes nine minutes; prints figures"]
fn every_kind_in_threads_that_face_the_world() {
    every_kind_in(&WORLD);
}

/// The symbolizer's, in kB.
#[cfg(target_os = "linux")]
fn symbolizers_rss(server: &Server) -> u64 {
    let status = format!(
        "/proc/{}/status",
        server.symbolizer().expect("a symbolizer")
    );
    let text = std::fs::read_to_string(status).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn symbolizers_rss(_: &Server) -> u64 {
    0
}

/// What reports cost the server and how long they take.
#[test]
#[ignore = "takes a minute; prints figures"]
fn memory_and_time_of_reports() {
    let server = Server::start(&[]);
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
    std::thread::sleep(Duration::from_secs(3));
    let rss = || server.proc_status("VmRSS");
    let before = rss();
    let mut times = Vec::new();
    let mut after = Vec::new();
    for n in 1..=100 {
        let began = Instant::now();
        assert_eq!(server.get("/api/threads/dump").status, 200);
        times.push(began.elapsed());
        if n == 10 || n == 100 {
            std::thread::sleep(Duration::from_secs(2));
            after.push(rss());
            println!(
                "RSS {before} kB before, {} kB after {n} reports; the symbolizer's {} kB",
                rss(),
                symbolizers_rss(&server)
            );
        }
    }
    times.sort_unstable();
    println!(
        "a report by HTTP: median {:.0?}, slowest {:.0?} (250 ms of it between the two rounds)",
        times[50], times[99]
    );
    assert!(after[0] <= before + TEN_REPORTS_KB_MAX, "{after:?}");
}

/// The first frame of our own code: file and line.
fn top_of_ours(thread: &Value) -> Option<(String, u64)> {
    thread["frames"].as_array()?.iter().find_map(|frame| {
        let file = frame["file"].as_str()?;
        // Others' files begin with their library's name.
        let own = file.starts_with("src/") && frame["function"].as_str()?.contains("tapewarden::");
        own.then(|| (file.to_owned(), frame["line"].as_u64().unwrap_or(0)))
    })
}

/// CPU time of each thread, in ns.
fn cpu(server: &Server) -> HashMap<u64, u64> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let one = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let ns = text.split(' ').next()?.parse().ok()?;
        Some((path.file_name()?.to_str()?.parse().ok()?, ns))
    };
    tasks.filter_map(|task| one(task.ok()?.path())).collect()
}

/// File and line of the first frame of our own code in gdb's words, by thread; empty if it may not look.
fn debuggers_view(text: &str) -> HashMap<u64, (String, u64)> {
    let (mut theirs, mut tid) = (HashMap::new(), 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Thread ") {
            let number = rest
                .split("LWP ")
                .nth(1)
                .and_then(|r| r.split([' ', ')']).next());
            tid = number.and_then(|n| n.parse().ok()).unwrap_or(0);
        } else if line.starts_with('#')
            && line.contains("tapewarden::")
            // A library's code for one of our types, or the standard library's.
            && !["index.crates.io", "/rustc/", "library/"].iter().any(|l| line.contains(l))
            && let Some((file, number)) = line
                .rsplit_once(" at ")
                .and_then(|(_, at)| at.rsplit_once(':'))
            && let Some(from) = file.find("src/")
        {
            theirs
                .entry(tid)
                .or_insert((file[from..].to_owned(), number.trim().parse().unwrap_or(0)));
        }
    }
    theirs
}

/// A thread that used more CPU time than this while both looked moved in between: to be looked at costs
/// it tens of µs, an answered request hundreds.
const STOOD_NS: u64 = 200_000;

/// How often both look.
const LOOKS: usize = 3;

/// Ours first, then gdb's, of one process. Compared are the threads that stood still meanwhile; another is
/// rightly elsewhere.
#[test]
fn stacks_agree_with_a_debuggers() {
    let server = Server::start(&[]);
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
    std::thread::sleep(Duration::from_secs(1));
    let (mut same, mut other, mut moved) = (0, Vec::new(), 0);
    for _ in 0..LOOKS {
        let before = cpu(&server);
        let ours = server.get("/api/threads/dump?format=json").json();
        let gdb = Command::new("gdb")
            .args(["-nx", "-batch", "-p", &server.pid().to_string()])
            .args(["-ex", "set print frame-arguments none"])
            .args(["-ex", "thread apply all bt"])
            .output();
        let after = cpu(&server);
        let Ok(gdb) = gdb else {
            skip("gdb is not installed");
            return;
        };
        let theirs = debuggers_view(&String::from_utf8_lossy(&gdb.stdout));
        if theirs.is_empty() {
            skip(format!(
                "gdb may not look into the process: {}",
                String::from_utf8_lossy(&gdb.stderr)
            ));
            return;
        }
        for thread in ours["dump"].as_array().unwrap() {
            let tid = thread["tid"].as_u64().unwrap();
            let (Some(their), Some(from), Some(to)) =
                (theirs.get(&tid), before.get(&tid), after.get(&tid))
            else {
                continue;
            };
            let our = top_of_ours(thread);
            if our.as_ref() == Some(their) {
                same += 1;
            } else if to - from > STOOD_NS {
                moved += 1;
            } else {
                let used = (to - from) / 1_000;
                other.push(format!(
                    "{}: {our:?}, gdb {their:?}, {used} us",
                    thread["name"]
                ));
            }
        }
    }
    println!("{same} agree, {moved} moved, not: {other:#?}");
    assert!(
        same >= 20 * LOOKS && moved * 4 <= same && other.len() * 99 <= same,
        "{same} agree, {moved} moved, not: {other:#?}"
    );
}
