//! Where stacks cannot be copied there is nothing to name.

use std::io;
use std::path::PathBuf;

use crate::scribe::Forms;
use crate::supervise::{Class, LatestTx, Supervisor};

/// Never there.
#[derive(Debug)]
pub enum ScribeLink {}

impl ScribeLink {
    /// Cannot be called.
    pub fn ask(&mut self, _: &str) -> bool {
        match *self {}
    }

    /// Cannot be called.
    pub fn give_up(&self) {
        match *self {}
    }
}

/// As where there is a scribe.
#[derive(Debug)]
pub struct ScribeSpec {
    /// The file with the captured bytes.
    pub fd: i32,
    /// Where reports are kept.
    pub dir: PathBuf,
    /// How many.
    pub keep: usize,
}

/// Starts nothing.
///
/// # Errors
/// Always.
pub fn start_scribe(
    _: &Supervisor,
    _: Class,
    _: ScribeSpec,
    _: LatestTx<ScribeLink>,
    _: LatestTx<Forms>,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
