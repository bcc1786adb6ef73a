//! The client side of Socket.IO 5 on Engine.IO 4, as far as the trader app needs it. Pure: messages and
//! the time in, messages and events out.
//!
//! Engine.IO packets: `0` open, `1` close, `2` ping, `3` pong, `4` message, `6` noop; one in each
//! WebSocket message. Inside `4`: `0` connect, `1` disconnect, `2` event, `3` ack, `4` connect error,
//! `5` binary event, `6` binary ack; then attachments and `-`, a namespace and `,`, an ack id, JSON.
//!
//! `cargo bench --bench cores`: a `quote_update` in 1.6 µs.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::json::{self, Mended};

/// More attachments than this make a binary event unusable.
const ATTACHMENTS_MAX: usize = 64;

/// Bounds of what a server may ask for between its pings.
const INTERVAL_MAX_MS: u64 = 300_000;

/// From the open WebSocket to the joined namespace.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Open {
    #[serde(rename = "pingInterval")]
    ping_interval: u64,
    #[serde(rename = "pingTimeout")]
    ping_timeout: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The namespace is joined: events flow, and may be emitted.
    Connected,
    /// The server emitted this.
    Emitted {
        /// Its name.
        name: String,
        /// Its arguments; attachments are `null`.
        args: Vec<Value>,
    },
    /// The session is over; why, in words.
    Ended(String),
}

/// What is to be done after a message.
#[derive(Debug, Default, PartialEq)]
pub struct Output {
    /// Text messages to send, in this order.
    pub send: Vec<String>,
    /// What happened, if anything.
    pub event: Option<Event>,
}

/// One connection's state.
#[derive(Debug)]
pub struct Session {
    connected: bool,
    began: Instant,
    silence_max: Duration,
    heard: Instant,
    /// A binary event that waits for this many attachments.
    waiting: Option<(usize, String, Vec<Value>)>,
    /// What was not understood, as records, and what was mended in the rest.
    mended: Mended,
}

impl Session {
    /// The WebSocket has just been opened.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            connected: false,
            began: now,
            silence_max: OPEN_DEADLINE,
            heard: now,
            waiting: None,
            mended: Mended::default(),
        }
    }

    /// When the server is taken to be dead unless it is heard before. Until the namespace is joined,
    /// pings do not count: a server that only pings is of no use.
    #[must_use]
    pub fn dead_at(&self) -> Instant {
        let silent = self.heard + self.silence_max;
        if self.connected {
            silent
        } else {
            silent.min(self.began + OPEN_DEADLINE)
        }
    }

    /// What was mended in messages since this was asked last; those that were not understood are its records.
    pub fn mended(&mut self) -> Mended {
        std::mem::take(&mut self.mended)
    }

    /// A text message came.
    pub fn text(&mut self, now: Instant, text: &str) -> Output {
        self.heard = now;
        let (kind, rest) = split_first(text);
        match kind {
            '0' => self.opened(rest),
            '1' => Output::ended("the server closed the session"),
            '2' if rest.is_empty() => Output::send("3"),
            '4' => {
                // Attachments follow their event at once: what is still waited for was lost, and must
                // not come out later as if it were new.
                if self.waiting.take().is_some() {
                    self.mended.records += 1;
                }
                self.packet(rest)
            }
            '6' => Output::default(),
            _ => self.ignore(),
        }
    }

    /// A binary message came: an attachment of the event before it.
    pub fn binary(&mut self, now: Instant) -> Output {
        self.heard = now;
        match self.waiting.take() {
            Some((1, name, args)) => Output::event(Event::Emitted { name, args }),
            Some((left, name, args)) => {
                self.waiting = Some((left - 1, name, args));
                Output::default()
            }
            None => self.ignore(),
        }
    }

    fn opened(&mut self, text: &str) -> Output {
        match json::read_text::<Open>(text) {
            Ok((open, _)) => {
                let silence = open.ping_interval.min(INTERVAL_MAX_MS)
                    + open.ping_timeout.min(INTERVAL_MAX_MS);
                self.silence_max = Duration::from_millis(silence.max(1_000));
                Output::send("40")
            }
            Err(e) => Output::ended(&format!("its opening words are not Engine.IO 4: {e}")),
        }
    }

    fn packet(&mut self, packet: &str) -> Output {
        let (kind, rest) = split_first(packet);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let binary = matches!(kind, '5' | '6');
        let (attachments, rest) = if binary && rest[digits..].starts_with('-') {
            (
                rest[..digits].parse().unwrap_or(usize::MAX),
                &rest[digits + 1..],
            )
        } else {
            (0, rest)
        };
        let (namespace, rest) = match rest.starts_with('/').then(|| rest.split_once(',')) {
            Some(Some((namespace, rest))) => (namespace, rest),
            Some(None) => (rest, ""),
            None => ("/", rest),
        };
        if namespace.split('?').next() != Some("/") {
            return self.ignore();
        }
        match kind {
            // Since Socket.IO 3 the server names the session that was asked for; before that it let the
            // client in unasked, and waited for its pings, without which it leaves after a while.
            '0' if !rest.contains("\"sid\"") => Output::ended(&older_protocol("")),
            '0' => {
                self.connected = true;
                Output::event(Event::Connected)
            }
            '1' => Output::ended("the server ended the session"),
            '4' => {
                let words: String = rest.chars().take(120).collect();
                Output::ended(&format!("the server refuses the session: {words}"))
            }
            '2' | '5' => self.emitted(attachments, rest),
            _ => self.ignore(),
        }
    }

    fn emitted(&mut self, attachments: usize, rest: &str) -> Output {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (ack, list) = rest.split_at(digits);
        let Ok((mut list, mended)) = json::read_text::<Vec<Value>>(list) else {
            return self.ignore();
        };
        self.mended += mended;
        if list.is_empty() || attachments > ATTACHMENTS_MAX {
            return self.ignore();
        }
        let Value::String(name) = list.remove(0) else {
            return self.ignore();
        };
        let mut output = Output::default();
        if !ack.is_empty() {
            output.send.push(format!("43{ack}[]"));
        }
        list.iter_mut().for_each(without_placeholders);
        if attachments > 0 {
            self.waiting = Some((attachments, name, list));
        } else {
            output.event = Some(Event::Emitted { name, args: list });
        }
        output
    }

    fn ignore(&mut self) -> Output {
        self.mended.records += 1;
        Output::default()
    }
}

impl Output {
    fn send(text: &str) -> Self {
        Self {
            send: vec![text.to_owned()],
            event: None,
        }
    }
    fn event(event: Event) -> Self {
        Self {
            send: Vec::new(),
            event: Some(event),
        }
    }
    fn ended(why: &str) -> Self {
        Self::event(Event::Ended(why.to_owned()))
    }
}

/// A message that emits an event with one argument.
#[must_use]
pub fn emit(name: &str, arg: &Value) -> String {
    format!("42{}", Value::from(vec![Value::from(name), arg.clone()]))
}

/// Of a server whose protocol is older; `words` are its own, or none.
#[must_use]
pub fn older_protocol(words: &str) -> String {
    let said = if words.is_empty() {
        String::new()
    } else {
        format!(" (it says: {words:?})")
    };
    format!(
        "it speaks an older Socket.IO on Engine.IO 3{said}; Socket.IO 5 on Engine.IO 4 is needed there: python-socketio 5, \
         Flask-SocketIO 5, socket.io 3, or newer"
    )
}

fn split_first(text: &str) -> (char, &str) {
    let mut chars = text.chars();
    (chars.next().unwrap_or('\0'), chars.as_str())
}

/// Attachments are of no use to us: where one would stand, `null` does.
fn without_placeholders(value: &mut Value) {
    match value {
        Value::Object(map) if map.get("_placeholder") == Some(&Value::Bool(true)) => {
            *value = Value::Null;
        }
        Value::Object(map) => map.values_mut().for_each(without_placeholders),
        Value::Array(list) => list.iter_mut().for_each(without_placeholders),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn connected(now: Instant) -> Session {
        let mut s = Session::new(now);
        let opened = s.text(
            now,
            r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#,
        );
        assert_eq!(opened.send, ["40"]);
        assert_eq!(
            s.text(now, r#"40{"sid":"y"}"#).event,
            Some(Event::Connected)
        );
        s
    }

    fn emitted(output: &Output) -> (&str, &[Value]) {
        match &output.event {
            Some(Event::Emitted { name, args }) => (name, args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_session_opens_joins_answers_pings_and_hears_events() {
        let now = Instant::now();
        let mut s = connected(now);
        assert_eq!(s.text(now, "2").send, ["3"]);
        assert_eq!(s.dead_at(), now + Duration::from_secs(45));
        let out = s.text(now, r#"42["quote_update",{"symbol":"A"}]"#);
        assert_eq!(
            emitted(&out),
            ("quote_update", &[json!({"symbol":"A"})][..])
        );
        let out = s.text(now, r#"4217["q"]"#);
        assert_eq!(out.send, ["4317[]"]);
        assert_eq!(emitted(&out).0, "q");
        let out = s.text(now, r#"42/,["q"]"#);
        assert_eq!(emitted(&out).0, "q");
        assert_eq!(s.text(now, r#"42/admin,["q"]"#), Output::default());
        assert_eq!(s.text(now, r#"2probe"#), Output::default());
        assert!(matches!(s.text(now, "41").event, Some(Event::Ended(_))));
    }

    #[test]
    fn a_binary_event_waits_for_its_attachments() {
        let now = Instant::now();
        let mut s = connected(now);
        let out = s.text(
            now,
            r#"452-["b",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]"#,
        );
        assert_eq!(out, Output::default());
        assert_eq!(s.binary(now), Output::default());
        assert_eq!(
            emitted(&s.binary(now)),
            ("b", &[Value::Null, json!({"x":null})][..])
        );
        assert_eq!(s.binary(now), Output::default());
        assert_eq!(s.mended(), Mended::left_out(1));
    }

    #[test]
    fn a_server_that_only_pings_and_never_lets_us_join_is_given_up() {
        let start = Instant::now();
        let mut s = Session::new(start);
        s.text(
            start,
            r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#,
        );
        let later = start + Duration::from_secs(9);
        s.text(later, "2");
        assert_eq!(s.dead_at(), start + OPEN_DEADLINE);
    }

    #[test]
    fn a_lost_attachment_does_not_let_an_older_event_out_later() {
        let now = Instant::now();
        let mut s = connected(now);
        s.text(now, r#"451-["old",{"_placeholder":true,"num":0}]"#);
        assert_eq!(emitted(&s.text(now, r#"42["new"]"#)).0, "new");
        assert_eq!(s.binary(now), Output::default());
    }

    #[test]
    fn what_is_odd_in_an_event_costs_that_alone_and_is_counted() {
        let now = Instant::now();
        let mut s = connected(now);
        let out = s.text(
            now,
            r#"42["quote_update",{"symbol":"TOYO","last_price":7.9,"bid_price":NaN,"news":"up \ud83d"}]"#,
        );
        let want = json!({"symbol":"TOYO","last_price":7.9,"bid_price":null,"news":"up \u{fffd}"});
        assert_eq!(emitted(&out), ("quote_update", &[want][..]));
        s.text(now, "42{\"no\":\"list\"");
        assert_eq!(
            s.mended().header().unwrap(),
            "numbers=1, surrogates=1, records=1"
        );
        assert!(s.mended().is_none(), "told once");
    }

    #[test]
    fn a_server_of_the_older_protocol_is_named_as_that() {
        let now = Instant::now();
        let mut s = Session::new(now);
        s.text(
            now,
            r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}"#,
        );
        let out = s.text(now, "40");
        assert!(matches!(out.event, Some(Event::Ended(why)) if why.contains("Engine.IO 3")));
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let now = Instant::now();
        let mut s = Session::new(now);
        let out = s.text(now, r#"44{"message":"no"}"#);
        assert!(matches!(out.event, Some(Event::Ended(why)) if why.contains("no")));
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(texts in prop::collection::vec("[0-6]{0,3}[0-9-]{0,4}[/a-z,]{0,6}\\PC{0,30}", 0..20)) {
            let now = Instant::now();
            let mut s = Session::new(now);
            for text in texts { s.text(now, &text); s.binary(now); }
        }

        #[test]
        fn what_one_side_emits_the_other_hears(name in "[a-z_]{1,12}", n: i64, text in "\\PC{0,20}") {
            let arg = json!({"n": n, "text": text});
            let now = Instant::now();
            let mut s = connected(now);
            let out = s.text(now, &emit(&name, &arg));
            prop_assert_eq!(emitted(&out), (name.as_str(), &[arg][..]));
        }
    }
}
