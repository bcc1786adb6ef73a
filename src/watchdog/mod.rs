//! The watchdog: who is stalled, since when, doing what.
//!
//! [`ledger`] decides; `thread` reads beats and writes `watchdog.log` with its own handle; `probe` is a
//! client of the server's own port; `report` is what a person reads at night. Call stacks of all threads
//! have their place in the report between the markers of each thread.

pub mod export;
pub mod ledger;
mod probe;
mod report;
mod snapshot;
mod thread;

pub use probe::{Probed, start_probe};
pub use snapshot::{ChannelView, Snapshot, ThreadState, ThreadView};
pub use thread::{WatchdogConfig, WatchdogInputs, start_watchdog};
