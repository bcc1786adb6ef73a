//! What a client's request says: its head, target and body, and its wish for a WebSocket. Pure.

mod chunks;
mod framing;
pub mod handshake;
pub mod head;
pub mod origin;
pub mod path;
mod refusal;
mod secret;
mod sender;
mod target;

pub use framing::{Framing, Intake};
pub use handshake::{Handshake, VERSION as WEBSOCKET_VERSION};
pub use head::{Head, Parsed, parse as parse_head};
pub use origin::{Origin, host_and_port, is_localhost, origin_of_url};
pub use path::query_value;
pub use refusal::Refusal;
pub use secret::{Secret, TOKEN_FILE_BYTES_MAX};
pub use sender::Site;
