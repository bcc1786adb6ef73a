//! The cache core by random histories.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::tests::{Core, K, Out, broken, config};
use super::*;
use crate::resilience::BreakerConfig;
use crate::resilience::FetchError;

proptest! {
    #[test]
    fn whatever_happens_everybody_is_answered_once_and_the_bounds_hold(
        patient_max in 0_usize..4,
        together_max in 1_usize..5,
        gather_ms in prop_oneof![Just(0_u64), 1_u64..2_000],
        steps in prop::collection::vec((0_u8..9, 0_u16..12, 0_u64..1_500), 1..200)
    ) {
        let mut now = Instant::now();
        let mut config = config();
        for queue in &mut config.queues {
            queue.together_max = together_max;
            queue.gather_for = Duration::from_millis(gather_ms);
        }
        let mut core = Core::new(CacheConfig {
            patient_max,
            breaker: Some(BreakerConfig { keys: 3, open_for: Duration::from_secs(3) }),
            ..config
        });
        let mut running: Vec<Job<K>> = Vec::new();
        let mut open: HashMap<u64, Instant> = HashMap::new();
        let mut id = 0;
        for (what, key, wait_ms) in steps {
            now += Duration::from_millis(wait_ms);
            let mut out = Out::new();
            if core.next_timeout(now).is_some_and(|at| at <= now) {
                core.tick(now, &mut out);
            }
            match what {
                0..=2 => {
                    id += 1;
                    open.insert(id, now + Duration::from_secs(9));
                    core.ask(now, AskId(id), &K(key % 2 * 1_000 + key), now + Duration::from_secs(9), id, &mut out);
                }
                3 => core.cancel(now, AskId(id.saturating_sub(u64::from(key % 3))), &mut out),
                4..=7 if !running.is_empty() => {
                    let job = running.swap_remove(usize::from(key) % running.len());
                    let result = |what| match what {
                        4 => Ok(1),
                        5 => Err(broken()),
                        7 => Err(FetchError::Malformed { upstream: "the upstream", why: String::new() }),
                        _ => Err(FetchError::NoData { what: String::new() }),
                    };
                    prop_assert!(job.others.len() < together_max);
                    // An answer for each of them, for some, or none.
                    let mut others: Vec<_> = job.others.iter().map(|o| {
                        let what = what + u8::try_from(o.key.0 % 4).unwrap();
                        (what < 9).then(|| result(what))
                    }).collect();
                    others.truncate(usize::from(key % 4));
                    let answers = Answers { own: result(what), others, further_calls: 0 };
                    core.done(now, Fetched { job, answers }, &mut out);
                }
                _ => core.tick(now, &mut out),
            }
            for action in out {
                match action {
                    Action::Reply { to, .. } => prop_assert!(open.remove(&to).is_some(), "answered twice"),
                    Action::Fetch { job, .. } => running.push(job),
                    _ => {}
                }
            }
            // Two fetchers of each queue, and each replaced at most once.
            prop_assert!(running.len() <= 8);
            prop_assert!(core.waiters() <= 6 && core.waiters() == open.len());
        }
        now += Duration::from_secs(10);
        let mut out = Out::new();
        core.tick(now, &mut out);
        for action in out {
            if let Action::Reply { to, .. } = action {
                prop_assert!(open.remove(&to).is_some());
            }
        }
        prop_assert!(open.is_empty(), "{open:?} were never answered");
    }
}
