//! The whole program tried from outside, one module for each thing that is promised. What they share is in
//! `tests/kit`.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests wait, print and share as they like"
)]

#[path = "../kit/mod.rs"]
mod kit;

mod access;
mod browser;
mod connections;
mod contract;
mod control;
mod drills;
mod ends;
mod freezes_clients;
mod freezes_logs;
mod freezes_names;
mod freezes_process;
mod freezes_schwab;
mod freezes_stopped;
mod freezes_trader;
mod http11;
mod idle;
mod inputs;
mod machine;
mod minutes;
mod page;
mod page_build;
mod polls;
mod port;
mod promises;
mod readme;
mod redbot;
mod routes;
mod schemathesis;
mod secrets;
mod serve;
mod soak;
mod socketio_interop;
mod stall_figures;
mod stalls;
mod storeys;
mod stream_clients;
mod streams;
mod symbols;
mod tables;
mod tidy;
mod validations;
mod websocket;
mod wire;
