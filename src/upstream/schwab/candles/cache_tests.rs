//! A streamed series in the candle cache: what it costs, and whose candles it shows.

use std::time::{Duration, Instant};

use super::series::tests::{T0, candle, live};
use super::*;
use crate::cache::{Action, AskId, Cache, CacheConfig, Job, QueueConfig};

const MINUTE_MS: i64 = 60_000;

type Candles = Cache<MarketKey, MarketData, ()>;

fn config() -> CacheConfig {
    let config = crate::cache::tests::config();
    CacheConfig {
        queues: vec![QueueConfig {
            name: "candles",
            pending_max: 8,
            deadline: Duration::from_secs(8),
            attempts_max: 1,
            ..config.queues[0].clone()
        }],
        waiters_max: 8,
        patient_max: 4,
        breaker: None,
        per_minute: Some(120),
        ..config
    }
}

/// One ask, by a client that waits for 9 s.
fn asked(
    cache: &mut Candles,
    now: Instant,
    key: &MarketKey,
) -> Vec<Action<MarketKey, MarketOut, ()>> {
    let mut out = Vec::new();
    let by = now + Duration::from_secs(9);
    cache.ask(now, AskId(1), key, by, (), &mut out);
    out
}

fn jobs(out: Vec<Action<MarketKey, MarketOut, ()>>) -> Vec<Job<MarketKey>> {
    let job = |action| match action {
        Action::Fetch { job, .. } => Some(job),
        _ => None,
    };
    out.into_iter().filter_map(job).collect()
}

#[test]
fn what_was_heard_before_the_first_fetch_is_in_its_first_answer() {
    let key = MarketKey::Candles("OTCX".parse().unwrap(), Timeframe::M1);
    let mut cache = Candles::new(config());
    let now = Instant::now();
    cache.update(now, &key, &live(-1, 30_000, &[candle(0, 5.0, 1)]));
    let mut answer = Vec::new();
    let job = jobs(asked(&mut cache, now, &key)).remove(0);
    let series = Series::new(Timeframe::M1, vec![], T0 + 31_000);
    let data = MarketData::Series(Box::new(series));
    cache.fetched(now, &job.key, job.flight, Ok(data), &mut answer);
    let [
        Action::Reply {
            reply: Ok(served), ..
        },
    ] = &answer[..]
    else {
        panic!("{answer:?}");
    };
    assert_eq!(
        served.value.candles.as_deref(),
        Some(&[candle(0, 5.0, 1)][..])
    );
}

/// A symbol is streamed for a quarter of an hour, with a trade in every other minute, and polled each
/// second. The provider has a candle 3 s after its end.
#[test]
fn each_closed_minute_is_the_provider_s_some_seconds_later_and_no_poll_waits_or_is_stale() {
    let key = MarketKey::Candles("TOYO".parse().unwrap(), Timeframe::M1);
    let mut cache = Candles::new(config());
    let began = Instant::now();
    let (mut calls, mut heard) = (0, Vec::new());
    for second in 0..900_i64 {
        let now = began + Duration::from_secs(second.unsigned_abs());
        let now_ms = T0 + second * 1_000;
        let mut out = asked(&mut cache, now, &key);
        if second > 0 {
            assert!(
                matches!(&out[..], [Action::Reply { reply: Ok(served), .. }] if served.stale_because.is_none()),
                "{second}: {out:?}"
            );
        }
        let minute = second / 60;
        if minute % 2 == 1 && second % 60 == 30 {
            heard.push(candle(minute, 5.0, 1));
        }
        cache.update(now, &key, &live(-1, now_ms - T0, &heard));
        cache.confirm(now, &mut out);
        for job in jobs(out) {
            calls += 1;
            let closed = (now_ms - 3_000 - T0) / MINUTE_MS;
            let given = heard.iter().map(|c| (c.at_ms - T0) / MINUTE_MS);
            let given = given.filter(|m| *m < closed).map(|m| candle(m, 7.0, 1));
            let series = Series::new(Timeframe::M1, given.collect(), now_ms);
            let data = MarketData::Series(Box::new(series));
            cache.fetched(now, &job.key, job.flight, Ok(data), &mut Vec::new());
        }
        let Some(Ok(served)) = cache.look(now, &key) else {
            panic!("{second}: nothing is shown");
        };
        let shown = served.value.candles.unwrap();
        assert_eq!(shown.len(), heard.len());
        for c in shown.iter() {
            let over = c.at_ms + MINUTE_MS + 7_000 <= now_ms;
            assert_eq!(c.close, if over { 7.0 } else { c.close }, "{second}");
            assert!(c.close == 5.0 || c.at_ms + MINUTE_MS < now_ms);
        }
    }
    assert_eq!(
        calls,
        1 + 7,
        "the first, and one for each minute with a trade"
    );
}
