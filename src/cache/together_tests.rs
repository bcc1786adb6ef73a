//! Keys that go with others' calls.

use std::time::{Duration, Instant};

use super::tests::{Core, K, Out, ask, broken, config, jobs, replies};
use super::*;
use crate::resilience::FetchError;

/// One fetcher, of whose calls each may ask for four keys.
fn together() -> CacheConfig {
    let mut config = config();
    config.waiters_max = 20;
    for queue in &mut config.queues {
        queue.fetchers = 1;
        queue.pending_max = 10;
        queue.together_max = 4;
    }
    config
}

fn done(core: &mut Core, now: Instant, job: &Job<K>, answers: Answers<u32>) -> Out {
    let job = job.clone();
    let mut out = Out::new();
    core.done(now, Fetched { job, answers }, &mut out);
    out
}

fn each(n: usize, result: impl Fn() -> Result<u32, FetchError>) -> Answers<u32> {
    Answers {
        own: result(),
        others: (1..n).map(|_| Some(result())).collect(),
        further_calls: 0,
    }
}

fn keys(job: &Job<K>) -> Vec<u16> {
    let others = job.others.iter().map(|other| other.key.0);
    std::iter::once(job.key.0).chain(others).collect()
}

/// A call for key 0 is out while these are asked for; then it is answered, and the next call is made.
fn after_one(core: &mut Core, now: Instant, asked: &[u16]) -> Job<K> {
    let first = jobs(&ask(core, now, 100, 0)).remove(0);
    assert_eq!(keys(&first), [0]);
    for key in asked {
        assert!(jobs(&ask(core, now, u64::from(*key), *key)).is_empty());
    }
    jobs(&done(core, now, &first, Ok(0).into())).remove(0)
}

#[test]
fn what_waits_goes_with_the_next_call_and_each_has_its_own_answer() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2, 3]);
    assert_eq!(keys(&job), [3, 2, 1], "the newest-asked first");
    let nothing = || FetchError::NoData {
        what: "key 2".into(),
    };
    let answers = Answers {
        own: Ok(30),
        others: vec![Some(Err(nothing())), Some(Ok(10))],
        further_calls: 0,
    };
    let out = done(&mut core, now, &job, answers);
    let got: Vec<_> = replies(&out)
        .into_iter()
        .map(|(to, reply)| (to, reply.as_ref().map(|s| s.value).map_err(Clone::clone)))
        .collect();
    assert_eq!(got, [(3, Ok(30)), (2, Err(nothing())), (1, Ok(10))]);
    assert!(matches!(core.look(now, &K(1)), Some(Ok(s)) if s.value == 10));
}

#[test]
fn a_call_for_several_counts_once_and_asks_for_no_more_than_its_lane_allows() {
    let now = Instant::now();
    let mut core = Core::new(CacheConfig {
        per_minute: Some(3),
        ..together()
    });
    let job = after_one(&mut core, now, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(keys(&job), [6, 5, 4, 3]);
    let next = jobs(&done(&mut core, now, &job, each(4, || Ok(1))));
    assert_eq!(keys(&next[0]), [2, 1]);
    done(&mut core, now, &next[0], each(2, || Ok(1)));
    let out = ask(&mut core, now, 7, 7);
    assert!(
        matches!(replies(&out)[0].1, Err(FetchError::Budget { .. })),
        "the fourth call of this minute"
    );
}

#[test]
fn who_joins_a_call_that_is_out_shares_its_answer() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2]);
    ask(&mut core, now, 50, 1);
    let out = done(&mut core, now, &job, each(2, || Ok(1)));
    let mut got: Vec<u64> = replies(&out).iter().map(|(to, _)| *to).collect();
    got.sort_unstable();
    assert_eq!(got, [1, 2, 50]);
}

#[test]
fn a_failed_call_is_told_to_each_is_evidence_once_and_then_each_goes_by_itself() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2, 3, 4]);
    assert_eq!(keys(&job), [4, 3, 2, 1]);
    let out = done(&mut core, now, &job, each(4, || Err(broken())));
    assert_eq!(replies(&out).len(), 4);
    assert!(
        replies(&out)
            .iter()
            .all(|(_, r)| matches!(r, Err(f) if *f == broken()))
    );
    // Four keys failed by one call: three would open the breaker, one does not.
    let later = now + Duration::from_secs(5);
    let healthy = jobs(&ask(&mut core, later, 10, 10)).remove(0);
    for key in [1, 2, 11] {
        ask(&mut core, later, u64::from(key), key);
    }
    let mut alone = Vec::new();
    let mut next = jobs(&done(&mut core, later, &healthy, Ok(1).into()));
    while let Some(job) = next.pop() {
        alone.push(keys(&job));
        let answers = each(1 + job.others.len(), || Ok(1));
        next = jobs(&done(&mut core, later, &job, answers));
    }
    alone.sort();
    assert_eq!(alone, [[1], [2], [11]]);
}

#[test]
fn a_try_that_may_help_is_made_for_each_by_itself() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2]);
    let refused = || FetchError::Status {
        upstream: "the upstream",
        code: 500,
        detail: String::new(),
        retry_after: None,
    };
    let out = done(&mut core, now, &job, each(2, || Err(refused())));
    assert!(replies(&out).is_empty(), "they are tried again");
    let later = now + Duration::from_secs(2);
    let mut out = Out::new();
    core.tick(later, &mut out);
    let second = jobs(&out).remove(0);
    let out = done(&mut core, later, &second, Ok(1).into());
    let third = jobs(&out).remove(0);
    let mut got = [keys(&second), keys(&third)];
    got.sort();
    assert_eq!(
        (got, second.attempt, third.attempt),
        ([vec![1], vec![2]], 2, 2)
    );
}

#[test]
fn what_the_answer_says_nothing_of_is_asked_for_by_itself() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2, 3]);
    assert_eq!(keys(&job), [3, 2, 1]);
    let answers = Answers {
        own: Ok(30),
        others: vec![None],
        further_calls: 0,
    };
    let out = done(&mut core, now, &job, answers);
    assert_eq!(replies(&out).len(), 1);
    let second = jobs(&out).remove(0);
    let third = jobs(&done(&mut core, now, &second, Ok(1).into())).remove(0);
    let mut got = [keys(&second), keys(&third)];
    got.sort();
    assert_eq!(got, [[1], [2]]);
    // Another time they go along again.
    done(&mut core, now, &third, Ok(1).into());
    let later = now + Duration::from_secs(61);
    assert_eq!(keys(&after_one(&mut core, later, &[1, 2])), [2, 1]);
}

#[test]
fn a_fetcher_that_panics_over_several_is_told_to_its_key_and_the_others_are_asked_again() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2]);
    let panicked = FetchError::Panicked { fetcher: "fetch" };
    let out = done(&mut core, now, &job, Err(panicked.clone()).into());
    assert!(matches!(replies(&out)[..], [(2, Err(f))] if *f == panicked));
    assert_eq!(keys(&jobs(&out)[0]), [1]);
}

#[test]
fn a_fetcher_lost_with_several_is_replaced_once_and_all_are_told() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2, 3]);
    let late = job.deadline + LOST_GRACE;
    for key in 4..7 {
        ask(
            &mut core,
            late - Duration::from_secs(3),
            u64::from(key),
            key,
        );
    }
    let mut out = Out::new();
    core.tick(late, &mut out);
    let replaced = |out: &Out| {
        let of = |a: &&Action<K, u32, u64>| matches!(a, Action::Replace { .. });
        out.iter().filter(of).count()
    };
    assert_eq!(replaced(&out), 1);
    let late_for =
        |(_, reply): &(u64, &Reply<u32>)| matches!(reply, Err(FetchError::Timeout { .. }));
    assert!(replies(&out).len() == 3 && replies(&out).iter().all(late_for));
    let job_of_the_next = jobs(&out).remove(0);
    assert_eq!(keys(&job_of_the_next), [6, 5, 4]);
    let out = done(&mut core, late, &job, each(3, || Ok(1)));
    let retired = |a: &&Action<K, u32, u64>| matches!(a, Action::Retire { .. });
    assert_eq!(out.iter().filter(retired).count(), 1);
    assert!(replies(&out).is_empty() && jobs(&out).is_empty());
    let out = done(&mut core, late, &job_of_the_next, each(3, || Ok(1)));
    assert_eq!(replies(&out).len(), 3);
}

#[test]
fn a_wish_to_be_left_alone_is_told_to_each_and_said_once() {
    let now = Instant::now();
    let mut core = Core::new(together());
    let job = after_one(&mut core, now, &[1, 2, 3]);
    let busy = || FetchError::Status {
        upstream: "the upstream",
        code: 429,
        detail: String::new(),
        retry_after: Some(Duration::from_secs(20)),
    };
    let out = done(&mut core, now, &job, each(3, || Err(busy())));
    let paused = |(_, reply): &(u64, &Reply<u32>)| matches!(reply, Err(FetchError::Paused { .. }));
    assert!(replies(&out).len() == 3 && replies(&out).iter().all(paused));
    let says = |a: &&Action<K, u32, u64>| matches!(a, Action::Say(_));
    assert_eq!(out.iter().filter(says).count(), 1);
    // The first call after it is a trial, and goes by itself.
    let after = now + Duration::from_secs(20);
    assert_eq!(keys(&jobs(&ask(&mut core, after, 1, 1))[0]), [1]);
}

#[test]
fn what_many_ask_for_at_once_gathers_for_a_moment_and_is_one_call() {
    let now = Instant::now();
    let moment = Duration::from_millis(5);
    let mut config = together();
    for queue in &mut config.queues {
        queue.fetchers = 3;
        queue.gather_for = moment;
    }
    let mut core = Core::new(config);
    for key in 1..4 {
        let asked = now + Duration::from_millis(u64::from(key));
        assert!(jobs(&ask(&mut core, asked, u64::from(key), key)).is_empty());
    }
    let first = now + Duration::from_millis(1);
    assert_eq!(core.next_timeout(first), Some(first + moment));
    let mut out = Out::new();
    core.tick(first + moment, &mut out);
    let calls = jobs(&out);
    assert_eq!(calls.len(), 1);
    let mut got = keys(&calls[0]);
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3]);
    // One that is failing has no reason to wait for others.
    done(&mut core, now, &calls[0], each(3, || Err(broken())));
    let later = now + Duration::from_secs(5);
    assert_eq!(keys(&jobs(&ask(&mut core, later, 9, 1))[0]), [1]);
}

#[test]
fn who_has_an_older_value_and_no_patience_has_the_refresh_begin_at_once() {
    let t0 = Instant::now();
    let moment = Duration::from_millis(5);
    let gathered = |core: &mut Core, now: Instant, id: u64| {
        assert!(jobs(&ask(core, now, id, 1)).is_empty());
        let mut out = Out::new();
        core.tick(now + moment, &mut out);
        jobs(&out).remove(0)
    };
    let mut config = together();
    for queue in &mut config.queues {
        queue.gather_for = moment;
    }
    let mut core = Core::new(config.clone());
    let first = gathered(&mut core, t0, 1);
    done(&mut core, t0, &first, Ok(1).into());
    let later = t0 + Duration::from_secs(61);
    let second = gathered(&mut core, later, 2);
    let panicked = FetchError::Panicked { fetcher: "fetch" };
    done(&mut core, later, &second, Err(panicked).into());
    // After a failure an older value is given at once, and nobody waits for the refresh.
    let again = ask(&mut core, later + Duration::from_secs(10), 3, 1);
    assert_eq!(jobs(&again).len(), 1);

    for queue in &mut config.queues {
        queue.stale_patience = Duration::ZERO;
    }
    let mut core = Core::new(config);
    let first = gathered(&mut core, t0, 1);
    done(&mut core, t0, &first, Ok(1).into());
    assert_eq!(jobs(&ask(&mut core, later, 2, 1)).len(), 1);
}
