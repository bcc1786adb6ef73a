//! The `conn-N` threads: one client's connection each, one request at a time.

mod asker;
mod config;
mod conn;
mod ready;
mod repeat;
mod wire;

pub use asker::Lookup;
pub use config::{GateConfig, Shared};
pub use conn::Conn;
