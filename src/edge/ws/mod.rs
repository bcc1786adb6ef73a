//! Clients' WebSocket sessions.
//!
//! A session has two threads: the reader lives on the connection's own `conn-N` thread and understands
//! what the client says; `ws-N-out` writes whatever may have to wait for the client: what the socket had
//! no room for when the hub wrote a batch, pongs, closes, error messages. Who writes has the session's one
//! write grant, so that frames never interleave (`stream::write_grant`). A client that stops
//! reading holds up its own writer and nobody else; past the write deadline it is closed.
//!
//! Compression of messages (RFC 7692, `permessage-deflate`) is declined. A quote of 256 bytes takes 0.7 µs to
//! encode, once for all clients. Compressed by itself, so that one frame still serves all, it has 160 bytes and
//! takes 25 µs more; with a history for each client 61 bytes and 18 µs more for each of them, which at 200,000
//! messages a second would be three and a half cores (`cargo bench --bench cores -- deflate`).

#[cfg(test)]
mod autobahn_tests;
mod limits;
mod reader;
pub(crate) mod session;
mod sessions;
mod writer;

pub use limits::WsConfig;
pub use sessions::{Sessions, Upgrade};
