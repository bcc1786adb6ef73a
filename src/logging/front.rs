//! A log call becomes a line: `2026-02-04 07:49:30 [INFO] [TAG] words`. Runs on the caller's thread and
//! never waits.

use std::backtrace::Backtrace;
use std::io;
use std::panic;
use std::sync::Arc;
use std::thread;

use flexi_logger::DeferredNow;
use flexi_logger::writers::LogWriter;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use log::{Level, Record};

use crate::runtime::{LatestTx, Lossy, Tx};

use super::ToWriter;

/// Hands lines to the writers.
pub struct Front {
    file: Tx<ToWriter, Lossy>,
    console: Option<Tx<ToWriter, Lossy>>,
    ring: LatestTx<Arc<str>>,
    zone: TimeZone,
}

impl Front {
    /// `console`: none when lines do not go there.
    pub fn new(
        file: Tx<ToWriter, Lossy>,
        console: Option<Tx<ToWriter, Lossy>>,
        ring: LatestTx<Arc<str>>,
    ) -> Self {
        Self {
            file,
            console,
            ring,
            zone: TimeZone::system(),
        }
    }

    /// Takes one record. Never waits.
    pub fn take(&self, record: &Record<'_>) {
        if shows_tokens(record) {
            return;
        }
        let line: Arc<str> = line(Timestamp::now(), &self.zone, record).into();
        // What finds no room is counted by its queue.
        self.file.offer(ToWriter::Line(Arc::clone(&line)));
        if let Some(console) = &self.console {
            console.offer(ToWriter::Line(Arc::clone(&line)));
        }
        self.ring.publish(line);
    }
}

/// The HTTP client's protocol writes whole requests at its last level, with the token in them.
fn shows_tokens(record: &Record<'_>) -> bool {
    record.level() == Level::Trace && record.target().starts_with("ureq")
}

impl LogWriter for Front {
    fn write(&self, _now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
        self.take(record);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A stamp as every log of ours begins with: local time, to the second.
#[must_use]
pub fn stamp(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned_datetime(zone.clone());
    local.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Now, as [`stamp`] has it.
#[must_use]
pub fn stamp_now() -> String {
    stamp(Timestamp::now(), &TimeZone::system())
}

/// One record on one line; further lines of it (a backtrace) are indented below.
fn line(at: Timestamp, zone: &TimeZone, record: &Record<'_>) -> String {
    let words = record.args().to_string().replace('\n', "\n    ");
    format!(
        "{} [{}] [{}] {words}",
        stamp(at, zone),
        record.level(),
        tag(record.target())
    )
}

/// Our targets are tags in capitals; of a library's module path the library's name counts.
fn tag(target: &str) -> String {
    let root = target.split("::").next().unwrap_or(target);
    root.to_ascii_uppercase()
}

/// Panics go to the log like everything else, never straight to stderr, which may block.
pub fn hook_panics() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let words = info
            .payload_as_str()
            .unwrap_or("a panic without words")
            .to_owned();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        log::error!(
            target: "PANIC",
            "thread {} panicked at {place}: {words}\n{}",
            thread.name().unwrap_or("without a name"),
            Backtrace::force_capture()
        );
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_show_a_token_is_no_line() {
        let of = |level, target| {
            shows_tokens(
                &Record::builder()
                    .args(format_args!("x"))
                    .level(level)
                    .target(target)
                    .build(),
            )
        };
        assert!(of(Level::Trace, "ureq_proto::client"));
        assert!(!of(Level::Debug, "ureq_proto::client"));
        assert!(!of(Level::Trace, "tungstenite"));
    }

    #[test]
    fn a_line_has_the_form_that_old_scripts_read() {
        let at = "2026-02-04T07:49:30Z".parse().unwrap();
        let args = format_args!("two\nlines");
        let record = Record::builder()
            .args(args)
            .level(log::Level::Info)
            .target("HEARTBEAT")
            .build();
        assert_eq!(
            line(at, &TimeZone::UTC, &record),
            "2026-02-04 07:49:30 [INFO] [HEARTBEAT] two\n    lines"
        );
        assert_eq!(tag("ureq::pool"), "UREQ");
    }
}
