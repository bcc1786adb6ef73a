//! One-minute candles from quotes. Pure.
//!
//! A quote names the last trade: its time, its price, and the volume of the day so far. What the volume
//! grew by since the quote before belongs to that trade's minute. A late trade (older than one heard
//! before) widens its own minute and moves no close. A volume that falls was reset by the source (07:28
//! New York) and counts from there. Quotes without a trade make no candle. A trade of less than a round lot
//! moves the volume alone, as on the tape: a minute that has no other stands where the one before closed.
//!
//! What was heard is kept for the trading day, also when the source is lost meanwhile.
//!
//! `cargo bench --bench cores`: a quote in 0.35 µs.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::market::LiveCandles;
use crate::market::{Candle, Quote, Session, Symbol, may_be_zero, round_lot};

use super::messages::Wanted;

const MINUTE_MS: i64 = 60_000;

/// Minutes that are told each time: a few more than the longest candle made of minutes has. Those before
/// are shared by all tellings.
const MINUTES_TOLD: usize = 20;

/// Minutes kept of a symbol: a whole day of them.
const MINUTES_MAX: usize = 1_440;

/// A trade further in the future than this has a broken clock behind it.
const FUTURE_MAX_MS: i64 = 60_000;

/// The longest time until the trading day must be looked up again.
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// One symbol as heard since it is followed.
#[derive(Debug)]
struct SymbolState {
    since_ms: i64,
    /// The day's volume by the last quote that had one.
    total: Option<f64>,
    last_trade_ms: i64,
    minutes: VecDeque<Minute>,
    /// All but the last [`MINUTES_TOLD`], as they are told; none once it is no longer so.
    earlier: Option<Arc<[Candle]>>,
    day: Option<Candle>,
}

/// A candle, and whether all its trades were odd lots: its prices are those of before.
#[derive(Clone, Copy, Debug)]
struct Minute {
    candle: Candle,
    odd: bool,
}

/// The trading day.
#[derive(Clone, Copy, Debug)]
struct Day {
    open_ms: i64,
    /// Where the provider puts the day's candle: midnight in Chicago.
    candle_ms: i64,
}

/// All streamed symbols.
#[derive(Debug, Default)]
pub struct CandleBuilder {
    session: Session,
    day: Option<Day>,
    symbols: HashMap<Symbol, SymbolState>,
    /// What was heard before the source was lost.
    before: HashMap<Symbol, VecDeque<Minute>>,
    heard: BTreeSet<Symbol>,
}

impl CandleBuilder {
    /// A merged quote came at `now_ms`.
    pub fn quote(&mut self, quote: &Quote, now_ms: i64) {
        let day = self.day(now_ms);
        self.symbols
            .entry(quote.symbol.clone())
            .or_insert_with(|| {
                let before = self.before.remove(&quote.symbol);
                SymbolState::new(now_ms, before.unwrap_or_default())
            })
            .apply(quote, day, now_ms);
        self.heard.insert(quote.symbol.clone());
    }

    /// Forgets what nobody wants: its quotes stop.
    pub fn keep(&mut self, wanted: &Wanted) {
        self.symbols.retain(|symbol, _| wanted.contains(symbol));
        self.before.retain(|symbol, _| wanted.contains(symbol));
        self.heard.retain(|symbol| wanted.contains(symbol));
    }

    /// The source is gone: what is heard from here on begins anew, after a gap.
    pub fn lost(&mut self) {
        let heard = self
            .symbols
            .drain()
            .map(|(symbol, state)| (symbol, state.minutes));
        self.before.extend(heard);
        self.heard.clear();
    }

    /// What was heard since the last time, or, if `all`, everything: that nobody trades is news too.
    pub fn updates(&mut self, now_ms: i64, all: bool) -> Vec<(Symbol, LiveCandles)> {
        let day = self.day(now_ms);
        let heard = std::mem::take(&mut self.heard);
        let told = self
            .symbols
            .iter_mut()
            .filter(|(symbol, _)| all || heard.contains(symbol));
        told.map(|(symbol, state)| (symbol.clone(), state.live(day, now_ms)))
            .collect()
    }

    /// An update of this symbol was not taken by the cache: it is sent again.
    pub fn not_sent(&mut self, symbol: &Symbol) {
        self.heard.insert(symbol.clone());
    }

    fn day(&mut self, now_ms: i64) -> Day {
        if let Some(day) = self.day
            && (day.open_ms..day.open_ms + DAY_MS).contains(&now_ms)
        {
            return day;
        }
        let date = self.session.trading_day(now_ms);
        let day = Day {
            open_ms: self.session.open_ms(date),
            candle_ms: self.session.daily_candle_ms(date),
        };
        self.day = Some(day);
        day
    }
}

impl SymbolState {
    fn new(now_ms: i64, minutes: VecDeque<Minute>) -> Self {
        Self {
            since_ms: now_ms,
            total: None,
            last_trade_ms: 0,
            minutes,
            earlier: None,
            day: None,
        }
    }

    fn apply(&mut self, quote: &Quote, day: Day, now_ms: i64) {
        let positive = |field| quote.number(field).filter(|n| *n > 0.0);
        let any = may_be_zero(&quote.symbol);
        let price = quote.number("last_price").filter(|p| any || *p > 0.0);
        let (Some(price), Some(at)) = (price, positive("trade_time_ms")) else {
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "a later moment is refused")]
        let at_ms = at as i64;
        if !(day.open_ms..=now_ms + FUTURE_MAX_MS).contains(&at_ms) {
            return;
        }
        let late = at_ms < self.last_trade_ms;
        let volume = self.grown(quote.number("total_volume"), late);
        self.last_trade_ms = self.last_trade_ms.max(at_ms);
        let minute = Candle {
            at_ms: at_ms - at_ms.rem_euclid(MINUTE_MS),
            open: price,
            high: price,
            low: price,
            close: price,
            volume,
        };
        let lot = round_lot(&quote.symbol, price).zip(positive("last_size"));
        let odd = lot.is_some_and(|(lot, size)| size < lot);
        if let Some(of_day) = day_candle(quote, price, day.candle_ms) {
            let before = self.day.filter(|d| odd && d.at_ms == of_day.at_ms);
            let close = before.map_or(price, |d| d.close);
            let close = if odd {
                close.max(of_day.low).min(of_day.high)
            } else {
                close
            };
            self.day = Some(Candle { close, ..of_day });
        }
        self.forget_before(day.open_ms);
        // A trade from before we listened is in what the provider gives.
        if minute.at_ms + MINUTE_MS > self.since_ms {
            self.put(
                Minute {
                    candle: minute,
                    odd,
                },
                late,
            );
        }
    }

    /// What the day's volume grew by.
    fn grown(&mut self, total: Option<f64>, late: bool) -> u64 {
        let Some(total) = total.filter(|t| t.is_finite() && *t >= 0.0) else {
            return 0;
        };
        let grown = self.total.map_or(0.0, |before| total - before);
        if !late || grown > 0.0 {
            self.total = Some(total);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a volume that is not negative; beyond u64 it saturates"
        )]
        let grown = grown.max(0.0) as u64;
        grown
    }

    fn put(&mut self, mut new: Minute, late: bool) {
        let at_ms = new.candle.at_ms;
        let after = self.minutes.iter().rposition(|m| m.candle.at_ms <= at_ms);
        let place = after.map_or(0, |i| i + 1);
        if place + MINUTES_TOLD <= self.minutes.len() {
            self.earlier = None;
        }
        let before = after.and_then(|i| self.minutes.get_mut(i));
        match before {
            Some(known) if known.candle.at_ms == at_ms => known.take(&new, late),
            before => {
                if let Some(before) = before.filter(|_| new.odd) {
                    new.candle = flat(before.candle.close, &new.candle);
                }
                self.minutes.insert(place, new);
                if self.minutes.len() > MINUTES_MAX {
                    self.minutes.pop_front();
                }
                if self.minutes.len() > MINUTES_TOLD {
                    self.earlier = None;
                }
            }
        }
    }

    fn forget_before(&mut self, open_ms: i64) {
        while self
            .minutes
            .front()
            .is_some_and(|m| m.candle.at_ms < open_ms)
        {
            self.minutes.pop_front();
            self.earlier = None;
        }
    }

    fn live(&mut self, day: Day, now_ms: i64) -> LiveCandles {
        self.forget_before(day.open_ms);
        let told_from = self.minutes.len().saturating_sub(MINUTES_TOLD);
        let candles = |minutes: std::collections::vec_deque::Iter<'_, Minute>| {
            minutes.map(|m| m.candle).collect::<Arc<[Candle]>>()
        };
        let minutes = candles(self.minutes.range(told_from..));
        let earlier = self.earlier.take();
        let earlier = earlier.unwrap_or_else(|| candles(self.minutes.range(..told_from)));
        self.earlier = Some(Arc::clone(&earlier));
        LiveCandles {
            since_ms: self.since_ms,
            as_of_ms: now_ms,
            day_open_ms: day.open_ms,
            earlier,
            minutes,
            day: self.day.filter(|d| d.at_ms == day.candle_ms),
        }
    }
}

impl Minute {
    /// Another trade of the same minute.
    fn take(&mut self, new: &Self, late: bool) {
        let known = &mut self.candle;
        let volume = known.volume.saturating_add(new.candle.volume);
        if self.odd && !new.odd {
            *self = *new;
        } else if !new.odd {
            let close = if late { known.close } else { new.candle.close };
            known.extend(&new.candle);
            known.close = close;
        }
        self.candle.volume = volume;
    }
}

/// A candle that stands at one price.
fn flat(price: f64, like: &Candle) -> Candle {
    Candle {
        open: price,
        high: price,
        low: price,
        close: price,
        ..*like
    }
}

/// The day's candle by the quote's own fields, which are 0 before the regular session.
fn day_candle(quote: &Quote, last: f64, at_ms: i64) -> Option<Candle> {
    let positive = |field| quote.number(field).filter(|n| *n > 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive; beyond u64 it saturates"
    )]
    Some(Candle {
        at_ms,
        open: positive("open_price")?,
        high: positive("high_price")?,
        low: positive("low_price")?,
        close: last,
        volume: positive("total_volume").unwrap_or(0.0) as u64,
    })
}

#[cfg(test)]
#[path = "candle_builder_tests.rs"]
mod tests;
