//! What passes between the quote reader, the hub and the clients' sessions.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use serde_json::{Map, Value};

use crate::market::{Quote, Symbol};

/// A WebSocket frame as it goes over the wire, encoded once however many clients get it.
pub type Frame = Arc<[u8]>;

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
    /// A session begins. Its writer has the pen.
    Join {
        /// Whose.
        id: SessionId,
        /// Its client's socket; written to only by who has the pen, and by the hub only without waiting.
        socket: TcpStream,
        /// Where the pen goes: a private channel with room for it.
        out: Sender<Pen>,
    },
    /// A session's whole wish, replacing the one before.
    Want {
        /// Whose.
        id: SessionId,
        /// Every symbol it wants.
        symbols: Wanted,
    },
    /// A session's writer has written what it had to: here is the pen.
    Ready {
        /// Whose.
        id: SessionId,
    },
    /// A session's writer has something of its own to write and needs the pen.
    AsksForPen {
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

/// The right to write to a session's client, of which there is one: it passes between the hub, which
/// writes what the socket takes at once, and the session's writer, which waits for the rest.
#[derive(Debug, Default)]
pub struct Pen {
    /// What is left of a frame that the client has the beginning of; to be written first.
    pub begun: Vec<u8>,
    /// Whole frames, to be written then.
    pub frames: Vec<Frame>,
    /// The client has taken nothing for so long: the session ends here.
    pub too_slow: Option<Duration>,
}

impl Pen {
    /// For a batch of which this many bytes are written.
    #[must_use]
    pub fn of_rest(batch: &[Frame], written: usize) -> Self {
        let mut skipped = 0;
        let whole = batch.iter().take_while(|frame| {
            skipped += frame.len();
            skipped <= written
        });
        let left = &batch[whole.count()..];
        let Some((begun, frames)) = left.split_first() else {
            return Self::default();
        };
        let left_of_it = skipped - written;
        Self {
            begun: begun[begun.len() - left_of_it..].to_vec(),
            frames: frames.to_vec(),
            too_slow: None,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pen_has_what_is_left_of_a_batch_and_knows_where_frames_begin(
            batch in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..9), cut: prop::sample::Index
        ) {
            let frames: Vec<Frame> = batch.iter().map(|f| Frame::from(f.as_slice())).collect();
            let whole = frames.concat();
            let written = cut.index(whole.len() + 1);
            let pen = Pen::of_rest(&frames, written);
            prop_assert_eq!([pen.begun, pen.frames.concat()].concat(), &whole[written..]);
            prop_assert!(frames.ends_with(&pen.frames));
        }
    }
}
