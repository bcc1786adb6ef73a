//! When a stall has lasted so long that the process is to end, so that its service manager starts a new
//! one. Pure.

use std::time::{Duration, Instant};

/// How long the last report before the end is waited for.
pub const LAST_REPORT_PATIENCE: Duration = Duration::from_secs(8);

/// Whether the process goes on.
#[derive(Debug)]
pub struct GiveUp {
    exit_after: Option<Duration>,
    ending: Ending,
}

#[derive(Debug)]
enum Ending {
    No,
    /// For this reason, and by then at the latest.
    Decided(String, Instant),
    Told,
}

impl GiveUp {
    /// The process ends after a fatal stall of this length; without one, never.
    #[must_use]
    pub fn after(exit_after: Option<Duration>) -> Self {
        Self {
            exit_after,
            ending: Ending::No,
        }
    }

    /// Decides once: the reason, when a fatal stall has lasted for `fatal_for`, longer than allowed.
    pub fn decide(
        &mut self,
        now: Instant,
        fatal_for: Duration,
        problems: &[String],
    ) -> Option<&str> {
        let limit = self.exit_after?;
        if !matches!(self.ending, Ending::No) || fatal_for < limit {
            return None;
        }
        let why = format!(
            "unhealthy for {} s (watchdog.exit_after): {}",
            fatal_for.as_secs(),
            problems.join("; ")
        );
        self.ending = Ending::Decided(why, now + LAST_REPORT_PATIENCE);
        match &self.ending {
            Ending::Decided(why, _) => Some(why),
            Ending::No | Ending::Told => None,
        }
    }

    /// The reason once more, when the last report is made or was waited for long enough: now the process
    /// is to end.
    pub fn end(&mut self, now: Instant, last_report_is_made: bool) -> Option<String> {
        let Ending::Decided(_, by) = &self.ending else {
            return None;
        };
        if !last_report_is_made && now < *by {
            return None;
        }
        match std::mem::replace(&mut self.ending, Ending::Told) {
            Ending::Decided(why, _) => Some(why),
            Ending::No | Ending::Told => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_ends_once_after_its_last_report_or_without_it() {
        let now = Instant::now();
        let limit = Duration::from_secs(60);
        let problems = ["quote-hub has been stalled".to_owned()];
        for made in [true, false] {
            let mut give_up = GiveUp::after(Some(limit));
            let before = limit - Duration::from_millis(1);
            assert_eq!(give_up.decide(now, before, &problems), None);
            assert_eq!(give_up.end(now, true), None);
            let why = "unhealthy for 60 s (watchdog.exit_after): quote-hub has been stalled";
            assert_eq!(give_up.decide(now, limit, &problems), Some(why));
            assert_eq!(give_up.decide(now, limit, &problems), None);
            assert_eq!(give_up.end(now, false), None);
            let at = now + LAST_REPORT_PATIENCE * u32::from(!made);
            assert_eq!(give_up.end(at, made).as_deref(), Some(why));
            assert_eq!(give_up.end(at, made), None);
            assert_eq!(give_up.decide(at, limit * 2, &problems), None);
        }
        let mut never = GiveUp::after(None);
        assert_eq!(never.decide(now, Duration::MAX, &problems), None);
    }
}
