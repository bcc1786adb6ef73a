//! What is expected of each kind of thread.

use std::time::Duration;

use crate::config::Settings;
use crate::runtime::{Class, OnPanic, OnStall};

use super::lifecycle::WRITER_CLASS;

/// A thread that panics more often than this in a row has a fault that restarts do not mend.
const RESTARTS_MAX: u32 = 100;

/// Workers, the hub and the quote reader beat at least every two seconds also when they have nothing to do.
const TICK_MAX: Duration = Duration::from_secs(15);

/// How long a thread that only forwards may be busy.
const FORWARD_BUSY_MAX: Duration = Duration::from_secs(2);

/// How long a thread that reads or writes the outside world may be busy outside its declared waits.
const WORLD_BUSY_MAX: Duration = Duration::from_secs(10);

/// The classes of all threads.
#[derive(Clone, Copy, Debug)]
pub struct Classes {
    /// The acceptor and the keeper of its lanes.
    pub gate: Class,
    /// One connection each.
    pub conn: Class,
    /// tiny_http's workers.
    pub http: Class,
    /// The three caches.
    pub cache: Class,
    /// Their fetchers.
    pub fetcher: Class,
    /// Those that read files.
    pub files: Class,
    /// The quote reader.
    pub reader: Class,
    /// The quote hub.
    pub hub: Class,
    /// The two log writers.
    pub writer: Class,
    /// The watchdog and its probe.
    pub watchdog: Class,
    /// The embedded market.
    pub sim: Class,
    /// Its connections.
    pub sim_conn: Class,
    /// The one that hears signals.
    pub signals: Class,
}

impl Classes {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let w = &settings.watchdog;
        let restart = OnPanic::Restart {
            times_max: RESTARTS_MAX,
        };
        let class = |name, busy_max, on_stall, on_panic| Class {
            name,
            busy_max,
            idle_max: None,
            on_stall,
            on_panic,
        };
        let ticks = |class| Class {
            idle_max: Some(TICK_MAX),
            ..class
        };
        Self {
            gate: class("gate", FORWARD_BUSY_MAX, OnStall::Unhealthy, restart),
            conn: class("conn", w.busy_conn, OnStall::Report, OnPanic::End),
            http: ticks(class("http", w.busy_http, OnStall::Report, restart)),
            cache: class("cache", w.busy_cache, OnStall::Unhealthy, restart),
            fetcher: class("fetcher", WORLD_BUSY_MAX, OnStall::Report, restart),
            files: class("files", WORLD_BUSY_MAX, OnStall::Report, restart),
            reader: ticks(class("reader", WORLD_BUSY_MAX, OnStall::Report, restart)),
            hub: ticks(class("hub", w.busy_cache, OnStall::Unhealthy, restart)),
            writer: class(WRITER_CLASS, w.busy_writer, OnStall::Report, restart),
            watchdog: class("watchdog", FORWARD_BUSY_MAX, OnStall::Report, restart),
            sim: class("sim", WORLD_BUSY_MAX, OnStall::Report, restart),
            sim_conn: class("sim", WORLD_BUSY_MAX, OnStall::Report, OnPanic::End),
            signals: class("signals", FORWARD_BUSY_MAX, OnStall::Report, restart),
        }
    }
}
