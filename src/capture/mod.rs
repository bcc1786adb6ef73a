//! Copies every thread's registers and stack, as they are, into a file. Runs in the thread that asks (the
//! watchdog's, or the sentinel's when the watchdog is silent) and allocates nothing, takes no
//! lock and waits for nobody longer than its deadline: the thread that is stuck may hold any lock of the
//! process, the allocator's included. What the bytes mean is found out by another process: `scribe`.
//!
//! The file is a row of sections, each a header of 16 bytes (tag, thread, length, number) and its
//! bytes; [`raw`] reads it.

mod build;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "other.rs"]
mod linux;
pub mod raw;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod slots;

pub use build::Build;
pub use linux::Capture;

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub use linux::end_at_once;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub use slots::end_at_once;

use std::time::Duration;

/// How long one round may take, all threads together.
pub const ROUND_DEADLINE: Duration = Duration::from_millis(500);

/// Between the two rounds: from the CPU time used meanwhile follows who spins.
pub const BETWEEN_ROUNDS: Duration = Duration::from_millis(250);

/// What a capture came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Threads there were.
    pub threads: u32,
    /// Threads whose stack was copied.
    pub stacks: u32,
    /// How long it took, in microseconds.
    pub micros: u64,
}

#[cfg(all(test, target_os = "linux"))]
mod socket_tests;
#[cfg(all(test, target_os = "linux"))]
mod storm_tests;
#[cfg(all(test, target_os = "linux"))]
mod stuck_tests;
#[cfg(all(test, target_os = "linux"))]
mod tests;
