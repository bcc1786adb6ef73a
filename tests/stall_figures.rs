//! Figures of stalls and reports, and the stacks checked against a debugger's. The figures:
//! `cargo test --release --test stall_figures -- --ignored --nocapture`.

mod kit;

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kit::{SHORT_LIMITS, Server, eventually};
use serde_json::Value;

/// What the classes of these threads are allowed, as [`SHORT_LIMITS`] has it.
const LIMIT: Duration = Duration::from_secs(1);

/// A thread, and what wakes it.
const THREADS: [(&str, &str); 6] = [
    ("candle-desk", "/api/candles/TOYO"),
    ("trader-desk", "/api/watchlist"),
    ("model-desk", "/api/validate/status"),
    ("quote-hub", "/api/streaming/status"),
    ("log-writer", "/api/streaming/status"),
    ("http-1", "/api/streaming/status"),
];

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

/// Each kind of stall in each class of thread.
#[test]
#[ignore = "takes four minutes; prints figures"]
fn every_kind_in_every_class() {
    println!(
        "thread | kind | detected after | beyond the limit | report on disk after | p99 elsewhere"
    );
    let mut worst = [Duration::ZERO; 3];
    for (thread, errand) in THREADS {
        let server = Server::start(SHORT_LIMITS);
        server.eventually("/api/threads", |got| got.status == 200);
        for (how, function) in KINDS {
            let before = reports(&server);
            let seen_before = server.log("watchdog.log").len();
            let over = Arc::new(AtomicBool::new(false));
            let elsewhere = std::thread::spawn({
                let (address, over) = (server.address.clone(), Arc::clone(&over));
                move || {
                    let mut times = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        assert_eq!(kit::get(&address, "/api/trade-history?limit=1").status, 200);
                        times.push(began.elapsed());
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    times
                }
            });
            let path = format!("/api/drill?stall={thread}&how={how}&for=4s");
            assert_eq!(server.ask("POST", &path).status, 200);
            let began = Instant::now();
            let fresh = |words: &str| {
                let log = server.log("watchdog.log");
                log.get(seen_before..)
                    .and_then(|new| new.lines().find(|l| l.contains(words)))
                    .map(str::to_owned)
            };
            // The errand's own answer may take as long as the stall.
            let wake = std::thread::spawn({
                let (address, over) = (server.address.clone(), Arc::clone(&over));
                move || {
                    while !over.load(Ordering::Relaxed) {
                        let _any = kit::get(&address, errand);
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
            });
            eventually(thread, || fresh(&format!("STALLED: {thread} (")));
            let (detected, at) = (began.elapsed(), Instant::now());
            eventually("the report", || (reports(&server) > before).then_some(()));
            let on_disk = at.elapsed();
            let line = eventually("the verdict", || fresh(&format!("VERDICT: {thread} (")));
            assert!(line.contains(function), "{line}");
            eventually("its end", || fresh(&format!("{thread} is back after")));
            over.store(true, Ordering::Relaxed);
            wake.join().unwrap();
            let slow = p99(elsewhere.join().unwrap());
            let beyond = detected.saturating_sub(LIMIT);
            println!(
                "{thread} | {how} | {detected:.2?} | {beyond:.2?} | {on_disk:.2?} | {slow:.2?}"
            );
            for (worst, now) in worst.iter_mut().zip([beyond, on_disk, slow]) {
                *worst = (*worst).max(now);
            }
            // A report is written at most each 5 s.
            std::thread::sleep(Duration::from_secs(2));
        }
    }
    println!(
        "worst: {:.2?} beyond the limit, report on disk after {:.2?}, p99 elsewhere {:.2?}",
        worst[0], worst[1], worst[2]
    );
}

/// The scribe's, in kB: the server's only child.
#[cfg(target_os = "linux")]
fn scribes_rss(server: &Server) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let children = tasks.flatten().find_map(|task| {
        let text = std::fs::read_to_string(task.path().join("children")).ok()?;
        text.split_whitespace().next().map(str::to_owned)
    });
    let status = format!("/proc/{}/status", children.expect("a scribe"));
    let text = std::fs::read_to_string(status).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn scribes_rss(_: &Server) -> u64 {
    0
}

/// What reports cost the server and how long they take.
#[test]
#[ignore = "takes a minute; prints figures"]
fn memory_and_time_of_reports() {
    let server = Server::start(&[]);
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
    std::thread::sleep(Duration::from_secs(3));
    let rss = || server.proc_status("VmRSS") / 1024;
    let before = rss();
    let mut times = Vec::new();
    for n in 1..=100 {
        let began = Instant::now();
        assert_eq!(server.get("/api/threads/dump").status, 200);
        times.push(began.elapsed());
        if n == 10 || n == 100 {
            std::thread::sleep(Duration::from_secs(2));
            println!(
                "RSS {before} MB before, {} MB after {n} reports; the scribe's {} MB",
                rss(),
                scribes_rss(&server) / 1024
            );
        }
    }
    times.sort_unstable();
    println!(
        "a report by HTTP: median {:.0?}, slowest {:.0?} (250 ms of it between the two rounds)",
        times[50], times[99]
    );
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
            eprintln!("skipped: gdb is not installed");
            return;
        };
        let theirs = debuggers_view(&String::from_utf8_lossy(&gdb.stdout));
        if theirs.is_empty() {
            eprintln!(
                "skipped: gdb may not look into the process: {}",
                String::from_utf8_lossy(&gdb.stderr)
            );
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
