//! What the embedded market promises of its numbers.

use std::time::{Duration, Instant};

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::daily_plan::{CLOSE_SECOND, DAY_MINUTES, DAY_SECONDS, DailyPlan, OPEN_SECOND, dollars};
use super::listings::{Character, Id};
use super::market::Market;
use super::tape::Tape;
use super::{days, listings};
use crate::market::{Candle, Session};

const DAY: Date = date(2026, 3, 10);

fn at(second: u32) -> i64 {
    Session::new().open_ms(DAY) + i64::from(second) * 1_000
}

/// The candle that a client would build from the quotes at the end of each second.
fn candle_of_quotes(market: &mut Market, id: Id, from: u32, to: u32) -> Option<Candle> {
    let mut before = from
        .checked_sub(1)
        .map_or(0, |s| market.snapshot(id, at(s)).sums.volume);
    let mut candle: Option<Candle> = None;
    for second in from..to {
        let quote = market.snapshot(id, at(second) + 999);
        let traded = quote.sums.volume - before;
        before = quote.sums.volume;
        if traded == 0 {
            continue;
        }
        assert_eq!(quote.trade_ms(), at(second));
        let price = dollars(quote.sums.last);
        let c = candle.get_or_insert(Candle {
            at_ms: at(from),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0,
        });
        c.high = c.high.max(price);
        c.low = c.low.min(price);
        c.close = price;
        c.volume += traded;
    }
    candle
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_candle_is_the_aggregate_of_the_quotes(
        seed in 0_u64..5,
        id in 0..listings::LISTINGS.len(),
        block in 0_u32..DAY_MINUTES / 5,
        wide in any::<bool>(),
        cut in 1_u32..=300,
    ) {
        let id = Id(id);
        let mut market = Market::new(seed);
        let from = block * 300;
        let to = from + if wide { cut } else { cut.min(60) };
        let candles = market.minute_candles(
            id, at(from)..=at(from), at(to - 1), if wide { 5 } else { 1 }, true,
        );
        let expected = candle_of_quotes(&mut market, id, from, to);
        match (candles.as_slice(), expected) {
            ([], None) => prop_assert!(market.snapshot(id, at(to - 1)).sums.last > 0),
            ([one], None) => {
                prop_assert!(one.is_placeholder());
                prop_assert_eq!(market.snapshot(id, at(to - 1)).sums.last, 0);
            }
            ([one], Some(expected)) => prop_assert_eq!(*one, expected),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn numbers_do_not_depend_on_the_order_of_asking(
        seed in any::<u64>(),
        asks in prop::collection::vec((0..listings::LISTINGS.len(), 0_i64..20, 0..DAY_SECONDS), 1..8),
    ) {
        let mut forward = Market::new(seed);
        let mut backward = Market::new(seed);
        let when = |day: i64, second: u32| {
            let date = days::date_of(days::number(DAY) - day);
            Session::new().open_ms(date) + i64::from(second) * 1_000
        };
        let one: Vec<_> = asks.iter().map(|(id, day, s)| forward.snapshot(Id(*id), when(*day, *s))).collect();
        let mut two: Vec<_> = asks.iter().rev().map(|(id, day, s)| backward.snapshot(Id(*id), when(*day, *s))).collect();
        two.reverse();
        prop_assert_eq!(one, two);
    }

    #[test]
    fn a_tape_is_sound(seed in any::<u64>(), id in 0..listings::LISTINGS.len(), back in 0_i64..2_000) {
        let plan = DailyPlan::new(seed, Id(id), days::number(DAY) - back);
        let tape = Tape::new(plan.clone());
        let mut volume = 0;
        for minute in 0..DAY_MINUTES {
            let one = tape.minute(minute, 60);
            prop_assert!(one.low <= one.open && one.open <= one.high);
            prop_assert!(one.low <= one.close && one.close <= one.high);
            prop_assert_eq!(one.volume == 0, one.high == 0);
            prop_assert_eq!(one.volume, plan.minute_volume(minute));
            volume += u64::from(one.volume);
            prop_assert_eq!(one.day.volume, volume);
            for price in [one.open, one.high, one.low, one.close] {
                prop_assert!(price < 10_000 || price % 100 == 0);
            }
        }
        prop_assert_eq!(volume, plan.day_volume());
        let sums = tape.at(DAY_SECONDS);
        if plan.first_trade.is_some() {
            let met = (sums.open, sums.high, sums.low, sums.regular_last);
            prop_assert_eq!(met, (plan.open, plan.high, plan.low, plan.close));
        } else {
            prop_assert_eq!(volume, 0);
        }
        for halt in &plan.halts {
            prop_assert_eq!(tape.at(halt.start - 1).volume, tape.at(halt.end - 1).volume);
        }
    }

    #[test]
    fn volume_only_grows_within_a_day(seed in any::<u64>(), id in 0..listings::LISTINGS.len(), mut seconds in prop::collection::vec(0..DAY_SECONDS, 2..40)) {
        let mut market = Market::new(seed);
        seconds.sort_unstable();
        let volumes: Vec<u64> = seconds.iter().map(|s| market.snapshot(Id(id), at(*s)).sums.volume).collect();
        prop_assert!(volumes.is_sorted());
    }

    #[test]
    fn bid_and_ask_stand_around_the_last_price(seed in any::<u64>(), id in 0..listings::LISTINGS.len(), ms in 0_i64..57_600_000) {
        let mut market = Market::new(seed);
        let s = market.snapshot(Id(id), at(0) + ms);
        if Id(id).listing().character == Character::Silent {
            prop_assert_eq!((s.bid, s.ask, s.quote_ms(), s.trade_ms()), (0, 0, 0, 0));
        } else {
            prop_assert!(s.bid < s.ask);
            prop_assert!(s.sums.last == 0 || (s.bid <= s.sums.last && s.sums.last <= s.ask));
            prop_assert!(s.trade_ms() <= s.quote_ms());
        }
    }
}

#[test]
fn daily_candles_cover_a_year_and_chain() {
    let mut market = Market::new(1);
    let now = at(DAY_SECONDS);
    let from = date(2025, 3, 10);
    for id in Id::all() {
        let daily = market.daily_candles(id, from..=DAY, now);
        if id.listing().character == Character::Silent {
            assert!(daily.is_empty());
            continue;
        }
        assert_eq!(daily.len(), 262, "{id:?}");
        for (n, candle) in daily.iter().enumerate() {
            assert!(candle.low <= candle.open.min(candle.close));
            assert!(candle.high >= candle.open.max(candle.close));
            assert!(candle.low > 0.05 && candle.high < 100.0, "{candle:?}");
            let day = days::number(DAY) - 261 + n as i64;
            if n > 0 {
                assert_eq!(dollars(market.close_before(id, day)), daily[n - 1].close);
            }
        }
        // Yesterday does not change when it is no longer today.
        let late = market.daily_candles(id, DAY..=DAY, now + 24 * 3_600_000);
        assert_eq!(late.as_slice(), &daily[261..]);
    }
}

#[test]
fn each_character_behaves_as_its_name_says() {
    let mut market = Market::new(1);
    let day = days::number(DAY);
    for id in Id::all() {
        let tape = market.tape(id, day).clone();
        let early = tape.at(OPEN_SECOND - 1);
        match id.listing().character {
            Character::Silent => assert_eq!(tape.at(DAY_SECONDS).volume, 0),
            Character::Thin { from_minute } => {
                assert_eq!(tape.at(from_minute * 60 - 1).volume, 0);
                assert!(tape.at(CLOSE_SECOND).volume > 0);
            }
            Character::Halted => {
                assert_eq!(tape.plan.halts.len(), 3);
                let halt = &tape.plan.halts[0];
                let (before, after) = (tape.at(halt.start - 1).last, tape.at(halt.end + 30).last);
                let jump = f64::from(before.abs_diff(after)) / f64::from(before);
                assert!(jump > 0.03, "{id:?}: {before} to {after}");
            }
            Character::Fader => assert!(tape.plan.close < tape.plan.open && early.volume > 0),
            Character::Gapper | Character::Runner => {
                assert!(tape.at(1_000).volume > 0, "{id:?} trades from the start");
            }
            Character::Spiky | Character::Steady => assert!(early.volume > 0),
        }
    }
    let spikes = market.spikes(at(0), at(DAY_SECONDS));
    assert!((100..1_500).contains(&spikes.len()), "{}", spikes.len());
    for spike in &spikes {
        assert!(spike.burst.rate >= spike.burst.threshold * spike.burst.average);
        let seen = market.spikes(spike.at_ms - 1, spike.at_ms);
        assert!(seen.contains(spike));
    }
}

#[test]
fn somebody_is_in_play_every_day() {
    for back in 0..60 {
        let day = days::number(DAY) - back;
        let moved = Id::all()
            .filter(|id| {
                let plan = DailyPlan::new(1, *id, day);
                f64::from(plan.high) > f64::from(plan.prev_close) * 1.2
            })
            .count();
        assert!((2..=20).contains(&moved), "{moved} on day {day}");
    }
}

#[test]
fn minutes_before_the_first_trade_are_placeholders_and_quiet_ones_are_absent() {
    let mut market = Market::new(1);
    let thin = Id::find("RAVQ").unwrap();
    let first = market
        .tape(thin, days::number(DAY))
        .plan
        .first_trade
        .unwrap();
    let before = market.minute_candles(thin, at(0)..=at(DAY_SECONDS), at(first - 1), 1, true);
    assert_eq!(before.len(), first.div_ceil(60) as usize);
    assert!(before.iter().all(Candle::is_placeholder));
    let day = market.minute_candles(thin, at(0)..=at(DAY_SECONDS), at(DAY_SECONDS), 1, true);
    assert!(day.len() < DAY_MINUTES as usize);
    assert!(day[before.len()..].iter().all(|c| !c.is_placeholder()));
    let regular = market.minute_candles(thin, at(0)..=at(DAY_SECONDS), at(DAY_SECONDS), 1, false);
    assert!(
        regular
            .iter()
            .all(|c| (at(OPEN_SECOND)..at(CLOSE_SECOND)).contains(&c.at_ms))
    );
}

#[test]
fn several_days_of_minutes_come_in_order_without_nights() {
    let mut market = Market::new(1);
    let id = Id::find("TOYO").unwrap();
    let from = Session::new().open_ms(date(2026, 3, 5));
    let candles = market.minute_candles(id, from..=at(40_000), at(40_000), 15, true);
    assert!(candles.is_sorted_by(|a, b| a.at_ms < b.at_ms));
    let session = Session::new();
    let mut seen: Vec<Date> = candles
        .iter()
        .map(|c| session.trading_day(c.at_ms))
        .collect();
    seen.dedup();
    let expected = [date(2026, 3, 5), date(2026, 3, 6), date(2026, 3, 9), DAY];
    assert_eq!(seen, expected);
}

#[test]
fn a_day_of_one_symbol_is_cheap() {
    let begun = Instant::now();
    let day = days::number(DAY);
    for id in Id::all() {
        assert!(Tape::new(DailyPlan::new(3, id, day)).at(DAY_SECONDS).volume < u64::MAX);
    }
    // About 60 ms in debug on a quiet machine; the bound is for a crowded one.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}
