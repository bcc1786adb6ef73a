//! The lines of `watchdog.log` between reports. Pure.

use super::ledger::{Finding, Stall};

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
    use std::time::Duration;

    #[test]
    fn the_verdict_names_thread_time_and_activity() {
        let line = finding_line(&Finding::Stalled(Stall {
            id: crate::supervise::ThreadId(1),
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
