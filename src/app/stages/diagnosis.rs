//! What tells why a thread stalls: the watchdog, the probe of the own port, the reader of past reports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::Receiver;

use crate::diag::watchdog::{
    EventLogConfig, Snapshot, ToWatchdog, WatchdogConfig, WatchdogInputs, start_probe,
    start_watchdog,
};
use crate::diag::{ToReports, start_report_reader};
use crate::edge::listener::probe_request;

use crate::logging::LogFiles;
use crate::runtime::{LatestRx, Supervisor, Tx, WatchRx, WatchTx, channels, latest};

use super::super::error::{Doing, StartError};
use super::Start;
use super::ground::Ground;

/// Questions that can wait for the reader of past reports.
const REPORTS_INBOX: usize = 16;

/// What `main` hears of the watchdog.
pub struct Watchdog {
    /// Its own beats.
    pub beats: WatchRx<Instant>,
    /// Why the process is to end.
    pub give_up: LatestRx<String>,
}

/// Starts the watchdog and its probe.
///
/// # Errors
/// When the system refuses a thread or a file.
pub fn start(
    start: &Start<'_>,
    ground: &Ground,
    asked: Receiver<ToWatchdog>,
    log_lines: LatestRx<Arc<str>>,
    snapshots: WatchTx<Arc<Snapshot>>,
) -> Result<Watchdog, StartError> {
    let (give_up_tx, give_up) = latest();
    let mut token = ground.token.clone();
    let request = move || probe_request(&mut token);
    let probed = start_probe(start.supervisor, probe_address(ground.address), request)
        .doing("starting the probe")?;
    let inputs = WatchdogInputs {
        notices: start.ends.notices.clone(),
        lost: start.ends.lost.clone(),
        log_lines,
        log: ground.log.clone(),
        probed,
        asked,
        give_up: give_up_tx,
    };
    let config = watchdog_config(start, &ground.files);
    let beats = start_watchdog(start.supervisor, config, inputs, snapshots)
        .doing("starting the watchdog")?;
    Ok(Watchdog { beats, give_up })
}

fn watchdog_config(start: &Start<'_>, files: &LogFiles) -> WatchdogConfig {
    let watchdog = &start.settings.watchdog;
    WatchdogConfig {
        tick: watchdog.tick,
        heartbeat_every: watchdog.heartbeat_every,
        event_log: EventLogConfig {
            files: files.clone(),
            file_bytes_max: watchdog.file_bytes_max.0,
            files_max: watchdog.files_max,
            reports_max: watchdog.reports_max,
        },
        exit_after: watchdog.exit_after.0,
        started: start.started,
    }
}

/// Starts the reader of past reports; gives its inbox.
///
/// # Errors
/// When the system refuses the thread.
pub fn start_reports(
    supervisor: &Supervisor,
    files: &LogFiles,
) -> Result<Tx<ToReports>, StartError> {
    let (inbox_tx, inbox) = supervisor.channel(channels::REPORT_READER, REPORTS_INBOX);
    start_report_reader(supervisor, files.reports(), inbox).doing("starting the report reader")?;
    Ok(inbox_tx)
}

/// The probe connects to this machine, also when the server listens everywhere.
fn probe_address(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let ip: IpAddr = if address.is_ipv4() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv6Addr::LOCALHOST.into()
    };
    SocketAddr::new(ip, address.port())
}
