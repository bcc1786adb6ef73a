//! Clients' WebSocket sessions.
//!
//! A session has two threads: the reader lives on the connection's own `conn-N` thread and understands
//! what the client says; `ws-N-out` writes whatever may have to wait for the client: what the socket had
//! no room for when the hub wrote a batch, pongs, closes, error messages. Who writes has the session's one
//! pen, which passes between the hub and the writer, so that frames never interleave. A client that stops
//! reading holds up its own writer and nobody else; past the write deadline it is closed.

mod frame;
mod reader;
pub(crate) mod session;
mod writer;

pub use frame::{close_frame, ping_frame, text_frame};
pub use reader::{Sessions, Upgrade, WsConfig};
