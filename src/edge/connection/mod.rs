//! The `conn-N` threads: one client's connection each, one request at a time.

mod conn;
mod forward;
mod lanes;
mod ready;
mod worker;

pub use conn::{Conn, GateConfig, Shared};
pub use lanes::{LaneSpec, LinkAddress, start_lanes};
pub use ready::{Lookup, Ready};
pub use worker::{start_workers, unblock_workers};
