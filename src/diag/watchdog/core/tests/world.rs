//! A process with its threads as they know themselves, and what the core says of them.

use std::collections::{BTreeMap, BTreeSet};

use super::real::{Coverage, Lasting, Real, Told};
use super::*;

pub(super) struct World {
    pub core: Core<u32, u32>,
    now: Instant,
    living: BTreeMap<u64, Real>,
    ids: u64,
    probes_silent: Option<Lasting>,
    dead_for: Vec<Lasting>,
    pub symbolizer: bool,
    more_threads: bool,
    /// The report that is being made: its number, and when it was begun.
    capturing: Option<(u64, Instant)>,
    /// The report to which the symbolizer answers just now.
    answering: Option<u64>,
    /// Reports to which it may answer late.
    given_up: Vec<u64>,
    pub captures: Vec<(Instant, Cause)>,
    told: BTreeMap<String, Told>,
    stalled_names: BTreeSet<String>,
    pub reported: String,
    replaced: BTreeSet<u64>,
    /// Stalled, and another is to be started in their place at once.
    to_replace: BTreeSet<String>,
    /// Starts that were refused since the last look: when the core decided they were under way.
    refused: usize,
    /// Stalled, and their owners are to be told at once.
    to_tell: BTreeSet<String>,
    asked: u32,
    answered: Vec<u32>,
    drills_asked: u32,
    drills_answered: Vec<u32>,
    pub ended: Option<Instant>,
    pub coverage: Coverage,
}

impl World {
    pub fn new() -> Self {
        let now = Instant::now();
        let mut world = Self {
            core: Core::new(CoreConfig {
                tick: TICK,
                heartbeat_every: HEARTBEAT,
                exit_after: Some(EXIT_AFTER),
                started: now,
            }),
            now,
            living: BTreeMap::new(),
            ids: 0,
            probes_silent: None,
            dead_for: Vec::new(),
            symbolizer: true,
            more_threads: true,
            capturing: None,
            answering: None,
            given_up: Vec::new(),
            captures: Vec::new(),
            told: BTreeMap::new(),
            stalled_names: BTreeSet::new(),
            reported: String::new(),
            replaced: BTreeSet::new(),
            to_replace: BTreeSet::new(),
            refused: 0,
            to_tell: BTreeSet::new(),
            asked: 0,
            answered: Vec::new(),
            drills_asked: 0,
            drills_answered: Vec::new(),
            ended: None,
            coverage: Coverage::default(),
        };
        world.look();
        world
    }

    fn handle(&mut self, event: Event<u32, u32>) {
        let actions = self.core.handle(self.now, event);
        for action in actions {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action<u32, u32>) {
        match action {
            Action::Line(line) => self.line(&line),
            Action::Heartbeat(_) => {}
            Action::Publish(snapshot) => self.compare(&snapshot),
            Action::Order { id, order } => {
                assert!(self.living.contains_key(&id.0), "an order to who is gone");
                if order == Order::Retire {
                    assert!(self.replaced.insert(id.0), "retired twice");
                    assert!(self.replaced.len() <= REPLACED_MAX);
                    self.coverage.replaced += 1;
                } else {
                    assert!(
                        !self.replaced.contains(&id.0),
                        "a drill in place of the end"
                    );
                }
            }
            Action::TellOwner { id } => {
                let real = &self.living[&id.0];
                assert!(
                    real.limit
                        .is_some_and(|limit| real.ran + real.stopped >= limit)
                );
                assert!(self.to_tell.remove(&real.name) || self.stalled_names.contains(&real.name));
            }
            Action::StartSpare { id, name } => {
                self.to_replace.remove(&name);
                assert!(
                    self.living[&id.0].kind.replaceable,
                    "{name} is one of a kind"
                );
                let result = match self.more_threads {
                    true => {
                        self.born(self.living[&id.0].kind);
                        Ok(())
                    }
                    false => {
                        self.refused += 1;
                        Err("no more threads".to_owned())
                    }
                };
                self.handle(Event::SpareStarted { id, name, result });
            }
            Action::Capture {
                number,
                reason,
                cause,
            } => {
                assert!(self.capturing.is_none(), "two reports at once");
                self.reported.push_str(&reason);
                self.reported.push('\n');
                self.captures.push((self.now, cause));
                self.capturing = Some((number, self.now));
                let asked = self.symbolizer;
                self.handle(Event::Captured { asked });
            }
            Action::Finish(ready) => {
                let (number, _) = self.capturing.take().expect("a report that nobody began");
                let is_answered = self.answering == Some(number);
                assert_eq!(ready.named, is_answered, "another report's answer");
                if !ready.named {
                    self.given_up.push(number);
                }
                self.coverage.reports += 1;
                self.answered.extend(ready.askers);
            }
            Action::AnswerDrill { asker, .. } => self.drills_answered.push(asker),
            Action::End(_) => {
                assert!(self.ended.replace(self.now).is_none(), "ended twice");
                self.coverage.ends += 1;
            }
        }
    }

    fn line(&mut self, line: &str) {
        let name = |before: &str, after: &str| {
            let rest = line.split_once(before)?.1;
            Some(rest.split_once(after)?.0.to_owned())
        };
        if let Some(name) = name("] STALLED: ", " (t,") {
            let told = self.told.entry(name.clone()).or_default();
            told.stalled += 1;
            assert_eq!(told.stalled, told.back + 1, "{name} is told twice");
            let real = self.living.iter().find(|(_, real)| real.name == name);
            let replaceable =
                real.is_some_and(|(id, real)| real.kind.replaceable && !self.replaced.contains(id));
            if replaceable && self.replaced.len() + self.refused < REPLACED_MAX {
                self.to_replace.insert(name.clone());
            }
            self.to_tell.insert(name.clone());
            self.stalled_names.insert(name);
            self.coverage.stalls += 1;
        } else if let Some(name) = name("[INFO] [WATCHDOG] conn-", " is back") {
            let told = self.told.entry(format!("conn-{name}")).or_default();
            told.back += 1;
            assert_eq!(told.stalled, told.back, "conn-{name} was not stalled");
        } else if line.contains("no report of ") {
            self.reported.push_str(line);
            self.reported.push('\n');
        } else if line.contains("the process ends: ") {
            self.may_give_up();
        }
    }

    /// Giving up has its reason: something fatal that has lasted, all stopped time left out.
    fn may_give_up(&self) {
        let stalled = self.living.values().filter(|real| {
            real.kind.on_stall == OnStall::Fatal
                && real
                    .limit
                    .is_some_and(|limit| real.ran + real.stopped >= limit + EXIT_AFTER)
                && real.ran + TICK * (real.stops + 1) >= real.limit.unwrap_or_default() + EXIT_AFTER
        });
        let lasted = |l: &Lasting| l.ran + TICK * l.stops >= EXIT_AFTER;
        let dead = self.dead_for.iter().any(lasted);
        let deaf = self.probes_silent.iter().any(lasted);
        assert!(stalled.count() > 0 || dead || deaf, "given up for nothing");
    }

    /// What is published against what the threads know of themselves.
    fn compare(&mut self, snapshot: &Snapshot) {
        let shown = snapshot
            .threads
            .iter()
            .filter(|t| t.state != ThreadState::Dead);
        let shown: BTreeMap<&str, ThreadState> =
            shown.map(|t| (t.name.as_str(), t.state)).collect();
        assert_eq!(
            shown.len(),
            self.living.len(),
            "somebody is forgotten or kept"
        );
        for real in self.living.values() {
            let stalled = shown[real.name.as_str()] == ThreadState::Stalled;
            let Some(limit) = real.limit else {
                assert!(!stalled, "{} may be silent for ever", real.name);
                continue;
            };
            // A stop can begin just after a look and cost a tick that nobody saw.
            let unseen = TICK * real.stops;
            if real.ran + unseen <= limit {
                assert!(!stalled, "accused falsely: {real:?}");
                let excused = real.ran + real.stopped > limit;
                self.coverage.saved_by_excuse += u32::from(excused);
            }
            if real.ran > limit + TICK * (real.stops + 1) {
                assert!(stalled, "not seen: {real:?}");
            }
        }
    }

    pub fn born(&mut self, kind: Kind) {
        self.ids += 1;
        let name = ThreadKind::Conn.turn(self.ids);
        let id = ThreadId(self.ids);
        let class = Class {
            name: "t",
            busy_max: BUSY_MAX,
            idle_max: kind.ticks.then_some(IDLE_MAX),
            on_stall: kind.on_stall,
            restarts_max: 0,
        };
        let real = Real {
            kind,
            name: name.to_string(),
            doing: Doing::Busy("starting".into()),
            ran: Duration::ZERO,
            stopped: Duration::ZERO,
            stops: 0,
            limit: Some(BUSY_MAX),
            died: false,
        };
        self.living.insert(self.ids, real);
        self.handle(Event::Born {
            life: Life { id, name, class },
            replaceable: kind.replaceable,
        });
        let tid = u32::try_from(self.ids).unwrap();
        self.handle(Event::Life(id, LifeEvent::Runs { tid }));
    }

    fn nth(&self, n: usize) -> Option<u64> {
        let count = self.living.len().max(1);
        self.living.keys().nth(n % count).copied()
    }

    pub fn beat(&mut self, id: u64, does: Does) {
        let now = self.now;
        let Some(real) = self.living.get_mut(&id) else {
            return;
        };
        (real.ran, real.stopped, real.stops) = (Duration::ZERO, Duration::ZERO, 0);
        (real.doing, real.limit) = match does {
            Does::Works => (Doing::Busy("working".into()), Some(BUSY_MAX)),
            Does::Idles => (Doing::Idle, real.kind.ticks.then_some(IDLE_MAX)),
            Does::Waits(ms) => {
                let wait = Duration::from_millis(ms);
                let (what, until) = ("another".into(), now + wait);
                let peer = ThreadKind::CandleCache.into();
                (
                    Doing::Waiting { what, peer, until },
                    Some(wait + WAIT_GRACE),
                )
            }
        };
        let (at, doing) = (now, real.doing.clone());
        let id = ThreadId(id);
        let beat = Beat {
            at,
            doing,
            request: None,
        };
        self.handle(Event::Beat { id, beat });
    }

    pub fn run(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(TICK);
            left -= step;
            self.now += step;
            for real in self.living.values_mut() {
                real.ran += step;
            }
            self.lasting().for_each(|l| l.ran += step);
            self.look();
        }
    }

    pub fn stop(&mut self, time: Duration) {
        self.now += time;
        for real in self.living.values_mut() {
            real.stopped += time;
            real.stops += 1;
        }
        self.lasting().for_each(|l| l.stops += 1);
        self.look();
    }

    fn lasting(&mut self) -> impl Iterator<Item = &mut Lasting> {
        self.dead_for
            .iter_mut()
            .chain(self.probes_silent.iter_mut())
    }

    fn look(&mut self) {
        let begun = self.capturing.filter(|(_, at)| self.now >= *at + TICK);
        if let Some((number, _)) = begun.filter(|_| self.symbolizer) {
            self.answer(number);
        }
        self.refused = 0;
        self.handle(Event::Look(Seen::default()));
        assert!(
            self.to_tell.is_empty(),
            "owners were not told: {:?}",
            self.to_tell
        );
        assert!(
            self.to_replace.is_empty(),
            "not replaced: {:?}",
            self.to_replace
        );
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Born(kind) => self.born(kind),
            Step::Beat(n, does) => {
                if let Some(id) = self.nth(n) {
                    self.beat(id, does);
                }
            }
            Step::Panicked(n, restarts) => {
                let Some(id) = self.nth(n) else { return };
                if let Some(real) = self.living.get_mut(&id) {
                    real.died = !restarts;
                }
                let message = "boom".to_owned();
                let event = LifeEvent::Panicked { message, restarts };
                self.handle(Event::Life(ThreadId(id), event));
            }
            Step::Ended(n, times) => {
                let Some(id) = self.nth(n) else { return };
                self.end(id, times);
            }
            Step::Run(ms) => self.run(Duration::from_millis(ms)),
            Step::Stop(ms) => self.stop(Duration::from_millis(ms)),
            Step::Dump => {
                self.asked += 1;
                let asker = Some(self.asked);
                let why = "a test".to_owned();
                self.handle(Event::Dump { why, asker });
            }
            Step::Drill(n) => {
                self.drills_asked += 1;
                let thread = format!("conn-{n}");
                let (how, time) = (How::Sleep, Duration::from_secs(1));
                self.handle(Event::Drill {
                    thread,
                    drill: Drill { how, time },
                    asker: self.drills_asked,
                });
            }
            Step::Port(answers) => {
                if answers {
                    self.probes_silent = None;
                    self.handle(Event::Probed(Probed::Answers));
                } else {
                    self.probes_silent.get_or_insert_default();
                    self.handle(Event::Probed(Probed::Silent("timed out".into())));
                }
            }
            Step::Symbolizer(answers) => {
                self.symbolizer = answers;
                for number in std::mem::take(&mut self.given_up) {
                    self.coverage.late_answers += u32::from(self.capturing.is_some());
                    self.answer(number);
                }
            }
            Step::Threads(more) => self.more_threads = more,
        }
    }

    fn answer(&mut self, number: u64) {
        self.answering = Some(number);
        self.handle(Event::Answered { number });
        self.answering = None;
    }

    fn end(&mut self, id: u64, times: u32) {
        let Some(real) = self.living.remove(&id) else {
            return;
        };
        if real.died && real.kind.on_stall == OnStall::Fatal {
            self.dead_for.push(Lasting::default());
        }
        self.replaced.remove(&id);
        for _ in 0..times {
            self.handle(Event::Life(ThreadId(id), LifeEvent::Ended));
        }
    }

    /// Reports of stalls within their bucket, over every stretch of time.
    fn reports_keep_to_their_bucket(&self) {
        let stalls: Vec<Instant> = self
            .captures
            .iter()
            .filter(|(_, cause)| *cause == Cause::Stall)
            .map(|(at, _)| *at)
            .collect();
        for (n, last) in stalls.iter().enumerate() {
            for (m, first) in stalls[..=n].iter().enumerate() {
                let earned = last.duration_since(*first).as_secs() / 5 + 1;
                // Four at once, and the last before the end.
                assert!((n - m) as u64 <= 4 + earned, "{} reports", n - m + 1);
            }
        }
    }

    /// Everybody goes on and ends, and all that is due has its time.
    pub fn settle(&mut self) {
        self.reports_keep_to_their_bucket();
        for id in self.living.keys().copied().collect::<Vec<_>>() {
            self.end(id, 1);
        }
        self.run(SETTLED);
        for (name, told) in &self.told {
            assert_eq!(told.stalled, told.back, "{name}: its end is not told");
        }
        for name in &self.stalled_names {
            let named = self
                .reported
                .split([' ', ',', ':', '\n'])
                .any(|word| word == name);
            assert!(named, "{name} is in no report: {}", self.reported);
        }
        self.answered.sort_unstable();
        assert_eq!(self.answered, Vec::from_iter(1..=self.asked));
        assert_eq!(self.drills_answered, Vec::from_iter(1..=self.drills_asked));
        assert_eq!(self.core.ledger.counts(), (0, 0));
        assert!(self.core.replacements.is_empty());
        let fatal = self.dead_for.iter().chain(&self.probes_silent);
        if fatal.into_iter().any(|l| l.ran >= SETTLED) {
            assert!(self.ended.is_some(), "not given up");
        }
    }
}
