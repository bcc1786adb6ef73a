//! tapewarden: a charting backend that cannot freeze.
#![deny(unsafe_code)]

pub mod clock;
pub mod desk;
pub mod market;
pub mod providers;
pub mod quotes;
pub mod supervise;
pub mod watchdog;
pub mod ws;
// One line each for the modules that follow; whoever adds one keeps them sorted.
