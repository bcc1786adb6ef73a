//! The watchdog: who is stalled, since when, doing what.

pub mod export;
mod snapshot;

pub use snapshot::{ChannelView, Snapshot, ThreadState, ThreadView};
