//! `main`'s own loop: owns the join handles, hears signals and commands, watches the watchdog, and
//! ends everything in time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, tick};
use crossbeam::select;

use crate::diag::watchdog::sentinel::{BeatCheck, BeatState, WATCHDOG_LOST};
use crate::edge::routes::Command;
use crate::runtime::{
    Birth, Death, LatestRx, OnStall, SupervisorEnds, ThreadId, ThreadKind, WatchRx,
};

/// How often `main` looks at the watchdog.
const WATCHDOG_CHECKED_EVERY: Duration = Duration::from_secs(1);

/// What `main` listens to.
#[derive(Debug)]
pub struct Inputs {
    /// Births and deaths of threads.
    pub births: Receiver<Box<Birth>>,
    /// As above.
    pub deaths: Receiver<Death>,
    /// From clients.
    pub commands: Receiver<Command>,
    /// From the system.
    pub signals: Receiver<&'static str>,
    /// The watchdog's own beat.
    pub watchdog: WatchRx<Instant>,
    /// The watchdog's word that the process must end.
    pub give_up: LatestRx<String>,
}

impl Inputs {
    /// The ends of a process.
    #[must_use]
    pub fn new(
        ends: &SupervisorEnds,
        commands: Receiver<Command>,
        signals: Receiver<&'static str>,
        watchdog: WatchRx<Instant>,
        give_up: LatestRx<String>,
    ) -> Self {
        Self {
            births: ends.births.clone(),
            deaths: ends.deaths.clone(),
            commands,
            signals,
            watchdog,
            give_up,
        }
    }
}

/// Why the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody asked for it.
    Asked(&'static str),
    /// The watchdog is gone.
    WatchdogLost,
    /// The watchdog says that a stall has lasted too long.
    Stalled(String),
}

/// The threads that live, by their ids.
#[derive(Debug, Default)]
pub struct JoinSet {
    living: HashMap<ThreadId, Birth>,
    /// Deaths that were told before their births.
    early: Vec<ThreadId>,
}

impl JoinSet {
    /// Lives until somebody asks for the end.
    pub fn live(&mut self, inputs: &Inputs) -> End {
        let looks = tick(WATCHDOG_CHECKED_EVERY);
        let mut beats = inputs.watchdog.clone();
        let mut check = BeatCheck::new(Instant::now());
        let mut said = false;
        loop {
            select! {
                recv(inputs.births) -> birth => self.born(birth.ok()),
                recv(inputs.deaths) -> death => self.died(death.ok()),
                recv(inputs.commands) -> command => if command == Ok(Command::Shutdown) {
                    return End::Asked("POST /api/shutdown");
                },
                recv(inputs.signals) -> signal => if let Ok(signal) = signal {
                    return End::Asked(signal);
                },
                recv(inputs.give_up.receiver()) -> why => if let Ok(why) = why {
                    return End::Stalled(why);
                },
                recv(looks) -> _ => {
                    let now = Instant::now();
                    let state = check.look(beats.changed(), now);
                    if state == BeatState::Lost {
                        return End::WatchdogLost;
                    }
                    if state == BeatState::Silent && !said {
                        log::error!(
                            target: "MAIN",
                            "the watchdog has been silent for {} s, see the report in watchdog.log; the process ends at {} s so that its service manager restarts it",
                            check.silent(now).as_secs(), WATCHDOG_LOST.as_secs()
                        );
                    }
                    said = state == BeatState::Silent;
                }
            }
        }
    }

    /// Waits until every thread has ended, or the deadline. Returns the names of those that have not.
    pub fn wind_down(&mut self, inputs: &Inputs, deadline: Instant) -> Vec<String> {
        loop {
            while let Ok(birth) = inputs.births.try_recv() {
                self.born(Some(birth));
            }
            // The log's writers outlive the others, to write what those still say.
            if self.living.values().all(is_writer) {
                return Vec::new();
            }
            match inputs.deaths.recv_deadline(deadline) {
                Ok(death) => self.died(Some(death)),
                Err(_) => break,
            }
        }
        let mut left: Vec<String> = self
            .living
            .values()
            .filter(|b| !is_writer(b))
            .map(|b| b.life.name.to_string())
            .collect();
        left.sort();
        left
    }

    fn born(&mut self, birth: Option<Box<Birth>>) {
        let Some(birth) = birth else { return };
        if let Some(i) = self.early.iter().position(|id| *id == birth.life.id) {
            self.early.swap_remove(i);
            join(*birth);
        } else {
            self.living.insert(birth.life.id, *birth);
        }
    }

    fn died(&mut self, death: Option<Death>) {
        let Some(death) = death else { return };
        match self.living.remove(&death.id) {
            Some(birth) => {
                if death.panicked && birth.life.class.on_stall != OnStall::Report {
                    log::error!(
                        target: "MAIN",
                        "{} panicked too often and has ended for good; restart the server, see the [PANIC] lines above",
                        birth.life.name
                    );
                }
                join(birth);
            }
            None => self.early.push(death.id),
        }
    }
}

fn is_writer(birth: &Birth) -> bool {
    matches!(
        birth.life.name.kind,
        ThreadKind::LogWriter | ThreadKind::LogConsole
    )
}

/// The thread has told its own death as its last act: this does not wait.
fn join(birth: Birth) {
    let _panic_was_told = birth.join.join();
}
