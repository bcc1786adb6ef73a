//! The whole server, put together: this is the only file that knows every part.
//!
//! [`run`] makes the channels, starts the threads in the order in which they need each other, and
//! then lives in [`lifecycle`] until somebody asks for the end.

mod announce;
mod descriptors;
mod endpoints;
mod error;
mod given;
mod lifecycle;
mod limits;
mod signals;
mod stages;
mod start;

use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::diag::watchdog::manager;
pub use crate::diag::watchdog::sentinel::EXIT_STALLED;
use crate::runtime::{Limits, Supervisor, stop, turns};

pub use error::StartError;

/// How long the log writers may take for the last lines.
const LOG_DRAIN: Duration = Duration::from_millis(500);

/// Whatever the shell allows, files of ours (and of the process that names stacks) are written by nobody
/// else. What it forbids besides stays forbidden.
#[cfg(unix)]
fn keep_others_from_writing() {
    use rustix::fs::Mode;
    use rustix::process::umask;
    let others = Mode::WGRP | Mode::WOTH;
    let given = umask(others);
    umask(given | others);
}

/// What the settings say of all threads.
fn thread_limits(settings: &Settings) -> Limits {
    let w = &settings.watchdog;
    Limits {
        busy_conn: w.busy_conn,
        busy_cache: w.busy_cache,
        busy_writer: w.busy_writer,
        ..Limits::default()
    }
}

/// Runs the server until it is asked to end. Returns the exit code: 0 after an orderly end, also when
/// a thread hung and was left behind; [`EXIT_STALLED`] when the watchdog was lost.
///
/// # Errors
/// When it cannot start; the sentence says what to do.
pub fn run(settings: &Settings) -> Result<u8, StartError> {
    let started = Instant::now();
    #[cfg(unix)]
    keep_others_from_writing();
    turns::do_not_interrupt_others();
    let (stopper, stop) = stop();
    let (supervisor, ends) = Supervisor::new(thread_limits(settings), stop);
    let running = start::start(settings, started, &supervisor, &ends)?;
    manager::ready();
    let mut threads = lifecycle::JoinSet::default();
    let end = threads.live(&running.inputs);
    let asked = Instant::now();
    let code = match &end {
        lifecycle::End::Asked(by) => {
            log::info!(target: "MAIN", "ending: asked by {by}");
            0
        }
        lifecycle::End::WatchdogLost => {
            log::error!(target: "MAIN", "ending with exit code {EXIT_STALLED}: the watchdog is lost");
            EXIT_STALLED
        }
        lifecycle::End::Stalled(why) => {
            log::error!(target: "MAIN", "ending with exit code {EXIT_STALLED}: {why}; see watchdog.log");
            EXIT_STALLED
        }
    };
    manager::stopping();
    drop(stopper);
    running.wake_everybody();
    let left = threads.wind_down(&running.inputs, asked + settings.shutdown.deadline);
    if left.is_empty() {
        log::info!(target: "MAIN", "ended in {} ms", asked.elapsed().as_millis());
    } else {
        log::warn!(
            target: "MAIN",
            "ended after {} ms; left behind, still stuck: {}",
            asked.elapsed().as_millis(),
            left.join(", ")
        );
    }
    running.log.drain(Instant::now() + LOG_DRAIN);
    Ok(code)
}
