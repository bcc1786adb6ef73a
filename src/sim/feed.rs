//! Which quotes a stream session gets when. Pure: it is asked often, and says what is due.

use serde::Serialize;
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

use super::daily_plan::dollars;
use super::listings::Id;
use super::market::{Market, Snapshot};
use crate::runtime::clock::Now;
use crate::upstream::trader_app::shapes::StreamQuote;

/// Quotes that could not be sent in time are not made up for beyond this.
const CARRY_MAX: Duration = Duration::from_secs(1);
/// Bounds of the time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(2);
const LOOK_MAX: Duration = Duration::from_millis(25);

/// One subscribed symbol.
#[derive(Debug)]
struct Line {
    id: Id,
    /// What the client knows of it; empty before the first quote.
    sent: Map<String, Value>,
    /// Grows with its weight, falls when it is chosen.
    turn: i64,
}

/// One session's subscriptions and what it was sent.
#[derive(Debug)]
pub(super) struct Feed {
    lines: Vec<Line>,
    per_second: u32,
    /// Quotes that may be sent now.
    credit: f64,
    looked: Instant,
}

impl Feed {
    /// At most `per_second` quotes, over all symbols; first quotes of a symbol come on top.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self {
            lines: Vec::new(),
            per_second,
            credit: 0.0,
            looked: now,
        }
    }

    /// Adds a symbol; its next quote is a whole one. One that is there already is left alone.
    pub(super) fn subscribe(&mut self, id: Id) {
        if self.lines.iter().all(|l| l.id != id) {
            self.lines.push(Line {
                id,
                sent: Map::new(),
                turn: 0,
            });
        }
    }

    pub(super) fn unsubscribe(&mut self, id: Id) {
        self.lines.retain(|l| l.id != id);
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
    }

    /// How long to wait before the next look.
    pub(super) fn pause(&self) -> Duration {
        let symbols = f64::from(u32::try_from(self.lines.len()).unwrap_or(u32::MAX));
        Duration::from_secs_f64(symbols / f64::from(self.per_second.max(1)))
            .clamp(LOOK_MIN, LOOK_MAX)
    }

    /// The quotes that are due: whole ones of new symbols, else the fields that changed and the
    /// symbol.
    pub(super) fn due(&mut self, market: &mut Market, now: Now) -> Vec<Value> {
        let rate = f64::from(self.per_second);
        let passed = now.mono.saturating_duration_since(self.looked);
        self.looked = now.mono;
        self.credit += rate * passed.min(CARRY_MAX).as_secs_f64();
        self.credit = self.credit.min(rate * CARRY_MAX.as_secs_f64());

        let mut quotes = Vec::new();
        for line in self.lines.iter_mut().filter(|l| l.sent.is_empty()) {
            let snapshot = market.snapshot(line.id, now.wall_ms);
            quotes.extend(line.update(&snapshot));
        }
        while self.credit >= 1.0 {
            let Some(line) = self.choose() else {
                self.credit = 0.0;
                break;
            };
            self.credit -= 1.0;
            let line = &mut self.lines[line];
            let snapshot = market.snapshot(line.id, now.wall_ms);
            // In a halt, and before the first trade, there is little to tell: every fourth turn.
            let quiet = snapshot.halted || snapshot.sums.last == 0;
            if quiet && !snapshot.moment.second.is_multiple_of(4) {
                continue;
            }
            quotes.extend(line.update(&snapshot));
        }
        quotes
    }

    /// The symbol whose turn it is: each comes as often as it is lively, evenly mixed.
    fn choose(&mut self) -> Option<usize> {
        let mut total = 0;
        for line in &mut self.lines {
            let weight = i64::from(line.id.listing().liveliness);
            line.turn += weight;
            total += weight;
        }
        if total == 0 {
            return None;
        }
        let (at, line) = self
            .lines
            .iter_mut()
            .enumerate()
            .max_by_key(|(_, l)| l.turn)?;
        line.turn -= total;
        Some(at)
    }
}

impl Line {
    /// The changed fields and the symbol; none if nothing changed.
    fn update(&mut self, s: &Snapshot) -> Option<Value> {
        let mut changed = whole(self.id, s);
        changed.retain(|name, value| name == "symbol" || self.sent.get(name) != Some(value));
        self.sent.extend(changed.clone());
        (changed.len() > 1).then_some(Value::Object(changed))
    }
}

/// What is streamed: the trader app's quote, and beside it what its source has as well.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    quote: StreamQuote,
    bid_size: u32,
    ask_size: u32,
    close_price: f64,
}

fn whole(id: Id, s: &Snapshot) -> Map<String, Value> {
    let whole = Whole {
        quote: StreamQuote {
            symbol: id.listing().symbol.into(),
            last_price: dollars(s.sums.last),
            bid_price: dollars(s.bid),
            ask_price: dollars(s.ask),
            total_volume: s.sums.volume,
            last_size: s.sums.last_size.into(),
            high_price: dollars(s.sums.high),
            low_price: dollars(s.sums.low),
            open_price: dollars(s.sums.open),
            net_change: s.net_change(),
            quote_time_ms: s.quote_ms(),
            trade_time_ms: s.trade_ms(),
        },
        bid_size: s.bid_size,
        ask_size: s.ask_size,
        close_price: dollars(s.prev_close),
    };
    match serde_json::to_value(&whole) {
        Ok(Value::Object(fields)) => fields,
        // A struct whose keys are text is an object.
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Session;
    use jiff::civil::date;

    fn start() -> Now {
        Now {
            mono: Instant::now(),
            wall_ms: Session::new().at_ms(date(2026, 3, 10), 9, 45),
        }
    }

    #[test]
    fn the_first_quote_is_whole_and_the_others_merge_into_the_market() {
        let (mut market, mut other) = (Market::new(1), Market::new(1));
        let now = start();
        let mut feed = Feed::new(40, now.mono);
        let id = Id::find("TOYO").unwrap();
        feed.subscribe(id);
        feed.subscribe(id);
        let mut merged = Map::new();
        let mut parts = 0;
        for step in 0..400 {
            let then = now.plus(Duration::from_millis(25 * step));
            for quote in feed.due(&mut market, then) {
                let quote = quote.as_object().unwrap();
                if merged.is_empty() {
                    assert_eq!(quote.len(), 15);
                } else if quote.len() < 15 {
                    parts += 1;
                }
                merged.extend(quote.clone());
                let truth = other.snapshot(id, then.wall_ms);
                for (name, value) in whole(id, &truth) {
                    assert_eq!(merged[&name], value, "{name} at step {step}");
                }
            }
        }
        assert!(parts > 300, "{parts} partial quotes");
    }

    #[test]
    fn the_rate_holds_over_all_symbols_and_lively_ones_get_more() {
        let mut market = Market::new(1);
        let now = start();
        let mut feed = Feed::new(40, now.mono);
        Id::all().for_each(|id| feed.subscribe(id));
        let first = feed.due(&mut market, now);
        assert_eq!(first.len(), super::super::listings::LISTINGS.len());
        let mut counts = std::collections::HashMap::<String, u32>::new();
        for step in 1..=1_000 {
            let then = now.plus(Duration::from_millis(25 * step));
            for quote in feed.due(&mut market, then) {
                *counts
                    .entry(quote["symbol"].as_str().unwrap().into())
                    .or_default() += 1;
            }
        }
        let total: u32 = counts.values().sum();
        assert!((900..=1_000).contains(&total), "{total} in 25 s");
        assert!(counts["TOYO"] > 2 * counts["TRZM"], "{counts:?}");
        assert!(
            !counts.contains_key("IXOB"),
            "a silent symbol has one snapshot"
        );
        // After a long silence there is no flood.
        let late = feed.due(&mut market, now.plus(Duration::from_secs(3_600)));
        assert!(late.len() <= 40);
    }

    #[test]
    fn a_symbol_that_never_traded_comes_as_a_snapshot_of_zeros() {
        let mut market = Market::new(1);
        let now = start();
        let mut feed = Feed::new(40, now.mono);
        feed.subscribe(Id::find("IXOB").unwrap());
        let quotes = feed.due(&mut market, now);
        assert_eq!(quotes.len(), 1);
        for name in ["last_price", "trade_time_ms", "total_volume", "high_price"] {
            assert_eq!(quotes[0][name].as_f64(), Some(0.0), "{name}");
        }
        assert!(
            feed.due(&mut market, now.plus(Duration::from_secs(9)))
                .is_empty()
        );
        feed.unsubscribe(Id::find("IXOB").unwrap());
        feed.subscribe(Id::find("IXOB").unwrap());
        assert_eq!(
            feed.due(&mut market, now.plus(Duration::from_secs(10)))
                .len(),
            1
        );
    }
}
