//! Fetched and heard candles merged: the odd cases one by one, and by random histories.

use super::*;
use proptest::prelude::*;

/// 2026-03-06, 14:30 UTC.
pub(in crate::upstream::schwab::candles) const T0: i64 = 1_772_807_400_000;

pub(in crate::upstream::schwab::candles) fn candle(minute: i64, price: f64, volume: u64) -> Candle {
    Candle {
        at_ms: T0 + minute * MINUTE_MS,
        open: price,
        high: price,
        low: price,
        close: price,
        volume,
    }
}

pub(in crate::upstream::schwab::candles) fn live(
    since: i64,
    as_of: i64,
    minutes: &[Candle],
) -> LiveCandles {
    LiveCandles {
        since_ms: T0 + since,
        as_of_ms: T0 + as_of,
        day_open_ms: T0 - 3_600_000,
        earlier: Arc::from([]),
        minutes: minutes.into(),
        day: None,
    }
}

fn prices(series: &mut Series) -> Vec<(i64, f64, f64, u64)> {
    let finished = series.finish();
    let parsed: serde_json::Value = serde_json::from_slice(finished.body.plain()).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), finished.candles.len());
    let candles = finished.candles.iter();
    candles
        .map(|c| ((c.at_ms - T0) / MINUTE_MS, c.high, c.close, c.volume))
        .collect()
}

#[test]
fn the_stream_continues_what_the_provider_gave() {
    // Followed from 0:30 on, fetched at 0:40.
    let fetched = vec![candle(-1, 1.0, 10), candle(0, 2.0, 40)];
    let mut series = Series::new(Timeframe::M1, fetched, T0 + 40_000);
    let freshness = series.apply(&live(30_000, 50_000, &[candle(0, 3.0, 5)]));
    assert_eq!(freshness, Freshness::Current);
    assert_eq!(prices(&mut series)[1], (0, 3.0, 3.0, 40), "widened");
    let next = [candle(0, 3.0, 9), candle(1, 4.0, 7)];
    assert_eq!(
        series.apply(&live(30_000, 64_000, &next)),
        Freshness::Current
    );
    assert_eq!(prices(&mut series)[2], (1, 4.0, 4.0, 7));
    let over = series.apply(&live(30_000, 66_000, &next));
    assert_eq!(
        over,
        Freshness::Outdated,
        "its first minute was heard in part"
    );
    let fetched = vec![candle(-1, 1.0, 10), candle(0, 2.5, 60), candle(1, 4.0, 1)];
    let mut series = Series::new(Timeframe::M1, fetched, T0 + 66_000);
    assert_eq!(
        series.apply(&live(30_000, 67_000, &next)),
        Freshness::Current
    );
    assert_eq!(
        prices(&mut series)[1..],
        [(0, 2.5, 2.5, 60), (1, 4.0, 4.0, 7)],
        "what is over is the provider's"
    );
}

#[test]
fn trades_that_nobody_heard_and_another_day_call_for_the_provider() {
    let mut series = Series::new(Timeframe::M1, vec![candle(0, 1.0, 1)], T0);
    let freshness = series.apply(&live(90_000, 91_000, &[candle(1, 2.0, 1)]));
    assert_eq!(freshness, Freshness::Outdated);
    assert_eq!(prices(&mut series).len(), 1);
    let mut update = live(-1, 10, &[]);
    update.day_open_ms = T0 + 5;
    assert_eq!(series.apply(&update), Freshness::Outdated);
}

#[test]
fn longer_candles_and_the_day_follow() {
    let mut series = Series::new(Timeframe::M5, vec![candle(0, 1.0, 50)], T0 + 30_000);
    let minutes: Vec<Candle> = (0..7).map(|m| candle(m, 2.0 + m as f64, 10)).collect();
    series.apply(&live(0, 7 * MINUTE_MS, &minutes));
    assert_eq!(
        prices(&mut series),
        [(0, 6.0, 6.0, 50), (5, 8.0, 8.0, 20)],
        "each of its minutes was heard"
    );
    let mut series = Series::new(Timeframe::Day, vec![candle(-1_440, 1.0, 5)], T0);
    let mut update = live(0, 1, &[]);
    update.day = Some(candle(0, 3.0, 9));
    assert_eq!(series.apply(&update), Freshness::Current);
    assert_eq!(prices(&mut series)[1], (0, 3.0, 3.0, 9));
    update.day = Some(candle(0, 2.0, 12));
    series.apply(&update);
    assert_eq!(prices(&mut series)[1], (0, 2.0, 2.0, 12));
}

#[test]
fn a_candle_that_is_over_is_asked_for_once_the_provider_may_have_it_and_once_more() {
    let mut series = Series::new(Timeframe::M1, vec![candle(0, 1.0, 50)], T0 + 30_000);
    let minutes = [candle(0, 2.0, 10), candle(1, 3.0, 10)];
    let heard = |series: &mut Series, as_of| series.apply(&live(-1, as_of, &minutes));
    assert_eq!(heard(&mut series, 65_999), Freshness::Current);
    assert_eq!(heard(&mut series, 66_000), Freshness::Unconfirmed);
    // Asked, and the provider had it.
    let fetched = vec![candle(0, 1.5, 70)];
    let mut series = Series::new(Timeframe::M1, fetched.clone(), T0 + 65_000);
    assert_eq!(heard(&mut series, 125_999), Freshness::Current);
    assert_eq!(heard(&mut series, 126_000), Freshness::Unconfirmed);
    assert_eq!(prices(&mut series), [(0, 1.5, 1.5, 70), (1, 3.0, 3.0, 10)]);
    // Asked, and the provider had the second not yet.
    let mut series = Series::new(Timeframe::M1, fetched.clone(), T0 + 125_000);
    assert_eq!(heard(&mut series, 150_999), Freshness::Current);
    assert_eq!(heard(&mut series, 151_000), Freshness::Unconfirmed);
    assert_eq!(prices(&mut series)[1], (1, 3.0, 3.0, 10));
    // Nor then: it is left alone.
    let mut series = Series::new(Timeframe::M1, fetched, T0 + 150_000);
    assert_eq!(heard(&mut series, 900_000), Freshness::Current);
    assert_eq!(prices(&mut series)[1], (1, 3.0, 3.0, 10));
}

#[test]
fn what_was_fetched_after_the_stream_ended_is_newer_than_what_was_heard() {
    let minutes: Vec<Candle> = (0..3).map(|m| candle(m, 5.0, 10)).collect();
    let mut old = Series::new(Timeframe::M15, vec![], T0 - 60_000);
    old.apply(&live(-120_000, 150_000, &minutes));
    let mut new = Series::new(
        Timeframe::M15,
        vec![candle(0, 4.0, 90)],
        T0 + 10 * MINUTE_MS,
    );
    new.succeed(old);
    assert_eq!(prices(&mut new), [(0, 5.0, 4.0, 90)]);
}

#[test]
fn what_was_heard_yesterday_is_not_of_today() {
    let mut old = Series::new(Timeframe::M1, vec![], T0);
    old.apply(&live(-1, 60_000, &[candle(0, 5.0, 10)]));
    let today = T0 + 86_400_000;
    let mut new = Series::new(Timeframe::M1, vec![candle(1_440, 4.0, 90)], today).of_day(today);
    new.succeed(old);
    assert_eq!(prices(&mut new), [(1_440, 4.0, 4.0, 90)]);
}

#[test]
fn minutes_of_a_day_replace_the_session_that_stood_in_for_it() {
    let yesterday = vec![candle(-1_440, 1.0, 5), candle(-1_439, 1.0, 5)];
    let mut series = Series::new(Timeframe::M1, yesterday, T0);
    assert_eq!(prices(&mut series).len(), 2);
    series.apply(&live(-1, 1_000, &[candle(0, 2.0, 7)]));
    assert_eq!(prices(&mut series), [(0, 2.0, 2.0, 7)]);
}

/// What may happen to a series.
#[derive(Clone, Debug)]
enum Step {
    /// So many seconds pass, and this price is heard.
    Hear(u8, u8),
    /// The provider is asked and has of each minute what it says, if any.
    Fetch(Vec<bool>),
    /// The source is lost, and heard again.
    Lost,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u8..50, 1_u8..9).prop_map(|(s, p)| Step::Hear(s, p)),
        1 => prop::collection::vec(any::<bool>(), 40).prop_map(Step::Fetch),
        1 => Just(Step::Lost),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn no_minute_heard_is_taken_away_and_the_provider_s_closed_ones_stand(
        steps in steps(), timeframe in prop::sample::select(vec![Timeframe::M1, Timeframe::M5, Timeframe::M15])
    ) {
        let length_ms = i64::from(timeframe.minutes().unwrap()) * MINUTE_MS;
        let (mut now, mut since) = (1_000_i64, 1_000_i64);
        let mut series = Series::new(timeframe, vec![], T0 + now);
        let mut tape: BTreeMap<i64, Candle> = BTreeMap::new();
        let mut given: (i64, Vec<Candle>) = (T0 + now, vec![]);
        for step in steps {
            match step {
                Step::Hear(seconds, price) => {
                    now += i64::from(seconds) * 1_000;
                    let c = candle(now / MINUTE_MS, f64::from(price), 1);
                    tape.entry(c.at_ms).and_modify(|known| known.extend(&c)).or_insert(c);
                    let all: Vec<Candle> = tape.values().copied().collect();
                    // One that was not heard for a while is fetched before it is continued.
                    if series.apply(&live(since, now, &all)) == Freshness::Outdated {
                        let mut new = Series::new(timeframe, vec![], T0 + now);
                        new.succeed(series);
                        new.apply(&live(since, now, &all));
                        (series, given) = (new, (T0 + now, vec![]));
                    }
                }
                Step::Fetch(has) => {
                    let starts = (0..).map(|n| T0 + n * length_ms).take_while(|at| *at <= T0 + now);
                    let list: Vec<Candle> = starts.zip(has).filter(|(_, has)| *has)
                        .map(|(at_ms, _)| Candle { at_ms, ..candle(0, 100.0, 9) }).collect();
                    given = (T0 + now, list.clone());
                    let mut new = Series::new(timeframe, list, T0 + now);
                    new.succeed(series);
                    series = new;
                }
                Step::Lost => since = now,
            }
            let shown = series.finish().candles;
            prop_assert!(shown.is_sorted_by(|a, b| a.at_ms < b.at_ms));
            for at_ms in tape.keys().map(|at| floor(*at, length_ms)) {
                prop_assert!(shown.iter().any(|c| c.at_ms == at_ms), "heard at {}", at_ms - T0);
            }
            for c in given.1.iter().filter(|c| c.at_ms + length_ms + PROVIDER_LAG_MS <= given.0) {
                prop_assert!(shown.contains(c), "given at {}", c.at_ms - T0);
            }
        }
    }

    #[test]
    fn however_it_is_told_the_form_is_the_merged_series(
        steps in prop::collection::vec((0_i64..40, 1_u32..9, any::<bool>()), 0..60)
    ) {
        let mut series = Series::new(Timeframe::M1, vec![candle(-1, 1.0, 1)], T0 - 1);
        let mut known: BTreeMap<i64, Candle> = BTreeMap::new();
        for (minute, price, look) in steps {
            let c = candle(minute, f64::from(price), u64::from(price));
            known.insert(minute, c);
            series.apply(&live(-10 * MINUTE_MS, 0, &[c]));
            if look { series.finish(); }
        }
        let finished = series.finish();
        let want: Vec<Candle> = std::iter::once(candle(-1, 1.0, 1)).chain(known.into_values()).collect();
        prop_assert_eq!(&finished.candles[..], &want[..]);
        prop_assert_eq!(&finished.body.plain()[..], &serde_json::to_vec(&want).unwrap()[..]);
    }
}
