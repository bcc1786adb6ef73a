//! What the tests of the whole program share: the built server as a process, upstreams that can be
//! made to fail, and clients. Each test file uses its own part of it.
#![allow(dead_code, unused_imports)]

pub mod bystanders;
pub mod certificates;
pub mod client;
pub mod fake;
pub mod faults;
pub mod flood;
pub mod routes;
pub mod server;
pub mod skip;
pub mod small_disk;
pub mod sources;
#[cfg(target_os = "linux")]
pub mod storm;
pub mod stream;
pub mod town;
pub mod turn;
pub mod upstream;

pub use client::{Got, Quotes, ask, get};
pub use flood::Flood;
pub use server::{NOBODY_THERE, PATIENCE, SHORT_LIMITS, Server, at_once, eventually};
pub use skip::skip;
pub use upstream::{Fault, Model, Schwab, Trader, Upstreams};

/// Where `tests/interop/install.sh` put its programs; none where they are not to be tried.
pub fn interop_folder() -> Option<std::path::PathBuf> {
    if std::env::var_os("TAPEWARDEN_INTEROP").is_none() {
        skip("run tests/interop/install.sh and set TAPEWARDEN_INTEROP=1");
        return None;
    }
    Some(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop"))
}
