//! The `gate` thread: accepts connections, counts them, and starts a thread for each.

mod acceptor;
mod bind;
mod connections;
mod probed;
mod turn_away;

pub use acceptor::start_gate;
pub use bind::{BindError, bind};
pub use probed::probe_request;
