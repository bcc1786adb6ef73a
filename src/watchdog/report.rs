//! The text of a stall report. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::ledger::{Finding, Stall};
use super::snapshot::{Snapshot, ThreadState, ThreadView};

/// The line for a finding, as `watchdog.log` has it after the time: `[LEVEL] [WATCHDOG] words`.
#[must_use]
pub fn finding_line(finding: &Finding) -> String {
    match finding {
        Finding::Stalled(s) => format!("[ERROR] [WATCHDOG] STALLED: {}", stall(s)),
        Finding::StillStalled(s) => format!("[ERROR] [WATCHDOG] still stalled: {}", stall(s)),
        Finding::Recovered { name, after } => format!(
            "[INFO] [WATCHDOG] {name} is back after {:.1} s",
            after.as_secs_f64()
        ),
        Finding::Died { name, message } => {
            format!("[ERROR] [WATCHDOG] {name} has ended for good after a panic: {message}")
        }
    }
}

fn stall(s: &Stall) -> String {
    format!(
        "{} ({}, thread {}) appears FROZEN - no beat for {:.1} s (limit {:.1} s), doing: {}",
        s.name,
        s.class,
        s.tid,
        s.silent.as_secs_f64(),
        s.limit.as_secs_f64(),
        s.doing
    )
}

/// Everything that is known at a stall: threads, stalled ones first, idle ones of a class folded into
/// one line; channels; the last log lines.
#[must_use]
pub fn dump(snapshot: &Snapshot, log: &[Arc<str>], uptime_s: u64) -> String {
    let mut out = String::with_capacity(16 * 1024);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "=== THREAD STACK DUMP === tapewarden {}, up {uptime_s} s, {} threads",
        env!("CARGO_PKG_VERSION"),
        snapshot.threads.len()
    );
    let _ = writeln!(
        out,
        "(own activities; call stacks are not captured by this version)"
    );
    let rank = |t: &ThreadView| match t.state {
        ThreadState::Stalled => 0,
        ThreadState::Dead => 1,
        ThreadState::Busy => 2,
        ThreadState::Idle => 3,
    };
    let mut threads: Vec<&ThreadView> = snapshot.threads.iter().collect();
    threads.sort_by_key(|t| (rank(t), &t.name));
    let mut idle: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for t in threads {
        if t.state == ThreadState::Idle {
            idle.entry(t.class).or_default().push(&t.name);
            continue;
        }
        let _ = writeln!(out, "--- Thread {} ({}) ---", t.tid, t.name);
        let state = match t.state {
            ThreadState::Stalled => "STALLED",
            ThreadState::Dead => "DEAD",
            ThreadState::Busy => "busy",
            ThreadState::Idle => "idle",
        };
        let _ = writeln!(
            out,
            "    {state}, class {}, last beat {} ms ago: {}",
            t.class, t.beat_age_ms, t.activity
        );
    }
    for (class, names) in idle {
        let _ = writeln!(
            out,
            "--- {} idle of class {class}: {}",
            names.len(),
            names.join(" ")
        );
    }
    let _ = writeln!(out, "=== END STACK DUMP ===");
    let _ = writeln!(out, "Channels (waiting/room, refused so far):");
    for c in &snapshot.channels {
        let full = if c.depth >= c.capacity { "  FULL" } else { "" };
        let _ = writeln!(
            out,
            "    {:<40} {:>5}/{:<5} {:>8}  {}{full}",
            c.name, c.depth, c.capacity, c.drops, c.when_full
        );
    }
    let _ = writeln!(out, "The last {} log lines:", log.len());
    for line in log {
        let _ = writeln!(out, "    {line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn view(name: &str, state: ThreadState) -> ThreadView {
        ThreadView {
            name: name.into(),
            tid: 7,
            class: "http",
            state,
            activity: "x".into(),
            beat_age_ms: 5,
            overdue_ms: None,
            restarts: 0,
        }
    }

    #[test]
    fn the_stalled_come_first_and_the_idle_are_one_line() {
        let snapshot = Snapshot {
            at: Instant::now(),
            threads: vec![
                view("http-1", ThreadState::Idle),
                view("http-2", ThreadState::Idle),
                view("http-3", ThreadState::Busy),
                view("http-4", ThreadState::Stalled),
            ],
            channels: Vec::new(),
            ailments: Vec::new(),
            stalls_total: 1,
        };
        let text = dump(&snapshot, &["a line".into()], 9);
        let at = |s: &str| text.find(s).unwrap_or_else(|| panic!("{s} in {text}"));
        assert!(at("(http-4)") < at("(http-3)"));
        assert!(at("(http-3)") < at("2 idle of class http: http-1 http-2"));
        assert!(at("=== THREAD STACK DUMP ===") < at("=== END STACK DUMP ==="));
        assert!(at("    a line") > at("The last 1 log lines"));
    }

    #[test]
    fn the_verdict_names_thread_time_and_activity() {
        let line = finding_line(&Finding::Stalled(Stall {
            name: "candle-desk".into(),
            tid: 12,
            class: "desk",
            doing: "deciding".into(),
            silent: Duration::from_millis(2_300),
            limit: Duration::from_secs(2),
        }));
        assert_eq!(
            line,
            "[ERROR] [WATCHDOG] STALLED: candle-desk (desk, thread 12) appears FROZEN - no beat for 2.3 s (limit 2.0 s), doing: deciding"
        );
    }
}
