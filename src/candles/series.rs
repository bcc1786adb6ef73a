//! A series: candles as the provider gave them, continued by what the stream says. Pure.
//!
//! A candle that began after the stream was followed is the stream's own. The one in which following
//! began is known in part only: it is the provider's, widened by what was heard since; once it is over
//! the provider is asked again, once. Then a streamed series needs no further call.
//!
//! `cargo bench --bench cores`: 390 candles made into a body, compressed and tagged, in 0.18 ms, 960 in
//! 0.29 ms.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::body::{Body, GrowingArray};
use crate::desk::Heard;
use crate::json::Mended;
use crate::market::{Candle, Timeframe};

use super::live::LiveCandles;

const MINUTE_MS: i64 = 60_000;

/// Minutes kept of the stream; more than a trading day has.
const MINUTES_MAX: usize = 1_440;

/// How long after a candle's end the provider has all of it.
const PROVIDER_LAG_MS: i64 = 5_000;

/// One symbol's candles of one timeframe.
#[derive(Debug)]
pub struct Series {
    timeframe: Timeframe,
    fetched: Vec<Candle>,
    /// When the provider was asked, on the session clock.
    fetched_ms: i64,
    /// Since when the stream was followed.
    since_ms: i64,
    /// Heard since, by their beginnings.
    minutes: BTreeMap<i64, Candle>,
    day: Option<Candle>,
    /// Whether something was heard that the finished form does not show.
    changed: bool,
    finished: Finished,
}

/// A series as clients and the model's prompt get it.
#[derive(Clone, Debug)]
pub struct FinishedSeries {
    /// An array of candles.
    pub body: Body,
    /// The same.
    pub candles: Arc<[Candle]>,
}

#[derive(Debug)]
struct Finished {
    array: GrowingArray,
    /// How many candles are in the array: all but the last, which still moves.
    closed: usize,
    /// In the provider's answer.
    mended: Mended,
    series: FinishedSeries,
}

impl Series {
    /// As the provider gave it, sorted, when it was asked at `fetched_ms`.
    #[must_use]
    pub fn new(timeframe: Timeframe, fetched: Vec<Candle>, fetched_ms: i64) -> Self {
        let mut finished = Finished {
            array: GrowingArray::default(),
            closed: 0,
            mended: Mended::default(),
            series: FinishedSeries {
                body: Body::once(*b"[]"),
                candles: Arc::from([]),
            },
        };
        finished.take(fetched.clone());
        Self {
            timeframe,
            fetched,
            fetched_ms,
            since_ms: i64::MAX,
            minutes: BTreeMap::new(),
            day: None,
            changed: false,
            finished,
        }
    }

    /// Has its bodies say what was mended in the provider's answer.
    #[must_use]
    pub fn with_mended(mut self, mended: Mended) -> Self {
        let finished = &mut self.finished;
        finished.mended = mended;
        finished.series.body = finished.series.body.clone().with_mended(mended);
        self
    }

    /// Whether there is no candle in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fetched.is_empty() && self.minutes.is_empty() && self.day.is_none()
    }

    /// Takes in what the stream says.
    pub fn hear(&mut self, live: &LiveCandles) -> Heard {
        if self.fetched_ms < live.day_open_ms || self.fetched_ms < live.since_ms {
            // Another day, or trades between the fetch and the stream that nobody heard.
            return Heard::Outdated;
        }
        self.since_ms = live.since_ms;
        for minute in live.minutes.iter() {
            if self.minutes.get(&minute.at_ms) != Some(minute) {
                self.minutes.insert(minute.at_ms, *minute);
                self.changed = true;
            }
        }
        while self.minutes.len() > MINUTES_MAX {
            self.minutes.pop_first();
        }
        if self.day != live.day {
            self.day = live.day;
            self.changed = true;
        }
        let Some(length_ms) = self.length_ms() else {
            return Heard::Current;
        };
        let known_in_part_until = floor(live.since_ms, length_ms) + length_ms;
        let over = live.as_of_ms >= known_in_part_until + PROVIDER_LAG_MS;
        if over && self.fetched_ms < known_in_part_until {
            Heard::Outdated
        } else {
            Heard::Current
        }
    }

    /// The series with everything that was heard.
    pub fn finish(&mut self) -> FinishedSeries {
        if std::mem::take(&mut self.changed) {
            let merged = self.merged();
            self.finished.take(merged);
        }
        self.finished.series.clone()
    }

    fn length_ms(&self) -> Option<i64> {
        let minutes = self.timeframe.minutes()?;
        Some(i64::from(minutes) * MINUTE_MS)
    }

    fn merged(&self) -> Vec<Candle> {
        let mut merged = self.fetched.clone();
        let Some(length_ms) = self.length_ms() else {
            if let Some(day) = self.day {
                put(&mut merged, day, false);
            }
            return merged;
        };
        let mut candle: Option<Candle> = None;
        for minute in self.minutes.values() {
            let at_ms = floor(minute.at_ms, length_ms);
            match &mut candle {
                Some(c) if c.at_ms == at_ms => c.extend(minute),
                other => {
                    if let Some(whole) = other.take() {
                        put(&mut merged, whole, whole.at_ms >= self.since_ms);
                    }
                    *other = Some(Candle { at_ms, ..*minute });
                }
            }
        }
        if let Some(last) = candle {
            put(&mut merged, last, last.at_ms >= self.since_ms);
        }
        merged
    }
}

impl Finished {
    /// Writes only what is new, as long as what was closed before is still so.
    fn take(&mut self, candles: Vec<Candle>) {
        let closed = candles.len().saturating_sub(1);
        let same =
            self.closed <= closed && candles[..self.closed] == self.series.candles[..self.closed];
        if !same {
            self.array = GrowingArray::default();
            self.closed = 0;
        }
        for candle in &candles[self.closed..closed] {
            self.array.push(&json(candle));
        }
        self.closed = closed;
        let last = candles.last().map(json);
        self.series = FinishedSeries {
            body: self.array.body(last.as_deref()).with_mended(self.mended),
            candles: candles.into(),
        };
    }
}

/// Puts a candle in its place: instead of the one that is there if it is `whole`, else widening it.
fn put(candles: &mut Vec<Candle>, new: Candle, whole: bool) {
    match candles.binary_search_by_key(&new.at_ms, |c| c.at_ms) {
        Ok(i) if whole => candles[i] = new,
        Ok(i) => {
            let known = &mut candles[i];
            let volume = known.volume.max(new.volume);
            known.extend(&new);
            known.volume = volume;
        }
        Err(i) => candles.insert(i, new),
    }
}

fn floor(at_ms: i64, length_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(length_ms)
}

/// Numbers always have a JSON form.
fn json(candle: &Candle) -> Vec<u8> {
    serde_json::to_vec(candle).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-03-06, 14:30 UTC.
    const T0: i64 = 1_772_807_400_000;

    fn candle(minute: i64, price: f64, volume: u64) -> Candle {
        Candle {
            at_ms: T0 + minute * MINUTE_MS,
            open: price,
            high: price,
            low: price,
            close: price,
            volume,
        }
    }

    fn live(since: i64, as_of: i64, minutes: &[Candle]) -> LiveCandles {
        LiveCandles {
            since_ms: T0 + since,
            as_of_ms: T0 + as_of,
            day_open_ms: T0 - 3_600_000,
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
        let heard = series.hear(&live(30_000, 50_000, &[candle(0, 3.0, 5)]));
        assert_eq!(heard, Heard::Current);
        assert_eq!(prices(&mut series)[1], (0, 3.0, 3.0, 40), "widened");
        let next = [candle(0, 3.0, 9), candle(1, 4.0, 7)];
        assert_eq!(series.hear(&live(30_000, 64_000, &next)), Heard::Current);
        assert_eq!(prices(&mut series)[2], (1, 4.0, 4.0, 7));
        let over = series.hear(&live(30_000, 66_000, &next));
        assert_eq!(over, Heard::Outdated, "its first minute was heard in part");
        let fetched = vec![candle(-1, 1.0, 10), candle(0, 2.5, 60), candle(1, 4.0, 1)];
        let mut series = Series::new(Timeframe::M1, fetched, T0 + 66_000);
        assert_eq!(series.hear(&live(30_000, 67_000, &next)), Heard::Current);
        assert_eq!(
            prices(&mut series)[1..],
            [(0, 3.0, 3.0, 60), (1, 4.0, 4.0, 7)]
        );
    }

    #[test]
    fn trades_that_nobody_heard_and_another_day_call_for_the_provider() {
        let mut series = Series::new(Timeframe::M1, vec![candle(0, 1.0, 1)], T0);
        let heard = series.hear(&live(90_000, 91_000, &[candle(1, 2.0, 1)]));
        assert_eq!(heard, Heard::Outdated);
        assert_eq!(prices(&mut series).len(), 1);
        let mut news = live(-1, 10, &[]);
        news.day_open_ms = T0 + 5;
        assert_eq!(series.hear(&news), Heard::Outdated);
    }

    #[test]
    fn longer_candles_and_the_day_follow() {
        let mut series = Series::new(Timeframe::M5, vec![candle(0, 1.0, 50)], T0 + 30_000);
        let minutes: Vec<Candle> = (0..7).map(|m| candle(m, 2.0 + m as f64, 10)).collect();
        series.hear(&live(0, 7 * MINUTE_MS, &minutes));
        assert_eq!(
            prices(&mut series),
            [(0, 6.0, 6.0, 50), (5, 8.0, 8.0, 20)],
            "each of its minutes was heard"
        );
        let mut series = Series::new(Timeframe::Day, vec![candle(-1_440, 1.0, 5)], T0);
        let mut news = live(0, 1, &[]);
        news.day = Some(candle(0, 3.0, 9));
        assert_eq!(series.hear(&news), Heard::Current);
        assert_eq!(prices(&mut series)[1], (0, 3.0, 3.0, 9));
        news.day = Some(candle(0, 2.0, 12));
        series.hear(&news);
        assert_eq!(prices(&mut series)[1], (0, 2.0, 2.0, 12));
    }

    proptest! {
        #[test]
        fn however_it_is_told_the_form_is_the_merged_series(
            steps in prop::collection::vec((0_i64..40, 1_u32..9, any::<bool>()), 0..60)
        ) {
            let mut series = Series::new(Timeframe::M1, vec![candle(-1, 1.0, 1)], T0 - 1);
            let mut known: BTreeMap<i64, Candle> = BTreeMap::new();
            for (minute, price, look) in steps {
                let c = candle(minute, f64::from(price), u64::from(price));
                known.insert(minute, c);
                series.hear(&live(-10 * MINUTE_MS, 0, &[c]));
                if look { series.finish(); }
            }
            let finished = series.finish();
            let want: Vec<Candle> = std::iter::once(candle(-1, 1.0, 1)).chain(known.into_values()).collect();
            prop_assert_eq!(&finished.candles[..], &want[..]);
            prop_assert_eq!(&finished.body.plain()[..], &serde_json::to_vec(&want).unwrap()[..]);
        }
    }
}
