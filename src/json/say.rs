//! Telling the log and the totals what was mended, in few lines.

use std::time::Instant;

use crate::runtime::log_throttle::LogThrottle;

use super::mended::Mended;
use super::totals::{Source, count};

/// One reader's account of what it had to mend or leave out.
#[derive(Debug)]
pub struct Account {
    source: Source,
    who: &'static str,
    losses: LogThrottle,
}

impl Account {
    /// `who`: as the log names who wrote it.
    #[must_use]
    pub fn new(source: Source, who: &'static str) -> Self {
        Self {
            source,
            who,
            losses: LogThrottle::default(),
        }
    }

    /// Counts what was mended in `what`; a line in the log where something was lost, at most once a minute while it lasts.
    pub fn tell(&mut self, what: &str, mended: &Mended) {
        if mended.is_none() {
            return;
        }
        count(self.source, mended);
        if mended.lost() == 0 {
            log::debug!(target: "INPUT", "{what} of {}: {mended}", self.who);
            return;
        }
        let Some(before) = self.losses.happened(Instant::now()) else {
            return;
        };
        log::warn!(
            target: "INPUT",
            "{what} of {} could not be used as written: {mended}{before}; the rest is served",
            self.who
        );
    }
}
