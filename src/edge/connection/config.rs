//! What all connections have in common: limits, and how an answer is written.

use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use super::asker::Lookup;
use crate::edge::access::{Guard, Refusals};
use crate::edge::answer::{Answer, Wants, Written};
use crate::edge::request::Head;
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

impl Shared {
    /// Whether a connection ends with the answer to this request.
    pub fn must_close(&self, head: &Head) -> bool {
        head.close || self.supervisor.stop().is_set()
    }

    /// An answer as this client wants it at `now`.
    pub fn written(&self, answer: &Answer, head: &Head, close: bool, now: Instant) -> Written {
        let mut more = self.config.guard.cors().headers(head.origin.as_deref());
        more.extend(connection_header(close, head.http10));
        let passed = |name| head.passed(name);
        let wants = Wants::new(
            &head.method,
            passed("Accept-Encoding"),
            passed("If-None-Match"),
        );
        answer.write(&wants, now, &more)
    }

    /// An answer after which the connection ends.
    pub fn last_answer(&self, answer: &Answer, origin: Option<&str>, is_head: bool) -> Written {
        let mut more = self.config.guard.cors().headers(origin);
        more.extend(connection_header(true, false));
        let wants = Wants {
            head_only: is_head,
            ..Wants::default()
        };
        answer.write(&wants, Instant::now(), &more)
    }
}

/// What an answer says of its connection, where that is not what its version of HTTP implies.
fn connection_header(close: bool, http10: bool) -> Option<(&'static str, String)> {
    if close {
        Some(("Connection", "close".to_owned()))
    } else if http10 {
        Some(("Connection", "keep-alive".to_owned()))
    } else {
        None
    }
}
