//! Telling the log and the totals what was mended, in few lines.

use std::time::{Duration, Instant};

use super::mended::Mended;
use super::totals::{Source, count};

/// The same reader's losses are told no more often than this; the counts go on.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// One reader's account of what it had to mend or leave out.
#[derive(Debug)]
pub struct Account {
    source: Source,
    who: &'static str,
    said: Option<Instant>,
    unsaid: u64,
}

impl Account {
    /// `who`: as the log names who wrote it.
    #[must_use]
    pub fn new(source: Source, who: &'static str) -> Self {
        Self {
            source,
            who,
            said: None,
            unsaid: 0,
        }
    }

    /// Counts what was mended in `what`; a line in the log where something was lost, once a minute.
    pub fn tell(&mut self, what: &str, mended: &Mended) {
        if mended.is_none() {
            return;
        }
        count(self.source, mended);
        if mended.lost() == 0 {
            log::debug!(target: "INPUT", "{what} of {}: {mended}", self.who);
            return;
        }
        let now = Instant::now();
        if self.said.is_some_and(|at| now < at + SAY_EVERY) {
            self.unsaid += 1;
            return;
        }
        self.said = Some(now);
        let before = match std::mem::take(&mut self.unsaid) {
            0 => String::new(),
            n => format!(" ({n} times before this were not logged)"),
        };
        log::warn!(
            target: "INPUT",
            "{what} of {} could not be used as written: {mended}{before}; the rest is served",
            self.who
        );
    }
}
