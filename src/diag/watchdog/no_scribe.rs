//! Where stacks cannot be copied there is nothing to name.

use std::io;

use crate::diag::symbolizer::{Forms, ScribeArgs};
use crate::runtime::{Class, LatestTx, Supervisor};

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

/// Starts nothing.
///
/// # Errors
/// Always.
pub fn start_scribe(
    _: &Supervisor,
    _: Class,
    _: ScribeArgs,
    _: [LatestTx<ScribeLink>; 2],
    _: LatestTx<Forms>,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
