//! One symbol's day in outline: its four prices, when they are met, its halts, the volume of each
//! minute. Pure, and cheap enough to be made for a year of days at once; the [tape](super::tape)
//! fills in the seconds.
//!
//! Prices are whole ticks of 0.0001 dollar. Seconds count from 04:00 New York; a trading day has
//! 57,600 of them in any season, because clocks change at 02:00.

use std::ops::Range;

use super::listings::{Character, Id, Listing};
use super::rng::Rng;

/// Ticks in a dollar.
pub(super) const DOLLAR: u32 = 10_000;
/// From one dollar on, prices are whole cents.
const CENT: u32 = 100;
/// Minutes from 04:00 to 20:00.
pub(super) const DAY_MINUTES: u32 = 960;
/// Seconds from 04:00 to 20:00.
pub(super) const DAY_SECONDS: u32 = DAY_MINUTES * 60;
/// 09:30.
pub(super) const OPEN_SECOND: u32 = 19_800;
/// 16:00.
pub(super) const CLOSE_SECOND: u32 = 43_200;
/// Days are numbered from this one, so that noise has room on both sides.
const DAY_FIRST: i64 = 256;

/// Volume of a second in which one of the day's four prices is met is a share of at least this.
const KEY_MINUTE_SHARES_MIN: u32 = 1_200;

/// Multipliers of a minute's volume, evenly spaced quantiles of a lognormal with σ = 0.7.
const MINUTE_MOODS: [f64; 16] = [
    0.27, 0.40, 0.49, 0.57, 0.65, 0.73, 0.82, 0.92, 1.03, 1.15, 1.29, 1.46, 1.68, 1.99, 2.51, 3.70,
];

/// Streams of chance of one symbol and day.
mod part {
    pub(super) const SHAPE: u64 = 1;
    pub(super) const VOLUME: u64 = 2;
    pub(super) const SPIKE: u64 = 3;
    pub(super) const HALT: u64 = 4;
    pub(super) const LEVEL: u64 = 5;
    pub(super) const PAIR: u64 = 6;
    pub(super) const DRIFT: u64 = 7;
}

/// The outline.
#[derive(Clone, Debug)]
pub(super) struct DailyPlan {
    listing: &'static Listing,
    /// The chance of this symbol and day.
    pub(super) rng: Rng,
    /// Price at 16:00 of the weekday before.
    pub(super) prev_close: u32,
    /// First price of the regular session.
    pub(super) open: u32,
    /// Highest price of the regular session.
    pub(super) high: u32,
    /// Lowest price of the regular session.
    pub(super) low: u32,
    /// Last price of the regular session.
    pub(super) close: u32,
    /// Second of the first trade; none on a day without trades.
    pub(super) first_trade: Option<u32>,
    /// When trading stands still, in seconds.
    pub(super) halts: Vec<Range<u32>>,
    /// Seconds at which the four prices are met, in order of time.
    keys: [(u32, u32); 4],
    /// Logarithm of the price by second, between which it moves in straight lines.
    path: Vec<(u32, f64)>,
    /// How much livelier than usual this day is.
    busy: f64,
}

impl DailyPlan {
    /// The day of `id` with that number (see [`super::days`]).
    pub(super) fn new(seed: u64, id: Id, day: i64) -> Self {
        let listing = id.listing();
        let own = Rng::new(seed).of(id.0 as u64 + 1);
        let rng = own.of(day.unsigned_abs());
        let shape = rng.of(part::SHAPE);
        let prev = closing_price(seed, own, listing, day - 1);
        let last = closing_price(seed, own, listing, day);
        let gap = match listing.character {
            // Up overnight, but down by daylight.
            Character::Gapper if last > prev => shape.between(0, 0.9, 1.1),
            Character::Gapper => shape.between(0, 0.1, 0.3),
            Character::Runner => shape.between(0, 0.0, 0.12),
            _ => shape.between(0, 0.25, 0.5),
        };
        let first = if listing.character == Character::Fader {
            prev.max(last) * shape.between(1, 1.12, 1.35)
        } else {
            prev * (last / prev).powf(gap) * shape.between(1, 0.996, 1.004)
        };
        let (open, close) = (ticks(first), ticks(last));
        let reach = listing.volatility;
        let high = ticks(first.max(last) * (1.0 + reach * shape.between(2, 1.0, 3.0)));
        let low = ticks(first.min(last) * (1.0 - reach * shape.between(3, 0.8, 2.0)));

        let first_trade = first_trade(listing, shape);
        let opens_at = first_trade.map_or(OPEN_SECOND, |s| s.max(OPEN_SECOND));
        let halts = halts(listing, rng.of(part::HALT));
        let (high_at, low_at) = extremes(listing, shape, opens_at, close >= open, &halts);
        let mut keys = [
            (opens_at, open),
            (high_at, high),
            (low_at, low),
            (CLOSE_SECOND - 1, close),
        ];
        keys.sort_unstable();

        let mut plan = Self {
            listing,
            rng,
            prev_close: ticks(prev),
            open,
            high,
            low,
            close,
            first_trade,
            halts,
            keys,
            path: Vec::new(),
            busy: if in_play(seed, listing, day) {
                4.0
            } else {
                1.0
            },
        };
        plan.path = plan.waypoints(shape);
        plan
    }

    /// The price that must be met in that second, if one must.
    pub(super) fn key_price(&self, second: u32) -> Option<u32> {
        self.keys
            .iter()
            .find(|(at, _)| *at == second)
            .map(|(_, p)| *p)
    }

    /// Whether that minute holds a second that must have a trade.
    pub(super) fn has_key(&self, minute: u32) -> bool {
        let first = self.first_trade.map(|s| s / 60);
        first == Some(minute) || self.keys.iter().any(|(at, _)| at / 60 == minute)
    }

    /// Whether trading stands still in that second.
    pub(super) fn is_halted(&self, second: u32) -> bool {
        self.halts.iter().any(|h| h.contains(&second))
    }

    /// Price at the start of each minute and at the end of the day, in ticks, before the jitter of
    /// seconds.
    pub(super) fn anchors(&self) -> Vec<u32> {
        let drift = self.rng.of(part::DRIFT);
        let (slow, middle, fast) = (drift.of(1), drift.of(2), drift.of(3));
        let mut leg = 0;
        (0..=DAY_MINUTES)
            .map(|minute| {
                let second = minute * 60;
                while leg + 2 < self.path.len() && self.path[leg + 1].0 <= second {
                    leg += 1;
                }
                let x = f64::from(minute);
                let stray = 0.6 * slow.noise(x / 41.0)
                    + 0.3 * middle.noise(x / 11.0)
                    + 0.2 * fast.noise(x / 3.0);
                let near = self
                    .keys
                    .iter()
                    .map(|(at, _)| at.abs_diff(second))
                    .min()
                    .unwrap_or(u32::MAX);
                let calm = (f64::from(near) / 900.0).min(1.0);
                let ln = along(&self.path, leg, second) + stray * calm * self.listing.volatility;
                ticks(ln.exp())
            })
            .collect()
    }

    /// How far a second's price strays from its minute's line, as a share of the price in millionths.
    pub(super) fn jitter_ppm(&self) -> u32 {
        // Volatilities are below 1, so this is far below 2^32 and not negative.
        (self.listing.volatility * 120_000.0) as u32
    }

    /// Shares traded in a minute (counted from 04:00).
    pub(super) fn minute_volume(&self, minute: u32) -> u32 {
        let Some(first) = self.first_trade else {
            return 0;
        };
        let seconds = minute * 60..minute * 60 + 60;
        if seconds.end <= first || minute >= DAY_MINUTES {
            return 0;
        }
        let halted: u32 = self
            .halts
            .iter()
            .map(|h| {
                h.end
                    .min(seconds.end)
                    .saturating_sub(h.start.max(seconds.start))
            })
            .sum();
        if halted >= 60 {
            return 0;
        }
        let bits = self.rng.of(part::VOLUME).bits(u64::from(minute));
        let mood = MINUTE_MOODS[usize::from(bits.to_le_bytes()[0] & 15)];
        let shares = self.listing.minute_volume
            * hour_shape(minute)
            * mood
            * self.busy
            * self.spike_factor(minute)
            * f64::from(60 - halted)
            / 60.0;
        // At most some millions, and not negative.
        let shares = shares as u32;
        if self.has_key(minute) {
            shares.max(KEY_MINUTE_SHARES_MIN)
        } else if shares < 60 && bits.to_le_bytes()[1] & 1 == 0 {
            0
        } else {
            shares
        }
    }

    /// By how much a burst multiplies that minute's volume; 1 in most minutes.
    pub(super) fn spike_factor(&self, minute: u32) -> f64 {
        const BLOCK_MINUTES: u32 = 8;
        /// 07:00: before it nobody looks.
        const FROM_MINUTE: u32 = 180;
        let chance = match self.listing.character {
            Character::Spiky => 230,
            Character::Gapper | Character::Runner | Character::Halted => 110,
            Character::Fader | Character::Steady => 50,
            Character::Thin { .. } | Character::Silent => 0,
        };
        let block = minute / BLOCK_MINUTES;
        let spike = self.rng.of(part::SPIKE);
        let bits = spike.bits(u64::from(block)).to_le_bytes();
        let here = u32::from(bits[1]) % BLOCK_MINUTES == minute % BLOCK_MINUTES;
        if minute >= FROM_MINUTE && here && bits[0] < chance {
            6.0 + f64::from(bits[2]) / 32.0
        } else {
            1.0
        }
    }

    /// Shares traded over the whole day.
    pub(super) fn day_volume(&self) -> u64 {
        (0..DAY_MINUTES)
            .map(|m| u64::from(self.minute_volume(m)))
            .sum()
    }

    /// Shares that an ordinary day has seen by that second: what relative volume is relative to.
    pub(super) fn usual_volume(&self, second: u32) -> f64 {
        let minutes = (second + 1) / 60;
        let whole: f64 = (0..minutes).map(hour_shape).sum();
        let part = f64::from((second + 1) % 60) / 60.0 * hour_shape(minutes);
        (whole + part) * self.listing.minute_volume
    }

    /// Shares traded by that second against what is usual, to four digits; 0 where nothing is usual.
    pub(super) fn volume_ratio(&self, volume: u64, second: u32) -> f64 {
        let usual = self.usual_volume(second);
        if usual > 0.0 {
            rounded(volume as f64 / usual)
        } else {
            0.0
        }
    }

    fn waypoints(&self, shape: Rng) -> Vec<(u32, f64)> {
        /// 08:00, by which early trading has made up half its mind.
        const EARLY_SECOND: u32 = 14_400;
        let starts_at = self.first_trade.unwrap_or(OPEN_SECOND);
        let (from, to) = (ln(self.prev_close), ln(self.open));
        let mut path = Vec::with_capacity(16);
        if starts_at < EARLY_SECOND {
            path.push((starts_at, from + 0.3 * (to - from)));
            path.push((
                EARLY_SECOND,
                from + shape.between(4, 0.5, 0.9) * (to - from),
            ));
        } else if starts_at < OPEN_SECOND {
            path.push((starts_at, from + 0.7 * (to - from)));
        }
        path.extend(self.keys.iter().map(|(at, price)| (*at, ln(*price))));
        path.push((DAY_SECONDS, ln(self.close) + shape.between(5, -0.03, 0.03)));
        for (n, halt) in self.halts.iter().enumerate() {
            let leg = path
                .iter()
                .rposition(|(at, _)| *at <= halt.start)
                .unwrap_or(0)
                .min(path.len() - 2);
            let before = along(&path, leg, halt.start);
            let bits = 8 + 2 * n as u64;
            let jump = shape.between(bits, 0.07, 0.15);
            let up = before + jump;
            // Up, but where the day's range ends or a coin says otherwise.
            let after = if up < ln(self.high) && shape.unit(bits + 1) < 0.7 {
                up
            } else {
                (before - jump).max(ln(self.low))
            };
            path.splice(leg + 1..=leg, [(halt.start, before), (halt.end, after)]);
        }
        path
    }
}

/// A price in whole ticks: cents from one dollar on, hundredths of a cent below.
pub(super) fn ticks(dollars: f64) -> u32 {
    // A float that is out of range saturates, which is what is wanted.
    let raw = (dollars * f64::from(DOLLAR)).round() as u32;
    on_grid(raw)
}

/// The nearest price that can be quoted.
pub(super) fn on_grid(raw: u32) -> u32 {
    if raw >= DOLLAR {
        (raw + CENT / 2) / CENT * CENT
    } else {
        raw.max(1)
    }
}

/// To four digits after the point.
pub(super) fn rounded(x: f64) -> f64 {
    (x * 10_000.0).round() / 10_000.0
}

/// A price in dollars: the float nearest to the decimal number.
pub(super) fn dollars(ticks: u32) -> f64 {
    f64::from(ticks) / f64::from(DOLLAR)
}

/// Whether a symbol is in play that day: every other day, so that each such day begins from below.
fn in_play(seed: u64, listing: &Listing, day: i64) -> bool {
    let coin = Rng::new(seed).of(part::PAIR).of(listing.pair);
    (coin.bits(0).wrapping_add(day.unsigned_abs()) & 1 == 1) != listing.pair_side
}

/// Price at 16:00, in dollars. It strays around the base price and never runs away, so that any day
/// can be asked for without the days before it.
fn closing_price(seed: u64, own: Rng, listing: &Listing, day: i64) -> f64 {
    let level = own.of(part::LEVEL);
    let x = day.max(DAY_FIRST) as f64;
    let stray = 0.25 * level.of(1).noise(x / 64.0)
        + 0.12 * level.of(2).noise(x / 13.0)
        + 0.04 * level.of(3).noise(x);
    let gain = if in_play(seed, listing, day) {
        1.0 + listing.play_gain * level.of(4).between(day.unsigned_abs(), 0.7, 1.2)
    } else {
        1.0
    };
    listing.base_price * stray.exp() * gain
}

fn first_trade(listing: &Listing, shape: Rng) -> Option<u32> {
    match listing.character {
        Character::Silent => None,
        Character::Thin { from_minute } => Some(shape.pick(20, from_minute, from_minute + 25) * 60),
        Character::Spiky | Character::Steady => Some(shape.pick(20, 9_000, 12_600)),
        Character::Gapper | Character::Runner | Character::Fader | Character::Halted => {
            Some(shape.pick(20, 0, 900))
        }
    }
}

/// Trading stands still for 5 to 8 minutes three times a day, the first time at about 09:53.
fn halts(listing: &Listing, rng: Rng) -> Vec<Range<u32>> {
    const WINDOWS: [(u32, u32); 3] = [(21_120, 21_480), (25_800, 28_200), (34_800, 39_000)];
    if listing.character != Character::Halted {
        return Vec::new();
    }
    WINDOWS
        .iter()
        .enumerate()
        .map(|(n, (from, to))| {
            let at = rng.pick(2 * n as u64, *from, *to);
            at..at + rng.pick(2 * n as u64 + 1, 300, 480)
        })
        .collect()
}

/// Seconds of the day's high and low: within the regular session, outside halts, and neither the
/// first nor the last.
fn extremes(
    listing: &Listing,
    shape: Rng,
    opens_at: u32,
    rises: bool,
    halts: &[Range<u32>],
) -> (u32, u32) {
    let (from, to) = (f64::from(opens_at + 40), f64::from(CLOSE_SECOND - 400));
    let place = |at: u64, low: f64, high: f64| {
        // Within the session, so small and not negative.
        let second = (from + (to - from) * shape.between(at, low, high)) as u32;
        halts
            .iter()
            .find(|h| h.contains(&second))
            .map_or(second, |h| h.end + 20)
    };
    let (high_at, low_at) = match (listing.character, rises) {
        (Character::Gapper, _) => (place(30, 0.03, 0.12), place(31, 0.3, 0.7)),
        (Character::Fader, _) => (place(30, 0.01, 0.05), place(31, 0.8, 0.98)),
        (Character::Runner, true) => (place(30, 0.75, 0.97), place(31, 0.01, 0.06)),
        (Character::Runner, false) => (place(30, 0.01, 0.06), place(31, 0.75, 0.97)),
        (_, true) => (place(30, 0.5, 0.95), place(31, 0.05, 0.45)),
        (_, false) => (place(30, 0.05, 0.45), place(31, 0.5, 0.95)),
    };
    if high_at == low_at {
        (high_at, low_at + 7)
    } else {
        (high_at, low_at)
    }
}

/// A usual minute's volume, against one in mid-morning.
fn hour_shape(minute: u32) -> f64 {
    /// (minute since 04:00, volume), with straight lines between.
    const SHAPE: [(f64, f64); 11] = [
        (0.0, 0.06),
        (180.0, 0.06),
        (240.0, 0.18),
        (329.0, 0.5),
        (330.0, 3.0),
        (390.0, 1.2),
        (510.0, 0.6),
        (690.0, 0.9),
        (719.0, 1.7),
        (720.0, 0.4),
        (960.0, 0.04),
    ];
    let x = f64::from(minute);
    SHAPE
        .windows(2)
        .find(|w| x < w[1].0)
        .map_or(SHAPE[SHAPE.len() - 1].1, |w| {
            w[0].1 + (w[1].1 - w[0].1) * (x - w[0].0) / (w[1].0 - w[0].0)
        })
}

/// The path's height at a second, on the line from its `leg`th point to the next.
fn along(path: &[(u32, f64)], leg: usize, second: u32) -> f64 {
    let ((from, low), (to, high)) = (path[leg], path[leg + 1]);
    let part = f64::from(second.clamp(from, to) - from) / f64::from((to - from).max(1));
    low + (high - low) * part
}

fn ln(ticks: u32) -> f64 {
    dollars(ticks).ln()
}
