#![doc = include_str!("ARCHITECTURE.md")]
#![doc = include_str!("docs/threads.md")]
#![doc = include_str!("docs/promises.md")]
#![doc = include_str!("docs/routes.md")]
#![doc = include_str!("docs/settings.md")]
#![doc = include_str!("docs/http.md")]
#![doc = include_str!("docs/figures.md")]
#![deny(unsafe_code)]

pub mod app;
pub mod cache;
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
