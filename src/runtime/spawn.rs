//! The one place that starts threads.

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::counter::Counter;
use super::gauge::Gauge;
use super::heartbeat::{Beat, Heartbeat, Order};
use super::latest::{LatestRx, LatestTx, latest, recent};
use super::stop::{Stop, stop};
use super::threads::{Class, Limits, OnPanic, ThreadName};

/// Whether the system has this many more threads, tried with as many, which end at once.
///
/// # Errors
/// The system's, when it refuses one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts threads"
)]
pub fn room_for(threads: usize) -> io::Result<()> {
    let (stopper, held) = stop();
    let tried: io::Result<Vec<_>> = (0..threads)
        .map(|_| {
            let held = held.clone();
            thread::Builder::new().spawn(move || held.sleep(TRIED_FOR))
        })
        .collect();
    drop(stopper);
    for thread in tried? {
        let _woken = thread.join();
    }
    Ok(())
}

/// No system takes longer to start a few dozen threads.
const TRIED_FOR: Duration = Duration::from_secs(30);

/// How many births, deaths and gauges can wait for the watchdog and for `main`. Both only drain.
const NOTICES_MAX: usize = 8_192;

/// A restarted thread waits this long first, doubling each time …
const RESTART_BACKOFF_MIN: Duration = Duration::from_millis(100);
/// … up to this.
const RESTART_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// A thread that has run for this long since its last panic is as good as new: what counts is a fault
/// that comes again and again, not one a day.
const RESTART_FORGIVEN: Duration = Duration::from_secs(600);

/// Identifies one life of one thread; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u64);

/// Starts a thread like the one that it was made with.
pub struct Spare(Box<dyn Fn() -> io::Result<ThreadId> + Send>);

impl Spare {
    /// Starts it.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start(&self) -> io::Result<ThreadId> {
        (self.0)()
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spare")
    }
}

/// Told when a thread is stalled, and again while that lasts. Never waits.
pub struct Owner(Box<dyn Fn() + Send>);

impl Owner {
    /// Who does this when told.
    pub fn new(told: impl Fn() + Send + 'static) -> Self {
        Self(Box::new(told))
    }

    /// Tells it.
    pub fn tell(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

/// One life of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its id.
    pub id: ThreadId,
    /// The thread's kind and number: its name.
    pub name: ThreadName,
    /// What is expected of it.
    pub class: Class,
}

/// What happens in a thread's life after it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LifeEvent {
    /// It has begun to run.
    Runs {
        /// The kernel's number of it; 0 where the system has none.
        tid: u32,
    },
    /// It panicked.
    Panicked {
        /// What the panic said.
        message: String,
        /// Whether it starts anew.
        restarts: bool,
    },
    /// It ended.
    Ended,
}

/// A thread as the watchdog gets to know it.
#[derive(Debug)]
pub struct Born {
    /// The thread.
    pub life: Life,
    /// Where its beats are read.
    pub beats: LatestRx<Beat>,
    /// Where it takes orders.
    pub orders: LatestTx<Order>,
    /// Starts another in its place, where that can be.
    pub spare: Option<Spare>,
    /// Who is told that it is stalled.
    pub owner: Option<Owner>,
}

/// What the watchdog is told. Boxed where it is large: there is room for thousands from the start.
#[derive(Debug)]
pub enum Notice {
    /// A thread was started.
    Born(Box<Born>),
    /// Something happened in the life of this thread.
    Life(ThreadId, LifeEvent),
    /// A queue was made.
    Channel(Box<Gauge>),
}

/// What `main` is told when a thread starts: it owns the handle.
#[derive(Debug)]
pub struct Birth {
    /// The thread.
    pub life: Life,
    /// To be joined once its [`Death`] was told.
    pub join: JoinHandle<()>,
}

/// What `main` is told when a thread has ended.
#[derive(Debug)]
pub struct Death {
    /// Which.
    pub id: ThreadId,
    /// Whether a panic ended it for good.
    pub panicked: bool,
}

/// Starts threads and makes channels. A plain handle: every thread that needs one has a clone.
#[derive(Clone, Debug)]
pub struct Supervisor {
    notices: Sender<Notice>,
    births: Sender<Box<Birth>>,
    deaths: Sender<Death>,
    lost: Counter,
    ids: Counter,
    limits: Limits,
    stop: Stop,
}

/// The ends that the watchdog and `main` read.
#[derive(Debug)]
pub struct SupervisorEnds {
    /// For the watchdog.
    pub notices: Receiver<Notice>,
    /// For `main`.
    pub births: Receiver<Box<Birth>>,
    /// For `main`.
    pub deaths: Receiver<Death>,
    /// Notices that found their queue full.
    pub lost: Counter,
}

impl Supervisor {
    /// The one supervisor of a process, and what its two readers read.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "before there is a supervisor")]
    pub fn new(limits: Limits, stop: Stop) -> (Self, SupervisorEnds) {
        let (notices, notices_rx) = bounded(NOTICES_MAX);
        let (births, births_rx) = bounded(NOTICES_MAX);
        let (deaths, deaths_rx) = bounded(NOTICES_MAX);
        let lost = Counter::default();
        let supervisor = Self {
            notices,
            births,
            deaths,
            lost: lost.clone(),
            ids: Counter::default(),
            limits,
            stop,
        };
        let ends = SupervisorEnds {
            notices: notices_rx,
            births: births_rx,
            deaths: deaths_rx,
            lost,
        };
        (supervisor, ends)
    }

    /// The end of everything, as every thread hears it.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Starts a thread that runs `body` until it returns. A panic is reported through the log and
    /// the watchdog; where its kind allows, `body` is called anew after a backoff.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn spawn(
        &self,
        name: impl Into<ThreadName>,
        body: impl Fn(&Heartbeat) + Send + 'static,
    ) -> io::Result<ThreadId> {
        self.spawn_with(name.into(), None, None, body)
    }

    /// As [`Self::spawn`], for a thread that shares its work with others of its kind: if it stalls, the
    /// watchdog starts another in its place, and it ends once it can (see [`Heartbeat::is_retired`]).
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn spawn_replaceable(
        &self,
        name: impl Into<ThreadName>,
        body: impl Fn(&Heartbeat) + Clone + Send + 'static,
    ) -> io::Result<ThreadId> {
        let name = name.into();
        debug_assert!(name.kind.row().is_replaced, "the table says nothing of it");
        let (me, same) = (self.clone(), body.clone());
        let spare = Spare(Box::new(move || me.spawn_replaceable(name, same.clone())));
        self.spawn_with(name, Some(spare), None, body)
    }

    fn spawn_with(
        &self,
        name: ThreadName,
        spare: Option<Spare>,
        owner: Option<Owner>,
        body: impl Fn(&Heartbeat) + Send + 'static,
    ) -> io::Result<ThreadId> {
        let life = Life {
            id: ThreadId(self.ids.next()),
            name,
            class: self.limits.class(name.kind),
        };
        // With a second place the reader never finds none because one is just being replaced.
        let (cell, beats) = recent(2);
        let (orders, taken) = latest();
        let heartbeat = Heartbeat::new(cell, Some(taken));
        heartbeat.begin("starting");
        self.notify(Notice::Born(Box::new(Born {
            life,
            beats,
            orders,
            spare,
            owner,
        })));
        let me = self.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that starts threads"
        )]
        let spawned = thread::Builder::new()
            .name(name.to_string())
            .spawn(move || me.live(life, &heartbeat, body));
        let join = match spawned {
            Ok(join) => join,
            Err(e) => {
                self.notify(Notice::Life(life.id, LifeEvent::Ended));
                return Err(e);
            }
        };
        let birth = Box::new(Birth { life, join });
        if self.births.try_send(birth).is_err() {
            self.lost.add(1);
        }
        Ok(life.id)
    }

    /// As [`Self::spawn`], for a thread that serves one thing it was given and then ends: its kind must
    /// not restart.
    ///
    /// # Errors
    /// When the system refuses another thread; `body` is dropped, and what it owns with it.
    pub fn spawn_once(
        &self,
        name: impl Into<ThreadName>,
        body: impl FnOnce(&Heartbeat) + Send + 'static,
    ) -> io::Result<ThreadId> {
        self.once(name.into(), None, body)
    }

    /// As [`Self::spawn_once`], for a thread whose owner can do something about a stall.
    ///
    /// # Errors
    /// As there.
    pub fn spawn_owned(
        &self,
        name: impl Into<ThreadName>,
        owner: Owner,
        body: impl FnOnce(&Heartbeat) + Send + 'static,
    ) -> io::Result<ThreadId> {
        self.once(name.into(), Some(owner), body)
    }

    fn once(
        &self,
        name: ThreadName,
        owner: Option<Owner>,
        body: impl FnOnce(&Heartbeat) + Send + 'static,
    ) -> io::Result<ThreadId> {
        debug_assert_eq!(
            name.kind.row().on_panic,
            OnPanic::End,
            "it can be called only once"
        );
        let body = Cell::new(Some(body));
        self.spawn_with(name, None, owner, move |heartbeat| {
            if let Some(body) = body.take() {
                body(heartbeat);
            }
        })
    }

    /// Tells the watchdog. Never waits; a notice that finds no room is counted as lost.
    pub(super) fn notify(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.lost.add(1);
        }
    }

    /// A thread's whole life.
    fn live(&self, life: Life, heartbeat: &Heartbeat, body: impl Fn(&Heartbeat)) {
        let Life { id, class, .. } = life;
        let tell = |event| self.notify(Notice::Life(id, event));
        tell(LifeEvent::Runs { tid: kernel_tid() });
        let allowed = class.restarts_max;
        let mut restarts_left = allowed;
        let mut backoff = RESTART_BACKOFF_MIN;
        let mut panicked = false;
        let mut began = Instant::now();
        // The body owns what it touches and is called from the start again, so a broken invariant
        // cannot be seen from here.
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(heartbeat))) {
            if began.elapsed() >= RESTART_FORGIVEN {
                (restarts_left, backoff) = (allowed, RESTART_BACKOFF_MIN);
            }
            let restarts = restarts_left > 0 && !self.stop.is_set();
            tell(LifeEvent::Panicked {
                message: panic_words(panic.as_ref()).into_owned(),
                restarts,
            });
            if !restarts {
                panicked = true;
                break;
            }
            restarts_left -= 1;
            heartbeat.idle();
            if self.stop.sleep(backoff) {
                break;
            }
            backoff = (backoff * 2).min(RESTART_BACKOFF_MAX);
            began = Instant::now();
        }
        tell(LifeEvent::Ended);
        if self.deaths.try_send(Death { id, panicked }).is_err() {
            self.lost.add(1);
        }
    }
}

fn panic_words(panic: &(dyn Any + Send)) -> Cow<'static, str> {
    if let Some(words) = panic.downcast_ref::<&'static str>() {
        Cow::Borrowed(words)
    } else if let Some(words) = panic.downcast_ref::<String>() {
        Cow::Owned(words.clone())
    } else {
        Cow::Borrowed("a panic without words")
    }
}

/// The kernel's number of the calling thread.
#[cfg(target_os = "linux")]
fn kernel_tid() -> u32 {
    rustix::thread::gettid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs()
}

/// Other systems number threads in other ways; the name must do.
#[cfg(not(target_os = "linux"))]
fn kernel_tid() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::super::stop::stop;
    use super::*;
    use crate::runtime::{ThreadKind, one_shot};

    #[test]
    fn a_panicking_thread_is_restarted_as_often_as_its_class_allows_and_then_ends() {
        let (_stopper, stop) = stop();
        let limits = Limits {
            restarts_max: 2,
            ..Limits::default()
        };
        let (supervisor, ends) = Supervisor::new(limits, stop);
        supervisor
            .spawn(ThreadKind::QuoteHub, |_| panic!("on purpose"))
            .unwrap();
        let birth = ends.births.recv_timeout(Duration::from_secs(10)).unwrap();
        let death = ends.deaths.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(death.id, birth.life.id);
        assert!(death.panicked);
        birth.join.join().unwrap();
        let panics: Vec<bool> = ends
            .notices
            .try_iter()
            .filter_map(|n| match n {
                Notice::Life(_, LifeEvent::Panicked { restarts, .. }) => Some(restarts),
                _ => None,
            })
            .collect();
        assert_eq!(panics, [true, true, false]);
    }

    #[test]
    fn a_thread_is_registered_before_it_runs_and_ends_when_its_body_returns() {
        let (_stopper, stop) = stop();
        let (supervisor, ends) = Supervisor::new(Limits::default(), stop);
        let (tx, rx) = one_shot();
        supervisor
            .spawn(ThreadKind::CandleFetch.nth(7), move |heartbeat| {
                heartbeat.begin("telling");
                tx.send(()).unwrap();
            })
            .unwrap();
        rx.recv_timeout(Duration::from_secs(10)).unwrap();
        let death = ends.deaths.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(!death.panicked);
        let first = ends.notices.try_recv().unwrap();
        assert!(
            matches!(first, Notice::Born(born) if born.life.name.to_string() == "candle-fetch-7")
        );
    }
}
