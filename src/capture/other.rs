//! Systems on which stacks cannot be copied yet: the report has the threads' own activities only, and
//! says so.

use std::io;
use std::path::Path;

use super::Taken;

/// Captures nothing.
#[derive(Debug)]
pub struct Capture;

impl Capture {
    /// Always an error: the report says why it has no stacks.
    ///
    /// # Errors
    /// Always.
    pub fn in_memory() -> io::Result<Self> {
        Err(io::Error::other(
            "call stacks are not captured on this system; activities only",
        ))
    }

    /// As above.
    ///
    /// # Errors
    /// Always.
    pub fn on_disk(_: &Path) -> io::Result<Self> {
        Self::in_memory()
    }

    /// Never called.
    #[must_use]
    pub fn fd(&self) -> u32 {
        0
    }

    /// Never called.
    pub fn begin(&mut self) {}

    /// Never called.
    pub fn round(&mut self, _number: u32) -> Taken {
        Taken::default()
    }

    /// Never called.
    pub fn add(&mut self, _tag: [u8; 4], _bytes: &[u8]) {}

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn content(&self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// Ends the process.
pub fn end_at_once(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
