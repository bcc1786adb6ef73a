//! What the watchdog knows, for a report. Pure.

use std::sync::Arc;
use std::time::Duration;

use crate::diag::symbolizer::{
    ASKED, ChannelReport, Dump, ReportContext, ReportFormats, ThreadReport, report_text,
};

use super::reports::Cause;
use super::snapshot::{Snapshot, ThreadState};

/// The name of the files of the `nth` report of this process, made at this `time` (as log lines begin):
/// names sort by age.
#[must_use]
pub fn report_name(time: &str, nth: u64, cause: Cause) -> String {
    let digits = time.chars().filter(char::is_ascii_digit);
    let kind = match cause {
        Cause::Stall => "",
        Cause::Asked => ASKED,
    };
    format!("{}-{nth:04}{kind}", digits.collect::<String>())
}

/// A report of what threads say of themselves; `why` there is no more.
#[must_use]
pub fn without_stacks(context: &ReportContext, why: &str) -> ReportFormats {
    let dump = Dump {
        context: context.clone(),
        no_stacks: format!("no call stacks: {why}"),
        ..Dump::default()
    };
    ReportFormats {
        text: report_text(&dump),
        json: serde_json::to_string(&dump).unwrap_or_default(),
        ..ReportFormats::default()
    }
}

/// What the watchdog knows, for a report.
pub fn context<'a>(
    reason: String,
    time: String,
    uptime: Duration,
    snapshot: &Snapshot,
    log: impl Iterator<Item = &'a Arc<str>>,
) -> ReportContext {
    let word = |state: ThreadState| match state {
        ThreadState::Idle => "idle",
        ThreadState::Busy => "busy",
        ThreadState::Stalled => "stalled",
        ThreadState::Dead => "dead",
    };
    let said = snapshot.threads.iter().map(|t| ThreadReport {
        name: t.name.clone(),
        thread: t.thread,
        waiting_for: t.waiting_for.clone(),
        request: t.request,
        tid: t.tid,
        class: t.class.to_owned(),
        state: word(t.state).to_owned(),
        activity: t.activity.clone(),
        beat_age_ms: t.beat_age_ms,
    });
    let queues = snapshot.channels.iter().map(|c| ChannelReport {
        name: c.name.clone(),
        depth: c.depth,
        capacity: c.capacity,
        drops: c.drops,
        when_full: c.when_full.clone(),
        to: c.ends.iter().map(|ends| ends.to).collect(),
        is_stock: c.is_stock(),
    });
    ReportContext {
        reason,
        time,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_s: uptime.as_secs(),
        threads: said.collect(),
        channels: queues.collect(),
        port: snapshot.port.clone().unwrap_or_default(),
        log: log.map(|line| line.to_string()).collect(),
    }
}
