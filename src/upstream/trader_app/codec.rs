//! The trader app's stream: `quote_update` and `volume_spike` over Socket.IO. Pure.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use crate::json::{self, Mended};
use crate::market::Symbol;
use crate::upstream::{StreamCodec, StreamEvent, StreamOutput};

use super::TRADER;
use super::socketio::{self, Event, Session, older_protocol};

/// Symbols in one subscription.
const SYMBOLS_AT_ONCE: usize = 200;

/// One connection to the trader app.
#[derive(Debug)]
pub struct Codec {
    session: Session,
    wanted: BTreeSet<Symbol>,
    /// What was subscribed to; none before the namespace is joined.
    subscribed: Option<BTreeSet<Symbol>>,
}

impl StreamCodec for Codec {
    const NAME: &'static str = TRADER;
    const PATH: &'static str = "/socket.io/?EIO=4&transport=websocket";

    fn refused(status: u16, said: &[u8]) -> String {
        refused(status, said)
    }

    fn new(now: Instant) -> Self {
        Self {
            session: Session::new(now),
            wanted: BTreeSet::new(),
            subscribed: None,
        }
    }

    fn want(&mut self, symbols: &BTreeSet<Symbol>) -> Vec<String> {
        self.wanted.clone_from(symbols);
        self.difference()
    }

    fn text(&mut self, now: Instant, text: &str) -> StreamOutput {
        let output = self.session.text(now, text);
        self.translated(output)
    }

    fn binary(&mut self, now: Instant) -> StreamOutput {
        let output = self.session.binary(now);
        self.translated(output)
    }

    fn dead_at(&self) -> Instant {
        self.session.dead_at()
    }

    fn mended(&mut self) -> Mended {
        self.session.mended()
    }
}

impl Codec {
    fn translated(&mut self, output: socketio::Output) -> StreamOutput {
        let mut send = output.send;
        let event = match output.event {
            None => None,
            Some(Event::Connected) => {
                self.subscribed = Some(BTreeSet::new());
                send.append(&mut self.difference());
                Some(StreamEvent::Joined)
            }
            Some(Event::Emitted { name, args }) => emitted(&name, args),
            Some(Event::Ended(why)) => Some(StreamEvent::Ended(why)),
        };
        StreamOutput { send, event }
    }

    /// Messages that make what is subscribed to what is wanted.
    fn difference(&mut self) -> Vec<String> {
        let Some(have) = &mut self.subscribed else {
            return Vec::new();
        };
        let more: Vec<&Symbol> = self.wanted.difference(have).collect();
        let less: Vec<&Symbol> = have.difference(&self.wanted).collect();
        let mut messages = Vec::new();
        for (name, symbols) in [("subscribe_quotes", more), ("unsubscribe_quotes", less)] {
            for some in symbols.chunks(SYMBOLS_AT_ONCE) {
                let names: Vec<&str> = some.iter().map(|s| s.as_str()).collect();
                messages.push(socketio::emit(name, &json!({ "symbols": names })));
            }
        }
        have.clone_from(&self.wanted);
        messages
    }
}

fn emitted(name: &str, mut args: Vec<Value>) -> Option<StreamEvent> {
    if args.is_empty() {
        return None;
    }
    let payload = args.swap_remove(0);
    match name {
        "quote_update" => Some(StreamEvent::Update(payload)),
        "volume_spike" => {
            let Value::Object(mut fields) = payload else {
                return None;
            };
            let symbol: Symbol = fields.get("symbol")?.as_str()?.parse().ok()?;
            fields.insert("symbol".into(), symbol.as_str().into());
            Some(StreamEvent::Spike { symbol, fields })
        }
        _ => None,
    }
}

/// What Engine.IO servers say when they refuse. Other words are not repeated: there may be a secret in them.
const KNOWN_WORDS: [&str; 6] = [
    "The client is using an unsupported version of the Socket.IO or Engine.IO protocols",
    "Unsupported protocol version",
    "Transport unknown",
    "Invalid transport",
    "Not an accepted origin",
    "Bad Request",
];

/// What a refusal of the upgrade means, and what can be done.
fn refused(status: u16, said: &[u8]) -> String {
    let said = json::text(said).0.to_ascii_lowercase();
    let known = KNOWN_WORDS
        .into_iter()
        .find(|words| said.contains(&words.to_ascii_lowercase()));
    if let Some(words) = known.filter(|words| words.to_ascii_lowercase().contains("unsupported")) {
        return older_protocol(words);
    }
    let words = known.map_or_else(String::new, |words| format!(", {words:?}"));
    if status == 400 {
        return format!(
            "it refuses WebSocket (400{words}): most likely its Socket.IO server runs without a WebSocket backend; install simple-websocket (or eventlet, gevent-websocket) there"
        );
    }
    format!("it answered {status}{words} to the WebSocket upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words_with_a_remedy_that_helps() {
        let older = br#""The client is using an unsupported version of the Socket.IO or Engine.IO protocols""#;
        for older in [
            &older[..],
            br#"{"code":5,"message":"Unsupported protocol version"}"#,
        ] {
            let words = refused(400, older);
            assert!(
                words.contains("Engine.IO 3") && words.contains("nsupported"),
                "{words}"
            );
            assert!(!words.contains("simple-websocket"), "{words}");
        }
        let words = refused(400, b"\"Bad Request\"");
        assert!(
            words.contains("Bad Request") && words.contains("without a WebSocket backend"),
            "{words}"
        );
        let words = refused(403, b"Not an accepted origin.");
        assert_eq!(
            words,
            "it answered 403, \"Not an accepted origin\" to the WebSocket upgrade"
        );
        let words = refused(500, b"Bearer hush is no good");
        assert_eq!(words, "it answered 500 to the WebSocket upgrade");
        assert_eq!(
            refused(404, b"<html>"),
            "it answered 404 to the WebSocket upgrade"
        );
    }

    fn symbols(names: &[&str]) -> BTreeSet<Symbol> {
        names.iter().map(|n| n.parse().unwrap()).collect()
    }

    fn joined(now: Instant, wanted: &[&str]) -> (Codec, Vec<String>) {
        let mut codec = Codec::new(now);
        assert!(codec.want(&symbols(wanted)).is_empty(), "not yet");
        codec.text(
            now,
            r#"0{"sid":"x","pingInterval":25000,"pingTimeout":20000}"#,
        );
        let output = codec.text(now, r#"40{"sid":"y"}"#);
        assert_eq!(output.event, Some(StreamEvent::Joined));
        (codec, output.send)
    }

    #[test]
    fn what_is_wanted_is_subscribed_to_once_the_session_is_joined_and_then_only_the_difference() {
        let now = Instant::now();
        let (mut codec, sent) = joined(now, &["A", "B"]);
        assert_eq!(sent, [r#"42["subscribe_quotes",{"symbols":["A","B"]}]"#]);
        assert!(codec.want(&symbols(&["A", "B"])).is_empty());
        assert_eq!(
            codec.want(&symbols(&["B", "C"])),
            [
                r#"42["subscribe_quotes",{"symbols":["C"]}]"#,
                r#"42["unsubscribe_quotes",{"symbols":["A"]}]"#,
            ]
        );
        let many: Vec<String> = (0..450).map(|n| format!("S{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(codec.want(&symbols(&many)).len(), 3 + 1);
    }

    #[test]
    fn updates_and_spikes_are_told_and_other_events_are_not() {
        let now = Instant::now();
        let (mut codec, _) = joined(now, &["A"]);
        let mut event = |text: &str| codec.text(now, text).event;
        let update = event(r#"42["quote_update",{"symbol":"A","x":1}]"#);
        assert_eq!(
            update,
            Some(StreamEvent::Update(json!({"symbol":"A","x":1})))
        );
        let spike = event(r#"42["volume_spike",{"symbol":"toyo","spike_ratio":3}]"#);
        let Some(StreamEvent::Spike { symbol, fields }) = spike else {
            panic!("{spike:?}");
        };
        assert_eq!(
            (symbol.as_str(), &fields["symbol"]),
            ("TOYO", &json!("TOYO"))
        );
        for other in [
            r#"42["volume_spike",{"x":1}]"#,
            r#"42["volume_spike",7]"#,
            r#"42["hello",1]"#,
            r#"42["quote_update"]"#,
            "2",
        ] {
            assert_eq!(event(other), None, "{other}");
        }
    }
}
