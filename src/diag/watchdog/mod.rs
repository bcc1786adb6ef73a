//! The watchdog: who is stalled, since when, doing what.
//!
//! `core` decides what is done, with [`ledger`] (who is stalled), `port_check`, `drills`, `reports` (which
//! report is due), `replacements`, `give_up` and `stall_history`: all pure. `thread` tells the core what
//! happened and does what it says; `event_log` writes `watchdog.log`; `probe` is a client of the server's
//! own port; `reporter` has all stacks copied ([`crate::diag::capture`]) and named
//! ([`crate::diag::symbolizer`]); `sentinel` watches the watchdog itself.

use std::sync::Arc;

use crossbeam::channel::Sender;

use crate::diag::symbolizer::ReportFormats;
use crate::runtime::Drill;

mod core;
mod cpu;
mod drills;
mod event_log;
pub mod export;
mod give_up;
pub mod ledger;
pub mod manager;
mod port_check;
mod probe;
mod replacements;
mod report;
mod report_context;
mod reporter;
mod reports;
pub mod sentinel;
mod snapshot;
mod stall_history;
#[cfg_attr(not(unix), path = "no_symbolizer.rs")]
mod symbolizer_link;
mod thread;
mod token_bucket;

/// What the watchdog is asked.
#[derive(Debug)]
pub enum ToWatchdog {
    /// A report of everything, now.
    Dump {
        /// Who wants it, in words.
        why: String,
        /// Who waits for it.
        reply: Option<Sender<Arc<ReportFormats>>>,
    },
    /// A real stall in a thread.
    Drill {
        /// The thread's name.
        thread: String,
        /// The stall.
        drill: Drill,
        /// Gets an error in words, or nothing once the order is given.
        reply: Sender<Result<(), String>>,
    },
}

pub use event_log::EventLogConfig;
pub use probe::{Probed, start_probe};
pub use snapshot::{ChannelView, Snapshot, StallRecord, ThreadState, ThreadView};
pub use thread::{WatchdogConfig, WatchdogInputs, start_watchdog};
