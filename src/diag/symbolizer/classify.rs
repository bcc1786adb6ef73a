//! What a thread does, from two looks at it. Pure.

use crate::diag::capture::raw::ThreadFacts;

use super::dump::ThreadPace;
use super::syscalls;

/// A thread that used more than this of the processor time it could have had spins or computes.
const SPINNING_SHARE: f64 = 0.5;

/// One that used less than this and stands where it stood is blocked.
const MOVING_SHARE: f64 = 0.02;

/// A thread that waited for a processor nearly all the time had hardly a chance to be seen: its chance is
/// taken to be at least this much of the time between the looks, or a moment's work would be spinning.
const CHANCE_SHARE_MIN: f64 = 0.04;

/// Innermost frames that are compared.
const FRAMES_COMPARED: usize = 8;

/// The pace, and the CPU time used between the looks in ns. A stack that was not copied is empty; the
/// looks lie `elapsed_ns` apart; `says_idle`: the thread's own word is that it waits for work.
#[must_use]
pub fn pace(
    looks: [Option<&ThreadFacts>; 2],
    stacks: [&[u64]; 2],
    says_idle: bool,
    elapsed_ns: u64,
) -> (ThreadPace, u64) {
    let [Some(first), Some(second)] = looks else {
        return (ThreadPace::Unknown, 0);
    };
    let used_ns = second.cpu_ns.saturating_sub(first.cpu_ns);
    let share = share(
        used_ns,
        second.queued_ns.saturating_sub(first.queued_ns),
        elapsed_ns,
    );
    let both = |state| first.state == state && second.state == state;
    let pace = if both('D') {
        ThreadPace::Uninterruptible
    } else if share >= SPINNING_SHARE {
        ThreadPace::Spinning
    } else if share >= MOVING_SHARE || both('R') || moved(stacks) {
        ThreadPace::Progressing
    } else if says_idle && waits_for_work(second) {
        ThreadPace::Idle
    } else {
        ThreadPace::Blocked
    };
    (pace, used_ns)
}

/// Used time as a share of the time in which it could have run: with more threads than processors one
/// that spins waits in the run queue for most of the time.
#[expect(clippy::cast_precision_loss, reason = "a ratio of short times")]
fn share(used_ns: u64, queued_ns: u64, elapsed_ns: u64) -> f64 {
    let elapsed = elapsed_ns.max(1) as f64;
    let chance = elapsed - queued_ns as f64;
    used_ns as f64 / chance.max(elapsed * CHANCE_SHARE_MIN)
}

/// A thread that did not answer in one of the rounds is not known to have moved.
fn moved([first, second]: [&[u64]; 2]) -> bool {
    let top = |stack: &[u64]| stack[..stack.len().min(FRAMES_COMPARED)].to_vec();
    !first.is_empty() && !second.is_empty() && top(first) != top(second)
}

/// Where the kernel does not name the call, that it sleeps must do.
fn waits_for_work(facts: &ThreadFacts) -> bool {
    let call = facts.syscall.map(|(number, _)| number);
    facts.state == 'S' && call.is_none_or(syscalls::waits_for_others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ELAPSED_NS: u64 = 250_000_000;

    fn facts(state: char, cpu_ns: u64) -> ThreadFacts {
        ThreadFacts {
            state,
            cpu_ns,
            ..ThreadFacts::default()
        }
    }

    fn pace_of(
        a: &ThreadFacts,
        b: &ThreadFacts,
        stacks: [&[u64]; 2],
        says_idle: bool,
    ) -> ThreadPace {
        pace([Some(a), Some(b)], stacks, says_idle, ELAPSED_NS).0
    }

    #[test]
    fn two_looks_tell_what_one_cannot() {
        for (from, to, stacks, expected) in [
            (
                ('R', 0),
                ('R', 240_000_000),
                [&[1][..], &[2]],
                ThreadPace::Spinning,
            ),
            (('S', 5), ('S', 5), [&[1], &[1]], ThreadPace::Blocked),
            (('S', 5), ('S', 9), [&[1], &[2]], ThreadPace::Progressing),
            (
                ('S', 0),
                ('R', 20_000_000),
                [&[1], &[1]],
                ThreadPace::Progressing,
            ),
            (('D', 5), ('D', 5), [&[], &[]], ThreadPace::Uninterruptible),
            // It did not answer in one round: nothing says that it moved.
            (('S', 5), ('S', 9), [&[1], &[]], ThreadPace::Blocked),
            (('S', 5), ('D', 9), [&[], &[1]], ThreadPace::Blocked),
            // Runnable and not let run.
            (('R', 5), ('R', 5), [&[1], &[1]], ThreadPace::Progressing),
        ] {
            let (from, to) = (facts(from.0, from.1), facts(to.0, to.1));
            assert_eq!(pace_of(&from, &to, stacks, false), expected);
        }
        let one = facts('S', 5);
        assert_eq!(
            pace([Some(&one), None], [&[1], &[]], true, 0).0,
            ThreadPace::Unknown
        );
    }

    #[test]
    fn a_spinner_among_many_spins() {
        let mut end = facts('R', ELAPSED_NS / 8);
        let from = facts('R', 0);
        assert_eq!(
            pace_of(&from, &end, [&[1], &[1]], false),
            ThreadPace::Progressing
        );
        end.queued_ns = ELAPSED_NS * 6 / 8;
        assert_eq!(
            pace_of(&from, &end, [&[1], &[1]], false),
            ThreadPace::Spinning
        );
        // It woke once, for a moment, and waited for its turn before.
        let mut woke = facts('S', 50_000);
        woke.queued_ns = 2 * ELAPSED_NS;
        assert_eq!(
            pace_of(&facts('S', 0), &woke, [&[1], &[1]], false),
            ThreadPace::Blocked
        );
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn who_waits_for_work_in_a_call_that_waits_is_idle() {
        let (futex, write) = (202, 1);
        for (call, says_idle, expected) in [
            (Some(futex), true, ThreadPace::Idle),
            (None, true, ThreadPace::Idle),
            (Some(write), true, ThreadPace::Blocked),
            (Some(futex), false, ThreadPace::Blocked),
        ] {
            let mut end = facts('S', 5);
            end.syscall = call.map(|number| (number, [0; 6]));
            assert_eq!(pace_of(&end, &end, [&[1], &[1]], says_idle), expected);
        }
    }

    fn any_facts() -> impl Strategy<Value = ThreadFacts> {
        let state = prop::sample::select(vec!['R', 'S', 'D', 'T', '?']);
        let time = || prop_oneof![Just(0), 0..ELAPSED_NS * 2, any::<u64>()];
        (state, time(), time()).prop_map(|(state, cpu_ns, queued_ns)| ThreadFacts {
            queued_ns,
            ..facts(state, cpu_ns)
        })
    }

    fn any_stack() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0..3_u64, 0..4)
    }

    proptest! {
        #[test]
        fn each_pace_has_its_reason(
            looks in [any_facts(), any_facts()],
            stacks in [any_stack(), any_stack()],
            says_idle: bool,
            elapsed_ns in prop_oneof![Just(ELAPSED_NS), any::<u64>()],
        ) {
            let [a, b] = &looks;
            let pace_of = |b: &ThreadFacts, stacks: [&[u64]; 2], says_idle| {
                pace([Some(a), Some(b)], stacks, says_idle, elapsed_ns).0
            };
            let both = [&stacks[0][..], &stacks[1]];
            let (got, used_ns) = pace([Some(a), Some(b)], both, says_idle, elapsed_ns);
            let wanted_to_run = a.state == 'R' && b.state == 'R';
            match got {
                ThreadPace::Uninterruptible => prop_assert!(a.state == 'D' && b.state == 'D'),
                ThreadPace::Spinning => prop_assert!(used_ns as f64 >= elapsed_ns as f64 * CHANCE_SHARE_MIN / 2.0),
                ThreadPace::Progressing => prop_assert!(used_ns > 0 || wanted_to_run || stacks[0] != stacks[1]),
                ThreadPace::Idle => prop_assert!(says_idle && b.state == 'S' && !wanted_to_run),
                ThreadPace::Blocked => prop_assert!(!wanted_to_run),
                ThreadPace::Unknown => prop_assert!(false),
            }
            // One copy alone tells nothing.
            let without = pace_of(b, [&[], &[]], says_idle);
            prop_assert_eq!(pace_of(b, [both[0], &[]], says_idle), without);
            prop_assert_eq!(pace_of(b, [&[], both[1]], says_idle), without);
            // A word of its own makes a blocked thread idle and changes nothing else.
            match pace_of(b, both, true) {
                ThreadPace::Idle => prop_assert_eq!(pace_of(b, both, false), ThreadPace::Blocked),
                other => prop_assert_eq!(pace_of(b, both, false), other),
            }
            // Who had to wait longer for a processor does not look calmer for that.
            let mut later = b.clone();
            later.queued_ns = later.queued_ns.saturating_add(elapsed_ns / 3);
            if got == ThreadPace::Spinning {
                prop_assert_eq!(pace_of(&later, both, says_idle), ThreadPace::Spinning);
            }
        }
    }
}
