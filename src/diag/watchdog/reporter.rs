//! From a stall to its report: the watchdog copies all stacks, the symbolizer (a process of its own) finds
//! out what they mean, the thread `symbolizer` reads what it says.
//!
//! The watchdog waits for neither: the copy has a deadline, the symbolizer's answer comes through a cell, and
//! a symbolizer that does not answer is replaced; then the report has what threads say of themselves.
//! [`super::reports`] says when.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::Receiver;

use crate::diag::capture::{BETWEEN_ROUNDS, Capture, CopiesStacks, raw};
use crate::diag::symbolizer::{
    ReportAnswer, ReportContext, ReportFormats, ReportRequest, SymbolizerArgs,
};
use crate::logging::LogFiles;
use crate::runtime::{LatestRx, LatestTx, Supervisor, WatchRx, latest};

use super::event_log::UnnamedReport;
use super::report_context::{report_name, without_stacks};
use super::reports::{Cause, SYMBOLIZER_DEADLINE};
use super::sentinel::{LastResort, start_sentinel};
use super::symbolizer_link::{SymbolizerLink, start_symbolizer};

/// A finished report.
#[derive(Debug)]
pub struct FinishedReport {
    /// What it says.
    pub formats: Arc<ReportFormats>,
    /// What is still to be kept of it: the symbolizer had no part in it.
    pub unnamed: Option<UnnamedReport>,
}

/// The watchdog's side.
pub struct Reporter {
    capture: Option<Capture>,
    why_no_stacks: String,
    symbolizers: LatestRx<SymbolizerLink>,
    symbolizer: Option<SymbolizerLink>,
    answers: LatestRx<ReportAnswer>,
    answer: Option<ReportFormats>,
    context: ReportContext,
    name: String,
}

impl Reporter {
    /// Makes ready to capture and starts the symbolizer, the thread that reads from it, and the sentinel with a
    /// capture of its own. Without them reports have no stacks and say why.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub fn start(
        supervisor: &Supervisor,
        files: &LogFiles,
        keep: usize,
        own_beats: WatchRx<Instant>,
    ) -> io::Result<Self> {
        let (symbolizer_tx, symbolizers) = latest();
        let (last_symbolizer_tx, last_symbolizers) = latest();
        let (answers_tx, answers) = latest();
        let (capture, why_no_stacks) = match Capture::in_memory() {
            Ok(capture) => (Some(capture), String::new()),
            Err(e) => {
                log::warn!(target: "WATCHDOG", "reports will have no call stacks: {e}");
                (None, e.to_string())
            }
        };
        let last_resort = capture.as_ref().and_then(|_| last_resort(files));
        if let Some(capture) = &capture {
            let args = SymbolizerArgs {
                fd: capture.fd(),
                last_fd: last_resort.as_ref().map(LastResort::fd),
                files: files.clone(),
                keep,
            };
            let links: [LatestTx<SymbolizerLink>; 2] = [symbolizer_tx, last_symbolizer_tx];
            start_symbolizer(supervisor, args, links, answers_tx)?;
        }
        start_sentinel(supervisor, last_resort, own_beats, last_symbolizers)?;
        Ok(Self {
            capture,
            why_no_stacks,
            symbolizers,
            symbolizer: None,
            answers,
            answer: None,
            context: ReportContext::default(),
            name: String::new(),
        })
    }

    /// For `select!`: becomes ready when the symbolizer has answered.
    #[must_use]
    pub fn answers(&self) -> &Receiver<ReportAnswer> {
        self.answers.receiver()
    }

    /// Takes what [`Self::answers`] gave; says to which report.
    pub fn answered(&mut self, answer: ReportAnswer) -> u64 {
        self.answer = Some(answer.formats);
        answer.number
    }

    /// Copies all stacks, twice, and asks the symbolizer for the report of this number; false if it is not there. Takes
    /// [`BETWEEN_ROUNDS`] and a little.
    pub fn begin(&mut self, number: u64, context: ReportContext, cause: Cause) -> bool {
        while let Some(newer) = self.symbolizers.take() {
            self.symbolizer = Some(newer);
        }
        if let Some(capture) = &mut self.capture {
            capture.begin();
            capture.round(1);
            std::thread::sleep(BETWEEN_ROUNDS);
            capture.round(2);
            let json = serde_json::to_vec(&context).unwrap_or_default();
            capture.add(raw::CONTEXT, &json);
        }
        self.name = report_name(&context.time, number, cause);
        self.context = context;
        let name = &self.name;
        let line = ReportRequest { number, name }.line();
        self.symbolizer.as_mut().is_some_and(|s| s.ask(&line))
    }

    /// The report, with names if the symbolizer has answered to it; else it is replaced, and what can be said
    /// without it is said.
    pub fn finish(&mut self, named: bool) -> FinishedReport {
        let answer = self.answer.take().filter(|_| named);
        let unnamed = answer.is_none();
        let formats = Arc::new(answer.unwrap_or_else(|| self.without_symbolizer()));
        let raw = self.capture.as_ref().filter(|_| unnamed);
        let unnamed = raw
            .and_then(|capture| capture.content().ok())
            .map(|raw| UnnamedReport {
                name: std::mem::take(&mut self.name),
                formats: Arc::clone(&formats),
                raw,
            });
        FinishedReport { formats, unnamed }
    }

    fn without_symbolizer(&self) -> ReportFormats {
        if let Some(symbolizer) = &self.symbolizer {
            symbolizer.give_up();
        }
        let mut why = self.why_no_stacks.clone();
        if why.is_empty() {
            why = format!(
                "the process that names stacks did not answer within {} s and is replaced",
                SYMBOLIZER_DEADLINE.as_secs()
            );
        }
        without_stacks(&self.context, &why)
    }
}

fn last_resort(files: &LogFiles) -> Option<LastResort> {
    match LastResort::new(files) {
        Ok(last_resort) => Some(last_resort),
        Err(e) => {
            log::warn!(target: "WATCHDOG", "opening the file for a report of last resort in {} failed: {e}; there will be none if the watchdog itself is stuck", files.dir().display());
            None
        }
    }
}
