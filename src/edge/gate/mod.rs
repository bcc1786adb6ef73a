//! The port. tiny_http never faces a client: one that promises a body of a terabyte, or opens sixty-four
//! connections at once, would end or starve it. The gate takes the clients' side with bounds on
//! everything, and hands each request on over a fixed pool of private connections.
//!
//! Threads: `gate` accepts; `conn-N` serves one connection each; `lane-keeper` opens the private
//! connections, one at a time, and replaces lost ones.

mod acceptor;
mod bind;
mod chunks;
mod conn;
mod denied;
mod forward;
mod framing;
mod guard;
pub(crate) mod head;
mod lanes;
mod probed;
mod refusal;
mod secret;
mod sender;
mod target;
mod token_file;
mod turn_away;

pub use acceptor::start_gate;
pub use bind::{BindError, bind};
pub use conn::GateConfig;
pub use framing::{Framing, Intake};
pub use guard::Guard;
pub use head::{Head, Parsed, parse as parse_head};
pub use lanes::{LaneSpec, LinkAddress};
pub use probed::probe_requests;
pub use refusal::Refusal;
pub use secret::{Secret, TOKEN_FILE_BYTES_MAX};
pub use token_file::{Token, TokenFile, start_token_reader};
