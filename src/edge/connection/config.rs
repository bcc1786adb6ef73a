//! What all connections have in common.

use std::time::Duration;

use crossbeam::channel::Receiver;

use super::ready::Lookup;
use crate::edge::access::{Guard, Refusals};
use crate::edge::routes::{Bulkheads, Command, HttpConfig, Snapshots};
use crate::edge::ws::Sessions;
use crate::runtime::{Lossy, Supervisor, Tx};

/// The limits of connections.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// Connections served at once.
    pub connections_max: usize,
    /// Of one address, this machine's own excepted.
    pub connections_per_address_max: usize,
    /// A longer head is refused.
    pub head_bytes_max: usize,
    /// A longer body is refused.
    pub body_bytes_max: usize,
    /// How long a head, and then a body, may take from its first byte on.
    pub head_deadline: Duration,
    /// How long a connection may be idle.
    pub keep_alive: Duration,
    /// How long an answer may take to be written.
    pub write_deadline: Duration,
    /// By when a request that waits for nobody is answered.
    pub answer_deadline: Duration,
    /// Whose permits a request needs before it may wait for others.
    pub bulkheads: Bulkheads,
    /// Who is answered at all, and which pages may read answers.
    pub guard: Guard,
    /// Who may have an answer ready, and is told when a client left.
    pub lookup: Lookup,
    /// What is answered from snapshots; each connection reads a clone.
    pub snapshots: Snapshots,
    /// What the routes need.
    pub routes: HttpConfig,
    /// `main`'s inbox.
    pub commands: Tx<Command, Lossy>,
    /// Who takes WebSocket clients.
    pub sessions: Sessions,
}

/// What all connections have in common. Never changes.
pub struct Shared {
    /// The limits.
    pub config: GateConfig,
    /// Each word has one idle connection make room.
    pub evictions: Receiver<()>,
    /// For the threads of streaming clients, and for the stop.
    pub supervisor: Supervisor,
    /// Requests that were denied so far.
    pub denied: Refusals,
}
