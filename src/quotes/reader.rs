//! The `quote-reader` thread: the upstream WebSocket in, merged quotes to the hub out.
//!
//! It hears what is wanted through a conflating cell (the whole set), and tells the source only the
//! difference; after each reconnect, all of it. Losing the source is told at once; it comes back with
//! backoff and jitter, without end.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use crate::desk::{Backoff, Jitter};
use crate::gate::deadline_io::{read_some, write_all};
use crate::market::Symbol;
use crate::providers::resolve::fixed_addresses;
use crate::providers::trader::socketio::{self, Event};
use crate::supervise::{Class, LatestRx, Pulse, Stop, Supervisor, Tx};

use super::merge::Merge;
use super::messages::{Spike, ToHub, Wanted};
use super::outbox::Outbox;

/// How often a quiet connection looks for new wishes and for the stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A longer message ends the connection.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long the source may take for what we say.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// Symbols in one subscription.
const SYMBOLS_AT_ONCE: usize = 200;

/// A connection that lasted this long was a good one: the backoff begins anew.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// How long the reader waits for room in the hub's inbox before it conflates instead.
const HUB_PATIENCE: Duration = Duration::from_millis(20);

/// Whom the reader hears.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// The trader app: `http://host:port`.
    pub url: String,
    /// For name resolution, connecting and both handshakes.
    pub connect_deadline: Duration,
    /// Between tries.
    pub backoff: Backoff,
    /// Symbols kept at most.
    pub symbols_max: usize,
    /// Of the jitter.
    pub seed: u64,
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses it.
pub fn start_reader(
    supervisor: &Supervisor,
    class: Class,
    config: StreamConfig,
    wanted: LatestRx<Wanted>,
    hub: Tx<ToHub>,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    supervisor.spawn("quote-reader", class, move |pulse| {
        let mut reader = Reader {
            config: &config,
            wanted: &wanted,
            wish: Wanted::default(),
            hub: &hub,
            pending: Outbox::default(),
            merge: Merge::new(config.symbols_max),
            stop: &stop,
            pulse,
        };
        reader.run();
    })?;
    Ok(())
}

struct Reader<'a> {
    config: &'a StreamConfig,
    wanted: &'a LatestRx<Wanted>,
    wish: Wanted,
    hub: &'a Tx<ToHub>,
    /// What the hub had no room for.
    pending: Outbox<ToHub>,
    merge: Merge,
    stop: &'a Stop,
    pulse: &'a Pulse,
}

/// The stream as tungstenite sees it, with an absolute deadline for each phase.
struct Timed {
    stream: TcpStream,
    /// While set: every read ends by then, or fails. Else reads are slices.
    handshake_by: Option<Instant>,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let by = self
            .handshake_by
            .unwrap_or_else(|| Instant::now() + LOOK_EVERY);
        match read_some(&mut self.stream, buffer, by) {
            Err(e) if e.kind() == ErrorKind::TimedOut && self.handshake_by.is_none() => {
                Err(ErrorKind::WouldBlock.into())
            }
            other => other,
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let by = self
            .handshake_by
            .unwrap_or_else(|| Instant::now() + WRITE_DEADLINE);
        write_all(&mut self.stream, bytes, by)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Reader<'_> {
    fn run(&mut self) {
        let mut jitter = Jitter::new(self.config.seed);
        let mut attempt = 0_u32;
        while !self.stop.is_set() {
            let began = Instant::now();
            let Ended::Because(why) = self.one_connection() else {
                return;
            };
            attempt = if began.elapsed() > GOOD_AFTER {
                1
            } else {
                attempt.saturating_add(1)
            };
            let wait = self.config.backoff.delay(attempt, jitter.draw());
            log::warn!(
                target: "STREAM",
                "no quotes from {}: {why}; next try in {} ms",
                self.config.url,
                wait.as_millis()
            );
            self.tell(ToHub::Source {
                connected: false,
                why,
            });
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
            self.pulse.idle();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            if self.stop.sleep(left.min(LOOK_EVERY)) {
                return true;
            }
        }
    }

    /// Connects and relays until the connection ends; says why it did, or nothing at the stop.
    fn one_connection(&mut self) -> Ended {
        let by = Instant::now() + self.config.connect_deadline;
        self.pulse
            .wait(format!("connecting to {}", self.config.url), by);
        let mut socket = match connect(&self.config.url, by) {
            Ok(socket) => socket,
            Err(why) => return Ended::Because(why),
        };
        let mut session = socketio::Session::new(Instant::now());
        let mut subscribed: Option<BTreeSet<Symbol>> = None;
        let mut updates = 0_u64;
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
                self.wish = wish;
            }
            if let Some(have) = &mut subscribed
                && *have != *self.wish
            {
                let by = now + WRITE_DEADLINE;
                self.pulse.wait("telling the source what is wanted", by);
                if let Err(e) = resubscribe(&mut socket, have, &self.wish) {
                    return Ended::Because(format!("it did not take a subscription: {e}"));
                }
            }
            self.hand_over();
            self.pulse.idle();
            let output = match socket.read() {
                Ok(Message::Text(text)) => {
                    self.pulse.begin("merging quotes");
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
                    self.tell(ToHub::Source {
                        connected: true,
                        why: "connected".into(),
                    });
                }
                Some(Event::Ended(why)) => return Ended::Because(why),
                Some(Event::Emitted { name, args }) => {
                    updates += 1;
                    if updates.is_multiple_of(100_000) && self.merge.ignored + session.ignored() > 0
                    {
                        log::warn!(
                            target: "STREAM",
                            "{} updates and {} messages of the source were not understood so far",
                            self.merge.ignored, session.ignored()
                        );
                    }
                    self.event(&name, args);
                }
            }
        }
    }

    fn event(&mut self, name: &str, mut args: Vec<Value>) {
        if args.is_empty() {
            return;
        }
        let payload = args.swap_remove(0);
        match name {
            "quote_update" => {
                for quote in self.merge.update(payload) {
                    let symbol = quote.symbol.clone();
                    self.pending.push(&symbol, ToHub::Quote(quote));
                    self.hand_over();
                }
            }
            "volume_spike" => {
                let Value::Object(fields) = payload else {
                    return;
                };
                let symbol = fields.get("symbol").and_then(Value::as_str);
                if let Some(symbol) = symbol.and_then(|s| s.parse().ok()) {
                    self.tell(ToHub::Spike(Spike { symbol, fields }));
                }
            }
            _ => {}
        }
    }

    /// Something that must not be conflated away with quotes.
    fn tell(&mut self, message: ToHub) {
        self.pending.push_control(message);
        self.hand_over();
    }

    /// Gives the hub what waits for it; what it has no room for stays, conflated.
    fn hand_over(&mut self) {
        while let Some(message) = self.pending.pop() {
            if let Err(back) = self.hub.send_by(message, Instant::now() + HUB_PATIENCE) {
                match back {
                    ToHub::Quote(quote) => {
                        let symbol = quote.symbol.clone();
                        self.pending.push_unless_newer(&symbol, ToHub::Quote(quote));
                    }
                    other => self.pending.push_control_first(other),
                }
                return;
            }
        }
    }
}

/// How a connection ended.
enum Ended {
    Stopped,
    Because(String),
}

/// Emits the difference between what the source sends and what is wanted.
fn resubscribe(
    socket: &mut WebSocket<Timed>,
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

/// Resolves, connects and upgrades, all before `by`.
fn connect(url: &str, by: Instant) -> Result<WebSocket<Timed>, String> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!(
            "{url} is not an http:// address; the trader app's stream is only read over plain HTTP, set trader.url"
        ));
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (
            host,
            port.parse().map_err(|_| format!("{port} is no port"))?,
        ),
        _ => (authority, 80),
    };
    let mut addresses = fixed_addresses(host, port);
    if addresses.is_empty() {
        addresses = (host, port)
            .to_socket_addrs()
            .map_err(|e| format!("the name {host} is not found: {e}"))?
            .collect();
    }
    let mut last = format!("the name {host} has no address");
    for (n, address) in addresses.iter().enumerate() {
        let left = by.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - n).unwrap_or(1);
        if share.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => return upgrade(stream, authority, by),
            Err(e) => last = format!("connecting to {address} failed: {e}"),
        }
    }
    Err(last)
}

fn upgrade(stream: TcpStream, authority: &str, by: Instant) -> Result<WebSocket<Timed>, String> {
    let _slower_without = stream.set_nodelay(true);
    let timed = Timed {
        stream,
        handshake_by: Some(by),
    };
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let url = format!("ws://{authority}/socket.io/?EIO=4&transport=websocket");
    match tungstenite::client::client_with_config(url, timed, Some(limits)) {
        Ok((mut socket, _)) => {
            socket.get_mut().handshake_by = None;
            Ok(socket)
        }
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => {
            let status = response.status().as_u16();
            Err(if status == 400 {
                "it refuses WebSocket (400): its Socket.IO server runs without a WebSocket backend; install simple-websocket (or eventlet, gevent-websocket) there".to_owned()
            } else {
                format!("it answered {status} to the WebSocket upgrade")
            })
        }
        Err(tungstenite::HandshakeError::Failure(e)) => Err(format!("the upgrade failed: {e}")),
        Err(tungstenite::HandshakeError::Interrupted(_)) => {
            Err("it did not answer the upgrade in time".to_owned())
        }
    }
}
