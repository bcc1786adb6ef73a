//! The `conn-N` threads: one client's connection each, one request at a time.

mod config;
mod conn;
mod ready;
mod wire;

pub use config::{GateConfig, Shared};
pub use conn::Conn;
pub use ready::{Lookup, Ready};
