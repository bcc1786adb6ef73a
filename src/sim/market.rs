//! The embedded market: what every symbol did at every moment, from a seed alone. Pure: the same seed
//! and the same moment give the same numbers, in whatever order they are asked for. Owned by the
//! thread that asks; it keeps only what was computed before.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::daily_plan::{
    CLOSE_SECOND, DAY_MINUTES, DAY_SECONDS, DOLLAR, DailyPlan, OPEN_SECOND, dollars, on_grid,
    rounded,
};
use super::days;
use super::listings::{Character, Id};
use super::tape::{Burst, Minute, Sums, Tape, is_first_hour};
use crate::market::{Candle, Session};

/// Tapes kept: a day of each symbol, and as many of days before. One takes about 60 kB.
const TAPES_MAX: usize = 48;
/// Facts kept: some bytes each.
const FACTS_MAX: usize = 256;
/// Minute candles reach back so many trading days.
pub(super) const MINUTE_DAYS_MAX: i64 = 10;
/// Daily candles reach back so many trading days: a little over a year.
pub(super) const DAILY_DAYS_MAX: i64 = 262;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = DAY_SECONDS as i64 * SECOND_MS;

/// A moment, as a trading day and a second in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The trading day's number.
    pub(super) day: i64,
    /// 04:00 New York of that day, in milliseconds since the Unix epoch.
    pub(super) open_ms: i64,
    /// Seconds since then; the day's last one all night long.
    pub(super) second: u32,
    /// The moment itself, or 20:00 if that is past.
    pub(super) at_ms: i64,
}

/// What is known of a symbol at a moment. Prices are ticks of 0.0001 dollar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Snapshot {
    pub(super) moment: Moment,
    pub(super) sums: Sums,
    pub(super) prev_close: u32,
    pub(super) bid: u32,
    pub(super) ask: u32,
    pub(super) bid_size: u32,
    pub(super) ask_size: u32,
    pub(super) halted: bool,
}

impl Snapshot {
    /// When the last trade was, in milliseconds since the Unix epoch; 0 before the first.
    pub(super) fn trade_ms(&self) -> i64 {
        self.ms(self.sums.last, self.sums.last_second)
    }

    /// When the last trade of the regular session was; 0 before the first.
    pub(super) fn regular_trade_ms(&self) -> i64 {
        self.ms(self.sums.regular_last, self.sums.regular_second)
    }

    /// When bid and ask were last set; 0 for a symbol that nobody quotes.
    pub(super) fn quote_ms(&self) -> i64 {
        if self.bid == 0 { 0 } else { self.moment.at_ms }
    }

    /// Last price less the close before, in dollars; 0 before the first trade.
    pub(super) fn net_change(&self) -> f64 {
        change(self.sums.last, self.prev_close)
    }

    /// As above, in percent.
    pub(super) fn net_percent(&self) -> f64 {
        percent(self.sums.last, self.prev_close)
    }

    /// How far it opened from the close before, in percent; before the opening, how far it trades.
    pub(super) fn gap_percent(&self) -> f64 {
        let from = if self.sums.open > 0 {
            self.sums.open
        } else {
            self.sums.last
        };
        percent(from, self.prev_close)
    }

    /// Volume-weighted average price since 04:00, in dollars; none before the first trade.
    pub(super) fn vwap(&self) -> Option<f64> {
        (self.sums.volume > 0).then(|| {
            rounded(self.sums.turnover as f64 / self.sums.volume as f64 / f64::from(DOLLAR))
        })
    }

    fn ms(&self, price: u32, second: u32) -> i64 {
        if price == 0 {
            0
        } else {
            self.moment.open_ms + i64::from(second) * SECOND_MS
        }
    }
}

/// Figures over many days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Facts {
    /// Mean volume of the ten trading days before.
    pub(super) volume_10_days: u64,
    /// Highest price of the year before, in ticks.
    pub(super) year_high: u32,
    /// Lowest price of the year before, in ticks.
    pub(super) year_low: u32,
}

/// A burst of volume of a symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spike {
    pub(super) id: Id,
    /// When it is told, in milliseconds since the Unix epoch.
    pub(super) at_ms: i64,
    pub(super) burst: Burst,
    /// Whether that lies in the first hour of the regular session.
    pub(super) first_hour: bool,
}

#[derive(Debug)]
struct Kept<T> {
    used: u64,
    value: T,
}

/// The market, and what it has computed so far.
#[derive(Debug)]
pub(super) struct Market {
    seed: u64,
    session: Session,
    uses: u64,
    tapes: HashMap<(Id, i64), Kept<Tape>>,
    facts: HashMap<(Id, i64), Facts>,
    /// The last moment that was asked for: most often its day is asked for again.
    latest: Option<Moment>,
}

impl Market {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            session: Session::new(),
            uses: 0,
            tapes: HashMap::new(),
            facts: HashMap::new(),
            latest: None,
        }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// The trading day and second of a wall time.
    pub(super) fn moment(&mut self, wall_ms: i64) -> Moment {
        let same_day = |m: &Moment| (m.open_ms..m.open_ms + DAY_MS).contains(&wall_ms);
        let (day, open_ms) = match self.latest.filter(same_day) {
            Some(latest) => (latest.day, latest.open_ms),
            None => {
                let date = self.session.trading_day(wall_ms);
                (days::number(date), self.session.open_ms(date))
            }
        };
        let since_ms = (wall_ms - open_ms).max(0);
        let second = u32::try_from(since_ms / SECOND_MS).unwrap_or(u32::MAX);
        let moment = Moment {
            day,
            open_ms,
            second: second.min(DAY_SECONDS - 1),
            at_ms: wall_ms.min(open_ms + DAY_MS),
        };
        self.latest = Some(moment);
        moment
    }

    /// What is known of a symbol at a wall time.
    pub(super) fn snapshot(&mut self, id: Id, wall_ms: i64) -> Snapshot {
        let moment = self.moment(wall_ms);
        let tape = self.tape(id, moment.day);
        let sums = tape.at(moment.second);
        let near = if sums.last > 0 {
            sums.last
        } else {
            tape.plan.prev_close
        };
        let mut snapshot = Snapshot {
            moment,
            sums,
            prev_close: tape.plan.prev_close,
            bid: 0,
            ask: 0,
            bid_size: 0,
            ask_size: 0,
            halted: tape.plan.is_halted(moment.second),
        };
        if id.listing().character == Character::Silent {
            return snapshot;
        }
        let book = tape.plan.rng.of(10);
        let tenth = u64::try_from((moment.at_ms - moment.open_ms) / 100).unwrap_or(0);
        let step = if near >= DOLLAR { 100 } else { 10 };
        let width = 1 + book.pick(4 * tenth, 0, 1 + near / 250 / step);
        let below = book.pick(4 * tenth + 1, 0, width + 1);
        snapshot.bid = on_grid(near.saturating_sub(below * step));
        snapshot.ask = on_grid(snapshot.bid + width * step).max(near);
        snapshot.bid_size = 100 * book.pick(4 * tenth + 2, 1, 40);
        snapshot.ask_size = 100 * book.pick(4 * tenth + 3, 1, 40);
        snapshot
    }

    /// Candles of `minutes` (a divisor of 60) that open in a range of wall times, as they stand at
    /// `now_ms`, oldest first. Minutes before a day's first trade are placeholders, later ones
    /// without a trade are left out. Reaches back [`MINUTE_DAYS_MAX`] trading days.
    pub(super) fn minute_candles(
        &mut self,
        id: Id,
        range: RangeInclusive<i64>,
        now_ms: i64,
        minutes: u32,
        extended: bool,
    ) -> Vec<Candle> {
        let now = self.moment(now_ms);
        let (from, to) = (*range.start(), (*range.end()).min(now_ms));
        if from > to {
            return Vec::new();
        }
        let last = days::number(self.session.trading_day(to));
        let first = days::number(self.session.trading_day(from)).max(last - MINUTE_DAYS_MAX + 1);
        let hours = if extended {
            0..DAY_MINUTES
        } else {
            OPEN_SECOND / 60..CLOSE_SECOND / 60
        };
        let mut candles = Vec::new();
        for day in first..=last {
            let open_ms = self.session.open_ms(days::date_of(day));
            let tape = self.tape(id, day);
            for start in hours.clone().step_by(minutes.max(1) as usize) {
                let at_ms = open_ms + i64::from(start) * MINUTE_MS;
                if at_ms > to {
                    break;
                }
                if at_ms < from {
                    continue;
                }
                let end = (start + minutes).min(hours.end);
                let seen = if day < now.day {
                    DAY_SECONDS
                } else {
                    now.second + 1
                };
                if let Some(candle) = candle(tape, start..end, seen, at_ms) {
                    candles.push(candle);
                }
            }
        }
        candles
    }

    /// Daily candles of the trading days in a range of dates, as they stand at `now_ms`, oldest
    /// first, each at midnight in Chicago. A day without a trade in the regular session has none.
    /// Prices are those of the regular session, the volume that of the whole day.
    pub(super) fn daily_candles(
        &mut self,
        id: Id,
        dates: RangeInclusive<Date>,
        now_ms: i64,
    ) -> Vec<Candle> {
        let now = self.moment(now_ms);
        let last = days::number(*dates.end()).min(now.day);
        let first = days::number_from(*dates.start()).max(last - DAILY_DAYS_MAX + 1);
        let mut candles = Vec::new();
        for day in first..=last {
            let at_ms = self.session.daily_candle_ms(days::date_of(day));
            let candle = if day < now.day {
                let plan = DailyPlan::new(self.seed, id, day);
                plan.first_trade.map(|_| Candle {
                    at_ms,
                    open: dollars(plan.open),
                    high: dollars(plan.high),
                    low: dollars(plan.low),
                    close: dollars(plan.close),
                    volume: plan.day_volume(),
                })
            } else {
                let sums = self.tape(id, day).at(now.second);
                (sums.open > 0).then(|| Candle {
                    at_ms,
                    open: dollars(sums.open),
                    high: dollars(sums.high),
                    low: dollars(sums.low),
                    close: dollars(sums.regular_last),
                    volume: sums.volume,
                })
            };
            candles.extend(candle);
        }
        candles
    }

    /// A symbol's day in outline.
    pub(super) fn plan(&self, id: Id, day: i64) -> DailyPlan {
        DailyPlan::new(self.seed, id, day)
    }

    /// Price of the regular session's last trade on the trading day before, in ticks.
    pub(super) fn close_before(&self, id: Id, day: i64) -> u32 {
        self.plan(id, day).prev_close
    }

    /// Figures over the days before that one.
    pub(super) fn facts(&mut self, id: Id, day: i64) -> Facts {
        const YEAR_DAYS: i64 = 252;
        const SHORT_DAYS: i64 = 10;
        if let Some(facts) = self.facts.get(&(id, day)) {
            return *facts;
        }
        let (mut volume, mut high, mut low) = (0, 0, u32::MAX);
        for back in 1..=YEAR_DAYS {
            let plan = DailyPlan::new(self.seed, id, day - back);
            if back <= SHORT_DAYS {
                volume += plan.day_volume();
            }
            high = high.max(plan.high);
            low = low.min(plan.low);
        }
        let facts = Facts {
            volume_10_days: volume / SHORT_DAYS.unsigned_abs(),
            year_high: high,
            year_low: low,
        };
        if self.facts.len() >= FACTS_MAX {
            self.facts.clear();
        }
        self.facts.insert((id, day), facts);
        facts
    }

    /// Bursts of volume of all symbols, told after one wall time and not after another, in order of
    /// time. Both must lie on the same trading day; else only those of the later one's.
    pub(super) fn spikes(&mut self, after_ms: i64, until_ms: i64) -> Vec<Spike> {
        let now = self.moment(until_ms);
        let mut spikes = Vec::new();
        for id in Id::all() {
            for burst in &self.tape(id, now.day).bursts {
                let at_ms = now.open_ms + i64::from(burst.second) * SECOND_MS;
                if after_ms < at_ms && at_ms <= until_ms {
                    spikes.push(Spike {
                        id,
                        at_ms,
                        burst: *burst,
                        first_hour: is_first_hour(burst.second),
                    });
                }
            }
        }
        spikes.sort_by_key(|s| (s.at_ms, s.id));
        spikes
    }

    /// A symbol's day, computed at most once while it is in use.
    pub(super) fn tape(&mut self, id: Id, day: i64) -> &Tape {
        let key = (id, day);
        self.uses += 1;
        let used = self.uses;
        if !self.tapes.contains_key(&key)
            && self.tapes.len() >= TAPES_MAX
            && let Some(oldest) = self
                .tapes
                .iter()
                .min_by_key(|(_, k)| k.used)
                .map(|(k, _)| *k)
        {
            self.tapes.remove(&oldest);
        }
        let seed = self.seed;
        let kept = self.tapes.entry(key).or_insert_with(|| Kept {
            used,
            value: Tape::new(DailyPlan::new(seed, id, day)),
        });
        kept.used = used;
        &kept.value
    }
}

/// One candle over a range of minutes of a day of which `seen` seconds have passed; none without a
/// trade, but a placeholder before the day's first.
fn candle(tape: &Tape, minutes: std::ops::Range<u32>, seen: u32, at_ms: i64) -> Option<Candle> {
    let mut whole = Minute::default();
    for minute in minutes {
        let passed = seen.saturating_sub(minute * 60).min(60);
        if passed == 0 {
            break;
        }
        let one = tape.minute(minute, passed);
        if one.volume > 0 {
            if whole.volume == 0 {
                (whole.open, whole.low) = (one.open, one.low);
            }
            whole.high = whole.high.max(one.high);
            whole.low = whole.low.min(one.low);
            whole.close = one.close;
            whole.volume += one.volume;
        }
        whole.day = one.day;
    }
    (whole.volume > 0 || whole.day.last == 0).then(|| Candle {
        at_ms,
        open: dollars(whole.open),
        high: dollars(whole.high),
        low: dollars(whole.low),
        close: dollars(whole.close),
        volume: u64::from(whole.volume),
    })
}

/// Ticks less ticks in dollars; 0 where there is no price.
pub(super) fn change(price: u32, from: u32) -> f64 {
    if price == 0 || from == 0 {
        0.0
    } else {
        (f64::from(price) - f64::from(from)) / f64::from(DOLLAR)
    }
}

/// As [`change`], in percent, to four digits.
pub(super) fn percent(price: u32, from: u32) -> f64 {
    if price == 0 || from == 0 {
        0.0
    } else {
        rounded((f64::from(price) / f64::from(from) - 1.0) * 100.0)
    }
}
