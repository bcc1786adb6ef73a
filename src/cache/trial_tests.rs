//! The cache core in whole stories: an upstream with faults that begin and end, clients as the pages
//! behave, and a clock that is moved on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::tests::{Core, K, Out};
use super::*;
use crate::resilience::FetchError;
use crate::resilience::{Backoff, BreakerConfig};
use crate::runtime::ThreadKind;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// As the server's defaults for the provider.
fn provider() -> CacheConfig {
    let queue = |name, fetchers| QueueConfig {
        name,
        fetcher: ThreadKind::CandleFetch,
        fetchers,
        pending_max: 128,
        fresh_for: ms(60_000),
        unread_for: Duration::ZERO,
        nodata_hold: ms(15_000),
        failure_hold: ms(2_000),
        stale_max: None,
        stale_patience: ms(1_500),
        deadline: ms(7_000),
        together_max: 1,
        gather_for: Duration::ZERO,
        attempts_max: 3,
        backoff: Backoff {
            min: ms(250),
            max: ms(4_000),
        },
    };
    CacheConfig {
        upstream: "the upstream",
        tag: "CANDLES",
        queues: vec![queue("candles", 6), queue("quotes", 3)],
        entries_max: 512,
        idle_max: ms(900_000),
        waiters_max: 1_024,
        patient_max: 12,
        breaker: Some(BreakerConfig {
            keys: 3,
            open_for: ms(2_000),
        }),
        per_minute: None,
        seed: 7,
    }
}

/// What becomes of a call that is made now: after how long, and what; none: it is never answered, and its
/// fetcher gives up at the deadline.
type Upstream<'a> = dyn Fn(Duration, &K) -> Option<(Duration, Result<u32, FetchError>)> + 'a;

/// A call and what will become of it.
type Call = (Job<K>, Result<u32, FetchError>);

struct World<'a> {
    core: Core,
    began: Instant,
    now: Instant,
    upstream: &'a Upstream<'a>,
    /// Calls that are out, by when they end.
    out: BTreeMap<(Instant, u64), Call>,
    calls: Vec<(Duration, K)>,
    asked: u64,
    /// Answers by asker, and when.
    answers: BTreeMap<u64, (Duration, Reply<u32>)>,
}

impl<'a> World<'a> {
    fn new(config: CacheConfig, upstream: &'a Upstream<'a>) -> Self {
        let began = Instant::now();
        Self {
            core: Core::new(config),
            began,
            now: began,
            upstream,
            out: BTreeMap::new(),
            calls: Vec::new(),
            asked: 0,
            answers: BTreeMap::new(),
        }
    }

    fn at(&self) -> Duration {
        self.now - self.began
    }

    fn apply(&mut self, actions: Out) {
        for action in actions {
            match action {
                Action::Reply { to, reply } => {
                    let before = self.answers.insert(to, (self.at(), reply));
                    assert!(before.is_none(), "answered twice");
                }
                Action::Fetch { job, .. } => {
                    self.calls.push((self.at(), job.key.clone()));
                    let timeout = FetchError::Timeout {
                        upstream: "the upstream",
                        after_ms: 7_000,
                    };
                    let (after, result) = match (self.upstream)(self.at(), &job.key) {
                        Some((after, result)) if self.now + after < job.deadline => (after, result),
                        _ => (job.deadline - self.now, Err(timeout)),
                    };
                    self.out
                        .insert((self.now + after, job.flight), (job, result));
                }
                _ => {}
            }
        }
    }

    fn ask(&mut self, key: u16) -> u64 {
        self.asked += 1;
        let mut actions = Out::new();
        self.core.ask(
            self.now,
            AskId(self.asked),
            &K(key),
            self.now + ms(9_000),
            self.asked,
            &mut actions,
        );
        self.apply(actions);
        self.asked
    }

    /// Lets the time pass until then.
    fn until(&mut self, at: Duration) {
        let end = self.began + at;
        loop {
            let timer = self.core.next_timeout(self.now);
            let call = self.out.keys().next().copied();
            let next = [timer, call.map(|c| c.0), Some(end)];
            let next = next
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(end)
                .max(self.now);
            self.now = next;
            let mut actions = Out::new();
            if let Some(call) = call.filter(|c| c.0 <= next)
                && let Some((job, result)) = self.out.remove(&call)
            {
                self.core
                    .fetched(next, &job.key, job.flight, result, &mut actions);
            } else if self.core.next_timeout(next).is_some_and(|at| at <= next) {
                // As the cache's thread asks.
                self.core.tick(next, &mut actions);
                let again = self.core.next_timeout(next);
                assert!(again.is_none_or(|at| at > next), "it would spin");
            } else if next >= end {
                return;
            } else {
                assert!(timer != Some(next), "it was woken for nothing");
            }
            self.apply(actions);
        }
    }

    fn answer(&self, id: u64) -> Option<&(Duration, Reply<u32>)> {
        self.answers.get(&id)
    }
}

fn well(after: u64) -> Option<(Duration, Result<u32, FetchError>)> {
    Some((ms(after), Ok(1)))
}

fn sick(after: u64) -> Option<(Duration, Result<u32, FetchError>)> {
    let failure = FetchError::Status {
        upstream: "the upstream",
        code: 500,
        detail: String::new(),
        retry_after: None,
    };
    Some((ms(after), Err(failure)))
}

/// Asks each of these keys from then on every so often, each asker only once it is answered, and returns when the last
/// of them first had a value after `well_from`.
fn polled(
    world: &mut World<'_>,
    mut next: BTreeMap<u16, Duration>,
    pause: u64,
    well_from: Duration,
) -> Duration {
    let mut waiting: BTreeMap<u16, u64> = BTreeMap::new();
    let keys: Vec<u16> = next.keys().copied().collect();
    let mut missing: BTreeSet<u16> = keys.iter().copied().collect();
    loop {
        for key in &keys {
            if let Some(id) = waiting.get(key)
                && let Some((at, reply)) = world.answer(*id)
            {
                if reply.is_ok() && *at >= well_from {
                    missing.remove(key);
                }
                next.insert(*key, *at + ms(pause));
                waiting.remove(key);
            }
            if !waiting.contains_key(key) && next[key] <= world.at() {
                let id = world.ask(*key);
                waiting.insert(*key, id);
            }
        }
        if missing.is_empty() {
            return world.at();
        }
        assert!(
            world.at() < well_from + ms(60_000),
            "never back: {missing:?}"
        );
        let step = world.at() + ms(20);
        world.until(step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The calls of before the end are never answered: a connection that lost its other end.
    #[test]
    fn after_a_hang_whoever_asks_has_its_value_by_the_next_trial_or_its_own_next_asking(
        begins in 0_u64..3_000, lasts in 16_000_u64..24_000, pause in 400_u64..10_000,
        starts in prop::collection::vec(0_u64..15_000, 1..12)
    ) {
        let (from, to) = (ms(begins), ms(begins + lasts));
        let upstream = |at: Duration, _: &K| if at >= from && at < to { None } else { well(100) };
        let mut world = World::new(provider(), &upstream);
        world.until(from);
        let key = |n: usize| { let n = u16::try_from(n).unwrap(); n % 2 * 1_000 + n };
        // The first two, one of each kind, have been there from the beginning.
        let starts = starts.iter().enumerate().map(|(n, at)| {
            (key(n), from + ms(if n < 2 { 0 } else { *at }))
        });
        let back = polled(&mut world, starts.collect(), pause, to);
        // The next trial, the calls after it, and for who was told just before that its own pause.
        prop_assert!(back <= to + ms(2_400 + pause), "{:?} after the end", back - to);
    }

    #[test]
    fn whatever_one_key_does_others_are_fetched_as_ever(
        hangs: bool, after in 0_u64..8_000, period in 50_u64..2_000, others in 1_u16..9
    ) {
        let upstream = |_: Duration, key: &K| match key {
            K(1) if hangs => None,
            K(1) => sick(after),
            _ => well(80),
        };
        let mut world = World::new(provider(), &upstream);
        let mut fresh = 100;
        for _ in 0..20 {
            world.ask(1);
            let ids: Vec<u64> = (0..others).map(|n| world.ask(fresh + n)).collect();
            fresh += others;
            let by = world.at() + ms(period.max(400));
            world.until(by);
            for id in ids {
                let answer = world.answer(id);
                prop_assert!(matches!(answer, Some((_, Ok(_)))), "{:?}", answer);
            }
        }
    }

    #[test]
    fn an_upstream_that_is_dead_gets_few_calls_and_everybody_is_answered_in_time(
        how in 0_u8..3, keys in 30_u16..200, period in 20_u64..200
    ) {
        let upstream = |_: Duration, _: &K| match how {
            0 => None,
            1 => sick(5),
            _ => Some((ms(1), Err(super::tests::broken()))),
        };
        let mut world = World::new(provider(), &upstream);
        let mut asked = Vec::new();
        let mut nth = 0;
        while world.at() < ms(30_000) {
            nth += 1;
            let key = nth % keys;
            asked.push((world.ask(key % 2 * 1_000 + key), world.at()));
            let next = world.at() + ms(period);
            world.until(next);
        }
        // The first of each fetcher, their tries, and of each kind a trial each 2 s.
        let calls = world.calls.len();
        prop_assert!(calls <= 9 * 3 + 2 * 15, "{} calls", calls);
        world.until(ms(40_000));
        for (id, at) in asked {
            let (answered, reply) = world.answer(id).expect("answered");
            prop_assert!(*answered - at <= ms(9_000) && reply.is_err());
        }
    }
}

#[test]
fn of_those_who_wait_for_a_dead_upstream_some_are_told_at_once() {
    let upstream = |_: Duration, _: &K| Some((ms(1), Err(super::tests::broken())));
    let mut world = World::new(provider(), &upstream);
    let ids: Vec<u64> = (0..40).map(|key| world.ask(key)).collect();
    world.until(ms(500));
    let told = ids.iter().filter(|id| world.answer(**id).is_some()).count();
    assert_eq!(told, 40 - 12, "the others wait");
    let last = ids[39];
    assert!(world.answer(last).is_none(), "who asked last waits");
    world.until(ms(9_100));
    let (at, reply) = world.answer(last).unwrap();
    assert!(*at > ms(6_000), "{at:?}");
    let failure = reply.as_ref().unwrap_err();
    assert!(matches!(failure.http_status(), 502 | 503), "{failure}");
    assert!(failure.retry_after().is_some());
}

#[test]
fn those_who_wait_have_it_as_soon_as_the_upstream_works() {
    let upstream = |at: Duration, _: &K| {
        if at < ms(2_000) {
            Some((ms(1), Err(super::tests::broken())))
        } else {
            well(10)
        }
    };
    let upstream = |at: Duration, key: &K| {
        if at.is_zero() {
            well(0)
        } else {
            upstream(at, key)
        }
    };
    let mut limits = provider();
    limits.queues[0].fresh_for = ms(1);
    limits.per_minute = Some(120);
    let mut world = World::new(limits, &upstream);
    world.ask(900);
    world.until(ms(10));
    let ids: Vec<u64> = (0..60).map(|key| world.ask(key)).collect();
    // Another polls what has an older value.
    for n in 1..20 {
        world.ask(900);
        world.until(ms(10 + n * 100));
    }
    world.until(ms(4_200));
    let well = |id: &&u64| matches!(world.answer(**id), Some((_, Ok(_))));
    assert_eq!(ids.iter().filter(well).count(), 12);
}

#[test]
fn what_cannot_pass_by_itself_is_told_at_once() {
    let token = FetchError::Token {
        upstream: "the upstream",
        why: String::new(),
    };
    for failure in [
        token,
        FetchError::NoData {
            what: String::new(),
        },
    ] {
        let upstream = |_: Duration, _: &K| Some((ms(10), Err(failure.clone())));
        let mut world = World::new(provider(), &upstream);
        let id = world.ask(1);
        world.until(ms(20));
        assert!(world.answer(id).is_some(), "{failure}");
    }
}

#[test]
fn keys_that_hang_leave_fetchers_to_the_others() {
    let upstream = |_: Duration, key: &K| if key.0 < 10 { None } else { well(50) };
    let mut world = World::new(provider(), &upstream);
    // Two hang; then they are known to, and wanted by many.
    let mut fresh = 100;
    for round in 0..40 {
        world.ask(round % 2);
        fresh += 1;
        let id = world.ask(fresh);
        let by = world.at() + ms(700);
        world.until(by);
        assert!(
            matches!(world.answer(id), Some((_, Ok(_)))),
            "round {round}"
        );
    }
}

#[test]
fn those_who_wait_for_room_in_the_budget_are_bounded_as_well() {
    let upstream = |_: Duration, _: &K| well(20);
    let config = CacheConfig {
        per_minute: Some(120),
        ..provider()
    };
    let mut world = World::new(config, &upstream);
    let ids: Vec<u64> = (0..100).map(|key| world.ask(key)).collect();
    world.until(ms(500));
    let waits = ids.iter().filter(|id| world.answer(**id).is_none()).count();
    assert!((1..=12).contains(&waits), "{waits}");
}

#[test]
fn a_burst_leaves_room_for_who_comes_after_and_the_log_says_who_took_it() {
    let upstream = |_: Duration, _: &K| well(20);
    let config = CacheConfig {
        per_minute: Some(120),
        ..provider()
    };
    let mut world = World::new(config, &upstream);
    for key in 0..120 {
        world.ask(key);
        let soon = world.at() + ms(1);
        world.until(soon);
    }
    let id = world.ask(900);
    let asked = world.at();
    world.until(asked + ms(800));
    assert!(
        matches!(world.answer(id), Some((_, Ok(_)))),
        "the newest first"
    );
    world.until(ms(59_000));
    assert!(world.calls.len() <= 120, "{}", world.calls.len());
}
