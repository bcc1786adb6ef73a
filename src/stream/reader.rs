//! The `quote-reader` thread: the source's WebSocket in, merged quotes to the hub and the candles made
//! of them to the candle cache out.
//!
//! It hears what is wanted through a conflating cell (the whole set). What it does about that and about the
//! source is decided by [`Link`]; what the hub and the cache get, and when, by [`Relay`] and [`CandleFeed`].

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use tungstenite::{Error, Message, WebSocket};

use crate::cache::ToCache;
use crate::json::{Account, Mended, Source};
use crate::market::SkewBounds;
use crate::resilience::Backoff;
use crate::runtime::clock::Clock;
use crate::runtime::{Heartbeat, LatestRx, Peer, Stop, Supervisor, ThreadKind, Tx};
use crate::upstream::schwab::candles::{MarketData, MarketKey};
use crate::upstream::{Lookups, Roots, StreamCodec};

use super::candle_feed::{CandleFeed, ClockWords};
use super::connect::Connector;
use super::link::{Action, Link, Next};
use super::merge::Merge;
use super::messages::{Spike, ToHub, Wanted};
use super::relay::Relay;
use super::transport::{Transport, WRITE_DEADLINE};

/// How long the reader waits for room in the hub's inbox before it conflates instead.
const HUB_PATIENCE: Duration = Duration::from_millis(20);

/// Between tries, how often the hub is offered what it had no room for.
const REST_SLICE: Duration = Duration::from_millis(500);

/// Whom the reader hears.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// The source: `http://host:port` or `https://host:port`.
    pub url: String,
    /// Whose certificates are believed.
    pub roots: Roots,
    /// Makes its look-ups.
    pub lookups: Lookups,
    /// For name resolution, connecting and both handshakes.
    pub connect_deadline: Duration,
    /// Between tries.
    pub backoff: Backoff,
    /// Of the jitter.
    pub seed: u64,
    /// The session clock.
    pub clock: Clock,
}

/// Where the reader's words go, and whose it hears.
#[derive(Clone, Debug)]
pub struct ReaderEnds {
    /// Every symbol that somebody wants.
    pub wanted: LatestRx<Wanted>,
    /// What the provider's answers say of this machine's clock.
    pub skew: LatestRx<SkewBounds>,
    /// The hub's inbox.
    pub hub: Tx<ToHub>,
    /// The candle cache's inbox.
    pub candle_cache: Tx<ToCache<MarketKey, MarketData>>,
}

/// Starts the thread, for a source that speaks `C`.
///
/// # Errors
/// When the system refuses it.
pub fn start_reader<C: StreamCodec + 'static>(
    supervisor: &Supervisor,
    config: StreamConfig,
    ends: ReaderEnds,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    supervisor.spawn(ThreadKind::QuoteReader, move |heartbeat| {
        let now = Instant::now();
        let mut reader = Reader::<C> {
            config: &config,
            ends: &ends,
            link: Link::new(now, config.url.clone(), config.backoff, config.seed),
            relay: Relay::new(now),
            merge: Merge::default(),
            candles: CandleFeed::new(now),
            account: Account::new(Source::Stream, C::NAME),
            connector: Connector::new(stop.clone(), config.roots.clone(), &config.lookups),
            socket: None,
            stop: &stop,
            heartbeat,
        };
        reader.run();
    })?;
    Ok(())
}

struct Reader<'a, C> {
    config: &'a StreamConfig,
    ends: &'a ReaderEnds,
    link: Link<C>,
    relay: Relay,
    merge: Merge,
    candles: CandleFeed,
    account: Account,
    connector: Connector,
    socket: Option<WebSocket<Transport>>,
    stop: &'a Stop,
    heartbeat: &'a Heartbeat,
}

impl<C: StreamCodec> Reader<'_, C> {
    fn run(&mut self) {
        let mut actions = Vec::new();
        while !self.stop.is_set() {
            if let Some(wanted) = self.ends.wanted.take() {
                self.merge.keep(&wanted);
                self.candles.keep(&wanted);
                self.link.want(wanted, &mut actions);
                self.perform(&mut actions);
            }
            self.hand_over();
            self.feed_candles();
            self.heartbeat.idle();
            match self.link.next(Instant::now(), &mut actions) {
                Next::Connect => self.connect(&mut actions),
                Next::Rest(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let _ended = self.stop.sleep(left.min(REST_SLICE));
                }
                Next::Read => self.read(&mut actions),
            }
            self.perform(&mut actions);
        }
        if let Some(socket) = &mut self.socket {
            let _leaving = socket.close(None);
        }
    }

    fn connect(&mut self, actions: &mut Vec<Action>) {
        let url = &self.config.url;
        let by = Instant::now() + self.config.connect_deadline;
        let source = Peer::Upstream(C::NAME.into());
        self.heartbeat
            .wait(source, format!("connecting to {url}"), by);
        match self.connector.connect::<C>(url, by) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.link.opened(Instant::now(), actions);
            }
            Err(why) => self.link.lost(Instant::now(), why, actions),
        }
    }

    /// Reads a message, or waits a moment for one.
    fn read(&mut self, actions: &mut Vec<Action>) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let message = socket.read();
        let now = Instant::now();
        let why = match message {
            Ok(Message::Text(text)) => {
                self.heartbeat.begin("merging quotes");
                self.candles.source_spoke();
                return self.link.text(now, text.as_str(), actions);
            }
            Ok(Message::Binary(_)) => {
                self.candles.source_spoke();
                return self.link.binary(now, actions);
            }
            Ok(_) => return,
            Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => return,
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                "it closed the connection".to_owned()
            }
            Err(e) => format!("the connection broke: {e}"),
        };
        self.link.lost(now, why, actions);
    }

    /// Carries out what the link decided, and what follows from that.
    fn perform(&mut self, actions: &mut Vec<Action>) {
        // A message that cannot be written ends the connection: what was decided before about that is void, and
        // there is one more round about its loss.
        while !actions.is_empty() {
            for action in std::mem::take(actions) {
                self.perform_one(action, actions);
                if !actions.is_empty() {
                    break;
                }
            }
        }
    }

    fn perform_one(&mut self, action: Action, more: &mut Vec<Action>) {
        let now = Instant::now();
        match action {
            Action::Send(text) => {
                let Some(socket) = &mut self.socket else {
                    return;
                };
                let by = now + WRITE_DEADLINE;
                let source = Peer::Upstream(C::NAME.into());
                self.heartbeat
                    .wait(source, "writing to the source of quotes", by);
                if let Err(e) = socket.send(Message::text(text)) {
                    let why = format!("it did not take what it was sent: {e}");
                    self.socket = None;
                    self.link.lost(Instant::now(), why, more);
                }
            }
            Action::Joined => {
                log::info!(target: "STREAM", "connected to {}", self.config.url);
                self.relay.source(now, true, "connected".to_owned());
                self.hand_over();
            }
            Action::Update(payload) => {
                let wall_ms = self.config.clock.wall_ms();
                for quote in self.merge.update(payload) {
                    self.candles.quote(&quote, wall_ms);
                    self.relay.quote(quote);
                    self.hand_over();
                }
            }
            Action::Spike(symbol, fields) => {
                self.relay.spike(Spike { symbol, fields });
                self.hand_over();
            }
            Action::Mended(mut mended) => {
                mended += Mended::left_out(std::mem::take(&mut self.merge.ignored));
                self.account.tell("events", &mended);
            }
            Action::Warn(words) => log::warn!(target: "STREAM", "{words}"),
            Action::Lost(why) => {
                self.socket = None;
                self.candles.lost();
                self.relay.source(now, false, why);
                self.hand_over();
            }
        }
    }

    /// Gives the hub what waits for it; what it has no room for stays, conflated.
    fn hand_over(&mut self) {
        let now = Instant::now();
        if self.relay.source_is_due(now) {
            self.look_at_the_clock();
        }
        let hub = &self.ends.hub;
        self.relay
            .hand_over(now, self.candles.skew_seconds(), |message| {
                hub.send_by(message, Instant::now() + HUB_PATIENCE)
            });
    }

    fn look_at_the_clock(&mut self) {
        if let Some(bounds) = self.ends.skew.take() {
            self.candles.answered(bounds);
        }
        match self.candles.clock_words() {
            Some(ClockWords::Off(words)) => log::warn!(target: "STREAM", "{words}"),
            Some(ClockWords::Right(words)) => log::info!(target: "STREAM", "{words}"),
            None => {}
        }
    }

    /// Tells the candle cache what is due; never waits.
    fn feed_candles(&mut self) {
        for updates in self.candles.due(self.config.clock.now()) {
            if let Err(ToCache::Updates(back)) =
                self.ends.candle_cache.offer(ToCache::Updates(updates))
            {
                self.candles.not_taken(&back);
            }
        }
    }
}
