//! Systems on which stacks cannot be copied yet: the report has the threads' own activities only, and
//! says so.

use std::io;
use std::path::Path;

use super::{CopiesStacks, Taken};

/// Captures nothing: it cannot be made, and the report says why it has no stacks.
#[derive(Debug)]
pub enum Nothing {}

impl CopiesStacks for Nothing {
    fn in_memory() -> io::Result<Self> {
        Err(io::Error::other(
            "call stacks are not captured on this system; activities only",
        ))
    }

    fn on_disk(_: &Path) -> io::Result<Self> {
        Self::in_memory()
    }

    fn fd(&self) -> u32 {
        match *self {}
    }

    fn begin(&mut self) {
        match *self {}
    }

    fn round(&mut self, _: u32) -> Taken {
        match *self {}
    }

    fn add(&mut self, _: [u8; 4], _: &[u8]) {
        match *self {}
    }

    fn content(&self) -> io::Result<Vec<u8>> {
        match *self {}
    }
}

/// Ends the process.
#[cfg(not(captures_stacks))]
#[expect(
    clippy::disallowed_methods,
    reason = "the end that the sentinel orders"
)]
pub fn end_at_once(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_there_are_no_stacks() {
        let why = Nothing::in_memory().unwrap_err().to_string();
        assert!(why.contains("activities only"), "{why}");
        assert!(Nothing::on_disk(Path::new("/nowhere")).is_err());
    }
}
