//! The `watchdog` thread: births, deaths, beats and the probe's word in; lines for `watchdog.log`, the
//! workers' boards and the heartbeat out.
//!
//! It waits for nobody and touches no disk. What it says through the common log (the heartbeat) is for
//! convenience; what matters is in `watchdog.log`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, TryRecvError, select_biased, tick};

use crate::logging::{LogHandle, RING_LINES};
use crate::runtime::clock::system_ms;
use crate::runtime::{
    Beat, Counter, Doing, Drill, Gauge, LatestRx, LatestTx, Notice, Order, Spare, Supervisor,
    ThreadId, ThreadKind, WatchRx, WatchTx, is_meant, watch,
};

use super::ToWatchdog;
use super::drills::{Drills, EXPIRES_AFTER};
use super::event_log::{EventLog, EventLogConfig};
use super::figures::Figures;
use super::ledger::{Finding, Ledger};
use super::manager::Manager;
use super::port_check::PortCheck;
use super::probe::Probed;
use super::report::{finding_line, heartbeat_words, ill_verdict};
use super::reporter::{Cause, Made, Reporter, context};
use super::snapshot::{ChannelView, Snapshot};
use super::token_bucket::TokenBucket;

/// Stuck threads that have another in their place, at most.
const REPLACED_MAX: usize = 64;

/// How long the last report before the end is waited for.
const LAST_REPORT_PATIENCE: Duration = Duration::from_secs(8);

/// The watchdog's own settings.
#[derive(Clone, Debug)]
pub struct WatchdogConfig {
    /// Between looks.
    pub tick: Duration,
    /// Between `[HEARTBEAT]` lines.
    pub heartbeat_every: Duration,
    /// Where it writes.
    pub event_log: EventLogConfig,
    /// A stall that makes the process unhealthy ends it after this.
    pub exit_after: Option<Duration>,
    /// When the process started.
    pub started: Instant,
}

/// What the watchdog reads.
#[derive(Debug)]
pub struct WatchdogInputs {
    /// Births, deaths, channels.
    pub notices: Receiver<Notice>,
    /// Notices that were lost.
    pub lost: Counter,
    /// The last log lines.
    pub log_lines: LatestRx<Arc<str>>,
    /// Of the lost log lines.
    pub log: LogHandle,
    /// The probe's word.
    pub probed: LatestRx<Probed>,
    /// Wishes for reports and drills.
    pub asked: Receiver<ToWatchdog>,
    /// To `main`: the process must end, and why.
    pub give_up: LatestTx<String>,
}

/// Starts the thread, and the sentinel that watches it. Returns its own beat, for `main`.
///
/// # Errors
/// When the system refuses it.
pub fn start_watchdog(
    supervisor: &Supervisor,
    config: WatchdogConfig,
    inputs: WatchdogInputs,
    boards: Vec<WatchTx<Arc<Snapshot>>>,
) -> io::Result<WatchRx<Instant>> {
    let (own_beat, own_beats) = watch();
    let reporter = Reporter::start(
        supervisor,
        &config.event_log.files,
        config.event_log.reports_max,
        own_beats.clone(),
    )?;
    let event_log = EventLog::start(supervisor, config.event_log.clone())?;
    let stop = supervisor.stop().clone();
    // Kept through a panic: a watchdog that starts anew still knows everybody.
    let state = RefCell::new(State {
        ledger: Ledger::default(),
        beats: HashMap::new(),
        orders: HashMap::new(),
        spares: HashMap::new(),
        replaced: HashSet::new(),
        reporter,
        manager: Manager::from_environment(),
        unreported: Vec::new(),
        given_up: false,
        figures: Figures::default(),
        gauges: Vec::new(),
        ring: VecDeque::with_capacity(RING_LINES),
        event_log,
        report_tokens: TokenBucket::new(config.started),
        port: PortCheck::default(),
        drills: Drills::default(),
        reports_lost: 0,
        heartbeats: 0,
        heartbeat_at: config.started + config.heartbeat_every,
        config,
        inputs,
    });
    supervisor.spawn(ThreadKind::Watchdog, move |heartbeat| {
        let mut state = state.borrow_mut();
        let ticks = tick(state.config.tick);
        loop {
            heartbeat.idle();
            let asked = select_biased! {
                recv(stop.receiver()) -> _ => return,
                recv(ticks) -> _ => None,
                recv(state.inputs.asked) -> asked => asked.ok(),
                recv(state.reporter.answers()) -> forms => {
                    if let Ok(forms) = forms {
                        state.reporter.answered(forms);
                    }
                    None
                }
            };
            if let Some(asked) = asked {
                state.asked(asked);
            }
            let now = Instant::now();
            own_beat.publish(now);
            state.manager.look(now);
            let snapshot = Arc::new(state.look(now));
            for board in &boards {
                board.publish(Arc::clone(&snapshot));
            }
        }
    })?;
    Ok(own_beats)
}

struct State {
    config: WatchdogConfig,
    inputs: WatchdogInputs,
    ledger: Ledger,
    beats: HashMap<ThreadId, LatestRx<Beat>>,
    orders: HashMap<ThreadId, (String, LatestTx<Order>)>,
    spares: HashMap<ThreadId, Spare>,
    /// Threads that stalled, have another in their place, and have not ended yet.
    replaced: HashSet<ThreadId>,
    reporter: Reporter,
    manager: Manager,
    /// What stalled and is in no report yet.
    unreported: Vec<String>,
    given_up: bool,
    figures: Figures,
    gauges: Vec<Gauge>,
    ring: VecDeque<Arc<str>>,
    event_log: EventLog,
    report_tokens: TokenBucket,
    port: PortCheck,
    drills: Drills,
    reports_lost: u64,
    heartbeats: u64,
    heartbeat_at: Instant,
}

impl State {
    fn look(&mut self, now: Instant) -> Snapshot {
        self.hear(now);
        while let Some(line) = self.inputs.log_lines.take() {
            if self.ring.len() == RING_LINES {
                self.ring.pop_front();
            }
            self.ring.push_back(line);
        }
        let findings = self.ledger.look(now, self.config.tick);
        let probed = self.inputs.probed.take();
        let port_line = probed.and_then(|probed| self.port.hear(probed, now));
        let mut snapshot = self.snapshot(now);
        self.figures.add(&mut snapshot, now, system_ms());
        for finding in &findings {
            let line = finding_line(finding);
            self.event_log.line(&line);
            if let Finding::Stalled(stall) = finding {
                self.unreported.push(stall.name.clone());
            }
            if let Finding::Stalled(stall) | Finding::StillStalled(stall) = finding {
                self.replace(stall.id, &stall.name);
            }
        }
        for line in self.drills.look(now) {
            self.event_log.line(&line);
        }
        if let Some(line) = port_line {
            self.event_log.line(&line);
            if self.port.silent_for(now).is_some() {
                self.unreported.push("the server's own port".to_owned());
            }
        }
        self.report_if_due(now, &snapshot);
        if let Some(made) = self.reporter.look(Instant::now()) {
            self.keep(made);
        }
        self.give_up(now, &snapshot);
        if now >= self.heartbeat_at {
            self.heartbeat_at = now + self.config.heartbeat_every;
            self.heartbeat(now, &snapshot);
        }
        snapshot
    }

    /// One report of all that stalled since the last, unless that was a moment ago.
    fn report_if_due(&mut self, now: Instant, snapshot: &Snapshot) {
        if self.unreported.is_empty() || self.reporter.is_busy() || !self.report_tokens.take(now) {
            return;
        }
        let who = std::mem::take(&mut self.unreported).join(", ");
        if snapshot.is_well() {
            self.event_log.line(&format!(
                "[WARN] [WATCHDOG] no report of {who}: it was over before one was due"
            ));
            return;
        }
        self.report(format!("stalled: {who}"), snapshot, Cause::Stall);
    }

    /// Takes what threads have told since the last time.
    fn hear(&mut self, now: Instant) {
        self.hear_notices(now);
        let mut gone = Vec::new();
        for (id, beats) in &self.beats {
            match beats.receiver().try_recv() {
                Ok(beat) => {
                    if let Doing::Busy(doing) = &beat.doing {
                        self.drills.hear(*id, doing);
                    }
                    self.ledger.beat(*id, beat);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => gone.push(*id),
            }
        }
        if !gone.is_empty() {
            // That they ended was told in the meantime, or there was no room to tell it.
            self.hear_notices(now);
            for id in gone {
                self.ended(id, now);
            }
        }
    }

    fn hear_notices(&mut self, now: Instant) {
        while let Ok(notice) = self.inputs.notices.try_recv() {
            self.notice(notice, now);
        }
    }

    /// Begins a report of everything.
    fn report(&mut self, why: String, snapshot: &Snapshot, cause: Cause) {
        let context = context(
            why,
            self.event_log.stamp(),
            self.config.started.elapsed(),
            snapshot,
            self.ring.iter(),
        );
        self.reporter.begin(context, cause);
    }

    fn asked(&mut self, asked: ToWatchdog) {
        match asked {
            ToWatchdog::Dump { reply, .. } if self.reporter.is_busy() => self.reporter.join(reply),
            ToWatchdog::Dump { why, reply } => {
                self.hear(Instant::now());
                let snapshot = self.snapshot(Instant::now());
                self.report(
                    format!("asked for by {why}"),
                    &snapshot,
                    Cause::Asked(reply),
                );
            }
            ToWatchdog::Drill {
                thread,
                drill,
                reply,
            } => {
                self.hear(Instant::now());
                let _left = reply.try_send(self.order(&thread, drill));
            }
        }
    }

    /// Orders a stall of the threads that this means.
    fn order(&mut self, thread: &str, drill: Drill) -> Result<(), String> {
        let by = Instant::now() + EXPIRES_AFTER;
        let mut hits = Vec::new();
        for (id, (_, orders)) in self
            .orders
            .iter()
            .filter(|(_, (name, _))| is_meant(thread, name))
        {
            orders.publish(Order::Drill { drill, by });
            hits.push(*id);
        }
        if hits.is_empty() {
            return Err(format!(
                "there is no thread {thread}; /api/threads names them"
            ));
        }
        self.drills.ordered(thread, hits, by);
        self.event_log.line(&format!(
            "[WARN] [WATCHDOG] a drill was ordered: {thread} stalls ({}) for {} s where it next beats",
            drill.how,
            drill.time.as_secs()
        ));
        Ok(())
    }

    /// Starts another thread in a stalled one's place, where its kind allows; the stalled one ends when it
    /// can. Bounded, so that a fault that catches every new one cannot fill the process.
    fn replace(&mut self, id: ThreadId, name: &str) {
        if self.replaced.len() >= REPLACED_MAX || self.replaced.contains(&id) {
            return;
        }
        let (Some(spare), Some((_, orders))) = (self.spares.get(&id), self.orders.get(&id)) else {
            return;
        };
        match spare.start() {
            Ok(_) => {
                orders.publish(Order::Retire);
                self.replaced.insert(id);
                self.event_log.line(&format!(
                    "[WARN] [WATCHDOG] another {name} was started in its place"
                ));
            }
            // Tried again at the next reminder; if the stalled one goes on before, it keeps its place.
            Err(e) => self.event_log.line(&format!(
                "[ERROR] [WATCHDOG] starting another {name} in its place failed: {e}"
            )),
        }
    }

    /// Has `main` end the process once a stall that makes it unhealthy has lasted too long.
    fn give_up(&mut self, now: Instant, snapshot: &Snapshot) {
        let Some(limit) = self.config.exit_after else {
            return;
        };
        let deaf = self.port.silent_for(now).unwrap_or_default();
        let unhealthy = self.ledger.unhealthy_for(now).max(deaf);
        if self.given_up || unhealthy < limit {
            return;
        }
        self.given_up = true;
        let why = format!(
            "unhealthy for {} s (watchdog.exit_after): {}",
            unhealthy.as_secs(),
            snapshot.problems.join("; ")
        );
        self.event_log
            .line(&format!("[ERROR] [WATCHDOG] the process ends: {why}"));
        let by = Instant::now() + LAST_REPORT_PATIENCE;
        let mut begun = false;
        while Instant::now() < by {
            // One that is being made already may know less.
            if !begun && !self.reporter.is_busy() {
                begun = true;
                self.report(
                    "the last report before the end".to_owned(),
                    snapshot,
                    Cause::Stall,
                );
            }
            if let Some(made) = self.reporter.look(Instant::now()) {
                self.keep(made);
                if begun {
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.inputs.give_up.publish(why);
    }

    fn notice(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::Born(born) => {
                let id = born.id;
                if let Some(spare) = born.spare {
                    self.spares.insert(id, spare);
                }
                let name = born.name.to_string();
                self.orders.insert(id, (name.clone(), born.orders));
                self.ledger.born(id, name, born.class, now);
                self.beats.insert(id, born.beats);
            }
            Notice::Tid { id, tid } => self.ledger.numbered(id, tid),
            Notice::Panicked {
                id,
                message,
                restarts,
            } => {
                self.drills.met(id);
                self.ledger.panicked(id, message, restarts);
            }
            Notice::Ended { id } => self.ended(id, now),
            Notice::Channel(gauge) => self.gauges.push(*gauge),
        }
    }

    fn ended(&mut self, id: ThreadId, now: Instant) {
        // What it told last, or its end would seem to come at its last beat but one.
        if let Some(beat) = self.beats.remove(&id).and_then(|b| b.take()) {
            self.ledger.beat(id, beat);
        }
        self.ledger.ended(id, now);
        self.drills.met(id);
        self.orders.remove(&id);
        self.spares.remove(&id);
        self.replaced.remove(&id);
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let mut channels: Vec<ChannelView> = self
            .gauges
            .iter()
            .map(|g| ChannelView {
                name: g.name.clone(),
                depth: (g.depth)(),
                capacity: g.capacity,
                drops: g.drops.get(),
                when_full: g.full.to_string(),
            })
            .collect();
        channels.sort_by(|a, b| a.name.cmp(&b.name));
        let mut problems = self.ledger.problems(now);
        let port = self.port.words(now);
        problems.extend(port.clone());
        Snapshot {
            at: now,
            threads: self.ledger.views(now),
            channels,
            problems,
            port,
            stalls_total: self.ledger.stalls(),
            stalls: Arc::default(),
        }
    }

    fn heartbeat(&mut self, now: Instant, snapshot: &Snapshot) {
        self.heartbeats += 1;
        let lost = (self.inputs.log.lost(), self.inputs.lost.get());
        let up = now.duration_since(self.config.started);
        let words = heartbeat_words(self.ledger.counts(), &snapshot.channels, lost, up);
        log::info!(target: "HEARTBEAT", "#{} - {words}", self.heartbeats);
    }

    /// Has a report written down, and its verdicts shown where somebody may be looking.
    fn keep(&mut self, made: Made) {
        for line in made.forms.text.lines().map_while(ill_verdict) {
            log::error!(target: "WATCHDOG", "{line}");
        }
        self.event_log.entry(made.forms.text.clone().into_bytes());
        if !made.forms.file.is_empty() {
            log::warn!(target: "WATCHDOG", "a report of all threads is in {} and in watchdog.log", made.forms.file);
        } else if !made.forms.not_kept.is_empty() {
            self.reports_lost += 1;
            log::error!(target: "WATCHDOG", "a report could not be kept beside the logs ({}); {} could not so far", made.forms.not_kept, self.reports_lost);
        }
        if let Some(unnamed) = made.unnamed {
            log::warn!(target: "WATCHDOG", "a report of all threads is in watchdog.log; its stacks could not be named and are in reports/{}.raw, for `tapewarden dump --resolve`", unnamed.name);
            self.event_log.unnamed(unnamed);
        }
    }
}
