//! Which of many like events is worth a line in the log. Pure.
//!
//! A fault that comes again and again is told at once, then ever more rarely, at last once a minute; each line
//! says how many before it had none. So nothing that begins is overlooked, and nothing that lasts fills the log.

use std::fmt;
use std::time::{Duration, Instant};

/// The second line comes this long after the first; the pause doubles with each …
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// … up to this. A fault that did not come for longer is a new one.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Forms of a fault that are told apart at a time; one more waits until another is over.
const FORMS_MAX: usize = 8;

/// One kind of event in one thread.
#[derive(Debug, Default)]
pub struct LogThrottle {
    forms: Vec<Form>,
    untold: u64,
}

/// One form of the fault, and its last line.
#[derive(Debug)]
struct Form {
    what: String,
    told: Instant,
    pause: Duration,
    /// When it happened last, told or not.
    last: Instant,
}

impl LogThrottle {
    /// It has happened again; when that is worth a line, how many times it had none.
    pub fn happened(&mut self, now: Instant) -> Option<Untold> {
        self.happened_as(now, "")
    }

    /// As [`Self::happened`], for a fault that can take several forms: each is told at once, and on its own.
    /// What was untold counts for all of them.
    pub fn happened_as(&mut self, now: Instant, what: &str) -> Option<Untold> {
        self.forms
            .retain(|form| now.saturating_duration_since(form.last) <= PAUSE_MAX);
        if self.is_worth_a_line(now, what) {
            return Some(Untold(std::mem::take(&mut self.untold)));
        }
        self.untold += 1;
        None
    }

    fn is_worth_a_line(&mut self, now: Instant, what: &str) -> bool {
        if let Some(form) = self.forms.iter_mut().find(|form| form.what == what) {
            form.last = now;
            let tell = now >= form.told + form.pause;
            if tell {
                form.told = now;
                form.pause = (form.pause * 2).min(PAUSE_MAX);
            }
            return tell;
        }
        let room = self.forms.len() < FORMS_MAX;
        if room {
            self.forms.push(Form {
                what: what.to_owned(),
                told: now,
                pause: PAUSE_MIN,
                last: now,
            });
        }
        room
    }
}

/// How many events had no line; shown as words to append to the next one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untold(pub u64);

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (1 time before this was not logged)"),
            n => write!(f, " ({n} times before this were not logged)"),
        }
    }
}

/// Whether the `nth` of like events, counted from 1, is worth a line: the first, the second, the fourth … For
/// events that many threads count together and a client can cause: a line says how many there were so far.
#[must_use]
pub fn is_worth_a_line(nth: u64) -> bool {
    nth.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_is_told_at_once_and_what_lasts_once_a_minute() {
        let (mut throttle, start) = (LogThrottle::default(), Instant::now());
        let told: Vec<(u64, u64)> = (0..200)
            .filter_map(|s| {
                let untold = throttle.happened(start + Duration::from_secs(s))?;
                Some((s, untold.0))
            })
            .collect();
        assert_eq!(
            told,
            [
                (0, 0),
                (5, 4),
                (15, 9),
                (35, 19),
                (75, 39),
                (135, 59),
                (195, 59)
            ]
        );
        assert_eq!(Untold(0).to_string(), "");
        assert_eq!(
            Untold(2).to_string(),
            " (2 times before this were not logged)"
        );
    }

    #[test]
    fn another_fault_and_one_that_comes_back_are_told_at_once() {
        let (mut throttle, now) = (LogThrottle::default(), Instant::now());
        assert_eq!(throttle.happened_as(now, "refused"), Some(Untold(0)));
        assert_eq!(throttle.happened_as(now, "refused"), None);
        assert_eq!(throttle.happened_as(now, "timed out"), Some(Untold(1)));
        for n in 0..100 {
            throttle.happened_as(now, &n.to_string());
        }
        assert_eq!(
            throttle.untold,
            100 - (FORMS_MAX as u64 - 2),
            "a flood of forms"
        );
        throttle.untold = 0;
        let later = now + PAUSE_MAX + Duration::from_secs(1);
        assert_eq!(throttle.happened_as(later, "timed out"), Some(Untold(0)));
        assert_eq!(
            throttle.happened_as(later + PAUSE_MIN, "timed out"),
            Some(Untold(0))
        );
    }

    proptest! {
        /// Nothing is lost from the account, and lines are few however fast it comes.
        #[test]
        fn each_event_has_a_line_or_is_counted_in_a_later_one(
            gaps in prop::collection::vec(0..20_000_u64, 1..300),
        ) {
            let (mut throttle, start) = (LogThrottle::default(), Instant::now());
            let (mut now, mut lines, mut accounted) = (start, 0_u32, 0);
            for gap in &gaps {
                now += Duration::from_millis(*gap);
                if let Some(Untold(untold)) = throttle.happened(now) {
                    lines += 1;
                    accounted += 1 + untold;
                }
            }
            prop_assert_eq!(accounted + throttle.untold, gaps.len() as u64);
            let minutes = now.duration_since(start).as_secs() / 60;
            prop_assert!(u64::from(lines) <= 5 + minutes, "{} lines in {} min", lines, minutes);
        }
    }
}
