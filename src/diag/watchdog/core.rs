//! What the watchdog decides: who is stalled, whose end of a stall is told, when a report is made, who is
//! replaced, when the process gives up. Pure: [`Core::handle`] takes what happened and the time, and says
//! what is to be done.
//!
//! Each look at all threads is an event too, [`Event::Look`]; everything that is due is decided there. The
//! thread that owns the core tells it of births, ends and beats first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::runtime::{Beat, Doing, Drill, Life, LifeEvent, Order, ThreadId};

use super::drills::{Drills, EXPIRES_AFTER};
use super::give_up::GiveUp;
use super::ledger::{Finding, Ledger};
use super::port_check::PortCheck;
use super::probe::Probed;
use super::replacements::Replacements;
use super::report::{finding_line, heartbeat_words};
use super::reports::{Cause, Due, ReadyReport, Reports};
use super::snapshot::{ChannelView, Snapshot};
use super::stall_history::StallHistory;

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub struct CoreConfig {
    /// Between looks.
    pub tick: Duration,
    /// Between `[HEARTBEAT]` lines.
    pub heartbeat_every: Duration,
    /// A fatal stall of this length ends the process.
    pub exit_after: Option<Duration>,
    /// When the process started.
    pub started: Instant,
}

/// What happened. `A` is somebody who waits for a report, `D` somebody who waits to hear of a drill.
#[derive(Debug)]
pub enum Event<A, D> {
    /// A thread was started.
    Born {
        /// The thread.
        life: Life,
        /// Whether another can be started in its place.
        replaceable: bool,
    },
    /// A thread beat.
    Beat {
        /// Which.
        id: ThreadId,
        /// When, and what it does.
        beat: Beat,
    },
    /// Something happened in the life of this thread; its last beat was told before it ended.
    Life(ThreadId, LifeEvent),
    /// The probe's newest word of the server's own port.
    Probed(Probed),
    /// A report of everything is wanted.
    Dump {
        /// Who wants it, in words.
        why: String,
        /// Who waits for it; none where a signal asked.
        asker: Option<A>,
    },
    /// A real stall is wanted in the threads of this name.
    Drill {
        /// A name, or the beginning of one and `*`.
        thread: String,
        /// The stall.
        drill: Drill,
        /// Who hears whether there is such a thread.
        asker: D,
    },
    /// [`Action::Capture`] was done.
    Captured {
        /// Whether the symbolizer was asked; else it is not there.
        asked: bool,
    },
    /// The symbolizer has answered.
    Answered {
        /// To which report.
        number: u64,
    },
    /// [`Action::StartSpare`] was done.
    SpareStarted {
        /// In whose place.
        id: ThreadId,
        /// Its name.
        name: String,
        /// The system's words where it refused.
        result: Result<(), String>,
    },
    /// Time for a look at everybody.
    Look(Seen),
}

/// What a look has besides the threads.
#[derive(Debug, Default)]
pub struct Seen {
    /// Every queue, sorted by name.
    pub channels: Vec<ChannelView>,
    /// Milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// Log lines lost so far.
    pub lines_lost: u64,
    /// Notices lost so far.
    pub notices_lost: u64,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action<A, D> {
    /// A line for `watchdog.log`: `[LEVEL] [WATCHDOG] words`.
    Line(String),
    /// A heartbeat's words, for the common log.
    Heartbeat(String),
    /// How everything stands, for who answers clients.
    Publish(Box<Snapshot>),
    /// A thread is to take this where it next beats.
    Order {
        /// Which.
        id: ThreadId,
        /// What.
        order: Order,
    },
    /// The owner of a stalled thread, if it has one, is to be told.
    TellOwner {
        /// Of which.
        id: ThreadId,
    },
    /// Another thread is to be started in a stalled one's place; [`Event::SpareStarted`] follows.
    StartSpare {
        /// Whose.
        id: ThreadId,
        /// Its name.
        name: String,
    },
    /// All stacks are to be copied and the symbolizer asked; [`Event::Captured`] follows.
    Capture {
        /// The report's number, never used twice.
        number: u64,
        /// Why, in words.
        reason: String,
        /// Why.
        cause: Cause,
    },
    /// The report is to be written and given to who waits for it.
    Finish(ReadyReport<A>),
    /// Whether a drill was ordered: else why not.
    AnswerDrill {
        /// Who waits for it.
        asker: D,
        /// The answer.
        result: Result<(), String>,
    },
    /// The process is to end, for this reason.
    End(String),
}

/// The watchdog's state.
#[derive(Debug)]
pub struct Core<A, D> {
    config: CoreConfig,
    ledger: Ledger,
    port: PortCheck,
    drills: Drills,
    history: StallHistory,
    reports: Reports<A>,
    replacements: Replacements,
    give_up: GiveUp,
    heartbeats: u64,
    heartbeat_at: Instant,
    actions: Vec<Action<A, D>>,
}

impl<A, D> Core<A, D> {
    /// Knows of no thread yet.
    #[must_use]
    pub fn new(config: CoreConfig) -> Self {
        Self {
            ledger: Ledger::default(),
            port: PortCheck::default(),
            drills: Drills::default(),
            history: StallHistory::default(),
            reports: Reports::new(config.started),
            replacements: Replacements::default(),
            give_up: GiveUp::after(config.exit_after),
            heartbeats: 0,
            heartbeat_at: config.started + config.heartbeat_every,
            actions: Vec::new(),
            config,
        }
    }

    /// Takes what happened; what is to be done, in this order.
    pub fn handle(&mut self, now: Instant, event: Event<A, D>) -> Vec<Action<A, D>> {
        match event {
            Event::Born { life, replaceable } => self.born(now, life, replaceable),
            Event::Beat { id, beat } => self.beat(id, beat),
            Event::Life(id, event) => self.life(now, id, event),
            Event::Probed(probed) => self.probed(now, probed),
            Event::Dump { why, asker } => self.reports.asked(why, asker),
            Event::Drill {
                thread,
                drill,
                asker,
            } => self.drill(now, &thread, drill, asker),
            Event::Captured { asked } => self.reports.copied(now, asked),
            Event::Answered { number } => {
                let ready = self.reports.answered(number);
                self.actions.extend(ready.map(Action::Finish));
            }
            Event::SpareStarted { id, name, result } => self.spare_started(id, &name, result),
            Event::Look(seen) => self.look(now, seen),
        }
        std::mem::take(&mut self.actions)
    }

    fn born(&mut self, now: Instant, life: Life, replaceable: bool) {
        if replaceable {
            self.replacements.may_replace(life.id);
        }
        self.ledger.born(life, now);
    }

    fn beat(&mut self, id: ThreadId, beat: Beat) {
        if let Doing::Busy(doing) = &beat.doing {
            self.drills.hear(id, doing);
        }
        self.ledger.beat(id, beat);
    }

    fn life(&mut self, now: Instant, id: ThreadId, event: LifeEvent) {
        match event {
            LifeEvent::Runs { tid } => self.ledger.numbered(id, tid),
            LifeEvent::Panicked { message, restarts } => {
                self.drills.met(id);
                self.ledger.panicked(id, message, restarts);
            }
            LifeEvent::Ended => {
                self.ledger.ended(id, now);
                self.drills.met(id);
                self.replacements.ended(id);
            }
        }
    }

    fn probed(&mut self, now: Instant, probed: Probed) {
        let Some(line) = self.port.hear(probed, now) else {
            return;
        };
        self.line(line);
        if self.port.silent_for(now).is_some() {
            self.reports.stalled("the server's own port");
        }
    }

    fn drill(&mut self, now: Instant, thread: &str, drill: Drill, asker: D) {
        let mut meant = self.ledger.meant(thread);
        // One that must end as soon as it can keeps that order: a thread holds one order at a time.
        meant.retain(|id| !self.replacements.is_replaced(*id));
        if meant.is_empty() {
            let why = format!("there is no thread {thread}; /api/threads names them");
            let result = Err(why);
            self.actions.push(Action::AnswerDrill { asker, result });
            return;
        }
        let by = now + EXPIRES_AFTER;
        let order = Order::Drill { drill, by };
        let orders = meant.iter().map(|id| Action::Order { id: *id, order });
        self.actions.extend(orders);
        self.drills.ordered(thread, meant, by);
        self.line(format!(
            "[WARN] [WATCHDOG] a drill was ordered: {thread} stalls ({}) for {} s where it next beats",
            drill.how,
            drill.time.as_secs()
        ));
        let result = Ok(());
        self.actions.push(Action::AnswerDrill { asker, result });
    }

    fn spare_started(&mut self, id: ThreadId, name: &str, result: Result<(), String>) {
        if self.replacements.started(id, result.is_ok()) {
            let order = Order::Retire;
            self.actions.push(Action::Order { id, order });
        }
        self.line(match result {
            Ok(()) => format!("[WARN] [WATCHDOG] another {name} was started in its place"),
            Err(e) => {
                format!("[ERROR] [WATCHDOG] starting another {name} in its place failed: {e}")
            }
        });
    }

    fn look(&mut self, now: Instant, seen: Seen) {
        let findings = self.ledger.look(now, self.config.tick);
        self.port.excuse(self.ledger.late());
        let lost = (seen.lines_lost, seen.notices_lost);
        let snapshot = Box::new(self.snapshot(now, seen));
        let (well, problems) = (snapshot.is_well(), snapshot.problems.clone());
        self.heartbeat(now, &snapshot.channels, lost);
        self.actions.push(Action::Publish(snapshot));
        for finding in &findings {
            self.found(finding);
        }
        for line in self.drills.look(now) {
            self.line(line);
        }
        self.give_up(now, &problems);
        let overdue = self.reports.overdue(now);
        self.actions.extend(overdue.map(Action::Finish));
        self.end_or_report(now, well);
    }

    fn found(&mut self, finding: &Finding) {
        self.line(finding_line(finding));
        if let Finding::Stalled(stall) = finding {
            self.reports.stalled(&stall.name);
        }
        if let Finding::Stalled(stall) | Finding::StillStalled(stall) = finding {
            let (id, name) = (stall.id, stall.name.clone());
            self.actions.push(Action::TellOwner { id });
            if self.replacements.stalled(id) {
                self.actions.push(Action::StartSpare { id, name });
            }
        }
    }

    fn give_up(&mut self, now: Instant, problems: &[String]) {
        let port = self.port.silent_for(now).unwrap_or_default();
        let fatal_for = self.ledger.fatal_for(now).max(port);
        if let Some(why) = self.give_up.decide(now, fatal_for, problems) {
            let line = format!("[ERROR] [WATCHDOG] the process ends: {why}");
            self.line(line);
            self.reports.want_last();
        }
    }

    fn end_or_report(&mut self, now: Instant, well: bool) {
        if let Some(why) = self.give_up.end(now, self.reports.last_is_made()) {
            self.actions.push(Action::End(why));
        }
        match self.reports.due(now, well) {
            None => {}
            Some(Due::Report {
                number,
                reason,
                cause,
            }) => self.actions.push(Action::Capture {
                number,
                reason,
                cause,
            }),
            Some(Due::Over(who)) => self.line(format!(
                "[WARN] [WATCHDOG] no report of {who}: it was over before one was due"
            )),
        }
    }

    fn heartbeat(&mut self, now: Instant, channels: &[ChannelView], lost: (u64, u64)) {
        if now < self.heartbeat_at {
            return;
        }
        self.heartbeat_at = now + self.config.heartbeat_every;
        self.heartbeats += 1;
        let up = now.saturating_duration_since(self.config.started);
        let words = heartbeat_words(self.ledger.counts(), channels, lost, up);
        let words = format!("#{} - {words}", self.heartbeats);
        self.actions.push(Action::Heartbeat(words));
    }

    fn snapshot(&mut self, now: Instant, seen: Seen) -> Snapshot {
        let threads = self.ledger.views(now);
        let stalls = self.history.look(&threads, now, seen.wall_ms);
        let port = self.port.words(now);
        let mut problems = self.ledger.problems(now);
        problems.extend(port.clone());
        Snapshot {
            at: now,
            threads,
            channels: seen.channels,
            problems,
            port,
            stalls_total: self.ledger.stalls(),
            stalls: Arc::clone(&stalls),
        }
    }

    fn line(&mut self, line: String) {
        self.actions.push(Action::Line(line));
    }
}

#[cfg(test)]
mod tests;
