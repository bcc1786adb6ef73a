//! The stages of the start, one file each.

mod control;
pub mod diagnosis;
pub mod ground;
pub mod market_data;
pub mod port;

use std::time::Instant;

use crate::config::Settings;
use crate::runtime::{Supervisor, SupervisorEnds};

/// What every stage is given.
pub struct Start<'a> {
    /// What the owner wants.
    pub settings: &'a Settings,
    /// When the process started.
    pub started: Instant,
    /// Who starts threads.
    pub supervisor: &'a Supervisor,
    /// Where threads and channels are announced.
    pub ends: &'a SupervisorEnds,
}

/// A setting's size as the parts take it.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
