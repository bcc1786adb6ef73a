//! The live stream: one reader of the upstream's quotes, one hub that knows who wants what.

mod messages;

pub use messages::{Frame, SessionId, Spike, StreamStatus, ToHub, ToSession, Wanted};
