//! What a request needs to be answered: whom it may ask, what it may look at, and the limits.

use std::cell::Cell;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};

use crate::cache::{Ask, AskId, Key, Reply, ToCache, Value};
use crate::diag::ToReports;
use crate::diag::watchdog::ToWatchdog;
use crate::payload::Body;
use crate::resilience::Failure;
use crate::runtime::clock::Clock;
use crate::runtime::deadline_io::is_gone;
use crate::runtime::{Heartbeat, Lossy, Stop, ThreadKind, Tx, one_shot};
use crate::upstream::ollama::{ModelKey, ModelSaid, Prompt};
use crate::upstream::schwab::candles::{MarketData, MarketKey, MarketOut};
use crate::upstream::trader_app::TraderKey;

use super::bulkhead::Bulkhead;
use super::snapshots::Snapshots;

/// The inboxes of the caches.
#[derive(Clone, Debug)]
pub struct Caches {
    /// Candles and quotes.
    pub market: Tx<ToCache<MarketKey, MarketData>>,
    /// What the trader app says.
    pub trader: Tx<ToCache<TraderKey, Body>>,
    /// Validations.
    pub model: Tx<ToCache<ModelKey, ModelSaid>>,
}

impl Caches {
    /// The client of this request left: its cache may forget it. Lost when the cache's inbox is full;
    /// then the request's own deadline ends it.
    pub fn cancel(&self, bulkhead: Bulkhead, id: AskId) {
        let (market, trader, model) = match bulkhead {
            Bulkhead::Dump | Bulkhead::Reports => (false, false, false),
            Bulkhead::Candles | Bulkhead::Quotes => (true, false, false),
            Bulkhead::Watchlist | Bulkhead::Vwap | Bulkhead::Feed | Bulkhead::Lists => {
                (false, true, false)
            }
            // It gathers what its prompt needs from all of them.
            Bulkhead::Validation => (true, true, true),
            Bulkhead::ModelStatus => (false, false, true),
        };
        let _full = market && self.market.offer(ToCache::Cancel(id)).is_err();
        let _full = trader && self.trader.offer(ToCache::Cancel(id)).is_err();
        let _full = model && self.model.offer(ToCache::Cancel(id)).is_err();
    }
}

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
    /// The client's address, as its socket has it.
    pub peer: &'a str,
    /// By when a cache must have answered.
    pub deadline: Instant,
    /// The end of everything.
    pub stop: &'a Stop,
    /// Who waits for the answer.
    pub client: &'a TcpStream,
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
    answer: Result<Receiver<Reply<V>>, Failure>,
    deadline: Instant,
}

impl Context<'_> {
    /// Asks the candle cache.
    pub fn ask_market(&self, key: MarketKey, deadline: Instant) -> Reply<MarketOut> {
        self.answer(self.begin_market(key, deadline))
    }

    /// Asks the trader cache.
    pub fn ask_trader(&self, key: TraderKey, deadline: Instant) -> Reply<Body> {
        self.answer(self.begin_trader(key, deadline))
    }

    /// Asks the model cache.
    pub fn ask_model(&self, key: ModelKey, deadline: Instant) -> Reply<ModelSaid> {
        self.answer(self.begin(ThreadKind::ModelCache, &self.caches.model, key, deadline))
    }

    /// Asks the candle cache and does not wait yet.
    pub fn begin_market(&self, key: MarketKey, deadline: Instant) -> Asked<MarketOut> {
        self.begin(ThreadKind::CandleCache, &self.caches.market, key, deadline)
    }

    /// Asks the trader cache and does not wait yet.
    pub fn begin_trader(&self, key: TraderKey, deadline: Instant) -> Asked<Body> {
        self.begin(ThreadKind::TraderCache, &self.caches.trader, key, deadline)
    }

    /// What the model cache has ready; nothing is begun for it.
    pub fn look_model(&self, key: ModelKey) -> Option<Reply<ModelSaid>> {
        let (reply, answer) = one_shot();
        self.caches.model.offer(ToCache::Look { key, reply }).ok()?;
        let by = Instant::now() + LOOK_PATIENCE;
        self.hear(ThreadKind::ModelCache, &answer, by, Duration::ZERO)?
    }

    fn begin<K: Key, V: Value>(
        &self,
        cache: ThreadKind,
        inbox: &Tx<ToCache<K, V>>,
        key: K,
        deadline: Instant,
    ) -> Asked<V::Out> {
        let (reply, receiver) = one_shot();
        let ask = Ask {
            id: self.id,
            key,
            deadline,
            reply,
        };
        let name = cache.row().name;
        let answer = if self.snapshots.is_down(name) {
            Err(Failure::CacheSilent { cache: name })
        } else if inbox.offer(ToCache::Ask(ask)).is_err() {
            Err(Failure::Busy {
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
                Failure::Ending
            } else {
                Failure::CacheSilent {
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
        self.left.set(self.left.get() || is_gone(self.client));
        self.left.get()
    }
}
