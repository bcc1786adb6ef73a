//! The cache core by random histories: askers with deadlines of their own, fetchers that answer, are late or are
//! lost, and a clock that is moved on as the cache's thread moves it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::tests::{Core, K, Out, broken, config};
use super::*;
use crate::resilience::{BreakerConfig, FetchError};

/// What happens to a cache.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody asks for this and wants its answer within so many milliseconds.
    Ask { key: u16, within_ms: u64 },
    /// Somebody takes what can be had without waiting.
    Look { key: u16 },
    /// The client of so many requests ago left.
    Cancel { ago: u64 },
    /// Of the calls that are out one is answered so.
    Answer { call: usize, how: u8 },
    /// Of the calls that are out one is never answered.
    Lose { call: usize },
    /// Something is learnt of a key.
    Update { key: u16, value: Option<u32> },
}

fn step() -> impl Strategy<Value = Step> {
    let key = || (0_u16..12).prop_map(|n| n % 2 * 1_000 + n);
    prop_oneof![
        6 => (key(), prop_oneof![1_u64..500, 500_u64..12_000])
            .prop_map(|(key, within_ms)| Step::Ask { key, within_ms }),
        1 => key().prop_map(|key| Step::Look { key }),
        1 => (0_u64..4).prop_map(|ago| Step::Cancel { ago }),
        6 => (0_usize..16, 0_u8..5).prop_map(|(call, how)| Step::Answer { call, how }),
        1 => (0_usize..16).prop_map(|call| Step::Lose { call }),
        1 => (key(), any::<Option<u32>>()).prop_map(|(key, value)| Step::Update { key, value }),
    ]
}

/// A cache, its thread and its fetchers.
struct World {
    core: Core,
    now: Instant,
    running: Vec<Job<K>>,
    /// Who waits, and until when.
    open: HashMap<u64, Instant>,
    asked: u64,
    together_max: usize,
}

impl World {
    /// Lets the time pass until then, waking whenever the core says.
    fn until(&mut self, at: Instant) {
        let (mut ticks, mut last) = (0, self.now);
        while let Some(wake) = self.core.next_timeout(self.now)
            && wake <= at
        {
            self.now = wake.max(self.now);
            let mut out = Out::new();
            self.core.tick(self.now, &mut out);
            self.perform(out);
            ticks = if self.now == last { ticks + 1 } else { 0 };
            last = self.now;
            // What one tick decides may be due for the next one at once, but not for ever.
            assert!(ticks < 2, "it would spin");
        }
        self.now = at;
    }

    fn perform(&mut self, out: Out) {
        for action in out {
            match action {
                Action::Reply { to, .. } => {
                    let deadline = self.open.remove(&to).expect("answered once");
                    assert!(self.now <= deadline, "{to}: {:?} late", self.now - deadline);
                }
                Action::Fetch { job, .. } => {
                    assert!(job.deadline > self.now && job.others.len() < self.together_max);
                    self.running.push(job);
                }
                _ => {}
            }
        }
        let now = self.now;
        let late = self.open.iter().find(|(_, deadline)| **deadline < now);
        assert_eq!(late, None, "not answered by its deadline");
        // Two fetchers of each queue, and each replaced at most once.
        assert!(self.running.len() <= 8);
        assert!(self.core.waiters() <= 6 && self.core.waiters() == self.open.len());
    }

    fn step(&mut self, step: Step) {
        let (now, mut out) = (self.now, Out::new());
        match step {
            Step::Ask { key, within_ms } => {
                self.asked += 1;
                let (id, deadline) = (self.asked, now + Duration::from_millis(within_ms));
                self.open.insert(id, deadline);
                self.core
                    .ask(now, AskId(id), &K(key), deadline, id, &mut out);
            }
            Step::Look { key } => drop(self.core.look(now, &K(key))),
            Step::Cancel { ago } => {
                let id = AskId(self.asked.saturating_sub(ago));
                self.core.cancel(now, id, &mut out);
            }
            Step::Answer { call, how } if !self.running.is_empty() => {
                let job = self.running.swap_remove(call % self.running.len());
                let answers = answers(&job, how);
                self.core.done(now, Fetched { job, answers }, &mut out);
            }
            Step::Lose { call } if !self.running.is_empty() => {
                // The core gives it up; what was said of how many run holds for those that may still answer.
                self.running.swap_remove(call % self.running.len());
            }
            Step::Answer { .. } | Step::Lose { .. } => {}
            Step::Update { key, value } => {
                self.core.update(now, &K(key), &value);
                self.core.confirm(now, &mut out);
            }
        }
        self.perform(out);
    }
}

/// An answer for each key of a job, for some, or for its own alone.
fn answers(job: &Job<K>, how: u8) -> Answers<u32> {
    let result = |how| match how {
        0 => Ok(1),
        1 => Err(broken()),
        2 => Err(FetchError::Malformed {
            upstream: "the upstream",
            why: String::new(),
        }),
        3 => Err(FetchError::Status {
            upstream: "the upstream",
            code: 429,
            detail: String::new(),
            retry_after: Some(Duration::from_secs(3)),
        }),
        _ => Err(FetchError::NoData {
            what: String::new(),
        }),
    };
    let others = job.others.iter().map(|other| {
        let how = how + u8::try_from(other.key.0 % 4).unwrap();
        (how < 6).then(|| result(how))
    });
    let mut others: Vec<_> = others.collect();
    others.truncate(usize::from(job.key.0 % 4));
    Answers {
        own: result(how),
        others,
        further_calls: u32::from(how % 2),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn whatever_happens_every_asker_is_answered_once_by_its_own_deadline_and_the_bounds_hold(
        patient_max in 0_usize..4,
        together_max in 1_usize..5,
        gather_ms in prop_oneof![Just(0_u64), 1_u64..2_000],
        steps in prop::collection::vec((step(), prop_oneof![0_u64..200, 0_u64..3_000]), 1..60)
    ) {
        let mut config = config();
        for queue in &mut config.queues {
            queue.together_max = together_max;
            queue.gather_for = Duration::from_millis(gather_ms);
            // Old values are not shown for ever: some askers have nothing to fall back on.
            queue.stale_max = Some(Duration::from_secs(40));
            queue.fresh_for = Duration::from_secs(2);
        }
        let core = Core::new(CacheConfig {
            patient_max,
            breaker: Some(BreakerConfig { keys: 3, open_for: Duration::from_secs(3) }),
            ..config
        });
        let mut world = World {
            core,
            now: Instant::now(),
            running: Vec::new(),
            open: HashMap::new(),
            asked: 0,
            together_max,
        };
        for (step, wait_ms) in steps {
            let at = world.now + Duration::from_millis(wait_ms);
            world.until(at);
            world.step(step);
        }
        // Nobody answers any more.
        let end = world.now + Duration::from_secs(60);
        world.until(end);
        prop_assert!(world.open.is_empty(), "{:?} were never answered", world.open);
        prop_assert_eq!(world.core.waiters(), 0);
    }
}
