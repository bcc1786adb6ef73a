//! What a source of quotes speaks over its WebSocket.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::json::Mended;
use crate::market::Symbol;

/// The client side of a source's protocol: messages and the time in, messages and events out. One value is one
/// connection. Pure: the quote reader connects, reads and writes.
pub trait StreamCodec: Sized {
    /// The source, as the log and errors name it.
    const NAME: &'static str;

    /// Path and query of the WebSocket below the source's base URL.
    const PATH: &'static str;

    /// What a refusal of the WebSocket upgrade means and what can be done, for the log and for
    /// `/api/streaming/status`. `said` is the body; what is not known in it is not repeated, there may be a
    /// secret in it.
    fn refused(status: u16, said: &[u8]) -> String;

    /// The WebSocket has just been opened.
    fn new(now: Instant) -> Self;

    /// These are wanted from now on and no others. The messages that tell the source, none before the
    /// source takes them: then they are in the [`StreamOutput`] of the message by which it does.
    fn want(&mut self, symbols: &BTreeSet<Symbol>) -> Vec<String>;

    /// A text message came.
    fn text(&mut self, now: Instant, text: &str) -> StreamOutput;

    /// A binary message came.
    fn binary(&mut self, now: Instant) -> StreamOutput;

    /// When the source is taken to be dead unless it is heard before.
    fn dead_at(&self) -> Instant;

    /// What was mended in messages since this was asked last; those that were not understood are its records.
    fn mended(&mut self) -> Mended;
}

/// What is to be done after a message.
#[derive(Debug, Default, PartialEq)]
pub struct StreamOutput {
    /// Text messages to send, in this order.
    pub send: Vec<String>,
    /// What happened, if anything.
    pub event: Option<StreamEvent>,
}

/// What a source says.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// From here on quotes flow.
    Joined,
    /// Fields of quotes that changed: an update with its `symbol`, a list of them, or `{"quotes":[…]}`.
    Update(Value),
    /// A volume spike.
    Spike {
        /// Of this symbol.
        symbol: Symbol,
        /// The whole event, `symbol` in upper case.
        fields: Map<String, Value>,
    },
    /// The connection is over; why, in words.
    Ended(String),
}
