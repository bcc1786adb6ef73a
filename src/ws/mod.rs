//! Clients' WebSocket sessions.
//!
//! A session has two threads: the reader lives on the connection's own `conn-N` thread and understands
//! what the client says; `ws-N-out` owns every write: batches of quotes from the hub, pongs, closes,
//! error messages, so that frames never interleave. A client that stops reading holds up its own writer
//! and nobody else; past the write deadline it is closed.

mod frame;
mod reader;
pub(crate) mod session;
mod writer;

pub use frame::{close_frame, ping_frame, text_frame};
pub use reader::{Sessions, Upgrade, WsConfig};
