#![doc = include_str!("ARCHITECTURE.md")]
#![doc = include_str!("docs/threads.md")]
#![doc = include_str!("docs/promises.md")]
#![doc = include_str!("docs/routes.md")]
#![doc = include_str!("docs/settings.md")]
#![doc = include_str!("docs/http.md")]
#![doc = include_str!("docs/figures.md")]
#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_macros,
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests wait, print and share as they like; the product is looked at without them too"
    )
)]

pub mod app;
pub mod cache;
#[expect(clippy::disallowed_macros, reason = "commands print")]
pub mod cli;
pub mod config;
pub mod diag;
pub mod edge;
pub mod files;
#[cfg(test)]
mod fuzz_tests;
pub mod json;
pub mod logging;
pub mod market;
pub mod payload;
pub mod resilience;
pub mod runtime;
pub mod sim;
#[cfg(test)]
#[path = "../tests/kit/skip.rs"]
mod skip;
pub mod stream;
pub mod upstream;
