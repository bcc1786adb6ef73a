//! The routes: what each request is answered with, and by whom.
//!
//! A route is a row of [`ROUTES`] and a function in the file of its family. [`call`] finds the row and reads
//! its parameters; [`answer`] makes the answer by the row's source, on the connection's own thread; every
//! wait has the request's deadline.

mod answers;
mod bulkhead;
mod cached;
mod call;
mod context;
mod files;
mod market;
mod openapi;
mod param;
mod process;
mod row;
mod schema;
mod snapshot_cache;
mod snapshots;
mod stalls;
mod stream;
mod table;
mod threads;
mod trader;
mod validate;

pub use answers::{answer, from_snapshots};
pub use bulkhead::{Bulkhead, Bulkheads, Permits};
pub use cached::FromCache;
pub use call::{Asked, Call, NoRoute, call};
pub use context::{Command, Context, HttpConfig};
pub use openapi::{document, routes_markdown};
pub use param::{Describe, Place};
pub use process::{options, preflight};
pub use row::{Method, Row, Source};
pub use snapshot_cache::{SnapshotLook, start_snapshot_cache};
pub use snapshots::{SnapshotPublishers, Snapshots, snapshots};
pub use stream::not_a_stream;
pub use table::ROUTES;
