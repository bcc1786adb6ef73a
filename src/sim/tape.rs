//! One symbol's day, second by second: each second has at most one trade. Pure.
//!
//! A tape keeps its minutes, about 60 kB; the seconds of a minute are made anew from chance when they
//! are asked for, and always come out the same.

use super::daily_plan::{CLOSE_SECOND, DAY_MINUTES, DAY_SECONDS, DailyPlan, OPEN_SECOND, on_grid};

/// The trade of one second; none if no share changed hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trade {
    /// In ticks.
    pub(super) price: u32,
    /// Shares; 0 says that there was no trade.
    pub(super) volume: u32,
}

/// A minute's trades taken together, and the day up to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Minute {
    pub(super) open: u32,
    pub(super) high: u32,
    pub(super) low: u32,
    pub(super) close: u32,
    pub(super) volume: u32,
    /// The day up to the end of this minute.
    pub(super) day: Sums,
}

/// A day up to some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Shares since 04:00.
    pub(super) volume: u64,
    /// Ticks times shares since 04:00.
    pub(super) turnover: u64,
    /// Price of the last trade; 0 before the first.
    pub(super) last: u32,
    /// Shares of the last trade.
    pub(super) last_size: u32,
    /// Second of the last trade.
    pub(super) last_second: u32,
    /// Prices of the regular session, which alone sets them; 0 before its first trade.
    pub(super) open: u32,
    /// As above.
    pub(super) high: u32,
    /// As above.
    pub(super) low: u32,
    /// Last trade of the regular session: price.
    pub(super) regular_last: u32,
    /// Last trade of the regular session: shares.
    pub(super) regular_size: u32,
    /// Last trade of the regular session: second.
    pub(super) regular_second: u32,
}

impl Sums {
    fn add(&mut self, second: u32, trade: Trade) {
        if trade.volume == 0 {
            return;
        }
        self.volume += u64::from(trade.volume);
        self.turnover += u64::from(trade.volume) * u64::from(trade.price);
        self.last = trade.price;
        self.last_size = trade.volume;
        self.last_second = second;
        if (OPEN_SECOND..CLOSE_SECOND).contains(&second) {
            if self.open == 0 {
                self.open = trade.price;
                self.low = trade.price;
            }
            self.high = self.high.max(trade.price);
            self.low = self.low.min(trade.price);
            self.regular_last = trade.price;
            self.regular_size = trade.volume;
            self.regular_second = second;
        }
    }
}

impl Minute {
    fn add(&mut self, trade: Trade) {
        if trade.volume == 0 {
            return;
        }
        if self.volume == 0 {
            self.open = trade.price;
            self.low = trade.price;
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume += trade.volume;
    }
}

/// A burst of volume, as it is known half a minute into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Burst {
    /// Second at which it is told.
    pub(super) second: u32,
    /// Shares a minute now.
    pub(super) rate: f64,
    /// Shares a minute over the 20 minutes before.
    pub(super) average: f64,
    /// From which ratio on it counts as a burst.
    pub(super) threshold: f64,
}

/// A ratio that makes a burst, in the first hour of the regular session and outside it.
const THRESHOLD_FIRST_HOUR: f64 = 5.0;
const THRESHOLD: f64 = 3.0;
/// The average before a burst is taken over so many minutes.
const BURST_AVERAGE_MINUTES: u32 = 20;
/// A burst is told this many seconds into its minute.
const BURST_TOLD_AFTER_SECONDS: u32 = 30;

/// The day.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    /// Its outline.
    pub(super) plan: DailyPlan,
    anchors: Vec<u32>,
    minutes: Vec<Minute>,
    /// Its bursts of volume, in order of time.
    pub(super) bursts: Vec<Burst>,
}

impl Tape {
    pub(super) fn new(plan: DailyPlan) -> Self {
        let mut tape = Self {
            anchors: plan.anchors(),
            minutes: Vec::with_capacity(DAY_MINUTES as usize),
            bursts: Vec::new(),
            plan,
        };
        let mut day = Sums::default();
        for minute in 0..DAY_MINUTES {
            let mut sum = Minute::default();
            for (second, trade) in tape.seconds(minute) {
                sum.add(trade);
                day.add(second, trade);
            }
            sum.day = day;
            tape.minutes.push(sum);
        }
        tape.bursts = (0..DAY_MINUTES).filter_map(|m| tape.burst(m)).collect();
        tape
    }

    /// The minute as it is once `seconds` of it have passed (60 for all); nothing beyond 20:00.
    pub(super) fn minute(&self, minute: u32, seconds: u32) -> Minute {
        if minute >= DAY_MINUTES {
            return Minute::default();
        }
        if seconds >= 60 {
            return self.minutes[minute as usize];
        }
        let mut sum = Minute {
            day: self.before(minute),
            ..Minute::default()
        };
        for (second, trade) in self.seconds(minute).take(seconds as usize) {
            sum.add(trade);
            sum.day.add(second, trade);
        }
        sum
    }

    /// The day up to and including that second.
    pub(super) fn at(&self, second: u32) -> Sums {
        let second = second.min(DAY_SECONDS - 1);
        self.minute(second / 60, second % 60 + 1).day
    }

    fn before(&self, minute: u32) -> Sums {
        minute
            .checked_sub(1)
            .map(|m| self.minutes[m as usize].day)
            .unwrap_or_default()
    }

    /// Every second of a minute with its trade.
    fn seconds(&self, minute: u32) -> impl Iterator<Item = (u32, Trade)> + use<> {
        let mut trades = [Trade::default(); 60];
        let volume = self.plan.minute_volume(minute);
        let first = minute * 60;
        if volume > 0 {
            self.fill(minute, volume, &mut trades);
        }
        (first..).zip(trades)
    }

    fn fill(&self, minute: u32, volume: u32, trades: &mut [Trade; 60]) {
        let (bits, weights, weight_sum) = self.weights(minute, volume);
        let special = self.plan.has_key(minute);
        let reach = i64::from(self.plan.jitter_ppm()) * i64::from(self.anchors[minute as usize]);
        let (mut run, mut done) = (0_u64, 0_u64);
        for at in 0..60_u32 {
            let i = at as usize;
            run += u64::from(weights[i]);
            let upto = u64::from(volume) * run / weight_sum.max(1);
            let shares = upto - done;
            if shares == 0 {
                continue;
            }
            done = upto;
            trades[i] = Trade {
                price: self.price((minute, at), bits[i], reach / 1_000_000, special),
                // A part of the minute's volume, which fits.
                volume: shares as u32,
            };
        }
    }

    /// A minute's chances, how its volume is divided over its seconds, and the sum of that.
    fn weights(&self, minute: u32, volume: u32) -> ([u64; 60], [u32; 60], u64) {
        let first = minute * 60;
        let chance = self.plan.rng.of(u64::from(minute) + 1_000);
        let quiet = self.plan.halts.is_empty();
        let special = self.plan.has_key(minute);
        let first_trade = self.plan.first_trade.unwrap_or(DAY_SECONDS);
        // Of 64 seconds, so many see a trade: some 50 shares each in a thin minute.
        let density = (volume / 50).clamp(1, 56);
        let (mut bits, mut weights, mut sum) = ([0_u64; 60], [0_u32; 60], 0_u64);
        for at in 0..60_u32 {
            let (second, i) = (first + at, at as usize);
            let here = chance.bits(u64::from(at));
            bits[i] = here;
            let open = second >= first_trade && (quiet || !self.plan.is_halted(second));
            let key = special && (second == first_trade || self.plan.key_price(second).is_some());
            let weight = if !open {
                0
            } else if key {
                256
            } else if (here & 63) as u32 <= density {
                let spread = (here >> 8 & 255) as u32;
                ((spread * spread) >> 8) + 1
            } else {
                0
            };
            weights[i] = weight;
            sum += u64::from(weight);
        }
        if sum == 0 {
            // No second was drawn: the last one that is open takes all, so that a minute's volume
            // never depends on its seconds.
            let last = (0..60_u32)
                .rev()
                .find(|at| first + at >= first_trade && !self.plan.is_halted(first + at));
            if let Some(at) = last {
                weights[at as usize] = 1;
                sum = 1;
            }
        }
        (bits, weights, sum)
    }

    /// The price at a second of a minute: at most `reach` from the line between the minute's ends, or one that the plan
    /// demands in a `special` minute.
    fn price(&self, (minute, at): (u32, u32), bits: u64, reach: i64, special: bool) -> u32 {
        let first = minute * 60;
        let from = i64::from(self.anchors[minute as usize]);
        let to = i64::from(self.anchors[minute as usize + 1]);
        let line = (from * i64::from(60 - at) + to * i64::from(at)) / 60;
        let two = (bits >> 16 & 0xFFFF) as i64 + (bits >> 32 & 0xFFFF) as i64;
        let raw = line + reach * (two - 0xFFFF) / 0x1_0000;
        let price = on_grid(u32::try_from(raw).unwrap_or(1));
        if !(OPEN_SECOND..CLOSE_SECOND).contains(&first) {
            return price;
        }
        if special && let Some(key) = self.plan.key_price(first + at) {
            return key;
        }
        price.clamp(self.plan.low, self.plan.high)
    }

    fn burst(&self, minute: u32) -> Option<Burst> {
        let before = minute.checked_sub(BURST_AVERAGE_MINUTES)?;
        if self.plan.spike_factor(minute) <= 1.0 {
            return None;
        }
        let passed: u64 = (before..minute)
            .map(|m| u64::from(self.minutes[m as usize].volume))
            .sum();
        let now = self.minute(minute, BURST_TOLD_AFTER_SECONDS).volume;
        let rate = f64::from(now) * 60.0 / f64::from(BURST_TOLD_AFTER_SECONDS);
        let average = passed as f64 / f64::from(BURST_AVERAGE_MINUTES);
        let second = minute * 60 + BURST_TOLD_AFTER_SECONDS;
        let threshold = if is_first_hour(second) {
            THRESHOLD_FIRST_HOUR
        } else {
            THRESHOLD
        };
        (average > 0.0 && rate >= threshold * average).then_some(Burst {
            second,
            rate,
            average,
            threshold,
        })
    }
}

/// Whether a second lies in the first hour of the regular session.
pub(super) fn is_first_hour(second: u32) -> bool {
    (OPEN_SECOND..OPEN_SECOND + 3_600).contains(&second)
}
