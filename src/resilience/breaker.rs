//! A circuit breaker that judges what is broken. Pure.
//!
//! One key that fails says nothing of others: it is held by itself, elsewhere. A *kind* of request opens
//! when several different keys of it have failed and none has succeeded since; the *whole* upstream only
//! when such failures say that it cannot be reached or is silent, over at least two kinds. A call from
//! before its kind last succeeded is no evidence, nor is a key that was failing then already. While something is open one trial is
//! let through each `open_for`, whatever became of the one before; a success ends it. An upstream that
//! answers 429 is left alone as a whole, for as long as it asks or [`PAUSE_MAX`].

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::fetch_error::{Evidence, FetchError};

/// However long an upstream asks to be left alone, it is tried again after this: its limits are by the
/// minute, and a mistaken header must not silence a trading day.
pub const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A call that is made no longer than this after another of its kind did not reach the upstream is not
/// relied on. Longer than a call may take.
const DOUBT_FOR: Duration = Duration::from_secs(10);

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Different keys whose failure opens it.
    pub keys: usize,
    /// How long nothing passes between two trials.
    pub open_for: Duration,
}

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Call.
    Closed,
    /// Call: this is a trial, for which a key that is not known to fail is best.
    Trial,
    /// Do not call.
    Open {
        /// Before this.
        until: Instant,
        /// Why.
        why: Why,
    },
}

/// Why nothing passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Keys of one kind failed.
    Kind(Failing),
    /// Keys of several kinds could not reach it.
    Whole(Failing),
    /// It asked for it, or answered 429 without a word on how long.
    Asked(Option<Duration>),
}

/// Of what it has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Different keys that failed.
    pub keys: usize,
    /// The last failure.
    pub last: FetchError,
}

/// What an event did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Nothing,
    /// This kind is open.
    KindOpened,
    /// The whole upstream is.
    WholeOpened,
    /// This kind is closed again.
    KindClosed,
    /// Everything is.
    WholeClosed,
}

#[derive(Clone, Debug)]
struct Circuit<K> {
    /// Keys that failed since the last success; no more of them are kept than are needed.
    failed: BTreeSet<K>,
    /// Those of them that did not reach the upstream.
    unreached: BTreeSet<K>,
    last: Option<FetchError>,
    /// When the next trial may be made; none while closed.
    next_trial: Option<Instant>,
    succeeded: Option<Instant>,
    /// When the last call was made.
    called: Option<Instant>,
    /// When a call last did not reach the upstream.
    unreached_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    asked: Option<Duration>,
    since: Instant,
    next_trial: Instant,
}

/// Closed: calls pass. Open: none does but a trial now and then.
#[derive(Clone, Debug)]
pub struct Breaker<K> {
    config: BreakerConfig,
    kinds: Vec<Circuit<K>>,
    whole_next_trial: Option<Instant>,
    pause: Option<Pause>,
}

impl<K: Ord + Clone> Breaker<K> {
    /// A closed breaker of an upstream with so many kinds of request.
    #[must_use]
    pub fn new(config: BreakerConfig, kinds: usize) -> Self {
        let closed = || Circuit {
            failed: BTreeSet::new(),
            unreached: BTreeSet::new(),
            last: None,
            next_trial: None,
            succeeded: None,
            called: None,
            unreached_at: None,
        };
        Self {
            config,
            kinds: (0..kinds).map(|_| closed()).collect(),
            whole_next_trial: None,
            pause: None,
        }
    }

    /// How long nothing passes between two trials.
    #[must_use]
    pub fn open_for(&self) -> Duration {
        self.config.open_for
    }

    /// Whether a call of this kind that was made then may well be lost: others were at that time, or since.
    #[must_use]
    pub fn doubts(&self, kind: usize, called: Instant) -> bool {
        let unreached_at = self.kinds[kind].unreached_at;
        unreached_at.is_some_and(|at| called <= at + DOUBT_FOR)
    }

    /// What a call made now would be. Changes nothing.
    #[must_use]
    pub fn look(&self, now: Instant, kind: usize) -> Permit {
        let circuit = &self.kinds[kind];
        let gates = [
            self.pause.map(|p| p.next_trial),
            self.whole_next_trial,
            circuit.next_trial,
        ];
        let Some((nth, until)) = gates
            .iter()
            .enumerate()
            .filter_map(|(n, at)| at.map(|at| (n, at)))
            .max_by_key(|(_, at)| *at)
        else {
            return Permit::Closed;
        };
        if until <= now {
            return Permit::Trial;
        }
        let why = match (nth, self.pause) {
            (0, Some(pause)) => Why::Asked(pause.asked),
            (1, _) => Why::Whole(self.failing(self.kinds.iter().map(|c| c.unreached.len()).sum())),
            _ => Why::Kind(self.failing_of(circuit, circuit.failed.len())),
        };
        Permit::Open { until, why }
    }

    fn failing(&self, keys: usize) -> Failing {
        let unreached = |c: &&Circuit<K>| !c.unreached.is_empty();
        let circuit = self.kinds.iter().rev().find(unreached);
        self.failing_of(circuit.unwrap_or(&self.kinds[0]), keys)
    }

    fn failing_of(&self, circuit: &Circuit<K>, keys: usize) -> Failing {
        Failing {
            keys,
            // An open circuit has seen a failure.
            last: circuit.last.clone().unwrap_or(FetchError::Cancelled),
        }
    }

    /// Asks to call now.
    pub fn enter(&mut self, now: Instant, kind: usize) -> Permit {
        let permit = self.look(now, kind);
        if !matches!(permit, Permit::Open { .. }) {
            self.kinds[kind].called = Some(now);
        }
        if permit == Permit::Trial {
            let next = now + self.config.open_for;
            if let Some(pause) = &mut self.pause {
                pause.next_trial = next;
            }
            for gate in [&mut self.whole_next_trial, &mut self.kinds[kind].next_trial] {
                *gate = gate.map(|_| next);
            }
        }
        permit
    }

    /// A call that was made at `called` ended well.
    pub fn success(&mut self, now: Instant, kind: usize, called: Instant) -> Turn {
        // What was under way when it asked to be left alone says nothing about that.
        if self.pause.is_some_and(|pause| called > pause.since) {
            self.pause = None;
        }
        let whole = self.whole_next_trial.take().is_some();
        for (n, circuit) in self.kinds.iter_mut().enumerate() {
            let only_unreached = circuit.failed.len() == circuit.unreached.len();
            circuit.unreached.clear();
            if n == kind || (whole && only_unreached) {
                circuit.failed.clear();
            }
        }
        let opened = self.kinds[kind].next_trial.is_some();
        for circuit in &mut self.kinds {
            if circuit.failed.is_empty() {
                circuit.next_trial = None;
            }
        }
        self.kinds[kind].succeeded = Some(now);
        match (whole, opened) {
            (true, _) => Turn::WholeClosed,
            (false, true) => Turn::KindClosed,
            (false, false) => Turn::Nothing,
        }
    }

    /// A call for this key failed; `since`: when the call was made, or when the key's first that failed
    /// in a row did.
    pub fn failure(
        &mut self,
        now: Instant,
        kind: usize,
        key: &K,
        since: Instant,
        failure: &FetchError,
    ) -> Turn {
        let evidence = failure.evidence();
        if evidence == Evidence::Nothing {
            return Turn::Nothing;
        }
        let needed = self.config.keys;
        let circuit = &mut self.kinds[kind];
        circuit.last = Some(failure.clone());
        if circuit.succeeded.is_some_and(|at| at >= since) {
            return Turn::Nothing;
        }
        if evidence == Evidence::Unreachable {
            circuit.unreached_at = Some(now);
        }
        let room = |keys: &BTreeSet<K>| keys.len() < needed;
        if room(&circuit.failed) {
            circuit.failed.insert(key.clone());
        }
        if evidence == Evidence::Unreachable && room(&circuit.unreached) {
            circuit.unreached.insert(key.clone());
        }
        // From the last call on, and not from when it turned out to be lost: an upstream that works again is
        // heard that much sooner.
        let open_for = self.config.open_for;
        let next_after = |called: Option<Instant>| (called.unwrap_or(now) + open_for).max(now);
        let kind_opens = circuit.next_trial.is_none() && circuit.failed.len() >= needed;
        if kind_opens {
            circuit.next_trial = Some(next_after(circuit.called));
        }
        let unreached = || self.kinds.iter().map(|c| c.unreached.len());
        let whole_opens = self.whole_next_trial.is_none()
            && unreached().filter(|n| *n > 0).count() >= 2
            && unreached().sum::<usize>() >= needed;
        if whole_opens {
            let last = self.kinds.iter().filter_map(|c| c.called).max();
            self.whole_next_trial = Some(next_after(last));
            return Turn::WholeOpened;
        }
        if kind_opens {
            Turn::KindOpened
        } else {
            Turn::Nothing
        }
    }

    /// It answered 429. Returns for how long it is left alone.
    pub fn pause(&mut self, now: Instant, asked: Option<Duration>) -> Duration {
        let asked = asked.filter(|asked| !asked.is_zero());
        let wait = asked.unwrap_or(self.config.open_for).min(PAUSE_MAX);
        let next_trial = now + wait;
        self.pause = Some(match self.pause {
            // Another that was under way; the longer wish counts.
            Some(pause) if pause.next_trial > next_trial => pause,
            _ => Pause {
                asked,
                since: now,
                next_trial,
            },
        });
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: BreakerConfig = BreakerConfig {
        keys: 3,
        open_for: Duration::from_secs(5),
    };

    fn sick() -> FetchError {
        FetchError::Status {
            upstream: "the upstream",
            code: 500,
            detail: String::new(),
            retry_after: None,
        }
    }

    fn silent() -> FetchError {
        FetchError::Timeout {
            upstream: "the upstream",
            after_ms: 1,
        }
    }

    #[test]
    fn a_kind_opens_by_different_keys_and_other_kinds_go_on() {
        let mut breaker = Breaker::new(CONFIG, 2);
        let t0 = Instant::now();
        for _ in 0..20 {
            assert_eq!(breaker.failure(t0, 0, &1, t0, &sick()), Turn::Nothing);
        }
        assert_eq!(breaker.failure(t0, 0, &2, t0, &sick()), Turn::Nothing);
        assert_eq!(breaker.failure(t0, 0, &3, t0, &sick()), Turn::KindOpened);
        let Permit::Open { until, why } = breaker.look(t0, 0) else {
            panic!("open");
        };
        assert_eq!(until, t0 + CONFIG.open_for);
        assert!(matches!(why, Why::Kind(Failing { keys: 3, .. })));
        assert_eq!(breaker.enter(t0, 1), Permit::Closed);
        assert_eq!(breaker.enter(until, 0), Permit::Trial);
        assert!(matches!(breaker.enter(until, 0), Permit::Open { .. }));
        // Whatever became of that one.
        let next = until + CONFIG.open_for;
        assert_eq!(breaker.enter(next, 0), Permit::Trial);
        assert_eq!(breaker.success(next, 0, next), Turn::KindClosed);
        assert_eq!(breaker.enter(next, 0), Permit::Closed);
    }

    #[test]
    fn keys_that_fail_beside_others_that_succeed_never_open_it() {
        let mut breaker = Breaker::new(CONFIG, 1);
        let t0 = Instant::now();
        breaker.success(t0 + Duration::from_secs(1), 0, t0);
        for n in 2..200 {
            let now = t0 + Duration::from_secs(n);
            for key in 0..9 {
                // Failing since before the kind last succeeded.
                let turn = breaker.failure(now, 0, &key, t0, &sick());
                assert_eq!(turn, Turn::Nothing);
            }
        }
    }

    #[test]
    fn the_whole_opens_by_silence_over_two_kinds_and_closes_by_one_success() {
        let mut breaker = Breaker::new(CONFIG, 3);
        let t0 = Instant::now();
        breaker.failure(t0, 0, &1, t0, &silent());
        breaker.failure(t0, 1, &2, t0, &sick());
        assert_eq!(breaker.failure(t0, 1, &3, t0, &silent()), Turn::Nothing);
        assert_eq!(breaker.failure(t0, 1, &4, t0, &silent()), Turn::WholeOpened);
        assert!(matches!(
            breaker.look(t0, 2),
            Permit::Open {
                why: Why::Whole(_),
                ..
            }
        ));
        let later = t0 + CONFIG.open_for;
        assert_eq!(breaker.enter(later, 2), Permit::Trial);
        assert!(matches!(breaker.enter(later, 0), Permit::Open { .. }));
        assert_eq!(breaker.success(later, 2, later), Turn::WholeClosed);
        assert_eq!(breaker.look(later, 0), Permit::Closed);
    }

    #[test]
    fn a_wish_to_be_left_alone_is_kept_to_for_a_minute_at_most_and_ended_by_one_trial() {
        let mut breaker: Breaker<u8> = Breaker::new(CONFIG, 2);
        let t0 = Instant::now();
        let hour = Some(Duration::from_secs(3_600));
        assert_eq!(breaker.pause(t0, hour), PAUSE_MAX);
        // It was under way before.
        breaker.success(t0 + Duration::from_secs(1), 1, t0);
        let Permit::Open { until, why } = breaker.look(t0, 1) else {
            panic!("it asked for it");
        };
        assert_eq!((until, why), (t0 + PAUSE_MAX, Why::Asked(hour)));
        assert_eq!(breaker.enter(until, 0), Permit::Trial);
        assert!(matches!(breaker.enter(until, 1), Permit::Open { .. }));
        breaker.success(until, 0, until);
        assert_eq!(breaker.look(until, 1), Permit::Closed);
        assert_eq!(breaker.pause(until, None), CONFIG.open_for);
    }

    proptest! {
        #[test]
        fn whatever_one_key_does_calls_for_others_pass(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u64..9_000), 1..200)
        ) {
            let mut breaker = Breaker::new(CONFIG, 2);
            let mut now = Instant::now();
            let mut since = now;
            for (fails, reached, wait) in steps {
                now += Duration::from_millis(wait);
                if fails {
                    let failure = if reached { sick() } else { silent() };
                    breaker.failure(now, 0, &7, since, &failure);
                } else {
                    breaker.success(now, 0, now);
                    since = now + Duration::from_nanos(1);
                }
                prop_assert_eq!(breaker.look(now, 0), Permit::Closed);
                prop_assert_eq!(breaker.look(now, 1), Permit::Closed);
            }
        }

        #[test]
        fn while_everything_fails_no_more_passes_than_the_first_keys_and_a_trial_in_each_period(
            steps in prop::collection::vec((0_usize..3, 0_u8..200, 0_u64..400), 1..600)
        ) {
            let mut breaker = Breaker::new(CONFIG, 3);
            let t0 = Instant::now();
            let mut now = t0;
            let mut calls = 0_u32;
            for (kind, key, wait) in steps {
                now += Duration::from_millis(wait);
                if matches!(breaker.enter(now, kind), Permit::Open { .. }) {
                    continue;
                }
                // The key holds itself back; here it is as eager as can be.
                let before = breaker.kinds[kind].failed.contains(&(kind, key));
                breaker.failure(now, kind, &(kind, key), t0, &silent());
                calls += u32::from(!before);
            }
            let periods = u32::try_from((now - t0).as_secs() / 5).unwrap() + 1;
            prop_assert!(calls <= 3 + 3 * 3 + 3 * periods, "{} calls in {:?}", calls, now - t0);
        }
    }
}
