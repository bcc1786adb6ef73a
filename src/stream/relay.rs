//! What the reader has for the hub: the source's state, quotes, spikes. Pure.
//!
//! A hub that takes nothing costs no quote of a symbol but older ones: what it has no room for is conflated
//! until it has.

use std::time::{Duration, Instant};

use crate::market::Quote;

use super::messages::{Spike, ToHub};
use super::outbox::Outbox;

/// The source's state is told this often even if it did not change: a hub that began anew must know.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Symbols whose spikes can wait for a hub that takes nothing.
const SPIKES_MAX: usize = 1_000;

/// What waits for the hub.
#[derive(Debug)]
pub(super) struct Relay {
    /// Whether the source is connected, and why (not).
    source: (bool, String),
    /// When the hub is to be told, again, what `source` says.
    tell_source_at: Instant,
    quotes: Outbox<ToHub>,
    spikes: Outbox<ToHub>,
}

impl Relay {
    /// The source is not connected.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            source: (false, "not connected yet".to_owned()),
            tell_source_at: now,
            quotes: Outbox::default(),
            spikes: Outbox::default(),
        }
    }

    /// The source came or went.
    pub(super) fn source(&mut self, now: Instant, connected: bool, why: String) {
        self.source = (connected, why);
        self.tell_source_at = now;
    }

    /// A merged quote came.
    pub(super) fn quote(&mut self, quote: Quote) {
        let symbol = quote.symbol.clone();
        self.quotes.push(symbol, ToHub::Quote(quote));
    }

    /// A spike came; of more symbols than the hub may be behind with it is lost.
    pub(super) fn spike(&mut self, spike: Spike) {
        if self.spikes.len() < SPIKES_MAX {
            let symbol = spike.symbol.clone();
            self.spikes.push(symbol, ToHub::Spike(spike));
        }
    }

    /// Whether the source's state is to be told.
    pub(super) fn source_is_due(&self, now: Instant) -> bool {
        now >= self.tell_source_at
    }

    /// Gives the hub what waits for it, in order, until it has no room: `offer` hands back what was not taken.
    /// `skew_seconds`: by how much this machine's clock is behind.
    pub(super) fn hand_over(
        &mut self,
        now: Instant,
        skew_seconds: Option<i64>,
        mut offer: impl FnMut(ToHub) -> Result<(), ToHub>,
    ) {
        if self.source_is_due(now) {
            let (connected, why) = self.source.clone();
            let source = ToHub::Source {
                connected,
                why,
                skew_seconds,
            };
            if offer(source).is_err() {
                return;
            }
            self.tell_source_at = now + TELL_EVERY;
        }
        for outbox in [&mut self.spikes, &mut self.quotes] {
            while let Some((symbol, message)) = outbox.pop() {
                if let Err(back) = offer(message) {
                    if let Some(symbol) = symbol {
                        outbox.put_back(symbol, back);
                    }
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::market::Symbol;

    fn quote(symbol: u8, n: usize) -> Quote {
        let mut fields = Map::new();
        fields.insert("n".into(), json!(n));
        Quote {
            symbol: name(symbol),
            fields,
        }
    }

    fn name(symbol: u8) -> Symbol {
        format!("S{symbol}").parse().unwrap()
    }

    /// What happens to a relay.
    #[derive(Clone, Debug)]
    enum Step {
        Quote(u8),
        Spike(u8),
        Source(bool),
        /// The hub has room for so many.
        HandOver(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_u8..5).prop_map(Step::Quote),
            1 => (0_u8..5).prop_map(Step::Spike),
            1 => any::<bool>().prop_map(Step::Source),
            4 => (0_usize..6).prop_map(Step::HandOver),
            2 => (0_u64..1_500).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_hub_gets_each_symbols_newest_quote_in_order_and_knows_the_source(
            steps in prop::collection::vec(step(), 1..60)
        ) {
            let mut now = Instant::now();
            let mut relay = Relay::new(now);
            let mut pushed: HashMap<Symbol, usize> = HashMap::new();
            let mut got: HashMap<Symbol, usize> = HashMap::new();
            let mut source = false;
            let mut told: Option<(bool, Instant)> = None;
            let everything = [Step::HandOver(usize::MAX)];
            for (n, step) in steps.iter().chain(&everything).enumerate() {
                match step {
                    Step::Quote(symbol) => {
                        relay.quote(quote(*symbol, n));
                        pushed.insert(name(*symbol), n);
                    }
                    Step::Spike(symbol) => relay.spike(Spike { symbol: name(*symbol), fields: Map::new() }),
                    Step::Source(connected) => {
                        source = *connected;
                        relay.source(now, source, String::new());
                    }
                    Step::Wait(ms) => now += Duration::from_millis(*ms),
                    Step::HandOver(room) => {
                        let mut room = *room;
                        relay.hand_over(now, None, |message| {
                            if room == 0 {
                                return Err(message);
                            }
                            room -= 1;
                            match message {
                                ToHub::Source { connected, .. } => told = Some((connected, now)),
                                ToHub::Quote(quote) => {
                                    let n = quote.fields["n"].as_u64().unwrap() as usize;
                                    let before = got.insert(quote.symbol, n);
                                    assert!(before.is_none_or(|b| b < n), "back in time");
                                    // It never learns of quotes of a source that it takes for another.
                                    assert_eq!(told.unwrap().0, source);
                                }
                                _ => {}
                            }
                            Ok(())
                        });
                    }
                }
            }
            prop_assert_eq!(got, pushed);
            let (connected, at) = told.unwrap();
            prop_assert_eq!(connected, source);
            prop_assert!(now < at + TELL_EVERY);
        }
    }

    #[test]
    fn spikes_that_wait_are_bounded() {
        let mut relay = Relay::new(Instant::now());
        for n in 0..SPIKES_MAX + 9 {
            let symbol = format!("S{n}").parse().unwrap();
            relay.spike(Spike {
                symbol,
                fields: Map::new(),
            });
        }
        assert_eq!(relay.spikes.len(), SPIKES_MAX);
    }
}
