use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Targets of a history; more than are kept.
const TARGETS: usize = KEPT_MAX + 4;

const CACHES: [ThreadKind; 3] = [
    ThreadKind::CandleCache,
    ThreadKind::TraderCache,
    ThreadKind::SnapshotCache,
];

/// What a cache says when it is looked at.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// An answer whose data may be shown for so many milliseconds more.
    Has(Option<u64>),
    HasNot,
    Nothing,
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        3 => prop::option::of(0_u64..1_500).prop_map(Says::Has),
        1 => Just(Says::HasNot),
        2 => Just(Says::Nothing),
    ]
}

/// What a history knows of a target's last answer: its number, when it was found, until when its data may be
/// shown.
type Last = (u16, Instant, Option<Instant>);

/// Looks at the connection's answers from outside.
struct Trial {
    now: Instant,
    ready: Ready,
    last: HashMap<String, Last>,
    /// When each cache was looked at and said nothing.
    silent_at: [Option<Instant>; CACHES.len()],
    found: u16,
}

impl Trial {
    fn new() -> Self {
        Self {
            now: Instant::now(),
            ready: Ready::default(),
            last: HashMap::new(),
            silent_at: [None; CACHES.len()],
            found: 0,
        }
    }

    /// One request, as the asker handles it.
    fn request(&mut self, target: usize, says: Says) {
        let place = target % CACHES.len();
        let cache = CACHES[place];
        let target = format!("/{target}");
        if self.is_repeated(&target) {
            return;
        }
        let alone = self.silent_at[place].is_some_and(|at| self.now < at + LEFT_ALONE_FOR);
        assert_eq!(self.ready.may_look(self.now, cache), !alone);
        let stands_in = if alone {
            self.ready.stand_in(self.now, &target)
        } else {
            match says {
                Says::Has(shown_for) => return self.find(&target, shown_for),
                Says::HasNot => return,
                Says::Nothing => {
                    self.silent_at[place] = Some(self.now);
                    self.ready.silent(self.now, cache, &target)
                }
            }
        };
        if let Some(at_hand) = stands_in {
            let (number, found_at, shown_until) = self.last[&target];
            assert_eq!(at_hand.answer.status, number);
            assert!(self.now < found_at + REPEAT_FOR + STAND_IN_FOR);
            assert!(shown_until.is_none_or(|until| self.now < until));
            assert!(at_hand.until <= self.now, "it would be repeated unasked");
        }
    }

    /// Whether an answer is repeated, which must be the target's last one, within its time.
    fn is_repeated(&self, target: &str) -> bool {
        let Some(at_hand) = self.ready.kept(self.now, target) else {
            return false;
        };
        let (number, found_at, shown_until) = self.last[target];
        assert_eq!(at_hand.answer.status, number);
        assert!(self.now < found_at + REPEAT_FOR && self.now < at_hand.until);
        assert!(at_hand.until <= found_at + REPEAT_FOR);
        assert!(shown_until.is_none_or(|until| at_hand.until <= until));
        true
    }

    fn find(&mut self, target: &str, shown_for: Option<u64>) {
        self.found += 1;
        let mut answer = Answer::error(self.found, "");
        answer.until = shown_for.map(|ms| self.now + Duration::from_millis(ms));
        let last = (self.found, self.now, answer.until);
        self.last.insert(target.to_owned(), last);
        let at_hand = self.ready.found(self.now, target, answer);
        assert_eq!(at_hand.answer.status, self.found);
        let lasts = at_hand.until > self.now;
        assert_eq!(lasts, shown_for != Some(0));
        assert_eq!(self.is_repeated(target), lasts);
        assert!(self.ready.kept.len() <= KEPT_MAX);
        assert!(self.ready.left_alone.len() <= CACHES.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn whatever_caches_say_an_answer_is_repeated_and_stands_in_within_its_time_alone(
        steps in prop::collection::vec((prop_oneof![3 => 0_u64..60, 1 => 0_u64..1_400], 0..TARGETS, says()), 1..60)
    ) {
        let mut trial = Trial::new();
        for (pause_ms, target, says) in steps {
            trial.now += Duration::from_millis(pause_ms);
            trial.request(target, says);
        }
    }
}

#[test]
fn what_is_polled_is_repeated_for_a_moment_and_stands_in_for_a_silent_cache_a_little_longer() {
    let (mut ready, now, target) = (Ready::default(), Instant::now(), "/api/quote/X");
    let later = |ms| now + Duration::from_millis(ms);
    ready.found(now, target, Answer::json(*b"[]"));
    assert!(ready.kept(later(99), target).is_some() && ready.kept(later(100), target).is_none());
    assert!(ready.kept(now, "/api/quote/Y").is_none());
    let silent = ready.silent(later(100), ThreadKind::CandleCache, target);
    assert!(silent.is_some());
    assert!(!ready.may_look(later(1_099), ThreadKind::CandleCache));
    assert!(ready.may_look(later(1_099), ThreadKind::TraderCache));
    assert!(ready.stand_in(later(1_099), target).is_some());
    assert!(ready.may_look(later(1_100), ThreadKind::CandleCache));
    assert!(ready.stand_in(later(1_100), target).is_none());
}

#[test]
fn one_more_than_are_kept_takes_the_place_of_the_one_whose_time_ends_first() {
    let (mut ready, now) = (Ready::default(), Instant::now());
    for n in 0..=KEPT_MAX {
        let at = now + Duration::from_millis(u64::try_from(n).unwrap());
        ready.found(at, &format!("/{n}"), Answer::json(*b"[]"));
    }
    let at = now + Duration::from_millis(20);
    assert!(ready.kept(at, "/0").is_none());
    assert!((1..=KEPT_MAX).all(|n| ready.kept(at, &format!("/{n}")).is_some()));
}
