//! tapewarden: a charting backend that cannot freeze.
#![deny(unsafe_code)]

pub mod app;
pub mod candles;
pub mod clock;
pub mod config;
pub mod desk;
pub mod files;
pub mod gate;
pub mod http;
pub mod log;
pub mod market;
pub mod model;
pub mod providers;
pub mod quotes;
pub mod supervise;
pub mod trader;
pub mod watchdog;
pub mod ws;
