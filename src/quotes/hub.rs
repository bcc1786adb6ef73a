//! Who wants what, and what each is to get. Pure.
//!
//! A session that is ready gets a batch at once; while its batch is on its way, quotes wait for it,
//! conflated by symbol. Of each symbol quotes leave in the order in which they came. A new subscriber
//! gets the symbol's last value at once, so that its chart does not begin with nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;

use crate::market::{Quote, Symbol};

use super::messages::{Frame, SessionId, Spike, StreamStatus, Wanted};
use super::outbox::Outbox;

/// Symbols whose last spike is kept; beyond it the oldest goes.
const SPIKES_MAX: usize = 1_000;

/// Frames of one batch; a burst beyond it is conflated.
const BATCH_FRAMES_MAX: usize = 4_096;

/// How a frame is made of its text.
pub type Encode = fn(&str) -> Frame;

struct Session {
    wanted: Wanted,
    /// What a ready session gets at the next flush, every quote of it.
    batch: Vec<Frame>,
    /// What waits, conflated, while a batch is on its way.
    outbox: Outbox<Frame>,
    /// As above.
    error: Option<Frame>,
    ready: bool,
}

impl Session {
    /// Whether what comes now goes into the next batch as it is.
    fn takes(&self) -> bool {
        self.ready && self.batch.len() < BATCH_FRAMES_MAX
    }

    /// The state of the source, of which only the last matters.
    fn tell_status(&mut self, frame: Frame) {
        if self.takes() {
            self.batch.push(frame);
        } else {
            self.outbox.replace_control(frame);
        }
    }

    /// What was wrong with a wish; of those that wait the last is kept.
    fn tell_error(&mut self, frame: Frame) {
        if self.takes() {
            self.batch.push(frame);
        } else {
            self.error = Some(frame);
        }
    }

    /// A symbol's frame: into the batch of a session that keeps up, else conflated. True if it replaced
    /// one that nobody will see.
    fn give(&mut self, symbol: &Symbol, frame: Frame) -> bool {
        if self.takes() {
            self.batch.push(frame);
            return false;
        }
        self.outbox.push(symbol, frame)
    }
}

/// The hub's state.
pub struct Hub {
    encode: Encode,
    spike_window_ms: i64,
    symbols_max: usize,
    sessions: HashMap<SessionId, Session>,
    followers: HashMap<Symbol, HashSet<SessionId>>,
    last: HashMap<Symbol, Frame>,
    spikes: BTreeMap<Symbol, (i64, Arc<Spike>)>,
    connected: bool,
    why: String,
    relayed: u64,
    conflated: u64,
    /// Sessions that are ready and have something to get.
    due: HashSet<SessionId>,
    wanted: Wanted,
    changed: bool,
}

impl Hub {
    /// Nobody is there.
    #[must_use]
    pub fn new(encode: Encode, spike_window_ms: i64, symbols_max: usize) -> Self {
        Self {
            encode,
            spike_window_ms,
            symbols_max,
            sessions: HashMap::new(),
            followers: HashMap::new(),
            last: HashMap::new(),
            spikes: BTreeMap::new(),
            connected: false,
            why: "not connected yet".to_owned(),
            relayed: 0,
            conflated: 0,
            due: HashSet::new(),
            wanted: Wanted::default(),
            changed: true,
        }
    }

    /// The source came or went. Every session is told.
    pub fn source(&mut self, connected: bool, why: String) {
        // The reader repeats itself, so that a hub that began anew knows.
        self.changed |= self.connected != connected || self.why != why;
        self.why = why;
        if connected == self.connected {
            return;
        }
        self.connected = connected;
        let frame = self.status_frame();
        for (id, session) in &mut self.sessions {
            session.tell_status(frame.clone());
            if session.ready {
                self.due.insert(*id);
            }
        }
    }

    /// A quote came.
    pub fn quote(&mut self, quote: &Quote) {
        self.relayed += 1;
        self.changed = true;
        let Some(followers) = self.followers.get(&quote.symbol) else {
            return;
        };
        let frame = (self.encode)(&quote.to_frame_json());
        for id in followers {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let replaced = session.give(&quote.symbol, frame.clone());
            self.conflated += u64::from(replaced);
            if session.ready {
                self.due.insert(*id);
            }
        }
        self.last.insert(quote.symbol.clone(), frame);
    }

    /// A spike came.
    pub fn spike(&mut self, now_ms: i64, spike: Spike) {
        self.changed = true;
        self.forget_old_spikes(now_ms);
        if self.spikes.len() >= SPIKES_MAX
            && let Some(oldest) = self.spikes.iter().min_by_key(|(_, (at_ms, _))| *at_ms)
        {
            let oldest = oldest.0.clone();
            self.spikes.remove(&oldest);
        }
        self.spikes
            .insert(spike.symbol.clone(), (now_ms, Arc::new(spike)));
    }

    /// A session begins.
    pub fn join(&mut self, id: SessionId) {
        self.changed = true;
        let session = Session {
            wanted: Wanted::default(),
            batch: vec![self.status_frame()],
            outbox: Outbox::default(),
            error: None,
            ready: true,
        };
        self.sessions.insert(id, session);
        self.due.insert(id);
    }

    /// A session's whole wish. What would be more than the server follows for all together is refused
    /// with a word to the session, which may wish it again.
    pub fn want(&mut self, id: SessionId, mut symbols: Wanted) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut room = self.symbols_max.saturating_sub(self.followers.len());
        let refused: Vec<Symbol> = symbols
            .iter()
            .filter(|symbol| {
                let takes_room = !self.followers.contains_key(symbol);
                let refused = takes_room && room == 0;
                room -= usize::from(takes_room && !refused);
                refused
            })
            .cloned()
            .collect();
        if let Some(first) = refused.first() {
            for symbol in &refused {
                Arc::make_mut(&mut symbols).remove(symbol);
            }
            let words = format!(
                "{} symbols ({first} …) are not followed: all clients together may have {}; raise stream.symbols_max",
                refused.len(),
                self.symbols_max
            );
            session.tell_error((self.encode)(
                &json!({"type": "error", "detail": words}).to_string(),
            ));
            if session.ready {
                self.due.insert(id);
            }
        }
        let before = std::mem::replace(&mut session.wanted, Arc::clone(&symbols));
        for symbol in symbols.difference(&before) {
            self.followers.entry(symbol.clone()).or_default().insert(id);
            if let Some(last) = self.last.get(symbol) {
                session.give(symbol, last.clone());
                if session.ready {
                    self.due.insert(id);
                }
            }
        }
        for symbol in before.difference(&symbols) {
            session.outbox.forget(symbol);
            unfollow(&mut self.followers, &mut self.last, symbol, id);
        }
        self.unite();
    }

    /// A session takes another batch.
    pub fn ready(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.ready = true;
            session.batch = session.error.take().into_iter().collect();
            session.batch.extend(session.outbox.drain());
            if !session.batch.is_empty() {
                self.due.insert(id);
            }
        }
    }

    /// A session has ended.
    pub fn leave(&mut self, id: SessionId) {
        self.changed = true;
        self.due.remove(&id);
        if let Some(session) = self.sessions.remove(&id) {
            for symbol in session.wanted.iter() {
                unfollow(&mut self.followers, &mut self.last, symbol, id);
            }
            self.unite();
        }
    }

    /// The batches that are due, each to be sent to its session, which is then not ready until it says so.
    pub fn batches(&mut self) -> Vec<(SessionId, Vec<Frame>)> {
        let due = std::mem::take(&mut self.due);
        let mut batches = Vec::with_capacity(due.len());
        for id in due {
            if let Some(session) = self.sessions.get_mut(&id)
                && session.ready
            {
                let frames = std::mem::take(&mut session.batch);
                if !frames.is_empty() {
                    session.ready = false;
                    batches.push((id, frames));
                }
            }
        }
        batches
    }

    /// Every symbol that somebody wants.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// For the boards, if it changed since the last time.
    pub fn status(&mut self, now_ms: i64) -> Option<StreamStatus> {
        self.forget_old_spikes(now_ms);
        std::mem::take(&mut self.changed).then(|| StreamStatus {
            connected: self.connected,
            why: self.why.clone(),
            symbols: Arc::clone(&self.wanted),
            quotes_relayed: self.relayed,
            clients: self.sessions.len(),
            conflated: self.conflated,
            spikes: self.spikes.values().cloned().collect(),
        })
    }

    /// Whether [`Self::status`] has something new.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.changed
    }

    fn unite(&mut self) {
        self.changed = true;
        let all: BTreeSet<Symbol> = self.followers.keys().cloned().collect();
        if all != *self.wanted {
            self.wanted = Arc::new(all);
        }
    }

    fn forget_old_spikes(&mut self, now_ms: i64) {
        let before = self.spikes.len();
        let window_ms = self.spike_window_ms;
        self.spikes
            .retain(|_, (at_ms, _)| now_ms - *at_ms <= window_ms);
        self.changed |= before != self.spikes.len();
    }

    fn status_frame(&self) -> Frame {
        (self.encode)(&json!({"type": "status", "connected": self.connected}).to_string())
    }
}

fn unfollow(
    followers: &mut HashMap<Symbol, HashSet<SessionId>>,
    last: &mut HashMap<Symbol, Frame>,
    symbol: &Symbol,
    id: SessionId,
) {
    if let Some(ids) = followers.get_mut(symbol) {
        ids.remove(&id);
        if ids.is_empty() {
            followers.remove(symbol);
            // Nobody hears its updates any more: by the next subscription it would be old.
            last.remove(symbol);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn plain(text: &str) -> Frame {
        Arc::from(text.as_bytes())
    }

    fn quote(symbol: &str, n: i64) -> Quote {
        let mut fields = serde_json::Map::new();
        fields.insert("n".into(), Value::from(n));
        Quote {
            symbol: symbol.parse().unwrap(),
            fields,
        }
    }

    fn wanted(symbols: &[&str]) -> Wanted {
        Arc::new(symbols.iter().map(|s| s.parse().unwrap()).collect())
    }

    fn texts(frames: &[Frame]) -> Vec<String> {
        frames
            .iter()
            .map(|f| String::from_utf8(f.to_vec()).unwrap())
            .collect()
    }

    fn of(hub: &mut Hub, id: u64) -> Vec<String> {
        let batches = hub.batches();
        let mine = batches.iter().find(|(i, _)| *i == SessionId(id));
        mine.map(|(_, f)| texts(f)).unwrap_or_default()
    }

    #[test]
    fn each_client_gets_its_own_symbols_and_one_leaving_does_not_silence_another() {
        let mut hub = Hub::new(plain, 30_000, 100);
        let (a, b) = (SessionId(1), SessionId(2));
        hub.join(a);
        hub.join(b);
        assert_eq!(of(&mut hub, 1), [r#"{"type":"status","connected":false}"#]);
        hub.ready(a);
        hub.ready(b);
        hub.want(a, wanted(&["X", "Y"]));
        hub.want(b, wanted(&["X"]));
        assert_eq!(**hub.wanted(), *wanted(&["X", "Y"]));
        hub.quote(&quote("Y", 1));
        hub.quote(&quote("Z", 1));
        assert_eq!(of(&mut hub, 1), [r#"{"type":"quote","symbol":"Y","n":1}"#]);
        hub.leave(a);
        assert_eq!(**hub.wanted(), *wanted(&["X"]));
        hub.quote(&quote("X", 2));
        assert_eq!(of(&mut hub, 2), [r#"{"type":"quote","symbol":"X","n":2}"#]);
    }

    #[test]
    fn a_client_with_a_batch_on_its_way_gets_the_latest_of_each_symbol_next() {
        let mut hub = Hub::new(plain, 30_000, 100);
        hub.join(SessionId(1));
        hub.want(SessionId(1), wanted(&["X", "Y"]));
        hub.batches();
        for n in 0..5 {
            hub.quote(&quote("X", n));
            hub.quote(&quote("Y", n));
        }
        hub.source(true, "up".into());
        assert!(hub.batches().is_empty());
        hub.ready(SessionId(1));
        assert_eq!(
            of(&mut hub, 1),
            [
                r#"{"type":"status","connected":true}"#,
                r#"{"type":"quote","symbol":"X","n":4}"#,
                r#"{"type":"quote","symbol":"Y","n":4}"#
            ]
        );
    }

    #[test]
    fn a_client_that_keeps_up_gets_every_quote() {
        let mut hub = Hub::new(plain, 30_000, 100);
        hub.join(SessionId(1));
        hub.want(SessionId(1), wanted(&["X"]));
        hub.batches();
        hub.ready(SessionId(1));
        for n in 0..3 {
            hub.quote(&quote("X", n));
        }
        let want: Vec<String> = (0..3)
            .map(|n| format!(r#"{{"type":"quote","symbol":"X","n":{n}}}"#))
            .collect();
        assert_eq!(of(&mut hub, 1), want);
        assert_eq!(hub.conflated, 0);
    }

    #[test]
    fn a_new_subscriber_gets_the_last_value_at_once() {
        let mut hub = Hub::new(plain, 30_000, 100);
        hub.join(SessionId(1));
        hub.want(SessionId(1), wanted(&["X"]));
        hub.quote(&quote("X", 7));
        hub.batches();
        hub.join(SessionId(2));
        hub.want(SessionId(2), wanted(&["X"]));
        assert_eq!(of(&mut hub, 2)[1], r#"{"type":"quote","symbol":"X","n":7}"#);
    }

    #[test]
    fn what_all_want_together_has_a_bound_and_who_goes_beyond_it_is_told() {
        let mut hub = Hub::new(plain, 30_000, 2);
        let (a, b) = (SessionId(1), SessionId(2));
        hub.join(a);
        hub.join(b);
        hub.want(a, wanted(&["X", "Y"]));
        hub.want(b, wanted(&["X", "Z"]));
        assert_eq!(**hub.wanted(), *wanted(&["X", "Y"]));
        assert!(of(&mut hub, 2)[1].contains("1 symbols (Z …) are not followed"));
        hub.leave(a);
        hub.want(b, wanted(&["X", "Z"]));
        assert_eq!(**hub.wanted(), *wanted(&["X", "Z"]));
    }

    #[test]
    fn spikes_are_active_for_their_window() {
        let mut hub = Hub::new(plain, 30_000, 100);
        let spike = Spike {
            symbol: "X".parse().unwrap(),
            fields: serde_json::Map::new(),
        };
        hub.spike(1_000, spike);
        assert_eq!(hub.status(31_000).unwrap().spikes.len(), 1);
        assert_eq!(hub.status(31_001).unwrap().spikes.len(), 0);
        assert_eq!(hub.status(32_000), None);
    }

    proptest! {
        #[test]
        fn whatever_happens_order_holds_and_the_last_word_arrives(
            steps in prop::collection::vec((0_u8..6, 0_u64..3, 0_u8..3), 1..150)
        ) {
            let mut hub = Hub::new(plain, 30_000, 100);
            let mut seen: HashMap<(u64, String), i64> = HashMap::new();
            let mut n = 0;
            let mut in_flight: HashSet<SessionId> = HashSet::new();
            let mut take = |hub: &mut Hub, in_flight: &mut HashSet<SessionId>| {
                for (id, frames) in hub.batches() {
                    assert!(in_flight.insert(id), "a second batch in flight");
                    for text in texts(&frames) {
                        let v: Value = serde_json::from_str(&text).unwrap();
                        if v["type"] == "quote" {
                            let key = (id.0, v["symbol"].as_str().unwrap().to_owned());
                            let now = v["n"].as_i64().unwrap();
                            let before = seen.insert(key, now);
                            assert!(before.is_none_or(|b| b <= now), "out of order");
                        }
                    }
                }
            };
            for (what, id, s) in steps {
                let id = SessionId(id);
                let symbol = format!("S{s}");
                match what {
                    0 => { hub.leave(id); in_flight.remove(&id); hub.join(id); }
                    1 => hub.want(id, wanted(&[&symbol])),
                    2 => hub.want(id, wanted(&["S0", "S1", "S2"])),
                    3 => { in_flight.remove(&id); hub.ready(id); }
                    4 => take(&mut hub, &mut in_flight),
                    _ => { n += 1; hub.quote(&quote(&symbol, n)); }
                }
                prop_assert!(hub.sessions.values().all(|s| s.wanted.iter().all(|w| hub.wanted().contains(w))));
            }
        }
    }
}
