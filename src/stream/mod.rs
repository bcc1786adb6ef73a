//! The live stream: one reader of the upstream's quotes, one hub that knows who wants what.

mod candle_builder;
mod candle_feed;
mod connect;
pub mod frame;
mod grant_slot;
mod hub;
mod hub_thread;
mod link;
pub(crate) mod merge;
mod messages;
mod outbox;
mod pace;
mod reader;
mod relay;
mod schedule;
mod transport;
pub mod write_grant;

pub use candle_builder::CandleBuilder;
pub use frame::Frame;
pub use grant_slot::GrantSlot;
pub use hub::{Encode, Hub};
pub use hub_thread::{HubBounds, HubOutputs, start_hub};
pub use merge::Merge;
pub use messages::{SessionId, Spike, StreamStatus, ToHub, Wanted};
pub use outbox::Outbox;
pub use reader::{ReaderEnds, StreamConfig, start_reader};
