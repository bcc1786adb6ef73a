//! Which report of all threads is due, and how far the one that is being made has come. Pure.
//!
//! One is made at a time: its stacks are copied, then the symbolizer is asked for their meaning and has
//! [`SYMBOLIZER_DEADLINE`] to answer. Threads that stall meanwhile are in the next one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::token_bucket::TokenBucket;

/// A symbolizer that takes longer than this for a report is replaced.
pub const SYMBOLIZER_DEADLINE: Duration = Duration::from_secs(7);

/// Why a report is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something stalls.
    Stall,
    /// Somebody asked for it.
    Asked,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A report is to be made.
    Report {
        /// Its number: they are counted from 1.
        number: u64,
        /// Why, in words.
        reason: String,
        /// Why.
        cause: Cause,
    },
    /// These stalls were over before a report of them was due.
    Over(String),
}

/// A report that is there or cannot be had in full.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadyReport<A> {
    /// Whether the symbolizer has answered.
    pub named: bool,
    /// Who waits for it.
    pub askers: Vec<A>,
}

/// All that is wanted and what is being made; `A` is somebody who waits for a report.
#[derive(Debug)]
pub struct Reports<A> {
    bucket: TokenBucket,
    /// What stalled and is in no report yet.
    unreported: Vec<String>,
    wanted: VecDeque<(String, Option<A>)>,
    making: Option<Making<A>>,
    begun: u64,
    last: Last,
}

#[derive(Debug)]
struct Making<A> {
    number: u64,
    askers: Vec<A>,
    /// Until when the symbolizer is waited for; none while stacks are being copied.
    until: Option<Instant>,
}

/// The report before the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    NotWanted,
    Wanted,
    Begun,
    Made,
}

impl<A> Reports<A> {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            bucket: TokenBucket::new(now),
            unreported: Vec::new(),
            wanted: VecDeque::new(),
            making: None,
            begun: 0,
            last: Last::NotWanted,
        }
    }

    /// A thread, or the port, has stalled: the next report is of it.
    pub fn stalled(&mut self, name: &str) {
        if !self.unreported.iter().any(|known| known == name) {
            self.unreported.push(name.to_owned());
        }
    }

    /// Somebody wants a report now. Who waits for it gets the one that is being made, or else a new one. Who gets
    /// it as a file, by a signal, gets a new one: the file of the one that is being made may be there already. One
    /// more is enough for all of them.
    pub fn asked(&mut self, why: String, asker: Option<A>) {
        let by_file = |(_, asker): &(String, Option<A>)| asker.is_none();
        match (&mut self.making, asker) {
            (Some(making), Some(asker)) => making.askers.push(asker),
            (_, None) if self.wanted.iter().any(by_file) => {}
            (_, asker) => self.wanted.push_back((why, asker)),
        }
    }

    /// The process is about to end: one more report, before all others.
    pub fn want_last(&mut self) {
        self.last = Last::Wanted;
    }

    /// Whether that one is made.
    #[must_use]
    pub fn last_is_made(&self) -> bool {
        self.last == Last::Made
    }

    /// What is due now, `well` being whether nothing is stalled any more.
    pub fn due(&mut self, now: Instant, well: bool) -> Option<Due> {
        if self.making.is_some() {
            return None;
        }
        if self.last == Last::Wanted {
            self.last = Last::Begun;
            let reason = "the last report before the end".to_owned();
            return Some(self.begin(reason, Cause::Stall, None));
        }
        if let Some((why, asker)) = self.wanted.pop_front() {
            let reason = format!("asked for by {why}");
            return Some(self.begin(reason, Cause::Asked, asker));
        }
        if self.unreported.is_empty() || !self.bucket.take(now) {
            return None;
        }
        let who = std::mem::take(&mut self.unreported).join(", ");
        if well {
            return Some(Due::Over(who));
        }
        Some(self.begin(format!("stalled: {who}"), Cause::Stall, None))
    }

    fn begin(&mut self, reason: String, cause: Cause, asker: Option<A>) -> Due {
        self.begun += 1;
        let number = self.begun;
        self.making = Some(Making {
            number,
            askers: asker.into_iter().collect(),
            until: None,
        });
        Due::Report {
            number,
            reason,
            cause,
        }
    }

    /// The stacks are copied, and the symbolizer was `asked`, or is not there.
    pub fn copied(&mut self, now: Instant, asked: bool) {
        if let Some(making) = &mut self.making {
            let wait = if asked {
                SYMBOLIZER_DEADLINE
            } else {
                Duration::ZERO
            };
            making.until = Some(now + wait);
        }
    }

    /// The symbolizer has answered to this report. To one that was given up nobody waits for it.
    pub fn answered(&mut self, number: u64) -> Option<ReadyReport<A>> {
        let making = self.making.as_ref()?;
        (making.number == number && making.until.is_some()).then_some(())?;
        self.ready(true)
    }

    /// The report that the symbolizer was waited for long enough.
    pub fn overdue(&mut self, now: Instant) -> Option<ReadyReport<A>> {
        (now >= self.making.as_ref()?.until?).then_some(())?;
        self.ready(false)
    }

    fn ready(&mut self, named: bool) -> Option<ReadyReport<A>> {
        if self.last == Last::Begun {
            self.last = Last::Made;
        }
        let askers = self.making.take()?.askers;
        Some(ReadyReport { named, askers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(number: u64, reason: &str, cause: Cause) -> Option<Due> {
        let reason = reason.to_owned();
        Some(Due::Report {
            number,
            reason,
            cause,
        })
    }

    #[test]
    fn one_report_is_made_at_a_time_and_who_asks_meanwhile_gets_that() {
        let now = Instant::now();
        let mut reports = Reports::new(now);
        reports.stalled("http-1");
        reports.stalled("http-1");
        reports.stalled("quote-hub");
        assert_eq!(
            reports.due(now, false),
            report(1, "stalled: http-1, quote-hub", Cause::Stall)
        );
        reports.asked("POST /api/dump".into(), Some(1));
        reports.stalled("http-2");
        assert_eq!(reports.due(now, false), None);
        // Before it was asked.
        assert_eq!(reports.answered(1), None);
        reports.copied(now, true);
        assert_eq!(reports.overdue(now), None);
        let (named, askers) = (true, vec![1]);
        assert_eq!(reports.answered(1), Some(ReadyReport { named, askers }));
        assert_eq!(reports.answered(1), None);
        assert_eq!(reports.due(now, true), Some(Due::Over("http-2".to_owned())));
    }

    #[test]
    fn a_signal_that_comes_while_a_report_is_made_gets_one_of_its_own() {
        let now = Instant::now();
        let mut reports = Reports::<u8>::new(now);
        for _ in 0..3 {
            reports.asked("SIGQUIT".into(), None);
        }
        for number in [1, 2] {
            let due = report(number, "asked for by SIGQUIT", Cause::Asked);
            assert_eq!(reports.due(now, true), due);
            reports.copied(now, true);
            if number == 1 {
                reports.asked("SIGQUIT".into(), None);
                reports.asked("SIGQUIT".into(), None);
            }
            assert!(reports.answered(number).is_some());
        }
        assert_eq!(reports.due(now, true), None);
    }

    #[test]
    fn a_symbolizer_that_does_not_answer_costs_names_and_nothing_else() {
        let mut now = Instant::now();
        let mut reports = Reports::new(now);
        reports.asked("SIGQUIT".into(), None::<u8>);
        reports.want_last();
        for (number, reason, cause, asked) in [
            (1, "the last report before the end", Cause::Stall, true),
            (2, "asked for by SIGQUIT", Cause::Asked, false),
        ] {
            assert_eq!(reports.due(now, false), report(number, reason, cause));
            assert_eq!(reports.overdue(now), None);
            reports.copied(now, asked);
            assert_eq!(reports.overdue(now).is_none(), asked);
            now += SYMBOLIZER_DEADLINE;
            assert_eq!(reports.overdue(now).is_some(), asked);
            assert!(reports.last_is_made());
        }
    }

    #[test]
    fn an_answer_that_comes_late_is_not_taken_for_the_one_to_the_next_report() {
        let mut now = Instant::now();
        let mut reports = Reports::new(now);
        for (asker, number) in [(7, 1), (8, 2)] {
            reports.asked("a test".into(), Some(asker));
            let due = report(number, "asked for by a test", Cause::Asked);
            assert_eq!(reports.due(now, true), due);
            reports.copied(now, true);
            assert_eq!(reports.answered(number - 1), None, "{number}");
            if number == 1 {
                now += SYMBOLIZER_DEADLINE;
                let (named, askers) = (false, vec![asker]);
                assert_eq!(reports.overdue(now), Some(ReadyReport { named, askers }));
            }
        }
        let (named, askers) = (true, vec![8]);
        assert_eq!(reports.answered(2), Some(ReadyReport { named, askers }));
    }
}
