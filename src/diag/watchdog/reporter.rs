//! From a stall to its report: the watchdog copies all stacks, the symbolizer (a process of its own) finds
//! out what they mean, the thread `symbolizer` reads what it says.
//!
//! The watchdog waits for neither: the copy has a deadline, the symbolizer's answer comes through a cell, and
//! a symbolizer that does not answer is replaced; then the report has what threads say of themselves.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};

use crate::diag::capture::{BETWEEN_ROUNDS, Capture, CopiesStacks, raw};
use crate::diag::symbolizer::{
    ASKED, Context, Dump, Forms, Queue, Said, SymbolizerArgs, report_text,
};
use crate::logging::LogFiles;
use crate::runtime::{LatestRx, Supervisor, WatchRx, latest};

use super::event_log::UnnamedReport;
use super::sentinel::{LastResort, start_sentinel};
use super::snapshot::{Snapshot, ThreadState};
use super::symbolizer_link::{SymbolizerLink, start_symbolizer};

/// A symbolizer that takes longer than this for a report is replaced.
const SYMBOLIZER_DEADLINE: Duration = Duration::from_secs(7);

/// Someone who waits for a report.
pub type Asker = Sender<Arc<Forms>>;

/// Why a report is made.
pub enum Cause {
    /// Something stalls.
    Stall,
    /// Somebody wants it; without a place to answer to, where a signal asked.
    Asked(Option<Asker>),
}

struct Pending {
    until: Instant,
    name: String,
    context: Context,
    askers: Vec<Asker>,
}

/// A report.
#[derive(Debug)]
pub struct Made {
    /// What it says.
    pub forms: Arc<Forms>,
    /// What is still to be kept of it: the symbolizer had no part in it.
    pub unnamed: Option<UnnamedReport>,
}

/// The watchdog's side.
pub struct Reporter {
    capture: Option<Capture>,
    why_no_stacks: String,
    symbolizers: LatestRx<SymbolizerLink>,
    symbolizer: Option<SymbolizerLink>,
    forms: LatestRx<Forms>,
    answer: Option<Forms>,
    pending: Option<Pending>,
    reports: u64,
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
        let (forms_tx, forms) = latest();
        let (capture, why_no_stacks) = match Capture::in_memory() {
            Ok(capture) => (Some(capture), String::new()),
            Err(e) => {
                log::warn!(target: "WATCHDOG", "reports will have no call stacks: {e}");
                (None, e.to_string())
            }
        };
        let mut last_resort = None;
        if let Some(capture) = &capture {
            last_resort = match LastResort::new(files) {
                Ok(last_resort) => Some(last_resort),
                Err(e) => {
                    log::warn!(target: "WATCHDOG", "opening the file for a report of last resort in {} failed: {e}; there will be none if the watchdog itself is stuck", files.dir().display());
                    None
                }
            };
            let args = SymbolizerArgs {
                fd: capture.fd(),
                last_fd: last_resort.as_ref().map(LastResort::fd),
                files: files.clone(),
                keep,
            };
            let links = [symbolizer_tx, last_symbolizer_tx];
            start_symbolizer(supervisor, args, links, forms_tx)?;
        }
        start_sentinel(supervisor, last_resort, own_beats, last_symbolizers)?;
        Ok(Self {
            capture,
            why_no_stacks,
            symbolizers,
            symbolizer: None,
            forms,
            answer: None,
            pending: None,
            reports: 0,
        })
    }

    /// Whether a report is being made.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// For `select!`: becomes ready when the symbolizer has answered.
    #[must_use]
    pub fn answers(&self) -> &Receiver<Forms> {
        self.forms.receiver()
    }

    /// What [`Self::answers`] gave.
    pub fn answered(&mut self, forms: Forms) {
        self.answer = Some(forms);
    }

    /// Adds somebody who wants the report that is being made.
    pub fn join(&mut self, asker: Option<Asker>) {
        if let Some(pending) = &mut self.pending {
            pending.askers.extend(asker);
        }
    }

    /// Copies all stacks, twice, and asks the symbolizer for the report. Takes [`BETWEEN_ROUNDS`] and a little.
    pub fn begin(&mut self, context: Context, cause: Cause) {
        while let Some(newer) = self.symbolizers.take() {
            self.symbolizer = Some(newer);
        }
        // An answer that came too late for its own report.
        self.answer = None;
        while self.forms.take().is_some() {}
        self.reports += 1;
        if let Some(capture) = &mut self.capture {
            capture.begin();
            capture.round(1);
            std::thread::sleep(BETWEEN_ROUNDS);
            capture.round(2);
            let json = serde_json::to_vec(&context).unwrap_or_default();
            capture.add(raw::CONTEXT, &json);
        }
        let digits = |c: char| c.is_ascii_digit();
        let stamp: String = context.time.chars().filter(|c| digits(*c)).collect();
        let (kind, asker) = match cause {
            Cause::Stall => ("", None),
            Cause::Asked(asker) => (ASKED, asker),
        };
        let name = format!("{stamp}-{:04}{kind}", self.reports);
        let asked = self.symbolizer.as_mut().is_some_and(|s| s.ask(&name));
        self.pending = Some(Pending {
            // Without a symbolizer the next look makes the report from what there is.
            until: Instant::now()
                + if asked {
                    SYMBOLIZER_DEADLINE
                } else {
                    Duration::ZERO
                },
            name,
            context,
            askers: asker.into_iter().collect(),
        });
    }

    /// The report, once it is there or cannot be had in full.
    pub fn look(&mut self, now: Instant) -> Option<Made> {
        let pending = self.pending.as_ref()?;
        let answer = self.answer.take().or_else(|| self.forms.take());
        if answer.is_none() && now < pending.until {
            return None;
        }
        let named = answer.is_some();
        let forms = answer.unwrap_or_else(|| self.without_stacks(&pending.context));
        let forms = Arc::new(forms);
        let pending = self.pending.take()?;
        for asker in pending.askers {
            let _left = asker.try_send(Arc::clone(&forms));
        }
        let raw = self.capture.as_ref().filter(|_| !named);
        let unnamed = raw
            .and_then(|capture| capture.content().ok())
            .map(|raw| UnnamedReport {
                name: pending.name,
                forms: Arc::clone(&forms),
                raw,
            });
        Some(Made { forms, unnamed })
    }

    /// What can be said without the symbolizer, which is given up if it was asked.
    fn without_stacks(&self, context: &Context) -> Forms {
        let mut why = self.why_no_stacks.clone();
        if why.is_empty() {
            why = format!(
                "the process that names stacks did not answer within {} s and is replaced",
                SYMBOLIZER_DEADLINE.as_secs()
            );
        }
        if let Some(symbolizer) = &self.symbolizer {
            symbolizer.give_up();
        }
        let dump = Dump {
            context: context.clone(),
            no_stacks: format!("no call stacks: {why}"),
            ..Dump::default()
        };
        Forms {
            text: report_text(&dump),
            json: serde_json::to_string(&dump).unwrap_or_default(),
            ..Forms::default()
        }
    }
}

/// What the watchdog knows, for a report.
pub fn context<'a>(
    reason: String,
    time: String,
    uptime: Duration,
    snapshot: &Snapshot,
    log: impl Iterator<Item = &'a Arc<str>>,
) -> Context {
    let word = |state: ThreadState| match state {
        ThreadState::Idle => "idle",
        ThreadState::Busy => "busy",
        ThreadState::Stalled => "stalled",
        ThreadState::Dead => "dead",
    };
    let said = snapshot.threads.iter().map(|t| Said {
        name: t.name.clone(),
        tid: t.tid,
        class: t.class.to_owned(),
        state: word(t.state).to_owned(),
        activity: t.activity.clone(),
        beat_age_ms: t.beat_age_ms,
    });
    let queues = snapshot.channels.iter().map(|c| Queue {
        name: c.name.clone(),
        depth: c.depth,
        capacity: c.capacity,
        drops: c.drops,
        when_full: c.when_full.clone(),
    });
    Context {
        reason,
        time,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_s: uptime.as_secs(),
        threads: said.collect(),
        channels: queues.collect(),
        port: snapshot.port.clone().unwrap_or_default(),
        log: log.map(|line| line.to_string()).collect(),
    }
}
