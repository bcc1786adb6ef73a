//! tapewarden: a charting backend that cannot freeze, and that shows why if one of its threads ever does.
//!
//! Dedicated OS threads; data passes between them only through bounded channels; a thread either answers
//! clients or waits for the outside world, never both.
//!
//! ```text
//! clients ─ gate, conn-N ─(private sockets)─ http-N ──ask──▶ candle-cache ──jobs──▶ candle-fetch-N ─ Schwab
//!              │ │                              ├──ask──▶ trader-cache ──jobs──▶ …-get-N ───────── trader app
//!              │ │                              ├──ask──▶ model-cache ───jobs──▶ model-fetch-N ─── model
//!              │ │                              └──look─▶ boards ◀── watchdog, quote-hub, file readers
//!              │ └──look at what is ready──▶ candle-cache, trader-cache, board-cache (boards of its own)
//!              └─ ws sessions ◀──batches── quote-hub ◀──quotes── quote-reader ─────────────────── trader app
//!                                        candle-cache ◀─candles──┘
//! every thread ──beats──▶ watchdog ─▶ watchdog.log        every thread ──lines──▶ log-writer, log-console
//! ```
//!
//! Who waits for a reply: `conn-N` for `http-N`, and for a moment for a cache's look; `http-N` for a cache;
//! caches, the hub and the watchdog wait for nobody's reply. So there is no cycle.
//!
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
