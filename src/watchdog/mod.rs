//! The watchdog: who is stalled, since when, doing what.

mod snapshot;

pub use snapshot::{ChannelView, Snapshot, ThreadState, ThreadView};
