//! What a worker needs to answer: whom it may ask, and the limits.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};

use crate::body::Body;
use crate::candles::{MarketData, MarketKey, MarketOut};
use crate::clock::Clock;
use crate::desk::{Ask, AskId, Failure, Key, Reply, ToDesk, Value};
use crate::files::ToReports;
use crate::model::{ModelKey, Verdict};
use crate::supervise::{Pulse, Tx, one_shot};
use crate::trader::TraderKey;
use crate::watchdog::ToWatchdog;

use super::boards::Boards;
use super::cors::Cors;
use super::gate_end::{GateEnd, WORKER_PATIENCE};

/// A kind of work, with its own connections through the gate, so that none can take another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Waits for nobody.
    Instant,
    /// May wait for the candle desk.
    Market,
    /// May wait for the trader desk.
    Trader,
    /// May wait for the model desk.
    Model,
}

/// All lanes, in the order of their numbers.
pub const LANES: [Lane; 4] = [Lane::Instant, Lane::Market, Lane::Trader, Lane::Model];

impl Lane {
    /// As errors and `/api/threads` name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Market => "market",
            Self::Trader => "trader",
            Self::Model => "model",
        }
    }

    /// Its place in [`LANES`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The inboxes of the desks.
#[derive(Clone, Debug)]
pub struct Desks {
    /// Candles and quotes.
    pub market: Tx<ToDesk<MarketKey, MarketData>>,
    /// What the trader app says.
    pub trader: Tx<ToDesk<TraderKey, Body>>,
    /// Validations.
    pub model: Tx<ToDesk<ModelKey, Arc<Verdict>>>,
}

impl Desks {
    /// The client of this request left: its desk may forget it. Lost when the desk's inbox is full;
    /// then the request's own deadline ends it.
    pub fn cancel(&self, lane: Lane, id: AskId) {
        let _full = match lane {
            Lane::Instant => true,
            Lane::Market => self.market.offer(ToDesk::Cancel(id)).is_err(),
            Lane::Trader => self.trader.offer(ToDesk::Cancel(id)).is_err(),
            Lane::Model => self.model.offer(ToDesk::Cancel(id)).is_err(),
        };
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
    /// An answer, even an error, is there before this has passed.
    pub answer_deadline: Duration,
    /// `cache_ttl_seconds` of `/api/validate/status`.
    pub validate_ttl: Duration,
    /// How long spikes are active.
    pub spike_window: Duration,
    /// Template of the model's prompt.
    pub prompt: Arc<str>,
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
    /// The worker's pulse.
    pub pulse: &'a Pulse,
    /// Whom it may ask.
    pub desks: &'a Desks,
    /// What it may look at.
    pub boards: &'a Boards,
    /// The limits.
    pub config: &'a HttpConfig,
    /// `main`'s inbox.
    pub commands: &'a Tx<Command>,
    /// The request's number, by which it can be cancelled.
    pub id: AskId,
    /// "GET /api/candles/ELPW"
    pub what: &'a str,
    /// The client's address, as the gate saw it.
    pub peer: &'a str,
    /// By when a desk must have answered.
    pub deadline: Instant,
    /// Who waits for the answer.
    pub gate: &'a RefCell<GateEnd>,
}

/// The names of the desks' threads, as `/api/threads` and errors show them.
pub mod desk_names {
    /// Candles and quotes.
    pub const MARKET: &str = "candle-desk";
    /// What the trader app says.
    pub const TRADER: &str = "trader-desk";
    /// Validations.
    pub const MODEL: &str = "model-desk";
}

/// A desk answers by the deadline; this much later it is taken to be silent.
const DESK_GRACE: Duration = Duration::from_millis(400);

/// A wait longer than this is told to the gate, which else takes the worker to be stuck.
const UNTOLD_WAIT: Duration = Duration::from_millis(200);

impl Context<'_> {
    /// Asks the candle desk.
    pub fn ask_market(&self, key: MarketKey, deadline: Instant) -> Reply<MarketOut> {
        self.ask(desk_names::MARKET, &self.desks.market, key, deadline)
    }

    /// Asks the trader desk.
    pub fn ask_trader(&self, key: TraderKey, deadline: Instant) -> Reply<Body> {
        self.ask(desk_names::TRADER, &self.desks.trader, key, deadline)
    }

    /// Asks the model desk.
    pub fn ask_model(&self, key: ModelKey, deadline: Instant) -> Reply<Arc<Verdict>> {
        self.ask(desk_names::MODEL, &self.desks.model, key, deadline)
    }

    fn ask<K: Key, V: Value>(
        &self,
        desk: &'static str,
        inbox: &Tx<ToDesk<K, V>>,
        key: K,
        deadline: Instant,
    ) -> Reply<V::Out> {
        if self.boards.is_down(desk) {
            return Err(Failure::DeskSilent { desk });
        }
        let (reply, answer) = one_shot();
        let ask = Ask {
            id: self.id,
            key,
            deadline,
            reply,
        };
        if inbox.offer(ToDesk::Ask(ask)).is_err() {
            return Err(Failure::Busy {
                what: format!("the {desk}"),
                retry_in: Duration::from_secs(1),
            });
        }
        self.hear(desk, &answer, deadline, DESK_GRACE)
            .unwrap_or(Err(Failure::DeskSilent { desk }))
    }

    /// Waits for another thread's word until `deadline` and `grace`.
    pub fn hear<T>(
        &self,
        thread: &str,
        word: &Receiver<T>,
        deadline: Instant,
        grace: Duration,
    ) -> Option<T> {
        self.pulse
            .wait(format!("{}, waiting for {thread}", self.what), deadline);
        let last = deadline + grace;
        let untold = last.min(Instant::now() + UNTOLD_WAIT);
        let heard = match word.recv_deadline(untold) {
            Err(RecvTimeoutError::Timeout) if untold < last => {
                let left = last.saturating_duration_since(Instant::now());
                self.gate.borrow_mut().hear_within(left + UNTOLD_WAIT);
                let heard = word.recv_deadline(last);
                self.gate.borrow_mut().hear_within(WORKER_PATIENCE);
                heard
            }
            heard => heard,
        };
        self.pulse.begin(format!("{}, answering", self.what));
        heard.ok()
    }
}
