//! The server's side of Socket.IO 5 on Engine.IO 4, as the trader app speaks it. Pure: texts and the
//! time go in, texts come out; the thread around it is in [`super::stream`].

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::daily_plan::rounded;
use super::feed::Feed;
use super::listings::Id;
use super::market::{Market, Spike};
use super::request::Request;
use crate::market::Symbol;
use crate::runtime::clock::Now;
use crate::upstream::trader_app::shapes::VolumeSpike;

/// Symbols in one request beyond which the rest is ignored.
const SYMBOLS_MAX: usize = 2_000;
/// How often the market is asked for bursts of volume.
const SPIKE_LOOK: Duration = Duration::from_secs(1);
/// What the open packet says of the longest message taken.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// When the server pings and when it gives up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pings {
    pub(super) every: Duration,
    /// How long after a ping the client may be silent.
    pub(super) timeout: Duration,
}

/// Why a WebSocket with this request becomes no session, in Engine.IO's words; none if it may.
pub(super) fn refusal(request: &Request) -> Option<Value> {
    let (code, message) = if request.path != ["socket.io"] {
        (3, "Bad request")
    } else if request.query("EIO") != Some("4") {
        (5, "Unsupported protocol version")
    } else if request.query("transport") != Some("websocket") {
        (0, "Transport unknown")
    } else {
        return None;
    };
    Some(json!({ "code": code, "message": message }))
}

/// What the thread is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// Send this text.
    Text(String),
    /// Close the connection; nothing follows.
    Close,
}

/// One client's session.
#[derive(Debug)]
pub(super) struct Engine {
    sid: String,
    pings: Pings,
    feed: Feed,
    /// Whether the client has joined the default namespace.
    joined: bool,
    next_ping: Instant,
    heard: Instant,
    next_spikes: Instant,
    spikes_after_ms: i64,
    /// Quotes sent so far.
    pub(super) quotes: u64,
}

impl Engine {
    /// A session that begins now, and its first packet.
    pub(super) fn open(
        sid: String,
        pings: Pings,
        quotes_per_second: u32,
        now: Now,
    ) -> (Self, String) {
        let hello = json!({
            "sid": sid,
            "upgrades": [],
            "pingInterval": millis(pings.every),
            "pingTimeout": millis(pings.timeout),
            "maxPayload": MESSAGE_BYTES_MAX,
        });
        let engine = Self {
            sid,
            pings,
            feed: Feed::new(quotes_per_second, now.mono),
            joined: false,
            next_ping: now.mono + pings.every,
            heard: now.mono,
            next_spikes: now.mono,
            spikes_after_ms: now.wall_ms,
            quotes: 0,
        };
        (engine, format!("0{hello}"))
    }

    /// A text from the client.
    pub(super) fn on_text(&mut self, text: &str, now: Now) -> Vec<Out> {
        self.heard = now.mono;
        match text.as_bytes() {
            [b'1', ..] => vec![Out::Close],
            [b'2', ..] => vec![Out::Text(format!("3{}", &text[1..]))],
            [b'4', ..] => self.on_packet(&text[1..], now),
            // A pong says only that the client lives; an upgrade has nothing to upgrade from.
            _ => Vec::new(),
        }
    }

    /// What is due at `now`.
    pub(super) fn tick(&mut self, market: &mut Market, now: Now) -> Vec<Out> {
        let mut out = Vec::new();
        if now.mono >= self.heard + self.pings.every + self.pings.timeout {
            return vec![Out::Close];
        }
        if now.mono >= self.next_ping {
            self.next_ping = now.mono + self.pings.every;
            out.push(Out::Text("2".into()));
        }
        if !self.joined {
            return out;
        }
        for quote in self.feed.due(market, now) {
            self.quotes += 1;
            out.push(event("quote_update", &quote));
        }
        if now.mono >= self.next_spikes {
            self.next_spikes = now.mono + SPIKE_LOOK;
            for spike in market.spikes(self.spikes_after_ms, now.wall_ms) {
                out.push(event("volume_spike", &spike_event(&spike)));
            }
            self.spikes_after_ms = now.wall_ms;
        }
        out
    }

    /// When to tick next.
    pub(super) fn next_tick(&self, now: Instant) -> Instant {
        now + self.feed.pause()
    }

    /// A Socket.IO packet.
    fn on_packet(&mut self, packet: &str, now: Now) -> Vec<Out> {
        let Some(kind) = packet.bytes().next() else {
            return Vec::new();
        };
        if !kind.is_ascii_digit() {
            return Vec::new();
        }
        let rest = &packet[1..];
        if rest.starts_with('/') {
            // Only the default namespace is served.
            let name = rest.split(',').next().unwrap_or(rest);
            let refusal = format!("44{name},{}", json!({ "message": "Invalid namespace" }));
            return if kind == b'0' {
                vec![Out::Text(refusal)]
            } else {
                Vec::new()
            };
        }
        match kind {
            b'0' => {
                if !self.joined {
                    self.joined = true;
                    self.spikes_after_ms = now.wall_ms;
                }
                vec![Out::Text(format!("40{}", json!({ "sid": self.sid })))]
            }
            b'1' => {
                self.joined = false;
                self.feed.clear();
                Vec::new()
            }
            b'2' if self.joined => self.on_event(rest),
            _ => Vec::new(),
        }
    }

    fn on_event(&mut self, rest: &str) -> Vec<Out> {
        let id_end = rest
            .bytes()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(rest.len());
        let (ack, body) = rest.split_at(id_end);
        let Ok(Value::Array(args)) = crate::json::own_text(body) else {
            return Vec::new();
        };
        let symbols = args.get(1).map(symbols).unwrap_or_default();
        match args.first().and_then(Value::as_str) {
            Some("subscribe_quotes") => symbols.into_iter().for_each(|s| self.feed.subscribe(s)),
            Some("unsubscribe_quotes") => {
                symbols.into_iter().for_each(|s| self.feed.unsubscribe(s));
            }
            _ => {}
        }
        if ack.is_empty() {
            Vec::new()
        } else {
            vec![Out::Text(format!("43{ack}[]"))]
        }
    }
}

/// The symbols traded here among `{"symbols":[…]}`; others are as silent as they would be at Schwab.
fn symbols(argument: &Value) -> Vec<Id> {
    argument
        .get("symbols")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .take(SYMBOLS_MAX)
        .filter_map(Value::as_str)
        .filter_map(|text| text.parse::<Symbol>().ok())
        .filter_map(|symbol| Id::find(symbol.as_str()))
        .collect()
}

fn event(name: &str, argument: &impl Serialize) -> Out {
    Out::Text(format!("42{}", json!([name, argument])))
}

fn spike_event(spike: &Spike) -> VolumeSpike {
    VolumeSpike {
        symbol: spike.id.listing().symbol.into(),
        spike_ratio: rounded(spike.burst.rate / spike.burst.average),
        current_rate_per_min: rounded(spike.burst.rate),
        average_rate_per_min: rounded(spike.burst.average),
        threshold: spike.burst.threshold,
        first_hour: spike.first_hour,
        timestamp: spike.at_ms as f64 / 1_000.0,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Session;
    use jiff::civil::date;
    use proptest::prelude::*;

    const PINGS: Pings = Pings {
        every: Duration::from_secs(25),
        timeout: Duration::from_secs(20),
    };

    fn open() -> (Engine, Market, Now) {
        let now = Now {
            mono: Instant::now(),
            wall_ms: Session::new().at_ms(date(2026, 3, 10), 9, 45),
        };
        let (engine, hello) = Engine::open("s1".into(), PINGS, 40, now);
        let hello: Value = serde_json::from_str(hello.strip_prefix('0').unwrap()).unwrap();
        assert_eq!(hello["pingInterval"], 25_000);
        (engine, Market::new(1), now)
    }

    fn text(out: &Out) -> &str {
        match out {
            Out::Text(text) => text,
            Out::Close => "closed",
        }
    }

    #[test]
    fn nothing_flows_before_the_client_joins_or_after_it_leaves() {
        let (mut engine, mut market, now) = open();
        assert!(
            engine
                .on_text(r#"42["subscribe_quotes",{"symbols":["TOYO"]}]"#, now)
                .is_empty()
        );
        assert!(engine.tick(&mut market, now).is_empty());
        assert_eq!(text(&engine.on_text("40", now)[0]), r#"40{"sid":"s1"}"#);
        assert!(engine.tick(&mut market, now).is_empty());
        let ack = engine.on_text(
            r#"427["subscribe_quotes",{"symbols":["toyo","NOPE",5,"??"]}]"#,
            now,
        );
        assert_eq!(text(&ack[0]), "437[]");
        let quotes = engine.tick(&mut market, now);
        assert_eq!(quotes.len(), 1);
        assert!(
            text(&quotes[0]).starts_with(r#"42["quote_update",{"symbol":"TOYO","last_price":"#)
        );
        assert!(engine.on_text("41", now).is_empty());
        assert!(
            engine
                .tick(&mut market, now.plus(Duration::from_secs(1)))
                .is_empty()
        );
    }

    #[test]
    fn a_silent_client_is_pinged_and_then_dropped() {
        let (mut engine, mut market, now) = open();
        let at = |s| now.plus(Duration::from_secs(s));
        assert!(engine.tick(&mut market, at(24)).is_empty());
        assert_eq!(engine.tick(&mut market, at(25)), [Out::Text("2".into())]);
        engine.on_text("3", at(26));
        assert_eq!(engine.tick(&mut market, at(50)), [Out::Text("2".into())]);
        assert!(engine.tick(&mut market, at(70)).is_empty());
        assert_eq!(engine.tick(&mut market, at(71)), [Out::Close]);
    }

    #[test]
    fn another_namespace_is_refused_and_a_close_is_heard() {
        let (mut engine, _, now) = open();
        let refusal = engine.on_text("40/admin,{}", now);
        assert_eq!(
            text(&refusal[0]),
            r#"44/admin,{"message":"Invalid namespace"}"#
        );
        assert_eq!(engine.on_text("1", now), [Out::Close]);
        assert_eq!(engine.on_text("2probe", now), [Out::Text("3probe".into())]);
    }

    #[test]
    fn every_burst_of_a_session_is_told_once() {
        let (mut engine, mut market, now) = open();
        engine.on_text("40", now);
        let mut told = Vec::new();
        for second in 0..3_600 {
            let then = now.plus(Duration::from_secs(second));
            engine.on_text("3", then);
            for out in engine.tick(&mut market, then) {
                if text(&out).contains("volume_spike") {
                    let event: Value = serde_json::from_str(&text(&out)[2..]).unwrap();
                    let e = &event[1];
                    assert!(e["spike_ratio"].as_f64() >= e["threshold"].as_f64());
                    told.push(e["timestamp"].as_f64().unwrap());
                }
            }
        }
        let expected: Vec<f64> = market
            .spikes(now.wall_ms, now.wall_ms + 3_599_000)
            .iter()
            .map(|s| s.at_ms as f64 / 1_000.0)
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(told, expected);
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_session(texts in prop::collection::vec(".{0,40}|[0-6]{1,4}.{0,20}|42[0-9]{0,3}\\[.{0,20}\\]", 0..20)) {
            let (mut engine, _, now) = open();
            for text in texts {
                engine.on_text(&text, now);
            }
        }
    }
}
