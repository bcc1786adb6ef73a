//! The lines of `watchdog.log` between reports, and the heartbeat's. Pure.

use std::time::Duration;

use super::ledger::{Finding, Stall};
use super::snapshot::ChannelView;

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
        Finding::Late(time) => format!(
            "[WARN] [WATCHDOG] the watchdog itself did not run for {:.1} s (the process was stopped, the machine suspended or too busy, or the watchdog stuck: then a report tells); that time is counted against nobody",
            time.as_secs_f64()
        ),
        Finding::Died { name, message } => {
            format!("[ERROR] [WATCHDOG] {name} has ended for good after a panic: {message}")
        }
    }
}

/// The verdict in a line of a report, as the log has it: of a stall, not of a report that was only asked
/// for. None in any other line.
#[must_use]
pub fn stall_verdict(line: &str) -> Option<&str> {
    let (_, verdict) = line.split_once(" [ERROR] [WATCHDOG] ")?;
    verdict.starts_with("VERDICT: ").then_some(verdict)
}

/// What a heartbeat says: `counts` are threads and stalled ones, `lost` log lines and notices.
#[must_use]
pub fn heartbeat_words(
    counts: (usize, usize),
    channels: &[ChannelView],
    lost: (u64, u64),
    up: Duration,
) -> String {
    let state = match counts {
        (threads, 0) => format!("all {threads} threads alive"),
        (threads, stalled) => format!("{stalled} of {threads} threads STALLED, see watchdog.log"),
    };
    let waiting = channels.iter().filter(|c| c.depth > 0 && !c.is_stock());
    let fullest = waiting
        .max_by_key(|c| c.depth * 1_000 / c.capacity.max(1))
        .map_or("all queues empty".to_owned(), |c| {
            format!("fullest queue {} {}/{}", c.name, c.depth, c.capacity)
        });
    format!(
        "{state}, {fullest}, {} log lines lost, {} notices lost, up {} s",
        lost.0,
        lost.1,
        up.as_secs()
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_thread_time_and_activity() {
        let line = finding_line(&Finding::Stalled(Stall {
            id: crate::runtime::ThreadId(1),
            name: "candle-cache".into(),
            tid: 12,
            class: "cache",
            doing: "deciding".into(),
            silent: Duration::from_millis(2_300),
            limit: Duration::from_secs(2),
        }));
        assert_eq!(
            line,
            "[ERROR] [WATCHDOG] STALLED: candle-cache (cache, thread 12) appears FROZEN - no beat for 2.3 s (limit 2.0 s), doing: deciding"
        );
    }
}
