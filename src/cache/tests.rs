//! The cache core by its rules.

use std::fmt;
use std::time::{Duration, Instant};

use super::*;
use crate::resilience::FetchError;
use crate::resilience::{Backoff, BreakerConfig, PAUSE_MAX};
use crate::runtime::ThreadKind;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct K(pub(super) u16);

impl fmt::Display for K {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.0)
    }
}

impl Key for K {
    fn queue(&self) -> usize {
        usize::from(self.0 / 1_000)
    }

    /// Keys above 500 are of things of which nothing can be had.
    fn subject(&self) -> Option<Self> {
        (self.0 > 500).then_some(K(self.0))
    }
}

impl Value for u32 {
    type Update = Option<u32>;
    type Out = Self;

    fn apply(&mut self, update: &Option<u32>) -> Freshness {
        match update {
            Some(n) => {
                *self = *n;
                Freshness::Current
            }
            None => Freshness::Outdated,
        }
    }

    fn out(&mut self) -> Self {
        *self
    }
}

pub(super) type Core = Cache<K, u32, u64>;
pub(super) type Out = Vec<Action<K, u32, u64>>;

pub(crate) fn config() -> CacheConfig {
    let queue = |name| QueueConfig {
        name,
        fetcher: ThreadKind::CandleFetch,
        fetchers: 2,
        pending_max: 3,
        fresh_for: Duration::from_secs(60),
        unread_for: Duration::ZERO,
        nodata_hold: Duration::from_secs(15),
        failure_hold: Duration::from_secs(2),
        stale_max: None,
        stale_patience: Duration::from_secs(1),
        deadline: Duration::from_secs(10),
        together_max: 1,
        gather_for: Duration::ZERO,
        attempts_max: 2,
        backoff: Backoff {
            min: Duration::from_millis(200),
            max: Duration::from_secs(1),
        },
    };
    CacheConfig {
        upstream: "the upstream",
        tag: "CANDLES",
        queues: vec![queue("things"), queue("others")],
        entries_max: 8,
        idle_max: Duration::from_secs(900),
        waiters_max: 6,
        patient_max: 0,
        breaker: Some(BreakerConfig {
            keys: 3,
            open_for: Duration::from_secs(60),
        }),
        per_minute: Some(20),
        seed: 7,
    }
}

pub(super) fn ask(core: &mut Core, now: Instant, id: u64, key: u16) -> Out {
    let mut out = Out::new();
    core.ask(
        now,
        AskId(id),
        &K(key),
        now + Duration::from_secs(9),
        id,
        &mut out,
    );
    out
}

pub(super) fn jobs(out: &Out) -> Vec<Job<K>> {
    out.iter()
        .filter_map(|a| match a {
            Action::Fetch { job, .. } => Some(job.clone()),
            _ => None,
        })
        .collect()
}

pub(super) fn fetched(
    core: &mut Core,
    now: Instant,
    job: &Job<K>,
    result: Result<u32, FetchError>,
) -> Out {
    let mut out = Out::new();
    core.fetched(now, &job.key, job.flight, result, &mut out);
    out
}

pub(super) fn replies(out: &Out) -> Vec<(u64, &Reply<u32>)> {
    out.iter()
        .filter_map(|a| match a {
            Action::Reply { to, reply } => Some((*to, reply)),
            _ => None,
        })
        .collect()
}

pub(super) fn broken() -> FetchError {
    FetchError::Unreachable {
        upstream: "the upstream",
        why: "refused".into(),
    }
}

#[test]
fn many_who_ask_for_one_key_share_one_call_and_a_fresh_value_needs_none() {
    let now = Instant::now();
    let mut core = Core::new(config());
    let first = jobs(&ask(&mut core, now, 1, 1));
    assert_eq!(first.len(), 1);
    assert!(jobs(&ask(&mut core, now, 2, 1)).is_empty());
    let out = fetched(&mut core, now, &first[0], Ok(5));
    let got: Vec<u64> = replies(&out).iter().map(|(to, _)| *to).collect();
    assert_eq!(got, [1, 2]);
    let out = ask(&mut core, now + Duration::from_secs(59), 3, 1);
    assert!(matches!(replies(&out)[0].1, Ok(s) if s.value == 5 && s.as_of == now));
}

#[test]
fn a_failure_gives_the_old_value_with_its_reason_and_is_held() {
    let mut now = Instant::now();
    let mut core = Core::new(config());
    let job = jobs(&ask(&mut core, now, 1, 1)).remove(0);
    fetched(&mut core, now, &job, Ok(5));
    now += Duration::from_secs(61);
    let job = jobs(&ask(&mut core, now, 2, 1)).remove(0);
    let out = fetched(&mut core, now, &job, Err(broken()));
    assert!(matches!(replies(&out)[0].1, Ok(s) if s.stale_because == Some(broken())));
    let out = ask(&mut core, now + Duration::from_secs(1), 3, 1);
    assert!(jobs(&out).is_empty() && replies(&out).len() == 1);
}

#[test]
fn a_value_that_came_after_its_askers_left_is_kept_until_it_is_read() {
    let begun = Instant::now();
    let at = |s| begun + Duration::from_secs(s);
    let mut config = config();
    for queue in &mut config.queues {
        queue.unread_for = Duration::from_secs(300);
        queue.fetchers = 8;
    }
    let landed = |core: &mut Core, key, left: bool| {
        let job = jobs(&ask(core, begun, 1, key)).remove(0);
        if left {
            core.cancel(begun, AskId(1), &mut Out::new());
        }
        fetched(core, begun, &job, Ok(5));
    };
    let mut core = Core::new(config);
    landed(&mut core, 1, true);
    landed(&mut core, 2, true);
    landed(&mut core, 3, false);
    // Whoever waited has read it.
    assert_eq!(jobs(&ask(&mut core, at(61), 6, 3)).len(), 1);
    let out = ask(&mut core, at(299), 2, 1);
    assert!(matches!(replies(&out)[0].1, Ok(s) if s.value == 5 && s.stale_because.is_none()));
    let again = ask(&mut core, at(299), 3, 1);
    assert_eq!(jobs(&again).len(), 1, "it is as old as any other now");
    assert_eq!(jobs(&ask(&mut core, at(300), 4, 2)).len(), 1);
}

#[test]
fn different_keys_open_their_kind_and_one_trial_of_another_key_closes_it() {
    let mut now = Instant::now();
    let mut core = Core::new(config());
    for key in 0..3 {
        let job = jobs(&ask(&mut core, now, u64::from(key), key)).remove(0);
        let sick = FetchError::Malformed {
            upstream: "the upstream",
            why: String::new(),
        };
        fetched(&mut core, now, &job, Err(sick));
    }
    let out = ask(&mut core, now, 9, 7);
    assert!(matches!(
        replies(&out)[0].1,
        Err(FetchError::BreakerOpen {
            keys: 3,
            what: "things",
            ..
        })
    ));
    assert_eq!(
        jobs(&ask(&mut core, now, 10, 1_000)).len(),
        1,
        "another kind goes on"
    );
    now += Duration::from_secs(61);
    let trial = jobs(&ask(&mut core, now, 10, 7));
    assert_eq!(trial.len(), 1);
    let out = ask(&mut core, now, 11, 6);
    assert!(matches!(
        replies(&out)[0].1,
        Err(FetchError::BreakerOpen { .. })
    ));
    fetched(&mut core, now, &trial[0], Ok(1));
    assert_eq!(jobs(&ask(&mut core, now, 12, 6)).len(), 1);
    assert_eq!(
        jobs(&ask(&mut core, now, 13, 0)).len(),
        1,
        "what failed is tried again as well"
    );
}

#[test]
fn tries_of_one_flight_are_one_failure() {
    let mut now = Instant::now();
    let mut core = Core::new(CacheConfig {
        breaker: Some(BreakerConfig {
            keys: 2,
            open_for: Duration::from_secs(60),
        }),
        ..config()
    });
    let sick = || {
        Err(FetchError::Status {
            upstream: "the upstream",
            code: 500,
            detail: String::new(),
            retry_after: None,
        })
    };
    let mut job = jobs(&ask(&mut core, now, 1, 1)).remove(0);
    assert!(replies(&fetched(&mut core, now, &job, sick())).is_empty());
    now += Duration::from_secs(2);
    let mut out = Out::new();
    core.tick(now, &mut out);
    job = jobs(&out).remove(0);
    assert_eq!(job.attempt, 2);
    let out = fetched(&mut core, now, &job, sick());
    assert!(matches!(
        replies(&out)[0].1,
        Err(FetchError::Status { code: 500, .. })
    ));
    assert_eq!(jobs(&ask(&mut core, now, 2, 2)).len(), 1, "others go on");
}

#[test]
fn a_wish_to_be_left_alone_is_kept_to_by_all_and_tried_once_after_it() {
    let now = Instant::now();
    let mut core = Core::new(config());
    let job = jobs(&ask(&mut core, now, 1, 1)).remove(0);
    let busy = FetchError::Status {
        upstream: "the upstream",
        code: 429,
        detail: String::new(),
        retry_after: Some(Duration::from_secs(3_600)),
    };
    let out = fetched(&mut core, now, &job, Err(busy));
    let Err(failure) = replies(&out)[0].1 else {
        panic!("it is refused");
    };
    let words = failure.to_string();
    assert!(
        words.contains("asked to be left alone for 3600 s"),
        "{words}"
    );
    assert_eq!(failure.retry_after(), Some(PAUSE_MAX));
    let out = ask(&mut core, now + Duration::from_secs(59), 2, 1_000);
    assert!(jobs(&out).is_empty(), "it is the account's limit");
    let after = now + PAUSE_MAX;
    let trial = jobs(&ask(&mut core, after, 3, 2));
    assert_eq!(trial.len(), 1);
    assert!(jobs(&ask(&mut core, after, 4, 3)).is_empty());
    fetched(
        &mut core,
        after + Duration::from_millis(1),
        &trial[0],
        Ok(1),
    );
    assert_eq!(jobs(&ask(&mut core, after, 5, 3)).len(), 1);
}

#[test]
fn an_older_value_than_may_be_shown_is_not() {
    let t0 = Instant::now();
    let mut limits = config();
    limits.queues[0].stale_max = Some(Duration::from_secs(90));
    let mut core = Core::new(limits);
    let job = jobs(&ask(&mut core, t0, 1, 1)).remove(0);
    fetched(&mut core, t0, &job, Ok(5));
    let mut now = t0 + Duration::from_secs(70);
    let job = jobs(&ask(&mut core, now, 2, 1)).remove(0);
    let out = fetched(&mut core, now, &job, Err(broken()));
    let until = t0 + Duration::from_secs(90);
    assert!(matches!(replies(&out)[0].1, Ok(s) if s.until == Some(until)));
    assert!(matches!(core.look(now, &K(1)), Some(Ok(_))));
    now = until;
    let job = jobs(&ask(&mut core, now, 3, 1)).remove(0);
    let out = fetched(&mut core, now, &job, Err(broken()));
    let Err(failure) = replies(&out)[0].1 else {
        panic!("it is 90 s old");
    };
    assert!(matches!(failure, FetchError::Outdated { .. }));
    assert_eq!(failure.http_status(), 502);
    assert!(matches!(
        core.look(now, &K(1)),
        Some(Err(FetchError::Outdated { .. }))
    ));
}

#[test]
fn what_is_known_is_told_to_the_fetcher_and_ends_a_no() {
    let now = Instant::now();
    let mut core = Core::new(config());
    let job = jobs(&ask(&mut core, now, 1, 600)).remove(0);
    assert!(!job.known);
    let nothing = FetchError::NoData {
        what: "key 600".into(),
    };
    fetched(&mut core, now, &job, Err(nothing));
    assert!(matches!(core.look(now, &K(600)), Some(Err(_))));
    core.known(now, K(600));
    assert!(core.look(now, &K(600)).is_none(), "ask again");
    assert!(jobs(&ask(&mut core, now, 2, 600)).remove(0).known);
}

#[test]
fn a_lost_fetcher_is_replaced_and_what_it_says_later_is_discarded() {
    let now = Instant::now();
    let mut core = Core::new(config());
    let job = jobs(&ask(&mut core, now, 1, 1)).remove(0);
    let mut out = Out::new();
    core.tick(now + Duration::from_secs(13), &mut out);
    assert!(
        out.iter()
            .any(|a| matches!(a, Action::Replace { queue: 0 }))
    );
    assert!(matches!(
        replies(&out)[0].1,
        Err(FetchError::Timeout { .. })
    ));
    let out = fetched(&mut core, now + Duration::from_secs(20), &job, Ok(1));
    assert!(out.iter().any(|a| matches!(a, Action::Retire { queue: 0 })));
    assert!(replies(&out).is_empty());
}

#[test]
fn who_only_looks_gets_what_is_there_and_starts_nothing() {
    let now = Instant::now();
    let mut core = Core::new(config());
    assert!(core.look(now, &K(1)).is_none());
    let job = jobs(&ask(&mut core, now, 1, 1)).remove(0);
    assert!(core.look(now, &K(1)).is_none(), "under way");
    fetched(&mut core, now, &job, Ok(5));
    assert!(matches!(core.look(now, &K(1)), Some(Ok(s)) if s.value == 5));
    assert!(core.look(now + Duration::from_secs(60), &K(1)).is_none());
}

#[test]
fn an_old_value_waits_once_for_a_slow_upstream_and_not_at_all_for_one_in_trouble() {
    let t0 = Instant::now();
    let mut core = Core::new(config());
    let job = jobs(&ask(&mut core, t0, 1, 1)).remove(0);
    fetched(&mut core, t0, &job, Ok(5));
    let now = t0 + Duration::from_secs(70);
    let refresh = jobs(&ask(&mut core, now, 2, 1)).remove(0);
    assert!(core.look(now, &K(1)).is_none(), "worth a moment's patience");
    let later = now + Duration::from_secs(1);
    let out = ask(&mut core, later, 3, 1);
    assert!(matches!(replies(&out)[0].1, Ok(s) if s.stale_because.is_some()));
    assert!(matches!(core.look(later, &K(1)), Some(Ok(s)) if s.stale_because.is_some()));
    fetched(&mut core, later, &refresh, Err(broken()));
    // The next call begins after the hold; nobody waits for it.
    let again = later + Duration::from_secs(3);
    let mut out = ask(&mut core, again, 4, 1);
    assert_eq!(jobs(&out).len(), 1);
    core.tick(again, &mut out);
    assert!(matches!(replies(&out).last().unwrap().1, Ok(s) if s.stale_because == Some(broken())));
}

#[test]
fn an_old_value_whose_refresh_finds_no_free_fetcher_is_held_back_once() {
    let t0 = Instant::now();
    let mut core = Core::new(config());
    let job = jobs(&ask(&mut core, t0, 1, 1)).remove(0);
    fetched(&mut core, t0, &job, Ok(5));
    let now = t0 + Duration::from_secs(70);
    // Both fetchers hang with other keys.
    ask(&mut core, now, 2, 2);
    ask(&mut core, now, 3, 3);
    assert!(jobs(&ask(&mut core, now, 4, 1)).is_empty());
    let mut later = now + Duration::from_secs(1);
    let mut out = Out::new();
    core.tick(later, &mut out);
    assert!(matches!(replies(&out)[0].1, Ok(s) if s.stale_because.is_some()));
    for id in 5..15 {
        later += Duration::from_millis(100);
        let mut out = ask(&mut core, later, id, 1);
        core.tick(later, &mut out);
        assert!(matches!(replies(&out)[0].1, Ok(s) if s.stale_because.is_some()));
    }
}

#[test]
fn news_keep_a_value_fresh_or_have_it_fetched_anew() {
    let t0 = Instant::now();
    let mut core = Core::new(config());
    core.update(t0, &K(1), &Some(1));
    let job = jobs(&ask(&mut core, t0, 1, 1)).remove(0);
    fetched(&mut core, t0, &job, Ok(5));
    core.update(t0 + Duration::from_secs(50), &K(1), &Some(6));
    let later = t0 + Duration::from_secs(100);
    assert!(matches!(core.look(later, &K(1)), Some(Ok(s)) if s.value == 6));
    core.update(later, &K(1), &None);
    assert!(core.look(later, &K(1)).is_none());
    let job = jobs(&ask(&mut core, later, 2, 1)).remove(0);
    let later = later + Duration::from_secs(30);
    fetched(&mut core, later, &job, Ok(7));
    assert!(matches!(core.look(later, &K(1)), Some(Ok(s)) if s.value == 7));
}
