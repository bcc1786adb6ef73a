//! Threads and channels are born here, and nowhere else.
//!
//! [`Supervisor::spawn`] is the only place that starts a thread: its [`ThreadKind`], a row of the table in
//! [`threads`], says its name and what is expected of it; the watchdog hears of it, a panic is caught and
//! the thread restarted where its kind allows.
//! [`Supervisor::channel`] is the only place that makes a queue: a row of the table in [`channels`] says who
//! sends and who receives and what happens when it is full, and its depth and drops can be seen. What a thread is doing it tells through its
//! [`Heartbeat`], a conflating cell that the watchdog reads when it looks.

mod channel;
pub mod channels;
pub mod clock;
mod counter;
pub mod deadline_io;
mod drill;
mod gauge;
mod heartbeat;
mod latest;
pub mod local_server;
pub mod log_throttle;
mod one_shot;
mod peer;
pub mod scratch;
mod semaphore;
mod spawn;
mod stop;
pub mod threads;
pub mod turns;
mod watch;

pub use channel::Tx;
pub use channels::{Channel, Ends, Full, Lossy, Pool, Queue};
pub use counter::Counter;
pub use drill::{DRILL_MAX, Drill, How, is_meant};
pub use gauge::Gauge;
pub use heartbeat::{Beat, Doing, Heartbeat, Order};
pub use latest::{LatestRx, LatestTx, latest, recent};
pub use one_shot::one_shot;
pub use peer::Peer;
pub use semaphore::{Permit, Recall, Semaphore};
pub use spawn::{
    Birth, Born, Death, Life, LifeEvent, Notice, Owner, Spare, Supervisor, SupervisorEnds,
    ThreadId, room_for,
};
pub use stop::{Stop, Stopper, stop};
pub use threads::{Class, Limits, OnPanic, OnStall, ThreadKind, ThreadName};
pub use watch::{WatchRx, WatchTx, watch};
