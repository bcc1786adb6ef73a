//! The link to the source through random histories, with the trader app's codec and a model of its server.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::upstream::trader_app::Codec;

const OPEN: &str = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;

const BACKOFF: Backoff = Backoff {
    min: Duration::from_secs(1),
    max: Duration::from_secs(8),
};

/// What happens to a link.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time passes.
    Wait(u64),
    /// Somebody wants these of ten symbols.
    Want(u16),
    /// The next connection can be made, or not.
    Reachable(bool),
    /// The server says its next word of the handshake, or a ping.
    Speaks,
    /// The connection breaks.
    Breaks,
    /// The server ends the session.
    Ends,
    /// A quote comes.
    Quote,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop_oneof![0_u64..900, 0_u64..60_000].prop_map(Step::Wait),
        3 => any::<u16>().prop_map(Step::Want),
        2 => prop::bool::weighted(0.7).prop_map(Step::Reachable),
        6 => Just(Step::Speaks),
        1 => Just(Step::Breaks),
        1 => Just(Step::Ends),
        3 => Just(Step::Quote),
    ]
}

/// The other side of one connection.
#[derive(Default)]
struct Server {
    /// Words of the handshake that it has said.
    said: usize,
    subscribed: BTreeSet<String>,
}

/// A link, its thread and the server.
struct World {
    link: Link<Codec>,
    now: Instant,
    wanted: BTreeSet<String>,
    reachable: bool,
    server: Option<Server>,
    connected: bool,
    /// Lines of the log, by when.
    warned: Vec<(Instant, String)>,
    /// When it last lost the source, and for how long it had tried to have it.
    lost: Option<(Instant, Duration)>,
    tried: Instant,
    failures: u32,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            link: Link::new(now, "http://127.0.0.1:1".to_owned(), BACKOFF, 7),
            now,
            wanted: BTreeSet::new(),
            reachable: true,
            server: None,
            connected: false,
            warned: Vec::new(),
            lost: None,
            tried: now,
            failures: 0,
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(text) => {
                    let server = self.server.as_mut().expect("it sends over a connection");
                    server.takes(&text);
                }
                Action::Joined => {
                    assert!(self.server.is_some());
                    self.connected = true;
                }
                Action::Update(_) => {
                    assert!(self.connected, "quotes of a source that is not there")
                }
                Action::Warn(words) => self.warned.push((self.now, words)),
                Action::Lost(_) => {
                    self.server = None;
                    self.connected = false;
                    let lasted = self.now - self.tried;
                    let good = lasted > GOOD_AFTER;
                    self.failures = if good { 1 } else { self.failures + 1 };
                    self.lost = Some((self.now, lasted));
                }
                Action::Spike(..) | Action::Mended(_) => {}
            }
        }
    }

    /// As the thread does, until it would wait.
    fn settle(&mut self) {
        loop {
            let mut out = Vec::new();
            let next = self.link.next(self.now, &mut out);
            self.perform(out);
            match next {
                Next::Rest(until) => {
                    assert!(until > self.now && self.server.is_none());
                    let (at, _) = self.lost.expect("it rests after a loss");
                    let doubled = BACKOFF.min * (1 << (self.failures - 1).min(3));
                    let wait = until - at;
                    assert!(wait >= doubled / 2 && wait <= doubled * 3 / 2, "{wait:?}");
                    return;
                }
                Next::Read => {
                    assert!(self.server.is_some(), "it reads from a connection");
                    return;
                }
                Next::Connect => {
                    assert!(self.server.is_none(), "one connection at a time");
                    self.tried = self.now;
                    let mut out = Vec::new();
                    if self.reachable {
                        self.server = Some(Server::default());
                        self.link.opened(self.now, &mut out);
                    } else {
                        self.link.lost(self.now, "refused".to_owned(), &mut out);
                    }
                    self.perform(out);
                }
            }
        }
    }

    fn step(&mut self, step: Step) {
        let mut out = Vec::new();
        let open = self.server.is_some();
        match step {
            Step::Wait(ms) => self.now += Duration::from_millis(ms),
            Step::Reachable(is) => self.reachable = is,
            Step::Want(bits) => {
                let names = (0..10).filter(|n| bits >> n & 1 == 1);
                self.wanted = names.map(|n| format!("S{n}")).collect();
                let symbols = self.wanted.iter().map(|s| s.parse().unwrap()).collect();
                self.link.want(Wanted::new(symbols), &mut out);
            }
            Step::Speaks => {
                if let Some(server) = &mut self.server {
                    let text = [OPEN, r#"40{"sid":"y"}"#, "2"][server.said.min(2)];
                    server.said += 1;
                    self.link.text(self.now, text, &mut out);
                }
            }
            Step::Quote => {
                if self.connected {
                    let text = r#"42["quote_update",{"symbol":"S1","last_price":2}]"#;
                    self.link.text(self.now, text, &mut out);
                    assert!(out.iter().any(|a| matches!(a, Action::Update(_))));
                }
            }
            Step::Breaks if open => self.link.lost(self.now, "broke".to_owned(), &mut out),
            Step::Ends if open => self.link.text(self.now, "1", &mut out),
            Step::Breaks | Step::Ends => {}
        }
        self.perform(out);
        self.settle();
    }

    fn check(&self) {
        if let Some(server) = &self.server
            && self.connected
        {
            assert_eq!(
                server.subscribed, self.wanted,
                "of what is wanted all, and no more"
            );
        }
        for (n, (at, words)) in self.warned.iter().enumerate() {
            let why = |words: &str| words.split(';').next().map(str::to_owned);
            let before = n.checked_sub(1).map(|n| &self.warned[n]);
            let repeated = before.filter(|(_, other)| why(other) == why(words));
            assert!(
                repeated.is_none_or(|(before, _)| *at >= *before + Duration::from_secs(5)),
                "{words}"
            );
        }
    }
}

impl Server {
    fn takes(&mut self, text: &str) {
        let Some(event) = text.strip_prefix("42") else {
            return;
        };
        assert!(self.said >= 2, "it takes events once the session is joined");
        let event: (String, Value) = serde_json::from_str(event).unwrap();
        let symbols = event.1["symbols"].as_array().unwrap();
        let names = symbols.iter().map(|s| s.as_str().unwrap().to_owned());
        match event.0.as_str() {
            "subscribe_quotes" => names.for_each(|name| assert!(self.subscribed.insert(name))),
            "unsubscribe_quotes" => names.for_each(|name| assert!(self.subscribed.remove(&name))),
            other => panic!("{other}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn whatever_happens_the_source_is_tried_again_in_time_and_sends_what_is_wanted(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut world = World::new();
        world.settle();
        for step in steps {
            world.step(step);
            world.check();
        }
        // Once it works again it is there: nothing that happened keeps it away.
        world.reachable = true;
        for _ in 0..6 {
            world.step(Step::Wait(12_000));
            world.step(Step::Speaks);
            world.step(Step::Speaks);
        }
        world.check();
        prop_assert!(world.connected);
    }
}

#[test]
fn a_source_that_is_silent_is_given_up_and_tried_again() {
    let mut world = World::new();
    world.settle();
    for _ in 0..2 {
        world.step(Step::Speaks);
    }
    assert!(world.connected);
    world.step(Step::Wait(44_000));
    assert!(world.connected, "25 s and 20 s more are allowed");
    world.step(Step::Wait(1_000));
    assert!(!world.connected && world.warned[0].1.contains("silent for longer"));
}

#[test]
fn the_same_loss_is_logged_ever_more_rarely_with_the_number_of_silent_tries() {
    let mut world = World::new();
    world.reachable = false;
    world.settle();
    for _ in 0..130 {
        world.step(Step::Wait(500));
    }
    let lines: Vec<&String> = world.warned.iter().map(|(_, words)| words).collect();
    assert!((3..8).contains(&lines.len()), "{lines:?}");
    assert!(!lines[0].contains("not logged"));
    assert!(
        lines.last().unwrap().contains("were not logged"),
        "{lines:?}"
    );
}
