//! Systems on which stacks cannot be copied yet: the report has the threads' own activities only, and
//! says so.

use std::io;

use super::Taken;

/// Captures nothing.
#[derive(Debug)]
pub struct Capture;

impl Capture {
    /// Always an error: the report says why it has no stacks.
    ///
    /// # Errors
    /// Always.
    pub fn new() -> io::Result<Self> {
        Err(io::Error::other(
            "call stacks are not captured on this system; activities only",
        ))
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
}
