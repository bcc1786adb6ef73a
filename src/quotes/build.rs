//! One-minute candles from quotes. Pure.
//!
//! A quote names the last trade: its time, its price, and the volume of the day so far. What the volume
//! grew by since the quote before belongs to that trade's minute. A late trade (older than one heard
//! before) widens its own minute and moves no close. A volume that falls was reset by the source (07:28
//! New York) and counts from there. Quotes without a trade, and trades outside 04:00 to 20:00 New York,
//! make no candle.
//!
//! `cargo bench --bench cores`: a quote in 0.26 µs.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::candles::LiveCandles;
use crate::market::{Candle, Quote, Session, Symbol};

use super::messages::Wanted;

const MINUTE_MS: i64 = 60_000;

/// Minutes told of a symbol: a few more than the longest candle made of minutes has.
const MINUTES_TOLD: usize = 20;

/// A trade further in the future than this has a broken clock behind it.
const FUTURE_MAX_MS: i64 = 60_000;

/// The longest time until the trading day must be looked up again.
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// One symbol as heard since it is followed.
#[derive(Debug)]
struct Tape {
    since_ms: i64,
    /// The day's volume by the last quote that had one.
    total: Option<f64>,
    last_trade_ms: i64,
    minutes: VecDeque<Candle>,
    day: Option<Candle>,
}

/// The trading day.
#[derive(Clone, Copy, Debug)]
struct Day {
    open_ms: i64,
    close_ms: i64,
    /// Where the provider puts the day's candle: midnight in Chicago.
    candle_ms: i64,
}

/// All streamed symbols.
#[derive(Debug, Default)]
pub struct Build {
    session: Session,
    day: Option<Day>,
    tapes: HashMap<Symbol, Tape>,
    heard: BTreeSet<Symbol>,
}

impl Build {
    /// A merged quote came at `now_ms`.
    pub fn quote(&mut self, quote: &Quote, now_ms: i64) {
        let day = self.day(now_ms);
        self.tapes
            .entry(quote.symbol.clone())
            .or_insert_with(|| Tape::new(now_ms))
            .hear(quote, day, now_ms);
        self.heard.insert(quote.symbol.clone());
    }

    /// Forgets what nobody wants: its quotes stop.
    pub fn keep(&mut self, wanted: &Wanted) {
        self.tapes.retain(|symbol, _| wanted.contains(symbol));
        self.heard.retain(|symbol| wanted.contains(symbol));
    }

    /// The source is gone: what is heard from here on begins anew.
    pub fn lost(&mut self) {
        self.tapes.clear();
        self.heard.clear();
    }

    /// What was heard since the last time, or, if `all`, everything: that nobody trades is news too.
    pub fn news(&mut self, now_ms: i64, all: bool) -> Vec<(Symbol, LiveCandles)> {
        let day = self.day(now_ms);
        let heard = std::mem::take(&mut self.heard);
        let told = self
            .tapes
            .iter()
            .filter(|(symbol, _)| all || heard.contains(symbol));
        told.map(|(symbol, tape)| (symbol.clone(), tape.live(day, now_ms)))
            .collect()
    }

    /// News of this symbol did not get through: they are told again.
    pub fn untold(&mut self, symbol: &Symbol) {
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
            close_ms: self.session.close_ms(date),
            candle_ms: self.session.daily_candle_ms(date),
        };
        self.day = Some(day);
        day
    }
}

impl Tape {
    fn new(now_ms: i64) -> Self {
        Self {
            since_ms: now_ms,
            total: None,
            last_trade_ms: 0,
            minutes: VecDeque::new(),
            day: None,
        }
    }

    fn hear(&mut self, quote: &Quote, day: Day, now_ms: i64) {
        let positive = |field| quote.number(field).filter(|n| *n > 0.0);
        let (Some(price), Some(at)) = (positive("last_price"), positive("trade_time_ms")) else {
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "a later moment is refused")]
        let at_ms = at as i64;
        if !(day.open_ms..day.close_ms).contains(&at_ms) || at_ms > now_ms + FUTURE_MAX_MS {
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
        if let Some(of_day) = day_candle(quote, price, day.candle_ms) {
            self.day = Some(of_day);
        }
        // A trade from before we listened is in what the provider gives.
        if minute.at_ms + MINUTE_MS > self.since_ms {
            self.put(minute, late);
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

    fn put(&mut self, new: Candle, late: bool) {
        let after = self.minutes.iter().rposition(|c| c.at_ms <= new.at_ms);
        let known = after.and_then(|i| self.minutes.get_mut(i));
        if let Some(known) = known
            && known.at_ms == new.at_ms
        {
            let close = if late { known.close } else { new.close };
            known.extend(&new);
            known.close = close;
            return;
        }
        self.minutes.insert(after.map_or(0, |i| i + 1), new);
        if self.minutes.len() > MINUTES_TOLD {
            self.minutes.pop_front();
        }
    }

    fn live(&self, day: Day, now_ms: i64) -> LiveCandles {
        LiveCandles {
            since_ms: self.since_ms,
            as_of_ms: now_ms,
            day_open_ms: day.open_ms,
            minutes: self.minutes.iter().copied().collect(),
            day: self.day.filter(|d| d.at_ms == day.candle_ms),
        }
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
#[path = "build_tests.rs"]
mod tests;
