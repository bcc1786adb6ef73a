//! The port: connections, heads, access, routes and answers, and clients' WebSocket sessions.

pub mod gate;
pub mod handshake;
pub mod http;
pub mod ws;
