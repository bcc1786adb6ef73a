//! Copies every thread's registers and stack, as they are, into a file. Runs in the thread that asks (the
//! watchdog's, or the sentinel's when the watchdog is silent) and allocates nothing, takes no
//! lock and waits for nobody longer than its deadline: the thread that is stuck may hold any lock of the
//! process, the allocator's included. What the bytes mean is found out by another process: `symbolizer`.
//!
//! The file is a row of sections, each a header of 16 bytes (tag, thread, length, number) and its
//! bytes; [`raw`] reads it.

mod build;
#[cfg(captures_stacks)]
mod linux;
#[cfg(any(test, not(captures_stacks)))]
mod other;
pub mod raw;
#[cfg(captures_stacks)]
mod slots;

use std::io;
use std::path::Path;
use std::time::Duration;

pub use build::Build;

/// This system's.
#[cfg(captures_stacks)]
pub use linux::Linux as Capture;
#[cfg(not(captures_stacks))]
pub use other::Nothing as Capture;

#[cfg(not(captures_stacks))]
pub use other::end_at_once;
#[cfg(captures_stacks)]
pub use slots::end_at_once;

/// What a system has to be able to do. The file is made ready beforehand; nothing here may need what a
/// stuck thread can hold. Linux does it by signals. Where nobody can do it yet the report says so; on
/// Windows it would be `SuspendThread`, `GetThreadContext` and a copy of the stack.
pub trait CopiesStacks: Sized {
    /// Captures into memory, from where another process takes it: no disk can hold the capture up.
    ///
    /// # Errors
    /// The system's, or that nothing can be captured on it.
    fn in_memory() -> io::Result<Self>;

    /// Captures into this file, which is opened now: what is captured is on disk when the capture ends.
    ///
    /// # Errors
    /// As above.
    fn on_disk(path: &Path) -> io::Result<Self>;

    /// The file's number, for the symbolizer.
    fn fd(&self) -> u32;

    /// Empties the file and writes which program this is and where the code lies.
    fn begin(&mut self);

    /// One round over all threads; `number` is 1 or 2.
    fn round(&mut self, number: u32) -> Taken;

    /// Adds a section that belongs to no thread.
    fn add(&mut self, tag: [u8; 4], bytes: &[u8]);

    /// The file's whole content, for tests and for a report without a symbolizer.
    ///
    /// # Errors
    /// The system's.
    fn content(&self) -> io::Result<Vec<u8>>;
}

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

#[cfg(all(test, captures_stacks))]
mod socket_tests;
#[cfg(all(test, captures_stacks))]
mod storm_tests;
#[cfg(all(test, captures_stacks))]
mod stuck_tests;
#[cfg(all(test, captures_stacks))]
mod tests;
