//! The routes: what each request is answered with, and by whom.

mod bulkhead;
mod context;
mod files;
mod gate_end;
mod market;
mod page;
mod process;
mod router;
mod snapshot_cache;
mod snapshots;
mod sources;
mod stalls;
mod stream;
mod table;
mod threads;
mod trader;
mod validate;

pub use bulkhead::{LANES, Lane};
pub use context::{Caches, Command, Context, HttpConfig};
pub use gate_end::{ANSWER_WITHIN, GateEnd, WORKER_PATIENCE};
pub use router::{Form, Route, RouteError, Trades, lane_of, may_repeat, route};
pub use snapshot_cache::{BoardLook, start_board_cache};
pub use snapshots::{BoardPublishers, Boards, boards};
pub use sources::*;
pub use table::{LANE_PING_PATH, ROUTES, Row};
