//! The `quote-reader` thread: the upstream WebSocket in, merged quotes to the hub and the candles made
//! of them to the candle cache out.
//!
//! It hears what is wanted through a conflating cell (the whole set), and tells the source only the
//! difference; after each reconnect, all of it. Losing the source is told at once; it comes back with
//! backoff and jitter, without end.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Error, Message, WebSocket};

use crate::cache::ToCache;
use crate::json::{Account, Mended, Source};
use crate::market::{SkewBounds, Symbol};
use crate::resilience::{Backoff, Jitter};
use crate::runtime::clock::Clock;
use crate::runtime::log_throttle::LogThrottle;
use crate::runtime::{Heartbeat, LatestRx, Peer, Stop, Supervisor, ThreadKind, Tx};
use crate::upstream::Roots;
use crate::upstream::schwab::candles::{MarketData, MarketKey};
use crate::upstream::trader_app::TRADER;
use crate::upstream::trader_app::socketio::{self, Event};

use super::connect::Connector;
use super::merge::Merge;
use super::messages::{Spike, ToHub, Wanted};
use super::outbox::Outbox;
use super::tell::Teller;
use super::transport::{Transport, WRITE_DEADLINE};

/// Symbols in one subscription.
const SYMBOLS_AT_ONCE: usize = 200;

/// A connection that lasted this long was a good one: the backoff begins anew.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// How long the reader waits for room in the hub's inbox before it conflates instead.
const HUB_PATIENCE: Duration = Duration::from_millis(20);

/// Between tries, how often the hub is offered what it had no room for.
const REST_SLICE: Duration = Duration::from_millis(500);

/// The source's state is told this often even if it did not change: a hub that began anew must know.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The log hears of a clock that is off by so much, or changed by it.
const SKEW_SAID_FROM_S: i64 = 5;

/// Symbols whose spikes can wait for a hub that takes nothing.
const SPIKES_MAX: usize = 1_000;

/// Whom the reader hears.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// The trader app: `http://host:port` or `https://host:port`.
    pub url: String,
    /// Whose certificates are believed.
    pub roots: Roots,
    /// For name resolution, connecting and both handshakes.
    pub connect_deadline: Duration,
    /// Between tries.
    pub backoff: Backoff,
    /// Of the jitter.
    pub seed: u64,
    /// The session clock.
    pub clock: Clock,
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses it.
pub fn start_reader(
    supervisor: &Supervisor,
    config: StreamConfig,
    wanted: LatestRx<Wanted>,
    skew: LatestRx<SkewBounds>,
    hub: Tx<ToHub>,
    candle_cache: Tx<ToCache<MarketKey, MarketData>>,
) -> io::Result<()> {
    let supervisor_too = supervisor.clone();
    supervisor.spawn(ThreadKind::QuoteReader, move |heartbeat| {
        let mut reader = Reader {
            config: &config,
            wanted: &wanted,
            skew: &skew,
            skew_said: 0,
            wish: Wanted::default(),
            hub: &hub,
            source: (false, "not connected yet".to_owned()),
            tell_source_at: Instant::now(),
            quotes: Outbox::default(),
            spikes: Outbox::default(),
            merge: Merge::default(),
            account: Account::new(Source::Stream, TRADER),
            candles: Teller::new(candle_cache.clone(), config.clock),
            connector: Connector::new(supervisor_too.clone(), config.roots.clone()),
            stop: supervisor_too.stop(),
            heartbeat,
        };
        reader.run();
    })?;
    Ok(())
}

struct Reader<'a> {
    config: &'a StreamConfig,
    wanted: &'a LatestRx<Wanted>,
    /// What the provider's answers say of this machine's clock.
    skew: &'a LatestRx<SkewBounds>,
    /// As the log was told, in seconds.
    skew_said: i64,
    wish: Wanted,
    hub: &'a Tx<ToHub>,
    /// Whether the source is connected, and why (not).
    source: (bool, String),
    /// When the hub is to be told, again, what `source` says.
    tell_source_at: Instant,
    /// What the hub had no room for.
    quotes: Outbox<ToHub>,
    /// As above.
    spikes: Outbox<ToHub>,
    merge: Merge,
    account: Account,
    candles: Teller,
    connector: Connector,
    stop: &'a Stop,
    heartbeat: &'a Heartbeat,
}

impl Reader<'_> {
    fn run(&mut self) {
        let mut jitter = Jitter::new(self.config.seed);
        let mut failures = LogThrottle::default();
        let mut attempt = 0_u32;
        while !self.stop.is_set() {
            let began = Instant::now();
            let Ended::Because(why) = self.one_connection() else {
                return;
            };
            if self.stop.is_set() {
                return;
            }
            attempt = if began.elapsed() > GOOD_AFTER {
                1
            } else {
                attempt.saturating_add(1)
            };
            let wait = self.config.backoff.delay(attempt, jitter.draw());
            if let Some(untold) = failures.happened_as(Instant::now(), &why) {
                log::warn!(
                    target: "STREAM",
                    "no quotes from {}: {why}; next try in {} ms{untold}",
                    self.config.url,
                    wait.as_millis()
                );
            }
            self.source_is(false, why);
            self.candles.lost();
            if self.rest(wait) {
                return;
            }
        }
    }

    /// Waits, and goes on handing over what the hub had no room for. True if the end came.
    fn rest(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            self.hand_over();
            self.heartbeat.idle();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            if self.stop.sleep(left.min(REST_SLICE)) {
                return true;
            }
        }
    }

    /// Connects and relays until the connection ends; says why it did, or nothing at the stop.
    fn one_connection(&mut self) -> Ended {
        let by = Instant::now() + self.config.connect_deadline;
        let source = Peer::Upstream(TRADER.into());
        self.heartbeat
            .wait(source, format!("connecting to {}", self.config.url), by);
        let mut socket = match self.connector.connect(&self.config.url, by) {
            Ok(socket) => socket,
            Err(why) => return Ended::Because(why),
        };
        let mut session = socketio::Session::new(Instant::now());
        let mut subscribed: Option<BTreeSet<Symbol>> = None;
        loop {
            if self.stop.is_set() {
                let _leaving = socket.close(None);
                return Ended::Stopped;
            }
            let now = Instant::now();
            if now >= session.dead_at() {
                return Ended::Because(
                    "it has been silent for longer than its own ping interval".into(),
                );
            }
            if let Some(wish) = self.wanted.take() {
                self.merge.keep(&wish);
                self.candles.keep(&wish);
                self.wish = wish;
            }
            if let Some(have) = &mut subscribed
                && *have != *self.wish
            {
                let by = now + WRITE_DEADLINE;
                let source = Peer::Upstream(TRADER.into());
                self.heartbeat
                    .wait(source, "telling the source what is wanted", by);
                if let Err(e) = resubscribe(&mut socket, have, &self.wish) {
                    return Ended::Because(format!("it did not take a subscription: {e}"));
                }
            }
            self.hand_over();
            self.candles.tell(now);
            self.heartbeat.idle();
            let output = match socket.read() {
                Ok(Message::Text(text)) => {
                    self.heartbeat.begin("merging quotes");
                    session.text(Instant::now(), text.as_str())
                }
                Ok(Message::Binary(_)) => session.binary(Instant::now()),
                Ok(_) => continue,
                Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => continue,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return Ended::Because("it closed the connection".into());
                }
                Err(e) => return Ended::Because(format!("the connection broke: {e}")),
            };
            self.candles.heard();
            self.account_for(session.mended());
            for text in output.send {
                if let Err(e) = socket.send(Message::text(text)) {
                    return Ended::Because(format!("it did not take an answer: {e}"));
                }
            }
            match output.event {
                None => {}
                Some(Event::Connected) => {
                    subscribed = Some(BTreeSet::new());
                    log::info!(target: "STREAM", "connected to {}", self.config.url);
                    self.source_is(true, "connected".to_owned());
                }
                Some(Event::Ended(why)) => return Ended::Because(why),
                Some(Event::Emitted { name, args }) => {
                    self.event(&name, args);
                }
            }
        }
    }

    /// What was not understood of the last message, and of updates before it.
    fn account_for(&mut self, mut mended: Mended) {
        mended += Mended::left_out(std::mem::take(&mut self.merge.ignored));
        self.account.tell("events", &mended);
    }

    fn event(&mut self, name: &str, mut args: Vec<Value>) {
        if args.is_empty() {
            return;
        }
        let payload = args.swap_remove(0);
        match name {
            "quote_update" => {
                for quote in self.merge.update(payload) {
                    self.candles.quote(&quote);
                    let symbol = quote.symbol.clone();
                    self.quotes.push(symbol, ToHub::Quote(quote));
                    self.hand_over();
                }
            }
            "volume_spike" => {
                let Value::Object(mut fields) = payload else {
                    return;
                };
                let symbol = fields.get("symbol").and_then(Value::as_str);
                if let Some(symbol) = symbol.and_then(|s| s.parse::<Symbol>().ok())
                    && self.spikes.len() < SPIKES_MAX
                {
                    fields.insert("symbol".into(), symbol.as_str().into());
                    let spike = Spike {
                        symbol: symbol.clone(),
                        fields,
                    };
                    self.spikes.push(symbol, ToHub::Spike(spike));
                    self.hand_over();
                }
            }
            _ => {}
        }
    }

    fn source_is(&mut self, connected: bool, why: String) {
        self.source = (connected, why);
        self.tell_source_at = Instant::now();
        self.hand_over();
    }

    /// Gives the hub what waits for it; what it has no room for stays, conflated.
    fn hand_over(&mut self) {
        if Instant::now() >= self.tell_source_at {
            let (connected, why) = self.source.clone();
            let source = ToHub::Source {
                connected,
                why,
                skew_seconds: self.look_at_the_clock(),
            };
            if offer(self.hub, source).is_err() {
                return;
            }
            self.tell_source_at = Instant::now() + TELL_EVERY;
        }
        let _room = drain(&mut self.spikes, self.hub) && drain(&mut self.quotes, self.hub);
    }

    /// By how many seconds this machine's clock is behind. The log hears of it once it is more than a few.
    fn look_at_the_clock(&mut self) -> Option<i64> {
        if let Some(bounds) = self.skew.take() {
            self.candles.answered(bounds);
        }
        let seconds = self.candles.skew_ms()? / 1_000;
        if (seconds - self.skew_said).abs() >= SKEW_SAID_FROM_S {
            self.skew_said = seconds;
            let (by, way) = (
                seconds.abs(),
                if seconds > 0 { "behind" } else { "ahead of" },
            );
            if by < SKEW_SAID_FROM_S {
                log::info!(target: "STREAM", "this machine's clock is right again, by the provider's");
            } else {
                log::warn!(
                    target: "STREAM",
                    "this machine's clock is {by} s {way} the provider's: candles go by the provider's; set the clock, for example by NTP"
                );
            }
        }
        Some(seconds)
    }
}

fn offer(hub: &Tx<ToHub>, message: ToHub) -> Result<(), ToHub> {
    hub.send_by(message, Instant::now() + HUB_PATIENCE)
}

/// Sends what waits, in order; false once the hub has no room.
fn drain(outbox: &mut Outbox<ToHub>, hub: &Tx<ToHub>) -> bool {
    while let Some((symbol, message)) = outbox.pop() {
        if let Err(back) = offer(hub, message) {
            if let Some(symbol) = symbol {
                outbox.put_back(symbol, back);
            }
            return false;
        }
    }
    true
}

/// How a connection ended.
enum Ended {
    Stopped,
    Because(String),
}

/// Emits the difference between what the source sends and what is wanted.
fn resubscribe(
    socket: &mut WebSocket<Transport>,
    have: &mut BTreeSet<Symbol>,
    wish: &Wanted,
) -> Result<(), Error> {
    let more: Vec<&Symbol> = wish.difference(have).collect();
    let less: Vec<&Symbol> = have.difference(wish).collect();
    for (name, symbols) in [("subscribe_quotes", more), ("unsubscribe_quotes", less)] {
        for some in symbols.chunks(SYMBOLS_AT_ONCE) {
            let names: Vec<&str> = some.iter().map(|s| s.as_str()).collect();
            socket.send(Message::text(socketio::emit(
                name,
                &json!({ "symbols": names }),
            )))?;
        }
    }
    have.clone_from(wish);
    Ok(())
}
