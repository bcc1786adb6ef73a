//! What a client has asked for. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::json;
use crate::market::Symbol;

use super::reader::{Listener, Outcome};

/// How many bad symbols are named in one error.
const NAMED_MAX: usize = 5;

#[derive(Deserialize)]
struct Wish {
    action: String,
    symbols: Vec<Value>,
}

/// One client's wish.
#[derive(Debug)]
pub struct Session {
    wanted: BTreeSet<Symbol>,
    symbols_max: usize,
}

impl Session {
    /// Wants nothing yet, and at most this many symbols.
    #[must_use]
    pub fn new(symbols_max: usize) -> Self {
        Self {
            wanted: BTreeSet::new(),
            symbols_max,
        }
    }

    /// A text message: `{"action":"subscribe"|"unsubscribe","symbols":[…]}`. Good symbols are taken
    /// also where others are bad.
    pub fn hear(&mut self, text: &str) -> Outcome {
        let Ok((wish, _)) = json::read_text::<Wish>(text) else {
            return Outcome::error(
                "send {\"action\":\"subscribe\"|\"unsubscribe\",\"symbols\":[\"TOYO\"]}",
            );
        };
        let subscribe = match wish.action.as_str() {
            "subscribe" => true,
            "unsubscribe" => false,
            other => {
                let other: String = other.chars().take(32).collect();
                return Outcome::error(&format!(
                    "unknown action {other:?}: use subscribe or unsubscribe"
                ));
            }
        };
        let before = self.wanted.clone();
        let mut bad = Vec::new();
        let mut left_out = 0;
        for value in &wish.symbols {
            match value.as_str().and_then(|s| s.parse::<Symbol>().ok()) {
                None => bad.push(value.to_string().chars().take(24).collect::<String>()),
                Some(symbol) if !subscribe => {
                    self.wanted.remove(&symbol);
                }
                Some(symbol) if self.wanted.len() < self.symbols_max => {
                    self.wanted.insert(symbol);
                }
                Some(symbol) => left_out += usize::from(!self.wanted.contains(&symbol)),
            }
        }
        let mut words = Vec::new();
        if !bad.is_empty() {
            let named = bad[..bad.len().min(NAMED_MAX)].join(", ");
            words.push(format!(
                "{} of the symbols are none: {named}; symbols are such as TOYO, BRK/B, $SPX, /ESZ26",
                bad.len()
            ));
        }
        if left_out > 0 {
            words.push(format!(
                "{left_out} symbols are too many: a session may have {}",
                self.symbols_max
            ));
        }
        Outcome {
            wanted: (self.wanted != before).then(|| Arc::new(self.wanted.clone())),
            answer: (!words.is_empty()).then(|| error(&words.join("; "))),
            ponged: None,
        }
    }
}

impl Listener for Session {
    fn text(&mut self, text: &str) -> Outcome {
        self.hear(text)
    }

    fn binary(&mut self, _: &[u8]) -> Outcome {
        Outcome::error("binary messages are not understood; send JSON text")
    }
}

impl Outcome {
    /// Nothing but words for the client.
    fn error(detail: &str) -> Self {
        Self {
            answer: Some(error(detail)),
            ..Self::default()
        }
    }
}

/// `{"type":"error","detail":…}`
fn error(detail: &str) -> Message {
    Message::text(json!({ "type": "error", "detail": detail }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(outcome: &Outcome) -> Vec<String> {
        let wanted = outcome.wanted.as_ref().expect("a change");
        wanted.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn subscriptions_add_up_in_any_case_and_can_be_taken_back() {
        let mut s = Session::new(10);
        let got = s.hear(r#"{"action":"subscribe","symbols":["toyo","ELPW"]}"#);
        assert_eq!(names(&got), ["ELPW", "TOYO"]);
        let got = s.hear(r#"{"action":"subscribe","symbols":["A"]}"#);
        assert_eq!(names(&got), ["A", "ELPW", "TOYO"]);
        let got = s.hear(r#"{"action":"unsubscribe","symbols":["Toyo","NOPE"]}"#);
        assert_eq!(names(&got), ["A", "ELPW"]);
        let same = s.hear(r#"{"action":"subscribe","symbols":["A"]}"#);
        assert_eq!(same, Outcome::default());
    }

    #[test]
    fn a_symbol_is_what_it_is_on_every_route() {
        let mut s = Session::new(10);
        let got = s.hear(r#"{"action":"subscribe","symbols":[" toyo ","/ES","./ADUF23C0.55","AMZN  230317C01360000"]}"#);
        let want = ["./ADUF23C0.55", "/ES", "AMZN  230317C01360000", "TOYO"];
        assert_eq!(names(&got), want);
        assert!(got.answer.is_none());
    }

    #[test]
    fn what_is_wrong_is_told_and_the_rest_is_taken() {
        let mut s = Session::new(2);
        let got = s.hear(r#"{"action":"subscribe","symbols":["A","b d",7,"B","C"]}"#);
        assert_eq!(names(&got), ["A", "B"]);
        let error = got.answer.unwrap().into_text().unwrap();
        assert!(
            error.contains("2 of the symbols are none") && error.contains("1 symbols are too many"),
            "{error}"
        );
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"action":"dance","symbols":[]}"#,
            r#"{"action":"subscribe"}"#,
        ] {
            let got = s.hear(bad);
            assert!(got.wanted.is_none() && got.answer.is_some(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_bound_holds(texts in prop::collection::vec("\\PC{0,60}", 0..20), names in prop::collection::vec("[A-Z]{1,4}", 0..40)) {
            let mut s = Session::new(8);
            for text in texts { s.hear(&text); }
            s.hear(&json!({"action":"subscribe","symbols":names}).to_string());
            prop_assert!(s.wanted.len() <= 8);
        }
    }
}
