//! What the core is held against: threads as they know themselves, and what was told of them.

use super::*;

/// A thread as it knows itself.
#[derive(Debug)]
pub struct Real {
    pub kind: Kind,
    pub name: String,
    pub doing: Doing,
    /// Since its last beat: how long the process ran, how long it was stopped, and how often.
    pub ran: Duration,
    pub stopped: Duration,
    pub stops: u32,
    pub limit: Option<Duration>,
    pub died: bool,
}

/// How long something lasted while the process ran, and how often that was stopped meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lasting {
    pub ran: Duration,
    pub stops: u32,
}

/// A stalled life as the lines tell it.
#[derive(Debug, Default)]
pub struct Told {
    pub stalled: u32,
    pub back: u32,
}

/// What a history came to: a property that is never put to the test holds for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coverage {
    pub stalls: u32,
    pub reports: u32,
    pub replaced: u32,
    pub ends: u32,
    pub saved_by_excuse: u32,
    /// Late answers while another report was being made.
    pub late_answers: u32,
}
