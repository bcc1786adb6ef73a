//! Threads and channels are born here, and nowhere else.
//!
//! [`Supervisor::spawn`] is the only place that starts a thread: it names it, registers it with the
//! watchdog under its [`Class`], catches a panic and restarts the thread where its class allows.
//! [`Supervisor::channel`] is the only place that makes a queue: it has a name, a bound and a
//! [`Full`] policy, and its depth and drops can be seen. What a thread is doing it tells through its
//! [`Heartbeat`], a conflating cell that the watchdog reads when it looks.

mod channel;
pub mod clock;
mod counter;
pub mod deadline_io;
mod drill;
mod gauge;
mod heartbeat;
mod latest;
mod one_shot;
pub mod scratch;
mod semaphore;
mod spawn;
mod stop;
mod watch;

pub use channel::Tx;
pub use counter::Counter;
pub use drill::{DRILL_MAX, Drill, How, is_meant};
pub use gauge::{Full, Gauge};
pub use heartbeat::{Beat, Doing, Heartbeat, Order};
pub use latest::{LatestRx, LatestTx, latest, recent};
pub use one_shot::one_shot;
pub use semaphore::{Permit, Recall, Semaphore};
pub use spawn::{
    Birth, Born, Class, Death, Notice, OnPanic, OnStall, Spare, Supervisor, SupervisorEnds,
    THREAD_NAME_CHARS_MAX, ThreadId, numbered, room_for,
};
pub use stop::{Stop, Stopper, stop};
pub use watch::{WatchRx, WatchTx, watch};
