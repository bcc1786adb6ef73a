//! The routes: what each request of [`crate::edge::gate`] is answered with, and by whom.
//!
//! The `http-N` threads live here. Each takes one request at a time from tiny_http (which only ever
//! faces the gate, never a client), finds its [`Route`], asks a cache or looks at its own boards, and
//! writes the answer in one piece. They do no I/O but that, and every wait has the request's deadline.

mod answer;
mod board_cache;
mod boards;
mod context;
mod cors;
mod date;
mod gate_end;
mod lane;
pub mod page;
pub(crate) mod path;
mod ready;
mod router;
mod routes;
mod table;
mod worker;

pub use answer::{Answer, Wants, Written};
pub use board_cache::{BoardLook, start_board_cache};
pub use boards::{BoardPublishers, Boards, boards};
pub use context::{Caches, Command, HttpConfig, cache_names};
pub use cors::{Cors, Origin, host_and_port, is_localhost, origin_of_url};
pub use gate_end::{ANSWER_WITHIN, WORKER_PATIENCE};
pub use lane::{LANES, Lane};
pub use path::query_value;
pub use ready::{Lookup, Ready};
pub use router::{Form, Route, RouteError, Trades, lane_of, may_repeat, route};
pub use routes::{VALIDATION_INPUTS_MAX, not_a_stream};
pub use table::{LANE_PING_PATH, ROUTES, Row};
pub use worker::{start_workers, unblock_workers};
