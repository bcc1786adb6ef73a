//! Clients' WebSocket sessions.

mod frame;

pub use frame::text_frame;
