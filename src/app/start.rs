//! The start, in the order in which the parts need each other.

use std::fs::File;
use std::time::Instant;

use crate::config::Settings;
use crate::edge::routes::snapshots;
use crate::logging::LogHandle;
use crate::runtime::{Supervisor, SupervisorEnds, channels, room_for, scratch};

use super::announce::announce;
use super::descriptors::are_enough;
use super::error::{Doing, StartError};
use super::lifecycle::Inputs;
use super::signals::{self, Listening};
use super::stages::{Start, diagnosis, ground, market_data, port};

/// Wishes for reports and drills that can wait for the watchdog.
const WATCHDOG_INBOX: usize = 16;

/// Commands that can wait for `main`.
const COMMANDS: usize = 4;

/// Threads that are left for the first clients.
const FIRST_CLIENTS: usize = 8;

/// A started server.
pub struct Running {
    /// What `main` listens to.
    pub inputs: Inputs,
    /// To be drained last.
    pub log: LogHandle,
    signals: Listening,
    /// Held as long as the names of the log files are this process's.
    _log_lock: Option<File>,
}

impl Running {
    /// Wakes the threads that wait where the stop cannot be heard.
    pub fn wake_everybody(&self) {
        self.signals.end();
    }
}

/// Starts everything: what must be there before anything else, diagnosis, market data, the port.
///
/// # Errors
/// [`StartError`].
pub fn start(
    settings: &Settings,
    started: Instant,
    supervisor: &Supervisor,
    ends: &SupervisorEnds,
) -> Result<Running, StartError> {
    are_enough().doing("making room for open files")?;
    let start = Start {
        settings,
        started,
        supervisor,
        ends,
    };
    let (ground, log_lines) = ground::lay(&start)?;
    let log = ground.log.clone();

    let (wishes, asked) = supervisor.channel(channels::WATCHDOG, WATCHDOG_INBOX);
    let (signals, listening) =
        signals::start(supervisor, wishes.clone()).doing("listening for signals")?;
    let (publishers, snapshots) = snapshots();
    let watchdog = diagnosis::start(&start, &ground, asked, log_lines, publishers.threads)?;

    let published = (publishers.files, publishers.history, publishers.stream);
    let data = market_data::start(&start, published)?;

    let (commands_tx, commands) = supervisor.channel(channels::COMMANDS, COMMANDS);
    let (address, endpoints) = (ground.address, data.endpoints.clone());
    let log_lock = port::open(&start, ground, data, snapshots, wishes, commands_tx)?;

    scratch::start_removal(supervisor).doing("starting the removal of leftovers")?;
    room_for(FIRST_CLIENTS).doing("making room for the threads of connections")?;
    announce(&log, settings, address, &endpoints);
    Ok(Running {
        inputs: Inputs::new(ends, commands, signals, watchdog.beats, watchdog.give_up),
        log,
        signals: listening,
        _log_lock: log_lock,
    })
}
