//! The report as a person reads it at night: the verdict, the stalled threads, the others folded. Pure.

use std::fmt::Write;

use crate::runtime::ThreadKind;

use super::dump::{ChannelReport, Dump, ThreadDump, ThreadPace, ThreadReport};
use super::verdict::verdict;

/// Frames outside of these are how every thread starts.
const START_OF_A_THREAD: [&str; 2] = [
    "__rust_begin_short_backtrace",
    "runtime::spawn::Supervisor::live",
];

/// So begin the names of the threads that tell of changed files.
const OF_NOTIFY: &str = "notify-rs";

/// The whole text.
#[must_use]
pub fn text(dump: &Dump) -> String {
    let c = &dump.context;
    let mut out = String::with_capacity(64 * 1024);
    let is_down = |s: &ThreadReport| matches!(s.state.as_str(), "stalled" | "dead");
    let degraded = !c.port.is_empty() || c.threads.iter().any(is_down);
    let level = if degraded { "ERROR" } else { "INFO" };
    for line in verdict(dump) {
        let _ = writeln!(out, "{} [{level}] [WATCHDOG] VERDICT: {line}", c.time);
    }
    heading(&mut out, dump);
    stacks(&mut out, dump);
    let _ = writeln!(out, "=== END STACK DUMP ===");
    open_requests(&mut out, &c.threads);
    channels(&mut out, &c.channels);
    let _ = writeln!(out, "The last {} log lines:", c.log.len());
    for line in &c.log {
        let _ = writeln!(out, "    {line}");
    }
    out
}

/// What was copied, when and why; what threads say of themselves where there are no stacks.
fn heading(out: &mut String, dump: &Dump) {
    let c = &dump.context;
    let stacks = dump.dump.iter().filter(|t| !t.frames.is_empty()).count();
    let _ = writeln!(
        out,
        "=== THREAD STACK DUMP === {} | tapewarden {}, build {}, process {}, up {} s | {} threads, {stacks} stacks, copied in {:.1} ms",
        c.reason,
        c.version,
        if dump.build.is_empty() {
            "without an id"
        } else {
            &dump.build
        },
        c.pid,
        c.uptime_s,
        dump.dump.len(),
        dump.took_us as f64 / 1_000.0
    );
    if !dump.no_stacks.is_empty() {
        let _ = writeln!(out, "({})", dump.no_stacks);
        for said in &c.threads {
            let _ = writeln!(
                out,
                "--- Thread {} ({}) ---\n    {}, class {}, last beat {} ms ago: {}",
                said.tid, said.name, said.state, said.class, said.beat_age_ms, said.activity
            );
        }
    }
}

/// Every stack: equal ones once, idle pools in a line each.
fn stacks(out: &mut String, dump: &Dump) {
    let mut idle: Vec<&ThreadDump> = Vec::new();
    let mut shown: Vec<&ThreadDump> = Vec::new();
    for t in &dump.dump {
        // One that says it waits and uses a processor says something that is not so.
        if t.state() == "idle" && t.pace != ThreadPace::Spinning {
            idle.push(t);
        } else {
            shown.push(t);
        }
    }
    while let Some((first, others)) = shown.split_first() {
        let (same, rest): (Vec<&ThreadDump>, Vec<&ThreadDump>) =
            others.iter().partition(|t| alike(t, first));
        let group_of: Vec<&ThreadDump> = std::iter::once(*first).chain(same).collect();
        group(out, &group_of);
        shown = rest;
    }
    idle_lines(out, &idle);
}

/// What clients wait for, the longest first.
fn open_requests(out: &mut String, threads: &[ThreadReport]) {
    let mut open: Vec<&ThreadReport> = threads
        .iter()
        .filter(|s| s.is_of(ThreadKind::Conn) && s.state != "idle" && s.request.is_some())
        .collect();
    open.sort_by_key(|s| std::cmp::Reverse(s.beat_age_ms));
    let _ = writeln!(out, "Open requests: {}", open.len());
    for s in open {
        let age = s.beat_age_ms as f64 / 1_000.0;
        let _ = writeln!(out, "    {age:>6.1} s  {} ({})", s.activity, s.name);
    }
}

/// Those in which something waits or was refused in a line each, then the names of the others.
fn channels(out: &mut String, channels: &[ChannelReport]) {
    let (quiet, telling): (Vec<&ChannelReport>, Vec<&ChannelReport>) = channels
        .iter()
        .partition(|q| q.drops == 0 && (q.depth == 0 || q.is_stock && q.depth == q.capacity));
    let _ = writeln!(out, "Channels (waiting/room, refused so far, when full):");
    for q in telling {
        let full = if q.depth >= q.capacity { "  FULL" } else { "" };
        let _ = writeln!(
            out,
            "    {:<40} {:>5}/{:<5} {:>8}  {}{full}",
            q.name, q.depth, q.capacity, q.drops, q.when_full
        );
    }
    let names: Vec<&str> = quiet.iter().map(|q| q.name.as_str()).collect();
    let _ = writeln!(
        out,
        "    {} at rest, nothing refused: {}",
        names.len(),
        names.join(" | ")
    );
}

fn addresses(t: &ThreadDump) -> impl Iterator<Item = u64> {
    t.frames.iter().map(|f| f.address)
}

/// Whether two threads are shown as one: same state, same stack.
fn alike(a: &ThreadDump, b: &ThreadDump) -> bool {
    a.state() == b.state() && !a.frames.is_empty() && addresses(a).eq(addresses(b))
}

fn group(out: &mut String, same: &[&ThreadDump]) {
    for t in same {
        let _ = writeln!(out, "--- Thread {} ({}) ---", t.tid, t.name);
        let said = t.said.as_ref().map_or_else(
            || {
                if t.is_main {
                    "the main thread: owns the others, hears who asks for the end".to_owned()
                } else {
                    library_words(&t.name)
                }
            },
            |s| {
                let state = if s.state == "stalled" {
                    "STALLED"
                } else {
                    &s.state
                };
                format!(
                    "{state}, class {}, last beat {} ms ago: {}",
                    s.class, s.beat_age_ms, s.activity
                )
            },
        );
        let _ = writeln!(out, "    {said}");
        let _ = writeln!(
            out,
            "    {}, kernel state {}, {} µs of CPU between two looks{}{}",
            t.pace.words(),
            t.kernel_state,
            t.cpu_us,
            if t.waits.is_empty() { "" } else { ", in " },
            t.waits
        );
    }
    let Some(t) = same.first() else { return };
    if !t.missing.is_empty() {
        let _ = writeln!(out, "    no stack: {}", t.missing);
        return;
    }
    if same.len() > 1 {
        let _ = writeln!(out, "    these {} have the same stack:", same.len());
    }
    for frame in &t.frames {
        if START_OF_A_THREAD.iter().any(|s| frame.function.contains(s)) {
            break;
        }
        let indent = if frame.is_own() { "  > " } else { "        " };
        let _ = writeln!(out, "{indent}{} [{:#x}]", frame.place(), frame.address);
    }
    if t.truncated {
        let _ = writeln!(out, "        (what is outside of this could not be found)");
    }
}

/// Whose a library's thread is. It bears the name of the thread that started it, where the library gave it none.
fn library_words(name: &str) -> String {
    let words = "a library's own thread";
    let starter = ThreadKind::ALL.iter().find(|kind| kind.row().name == name);
    match starter {
        Some(kind) => format!("{words}, which works for {name}: {}", kind.row().does),
        None if name.starts_with(OF_NOTIFY) => {
            format!(
                "{words}, which works for file-reader and history-reader: tells them of changed files"
            )
        }
        None => words.to_owned(),
    }
}

/// Idle threads: one line for each class and place in which they wait.
fn idle_lines(out: &mut String, idle: &[&ThreadDump]) {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for t in idle {
        let class = t.said.as_ref().map_or("", |s| &s.class);
        // A closure's name says nothing, its place in the source does.
        let at = t.own_frame().map_or_else(
            || t.waits.clone(),
            |f| match f.file.is_empty() {
                true => f.function.clone(),
                false => format!("{}:{}", f.file, f.line),
            },
        );
        let why = match t.missing.as_str() {
            "" => String::new(),
            why => format!(" (no stack: {why})"),
        };
        let key = format!("of class {class}, waiting for work at {at}{why}");
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, names)) => names.push(&t.name),
            None => groups.push((key, vec![&t.name])),
        }
    }
    for (key, names) in groups {
        let _ = writeln!(out, "--- {} idle {key}: {}", names.len(), names.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::super::dump::{ReportContext, StackFrame};
    use super::*;

    fn thread(tid: u32, name: &str, state: &str, frames: &[&str]) -> ThreadDump {
        ThreadDump {
            tid,
            name: name.into(),
            said: (!state.is_empty()).then(|| ThreadReport {
                name: name.into(),
                thread: Some(ThreadKind::CandleCache.into()),
                waiting_for: None,
                request: None,
                tid,
                class: "cache".into(),
                state: state.into(),
                activity: "deciding".into(),
                beat_age_ms: 2_300,
            }),
            pace: ThreadPace::Blocked,
            kernel_state: 'S',
            waits: "futex".into(),
            frames: frames
                .iter()
                .zip(1..)
                .map(|(f, address)| StackFrame {
                    function: (*f).into(),
                    file: if f.starts_with("tapewarden") {
                        "src/x.rs".into()
                    } else {
                        "library/x.rs".into()
                    },
                    line: 7,
                    address,
                })
                .collect(),
            ..ThreadDump::default()
        }
    }

    #[test]
    fn the_verdict_comes_first_and_the_rest_is_folded() {
        let client = ThreadReport {
            name: "conn-3".into(),
            thread: Some(ThreadKind::Conn.nth(3)),
            request: Some(12),
            class: "conn".into(),
            state: "busy".into(),
            activity: "GET /x for 127.0.0.1".into(),
            beat_age_ms: 1_250,
            ..ThreadReport::default()
        };
        let queue = |name: &str, depth, drops| ChannelReport {
            name: name.into(),
            depth,
            capacity: 4,
            drops,
            when_full: "shed".into(),
            to: vec![ThreadKind::CandleCache],
            is_stock: depth == 4,
        };
        let waiter = ThreadReport {
            name: "conn-1".into(),
            thread: Some(ThreadKind::Conn.nth(1)),
            waiting_for: Some(ThreadKind::CandleCache.into()),
            ..ThreadReport::default()
        };
        let cache = thread(7, "candle-cache", "stalled", &[]).said.unwrap();
        let dump = Dump {
            context: ReportContext {
                threads: vec![cache, waiter, client],
                channels: vec![
                    queue("pool", 4, 0),
                    queue("http -> candle-cache", 1, 2),
                    queue("other", 0, 0),
                ],
                log: vec!["a line".into()],
                ..ReportContext::default()
            },
            dump: vec![
                thread(
                    7,
                    "candle-cache",
                    "stalled",
                    &[
                        "std::lock",
                        "tapewarden::cache::run",
                        "std::__rust_begin_short_backtrace",
                        "noise",
                    ],
                ),
                thread(
                    8,
                    "conn-1",
                    "busy",
                    &["poll", "tapewarden::edge::connection::serve"],
                ),
                thread(
                    9,
                    "conn-2",
                    "busy",
                    &["poll", "tapewarden::edge::connection::serve"],
                ),
                thread(12, "", "", &[]),
                thread(13, "", "", &[]),
                thread(
                    10,
                    "http-2",
                    "idle",
                    &["wait", "tapewarden::edge::connection::worker"],
                ),
                thread(
                    11,
                    "http-3",
                    "idle",
                    &["wait", "tapewarden::edge::connection::worker"],
                ),
                ThreadDump {
                    missing: "it did not answer".into(),
                    ..thread(14, "http-4", "idle", &[])
                },
                ThreadDump {
                    pace: ThreadPace::Spinning,
                    ..thread(
                        15,
                        "http-5",
                        "idle",
                        &["tapewarden::edge::connection::worker"],
                    )
                },
            ],
            ..Dump::default()
        };
        let text = text(&dump);
        assert!(
            text.contains("VERDICT: candle-cache (cache, thread 7) FROZEN for 2.3 s, doing: deciding; blocked in tapewarden::cache::run (src/x.rs:7) -> futex; 1 wait for it: conn-1; 1 wait in \"http -> candle-cache\"\n"),
            "{text}"
        );
        let at = |s: &str| text.find(s).unwrap_or_else(|| panic!("{s} in {text}"));
        assert!(at("--- Thread 7 (candle-cache) ---") < at("--- Thread 8 (conn-1) ---"));
        assert!(at("  > tapewarden::cache::run") > at("        std::lock"));
        assert!(!text.contains("noise"));
        assert!(at("these 2 have the same stack") > at("--- Thread 9 (conn-2) ---"));
        assert!(
            at("--- 2 idle of class cache, waiting for work at src/x.rs:7: http-2 http-3")
                < at("=== END STACK DUMP ===")
        );
        assert!(
            at(
                "--- 1 idle of class cache, waiting for work at futex (no stack: it did not answer): http-4\n"
            ) > 0
        );
        assert!(at("--- Thread 15 (http-5) ---") < at("--- 2 idle"));
        assert!(at("Open requests: 1\n       1.2 s  GET /x for 127.0.0.1 (conn-3)") > 0);
        assert!(
            at("    http -> candle-cache                         1/4            2  shed\n") > 0
        );
        assert!(at("    2 at rest, nothing refused: pool | other\n") > 0);
        assert!(at("    a line") > at("The last 1 log lines"));
    }
}
