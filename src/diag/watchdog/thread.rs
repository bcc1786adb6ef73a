//! The `watchdog` thread: births, deaths, beats and the probe's word in; lines for `watchdog.log`, snapshots
//! for who answers clients, and the heartbeat out. What it does about them [`Core`] decides.
//!
//! It waits for nobody and touches no disk. What it says through the common log (the heartbeat) is for
//! convenience; what matters is in `watchdog.log`.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError, never, select_biased, tick};

use crate::diag::symbolizer::ReportFormats;
use crate::logging::{LogHandle, RING_LINES};
use crate::runtime::clock::system_ms;
use crate::runtime::{
    Beat, Born, Counter, Gauge, Heartbeat, LatestRx, LatestTx, LifeEvent, Notice, Order, Owner,
    Spare, Stop, Supervisor, ThreadId, ThreadKind, WatchRx, WatchTx, watch,
};

use super::ToWatchdog;
use super::core::{Action, Core, CoreConfig, Event, Seen};
use super::cpu::CpuTimes;
use super::event_log::{EventLog, EventLogConfig};
use super::manager::Manager;
use super::probe::Probed;
use super::report::stall_verdict;
use super::report_context::context;
use super::reporter::{FinishedReport, Reporter};
use super::reports::{Cause, ReadyReport};
use super::snapshot::{ChannelView, Snapshot};

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
    snapshots: WatchTx<Arc<Snapshot>>,
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
    let watchdog = RefCell::new(WatchdogThread::new(
        config, inputs, snapshots, own_beat, reporter, event_log,
    ));
    supervisor.spawn(ThreadKind::Watchdog, move |heartbeat| {
        watchdog.borrow_mut().live(heartbeat, &stop);
    })?;
    Ok(own_beats)
}

/// Who waits for a report.
type ReportAsker = Sender<Arc<ReportFormats>>;

/// Who waits to hear whether a drill was ordered.
type DrillAsker = Sender<Result<(), String>>;

/// A thread's ends.
struct ThreadEnds {
    beats: LatestRx<Beat>,
    orders: LatestTx<Order>,
    spare: Option<Spare>,
    owner: Option<Owner>,
}

struct WatchdogThread {
    config: WatchdogConfig,
    inputs: WatchdogInputs,
    snapshots: WatchTx<Arc<Snapshot>>,
    own_beat: WatchTx<Instant>,
    reporter: Reporter,
    event_log: EventLog,
    manager: Manager,
    cpu: CpuTimes,
    core: Core<ReportAsker, DrillAsker>,
    /// What the core wants done and is not done yet: kept through a panic too.
    todo: VecDeque<Action<ReportAsker, DrillAsker>>,
    threads: HashMap<ThreadId, ThreadEnds>,
    gauges: Vec<Gauge>,
    ring: VecDeque<Arc<str>>,
    /// As last published.
    snapshot: Option<Arc<Snapshot>>,
    reports_lost: u64,
}

impl WatchdogThread {
    fn new(
        config: WatchdogConfig,
        inputs: WatchdogInputs,
        snapshots: WatchTx<Arc<Snapshot>>,
        own_beat: WatchTx<Instant>,
        reporter: Reporter,
        event_log: EventLog,
    ) -> Self {
        let core = Core::new(CoreConfig {
            tick: config.tick,
            heartbeat_every: config.heartbeat_every,
            exit_after: config.exit_after,
            started: config.started,
        });
        Self {
            config,
            inputs,
            snapshots,
            own_beat,
            reporter,
            event_log,
            manager: Manager::from_environment(),
            cpu: CpuTimes::default(),
            core,
            todo: VecDeque::new(),
            threads: HashMap::new(),
            gauges: Vec::new(),
            ring: VecDeque::with_capacity(RING_LINES),
            snapshot: None,
            reports_lost: 0,
        }
    }

    fn live(&mut self, heartbeat: &Heartbeat, stop: &Stop) {
        let ticks = tick(self.config.tick);
        while let Some(woken) = self.wait(heartbeat, stop, &ticks) {
            // Taken before the beats are, so that nobody's beat looks older than it is.
            let now = Instant::now();
            self.own_beat.publish(now);
            self.manager.look(now);
            self.hear(now);
            if let Woken::By(event) = woken {
                self.handle(now, event);
            }
            let seen = self.seen();
            self.handle(now, Event::Look(seen));
        }
    }

    /// None when everything ends.
    fn wait(
        &mut self,
        heartbeat: &Heartbeat,
        stop: &Stop,
        ticks: &Receiver<Instant>,
    ) -> Option<Woken> {
        heartbeat.idle();
        select_biased! {
            recv(stop.receiver()) -> _ => None,
            recv(ticks) -> _ => Some(Woken::ForALook),
            recv(self.inputs.asked) -> asked => Some(match asked {
                Ok(asked) => Woken::By(event(asked)),
                Err(_) => {
                    self.inputs.asked = never();
                    Woken::ForALook
                }
            }),
            recv(self.reporter.answers()) -> answer => Some(match answer {
                Ok(answer) => {
                    let number = self.reporter.answered(answer);
                    Woken::By(Event::Answered { number })
                }
                Err(_) => Woken::ForALook,
            }),
        }
    }

    /// Takes what threads, the log and the probe have told since the last time.
    fn hear(&mut self, now: Instant) {
        self.hear_notices(now);
        let mut gone = Vec::new();
        for (id, ends) in &self.threads {
            if hear_beats(&mut self.core, now, *id, &ends.beats) {
                gone.push(*id);
            }
        }
        if !gone.is_empty() {
            // That they ended was told in the meantime, or there was no room to tell it.
            self.hear_notices(now);
            for id in gone {
                self.ended(now, id);
            }
        }
        while let Some(line) = self.inputs.log_lines.take() {
            if self.ring.len() == RING_LINES {
                self.ring.pop_front();
            }
            self.ring.push_back(line);
        }
        if let Some(probed) = self.inputs.probed.take() {
            self.handle(now, Event::Probed(probed));
        }
    }

    fn hear_notices(&mut self, now: Instant) {
        while let Ok(notice) = self.inputs.notices.try_recv() {
            match notice {
                Notice::Channel(gauge) => self.gauges.push(*gauge),
                Notice::Life(id, LifeEvent::Ended) => self.ended(now, id),
                Notice::Life(id, event) => self.handle(now, Event::Life(id, event)),
                Notice::Born(born) => self.born(now, *born),
            }
        }
    }

    fn born(&mut self, now: Instant, born: Born) {
        let Born {
            life,
            beats,
            orders,
            spare,
            owner,
        } = born;
        let replaceable = spare.is_some();
        let ends = ThreadEnds {
            beats,
            orders,
            spare,
            owner,
        };
        self.threads.insert(life.id, ends);
        self.handle(now, Event::Born { life, replaceable });
    }

    fn ended(&mut self, now: Instant, id: ThreadId) {
        // What it told last, or its end would seem to come at its last beat but one.
        if let Some(ends) = self.threads.remove(&id) {
            hear_beats(&mut self.core, now, id, &ends.beats);
        }
        self.handle(now, Event::Life(id, LifeEvent::Ended));
    }

    fn seen(&self) -> Seen {
        let view = |g: &Gauge| ChannelView {
            name: g.name.clone(),
            ends: g.ends,
            depth: (g.depth)(),
            capacity: g.capacity,
            drops: g.drops.get(),
            when_full: g.full().to_string(),
        };
        let mut channels: Vec<ChannelView> = self.gauges.iter().map(view).collect();
        channels.sort_by(|a, b| a.name.cmp(&b.name));
        Seen {
            channels,
            wall_ms: system_ms(),
            lines_lost: self.inputs.log.lost(),
            notices_lost: self.inputs.lost.get(),
        }
    }

    /// Has the core decide, and does what it says, until nothing is left to be done.
    fn handle(&mut self, now: Instant, event: Event<ReportAsker, DrillAsker>) {
        self.todo.extend(self.core.handle(now, event));
        while let Some(action) = self.todo.pop_front() {
            if let Some(done) = self.perform(action) {
                self.todo.extend(self.core.handle(Instant::now(), done));
            }
        }
    }

    /// Does it; gives what the core must hear of it.
    fn perform(
        &mut self,
        action: Action<ReportAsker, DrillAsker>,
    ) -> Option<Event<ReportAsker, DrillAsker>> {
        match action {
            Action::Line(line) => self.event_log.line(&line),
            Action::Heartbeat(words) => log::info!(target: "HEARTBEAT", "{words}"),
            Action::Publish(snapshot) => self.publish(*snapshot),
            Action::Order { id, order } => {
                if let Some(ends) = self.threads.get(&id) {
                    ends.orders.publish(order);
                }
            }
            Action::TellOwner { id } => {
                if let Some(owner) = self.threads.get(&id).and_then(|ends| ends.owner.as_ref()) {
                    owner.tell();
                }
            }
            Action::StartSpare { id, name } => {
                let result = self.start_spare(id);
                return Some(Event::SpareStarted { id, name, result });
            }
            Action::Capture {
                number,
                reason,
                cause,
            } => {
                let asked = self.capture(number, reason, cause);
                return Some(Event::Captured { asked });
            }
            Action::Finish(ready) => self.finish(ready),
            Action::AnswerDrill { asker, result } => {
                let _left = asker.try_send(result);
            }
            Action::End(why) => self.inputs.give_up.publish(why),
        }
        None
    }

    fn publish(&mut self, mut snapshot: Snapshot) {
        let tids = snapshot.threads.iter().map(|t| t.tid);
        self.cpu.look(snapshot.at, tids);
        for thread in &mut snapshot.threads {
            thread.cpu_ms = self.cpu.ms(thread.tid);
        }
        let snapshot = Arc::new(snapshot);
        self.snapshots.publish(Arc::clone(&snapshot));
        self.snapshot = Some(snapshot);
    }

    fn start_spare(&self, id: ThreadId) -> Result<(), String> {
        let spare = self.threads.get(&id).and_then(|ends| ends.spare.as_ref());
        let spare = spare.ok_or("it has ended meanwhile")?;
        spare.start().map(|_| ()).map_err(|e| e.to_string())
    }

    fn capture(&mut self, number: u64, reason: String, cause: Cause) -> bool {
        let Some(snapshot) = &self.snapshot else {
            return false;
        };
        let context = context(
            reason,
            self.event_log.stamp(),
            self.config.started.elapsed(),
            snapshot,
            self.ring.iter(),
        );
        self.reporter.begin(number, context, cause)
    }

    /// Gives the report to who waits for it, has it written down, and shows its verdicts where somebody may be
    /// looking.
    fn finish(&mut self, ready: ReadyReport<ReportAsker>) {
        let FinishedReport { formats, unnamed } = self.reporter.finish(ready.named);
        for asker in ready.askers {
            let _left = asker.try_send(Arc::clone(&formats));
        }
        for line in formats.text.lines().map_while(stall_verdict) {
            log::error!(target: "WATCHDOG", "{line}");
        }
        self.event_log.entry(formats.text.clone().into_bytes());
        if !formats.file.is_empty() {
            log::warn!(target: "WATCHDOG", "a report of all threads is in {} and in watchdog.log", formats.file);
        } else if !formats.not_kept.is_empty() {
            self.reports_lost += 1;
            log::error!(target: "WATCHDOG", "a report could not be kept beside the logs ({}); {} could not so far", formats.not_kept, self.reports_lost);
        }
        if let Some(unnamed) = unnamed {
            log::warn!(target: "WATCHDOG", "a report of all threads is in watchdog.log; its stacks could not be named and are in reports/{}.raw, for `tapewarden dump --resolve`", unnamed.name);
            self.event_log.unnamed(unnamed);
        }
    }
}

/// What ended a wait.
enum Woken {
    ForALook,
    By(Event<ReportAsker, DrillAsker>),
}

fn event(asked: ToWatchdog) -> Event<ReportAsker, DrillAsker> {
    match asked {
        ToWatchdog::Dump { why, reply } => Event::Dump { why, asker: reply },
        ToWatchdog::Drill {
            thread,
            drill,
            reply,
        } => Event::Drill {
            thread,
            drill,
            asker: reply,
        },
    }
}

/// Tells the core of a thread's beats; true if the thread is gone.
fn hear_beats(
    core: &mut Core<ReportAsker, DrillAsker>,
    now: Instant,
    id: ThreadId,
    beats: &LatestRx<Beat>,
) -> bool {
    // Beats that come while they are taken can wait for the next time.
    for _ in 0..BEATS_AT_ONCE {
        match beats.receiver().try_recv() {
            Ok(beat) => {
                let nothing_is_due = core.handle(now, Event::Beat { id, beat });
                debug_assert!(nothing_is_due.is_empty(), "a beat is told at the next look");
            }
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => return true,
        }
    }
    false
}

/// A thread's beats that are taken in one look, at most.
const BEATS_AT_ONCE: usize = 4;
