//! What a thread says of itself.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::Instant;

use super::drill::Drill;
use super::latest::{LatestRx, LatestTx};
use super::peer::Peer;

/// What a thread is doing, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing to do: it waits for work. Never overdue unless its class says that it must tick.
    Idle,
    /// Working on this since the beat: overdue once its class's limit has passed.
    Busy(Cow<'static, str>),
    /// Waiting for another thread or the world, by design no longer than `until`: overdue once that
    /// has passed and the watchdog's grace with it, whatever the class's limit.
    Waiting {
        /// What the wait is part of.
        what: Cow<'static, str>,
        /// For whom.
        peer: Peer,
        /// The deadline of the wait.
        until: Instant,
    },
}

/// One beat: when, and what the thread was about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When it was told.
    pub at: Instant,
    /// What was told.
    pub doing: Doing,
    /// The client's request that it was told of; none where it is of no single one.
    pub request: Option<u64>,
}

/// What a thread takes where it beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stall, for real.
    Drill {
        /// How.
        drill: Drill,
        /// Met later than this it is void.
        by: Instant,
    },
    /// Another has taken this thread's place: end when what is in hand is done.
    Retire,
}

/// A thread's own side of its beat. Telling never waits and costs one conflating send.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    cell: LatestTx<Beat>,
    orders: Option<LatestRx<Order>>,
    retired: Cell<bool>,
    request: Cell<Option<u64>>,
}

impl Heartbeat {
    pub(super) fn new(cell: LatestTx<Beat>, orders: Option<LatestRx<Order>>) -> Self {
        Self {
            cell,
            orders,
            retired: Cell::new(false),
            request: Cell::new(None),
        }
    }

    /// Whether another has taken this thread's place.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// A heartbeat that nobody watches: for tests and for code run outside a supervised thread.
    #[must_use]
    pub fn unwatched() -> Self {
        Self::new(super::latest::latest().0, None)
    }

    /// Begins a piece of work: "merging 41 quotes".
    pub fn begin(&self, what: impl Into<Cow<'static, str>>) {
        self.tell(Doing::Busy(what.into()));
    }

    /// Begins a wait for a peer, which has a deadline: for `ThreadKind::CandleCache`, as part of
    /// "GET /api/candles/ELPW". Waits shorter than the watchdog's looks need not be told.
    pub fn wait(&self, peer: impl Into<Peer>, what: impl Into<Cow<'static, str>>, until: Instant) {
        self.tell(Doing::Waiting {
            what: what.into(),
            peer: peer.into(),
            until,
        });
    }

    /// From here on beats are told of this request, until the thread is idle.
    pub fn serves(&self, request: u64) {
        self.request.set(Some(request));
    }

    /// Waits for work from here on. A thread that ticks calls this at every tick.
    pub fn idle(&self) {
        self.request.set(None);
        self.tell(Doing::Idle);
    }

    fn tell(&self, doing: Doing) {
        // While a drill lasted another order may have come.
        while let Some(order) = self.orders.as_ref().and_then(LatestRx::take) {
            match order {
                Order::Retire => self.retired.set(true),
                Order::Drill { by, .. } if Instant::now() >= by => {}
                Order::Drill { drill, .. } => {
                    let what = format!("a drill: {} for {} s", drill.how, drill.time.as_secs());
                    self.publish(Doing::Busy(what.into()));
                    drill.run();
                }
            }
        }
        self.publish(doing);
    }

    fn publish(&self, doing: Doing) {
        self.cell.publish(Beat {
            at: Instant::now(),
            doing,
            request: self.request.get(),
        });
    }
}
