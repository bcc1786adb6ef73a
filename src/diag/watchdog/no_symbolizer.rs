//! Where stacks cannot be copied there is nothing to name.

use std::io;

use crate::diag::symbolizer::{ReportAnswer, SymbolizerArgs};
use crate::runtime::{LatestTx, Supervisor};

/// Never there.
#[derive(Debug)]
pub enum SymbolizerLink {}

impl SymbolizerLink {
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
pub fn start_symbolizer(
    _: &Supervisor,
    _: SymbolizerArgs,
    _: [LatestTx<SymbolizerLink>; 2],
    _: LatestTx<ReportAnswer>,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
