//! What passes between the quote reader, the hub and the clients' sessions.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::Sender;
use serde_json::{Map, Value};

use crate::market::{Quote, Symbol};

use super::grant_slot::GrantSlot;
use super::write_grant::Handover;

/// The whole set of symbols that somebody wants: state, not a change, so that it can be told again.
pub type Wanted = Arc<BTreeSet<Symbol>>;

/// Identifies one client's session; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// A volume spike as the trader app tells it; `fields` as they came, `symbol` included.
#[derive(Clone, Debug, PartialEq)]
pub struct Spike {
    /// Whose.
    pub symbol: Symbol,
    /// The whole event.
    pub fields: Map<String, Value>,
}

/// Everything that reaches the hub.
#[derive(Debug)]
pub enum ToHub {
    /// From the reader: the source is connected, or no longer and why.
    Source {
        /// Whether quotes flow.
        connected: bool,
        /// Words for the log and for `/api/streaming/status`.
        why: String,
        /// By how much this machine's clock is behind the provider's, below zero ahead; none where
        /// nothing told it yet.
        skew_seconds: Option<i64>,
    },
    /// From the reader: a merged quote, newer than any before of its symbol.
    Quote(Quote),
    /// From the reader: a volume spike.
    Spike(Spike),
    /// A session begins. Its writer has the write grant.
    Join {
        /// Whose.
        id: SessionId,
        /// Its client's socket; written to only by who has the grant, and by the hub only without waiting.
        socket: TcpStream,
        /// Where the grant lies while nobody writes.
        slot: GrantSlot,
        /// To the session's writer: a private channel with room for one handover.
        writer: Sender<Handover>,
    },
    /// A session's whole wish, replacing the one before.
    Want {
        /// Whose.
        id: SessionId,
        /// Every symbol it wants.
        symbols: Wanted,
    },
    /// A session's writer has written what the hub left to it, at first the handshake.
    Ready {
        /// Whose.
        id: SessionId,
    },
    /// A session's client has answered a ping of the hub: all that was sent before it has arrived.
    Pong {
        /// Whose.
        id: SessionId,
        /// The ping's.
        number: u64,
        /// When the pong came.
        at: Instant,
    },
    /// A session has ended.
    Leave {
        /// Whose.
        id: SessionId,
    },
}

/// What the hub publishes for `/api/streaming/status` and `/api/volume-spikes/active`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamStatus {
    /// Whether the source is connected.
    pub connected: bool,
    /// The last words about it.
    pub why: String,
    /// As the reader says.
    pub skew_seconds: Option<i64>,
    /// Every symbol that some client wants.
    pub symbols: Wanted,
    /// Quotes taken from the source since the start.
    pub quotes_relayed: u64,
    /// Sessions connected now.
    pub clients: usize,
    /// Quotes that were replaced by a newer one before a slow client took them.
    pub conflated: u64,
    /// Spikes with the wall time (ms) at which they came, newest of each symbol.
    pub spikes: Vec<(i64, Arc<Spike>)>,
}
