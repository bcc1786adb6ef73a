#![doc = include_str!("ARCHITECTURE.md")]
#![doc = include_str!("threads.md")]
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
