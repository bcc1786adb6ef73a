//! What a thread does, from two looks at it. Pure.

use crate::capture::raw::Facts;

use super::read::Pace;

/// A thread that used more of a processor than this between the looks spins or computes.
const SPINNING_SHARE: f64 = 0.5;

/// One that used less than this and stands where it stood is blocked.
const MOVING_SHARE: f64 = 0.02;

/// Innermost frames that are compared.
const FRAMES_COMPARED: usize = 8;

/// `elapsed_ns` lies between the looks.
#[must_use]
pub fn pace(
    first: Option<&Facts>,
    second: Option<&Facts>,
    stacks: (&[u64], &[u64]),
    elapsed_ns: u64,
) -> (Pace, u64) {
    let (Some(first), Some(second)) = (first, second) else {
        return (Pace::Unknown, 0);
    };
    let used_ns = second.cpu_ns.saturating_sub(first.cpu_ns);
    #[expect(clippy::cast_precision_loss, reason = "a ratio of short times")]
    let share = used_ns as f64 / elapsed_ns.max(1) as f64;
    let top = |s: &[u64]| s[..s.len().min(FRAMES_COMPARED)].to_vec();
    let pace = if second.state == 'D' && first.state == 'D' {
        Pace::Uninterruptible
    } else if share >= SPINNING_SHARE {
        Pace::Spinning
    } else if share >= MOVING_SHARE || top(stacks.0) != top(stacks.1) {
        Pace::Progressing
    } else {
        Pace::Blocked
    };
    (pace, used_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(state: char, cpu_ns: u64) -> Facts {
        Facts {
            state,
            cpu_ns,
            ..Facts::default()
        }
    }

    #[test]
    fn two_looks_tell_what_one_cannot() {
        let judge = |a: Facts, b: Facts, x: &[u64], y: &[u64]| {
            pace(Some(&a), Some(&b), (x, y), 250_000_000).0
        };
        assert_eq!(
            judge(facts('R', 0), facts('R', 240_000_000), &[1], &[2]),
            Pace::Spinning
        );
        assert_eq!(
            judge(facts('S', 5), facts('S', 5), &[1], &[1]),
            Pace::Blocked
        );
        assert_eq!(
            judge(facts('S', 5), facts('S', 9), &[1], &[2]),
            Pace::Progressing
        );
        assert_eq!(
            judge(facts('S', 0), facts('R', 20_000_000), &[1], &[1]),
            Pace::Progressing
        );
        assert_eq!(
            judge(facts('D', 5), facts('D', 5), &[], &[]),
            Pace::Uninterruptible
        );
        assert_eq!(pace(None, None, (&[], &[]), 1).0, Pace::Unknown);
    }
}
