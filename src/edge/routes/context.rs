//! What a request needs to be answered: whom it may ask, what it may look at, and the limits.

use std::cell::Cell;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};

use crate::cache::{Ask, AskId, Reply, ToCache};
use crate::diag::ToReports;
use crate::diag::watchdog::ToWatchdog;
use crate::resilience::FetchError;
use crate::runtime::clock::Clock;
use crate::runtime::deadline_io::is_gone;
use crate::runtime::{Heartbeat, Lossy, Stop, ThreadKind, Tx, one_shot};
use crate::upstream::ollama::Prompt;
use crate::upstream::{CachedKey, Caches, OutOf, Upstream};

use super::snapshots::Snapshots;

/// What a client may tell `main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End in an orderly way.
    Shutdown,
}

/// Settings of the routes.
#[derive(Clone, Debug)]
pub struct HttpConfig {
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
    /// The connection's heartbeat.
    pub heartbeat: &'a Heartbeat,
    /// Whom it may ask.
    pub caches: &'a Caches,
    /// What it may look at.
    pub snapshots: &'a Snapshots,
    /// The limits.
    pub config: &'a HttpConfig,
    /// `main`'s inbox.
    pub commands: &'a Tx<Command, Lossy>,
    /// The request's number, by which it can be cancelled.
    pub id: AskId,
    /// "GET /api/candles/ELPW"
    pub what: &'a str,
    /// Who asks, for reports and the log: as a rule the client's address.
    pub peer: &'a str,
    /// Whether the client is on this machine.
    pub is_local: bool,
    /// By when a cache must have answered.
    pub deadline: Instant,
    /// The end of everything.
    pub stop: &'a Stop,
    /// Who waits for the answer.
    /// None where the client's socket is not ours to look at: then it is taken to wait.
    pub client: Option<&'a TcpStream>,
    /// Whether the client was seen to have left.
    pub left: Cell<bool>,
}

/// A cache answers by the deadline; this much later it is taken to be silent.
const CACHE_GRACE: Duration = Duration::from_millis(400);

/// How often a request that waits looks whether its client is still there.
const CLIENT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a cache may take to say what it has ready.
const LOOK_PATIENCE: Duration = Duration::from_millis(200);

/// What a cache was asked, and where its answer comes.
pub struct Asked<V> {
    cache: ThreadKind,
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
        self.hear(K::Upstream::CACHE, &answer, by, Duration::ZERO)?
    }

    /// Asks the cache that keeps this and does not wait yet.
    pub fn begin<K: CachedKey>(&self, key: K, deadline: Instant) -> Asked<OutOf<K>> {
        let (cache, inbox) = (K::Upstream::CACHE, K::inbox(self.caches));
        let (reply, receiver) = one_shot();
        let ask = Ask {
            id: self.id,
            key,
            deadline,
            reply,
        };
        let name = cache.row().name;
        let answer = if self.snapshots.is_down(name) {
            Err(FetchError::CacheSilent { cache: name })
        } else if inbox.offer(ToCache::Ask(ask)).is_err() {
            Err(FetchError::Busy {
                what: format!("the {name}"),
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
                FetchError::CacheSilent {
                    cache: cache.row().name,
                }
            })
        })
    }

    /// Waits for another thread's word until `deadline` and `grace`, or until the client has left.
    pub fn hear<T>(
        &self,
        thread: ThreadKind,
        word: &Receiver<T>,
        deadline: Instant,
        grace: Duration,
    ) -> Option<T> {
        self.heartbeat.wait(thread, self.what.to_owned(), deadline);
        let last = deadline + grace;
        let heard = loop {
            let look = last.min(Instant::now() + CLIENT_LOOK_EVERY);
            match word.recv_deadline(look) {
                Err(RecvTimeoutError::Timeout) if look < last && !self.client_left() => {}
                heard => break heard.ok(),
            }
        };
        self.heartbeat.begin(format!("{}, answering", self.what));
        heard
    }

    /// Whether nobody waits for the answer any more.
    pub fn client_left(&self) -> bool {
        self.left
            .set(self.left.get() || self.client.is_some_and(is_gone));
        self.left.get()
    }
}
