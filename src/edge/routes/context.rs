//! What a worker needs to answer: whom it may ask, and the limits.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};

use crate::cache::{Ask, AskId, Reply, ToCache};
use crate::diag::ToReports;
use crate::diag::watchdog::ToWatchdog;
use crate::resilience::FetchError;
use crate::runtime::clock::Clock;
use crate::runtime::{Heartbeat, Lossy, Stop, Tx, one_shot};
use crate::upstream::ollama::Prompt;
use crate::upstream::{CachedKey, Caches, OutOf, cache_name};

use super::snapshots::Boards;
use crate::edge::access::Cors;
use crate::edge::routes::gate_end::{GateEnd, WORKER_PATIENCE};

/// What a client may tell `main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End in an orderly way.
    Shutdown,
}

/// Settings of the routes.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// By lane: an answer, even an error, is there before this has passed.
    pub answer_deadlines: Vec<Duration>,
    /// How long a verdict may take, once its prompt is made.
    pub model_deadline: Duration,
    /// `cache_ttl_seconds` of `/api/validate/status`.
    pub validate_ttl: Duration,
    /// How long spikes are active.
    pub spike_window: Duration,
    /// What the model is told.
    pub prompt: Arc<Prompt>,
    /// For `/api/streaming/status`.
    pub trader_url: String,
    /// Who may read our answers.
    pub cors: Cors,
    /// The session clock.
    pub clock: Clock,
    /// When the process started.
    pub started: Instant,
    /// The watchdog's inbox.
    pub watchdog: Tx<ToWatchdog>,
    /// The inbox of who reads past reports.
    pub reports: Tx<ToReports>,
    /// Where the watchdog writes, for who orders a drill from this machine.
    pub watchdog_log: PathBuf,
    /// Whether drills may be ordered.
    pub allow_drills: bool,
}

/// One request's surroundings.
pub struct Context<'a> {
    /// The worker's heartbeat.
    pub heartbeat: &'a Heartbeat,
    /// Whom it may ask.
    pub caches: &'a Caches,
    /// What it may look at.
    pub boards: &'a Boards,
    /// The limits.
    pub config: &'a HttpConfig,
    /// `main`'s inbox.
    pub commands: &'a Tx<Command, Lossy>,
    /// The request's number, by which it can be cancelled.
    pub id: AskId,
    /// "GET /api/candles/ELPW"
    pub what: &'a str,
    /// The client's address, as the gate saw it.
    pub peer: &'a str,
    /// By when a cache must have answered.
    pub deadline: Instant,
    /// The end of everything.
    pub stop: &'a Stop,
    /// Who waits for the answer.
    pub gate: &'a RefCell<GateEnd>,
}

/// A cache answers by the deadline; this much later it is taken to be silent.
const CACHE_GRACE: Duration = Duration::from_millis(400);

/// A wait longer than this is told to the gate, which else takes the worker to be stuck; and again as
/// often, so that a worker whose client left is free soon.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// The gate hears of a wait for no longer than this ahead: a worker that is stuck in a long one is seen.
const TOLD_AHEAD_MAX: Duration = Duration::from_secs(5);

/// How long a cache may take to say what it has ready.
const LOOK_PATIENCE: Duration = Duration::from_millis(200);

/// What a cache was asked, and where its answer comes.
pub struct Asked<V> {
    cache: &'static str,
    /// What the cache will say, or why it could not be asked.
    answer: Result<Receiver<Reply<V>>, FetchError>,
    deadline: Instant,
}

impl Context<'_> {
    /// Asks the cache that keeps this.
    pub fn ask<K: CachedKey>(&self, key: K, deadline: Instant) -> Reply<OutOf<K>> {
        self.answer(self.begin(key, deadline))
    }

    /// What the cache that keeps this has ready; nothing is begun for it.
    pub fn look<K: CachedKey>(&self, key: K) -> Option<Reply<OutOf<K>>> {
        let (reply, answer) = one_shot();
        let look = ToCache::Look { key, reply };
        K::inbox(self.caches).offer(look).ok()?;
        let by = Instant::now() + LOOK_PATIENCE;
        self.hear(cache_name::<K::Upstream>(), &answer, by, Duration::ZERO)?
    }

    /// Asks the cache that keeps this and does not wait yet.
    pub fn begin<K: CachedKey>(&self, key: K, deadline: Instant) -> Asked<OutOf<K>> {
        let (cache, inbox) = (cache_name::<K::Upstream>(), K::inbox(self.caches));
        let (reply, receiver) = one_shot();
        let ask = Ask {
            id: self.id,
            key,
            deadline,
            reply,
        };
        let answer = if self.boards.is_down(cache) {
            Err(FetchError::CacheSilent { cache })
        } else if inbox.offer(ToCache::Ask(ask)).is_err() {
            Err(FetchError::Busy {
                what: format!("the {cache}"),
                retry_in: Duration::from_secs(1),
            })
        } else {
            Ok(receiver)
        };
        Asked {
            cache,
            answer,
            deadline,
        }
    }

    /// Waits for a cache's answer.
    pub fn answer<V>(&self, asked: Asked<V>) -> Reply<V> {
        let cache = asked.cache;
        let heard = self.hear(cache, &asked.answer?, asked.deadline, CACHE_GRACE);
        heard.unwrap_or_else(|| {
            Err(if self.stop.is_set() {
                FetchError::Ending
            } else {
                FetchError::CacheSilent { cache }
            })
        })
    }

    /// Waits for another thread's word until `deadline` and `grace`, or until the client has left.
    pub fn hear<T>(
        &self,
        thread: &str,
        word: &Receiver<T>,
        deadline: Instant,
        grace: Duration,
    ) -> Option<T> {
        self.heartbeat
            .wait(format!("{}, waiting for {thread}", self.what), deadline);
        let last = deadline + grace;
        let mut told = false;
        let heard = loop {
            let untold = last.min(Instant::now() + TELL_EVERY);
            match word.recv_deadline(untold) {
                Err(RecvTimeoutError::Timeout) if untold < last => {
                    let left = last.saturating_duration_since(Instant::now()) + TELL_EVERY;
                    told = true;
                    if !self.gate_waits(left.min(TOLD_AHEAD_MAX)) {
                        break None;
                    }
                }
                heard => break heard.ok(),
            }
        };
        if told {
            self.gate_waits(WORKER_PATIENCE);
        }
        self.heartbeat.begin(format!("{}, answering", self.what));
        heard
    }

    /// Whether somebody still waits for the answer; if so, for so long without a word.
    pub fn gate_waits(&self, time: Duration) -> bool {
        self.gate.borrow_mut().hear_within(time)
    }
}
