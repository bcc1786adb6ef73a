//! The port: what its routes need, who may use it, and the listener.

use std::fs::File;

use crate::config::values::Market;
use crate::diag::watchdog::ToWatchdog;
use crate::edge::access::{Cors, Guard, start_token_reader};
use crate::edge::connection::{GateConfig, Lookup};
use crate::edge::listener::start_gate;
use crate::edge::routes::{
    Bulkheads, Command, HttpConfig, ROUTES, Snapshots, start_snapshot_cache,
};
use crate::edge::ws::Sessions;
use crate::runtime::{Lossy, Tx, channels};

use super::super::descriptors::connections_that_fit;
use super::super::error::{Doing, StartError};
use super::control;
use super::diagnosis::start_reports;
use super::ground::Ground;
use super::market_data::{MarketData, ws_config};
use super::{Start, bytes};

/// Connections' looks at what snapshots say that can wait for their cache.
const LOOKS: usize = 1_024;

/// Opens the port to clients; gives back what holds the log's names.
///
/// # Errors
/// When the system refuses a thread.
pub fn open(
    start: &Start<'_>,
    ground: Ground,
    data: MarketData,
    snapshots: Snapshots,
    wishes: Tx<ToWatchdog>,
    commands: Tx<Command, Lossy>,
) -> Result<Option<File>, StartError> {
    let (settings, supervisor) = (start.settings, start.supervisor);
    let routes = routes(start, &ground, &data, wishes)?;
    let (looks_tx, looks) = supervisor.channel(channels::SNAPSHOT_CACHE, LOOKS);
    start_snapshot_cache(supervisor, snapshots.clone(), routes.clone(), looks)
        .doing("starting the snapshot cache")?;
    let kinds_of_work = ROUTES.iter().filter_map(|row| row.bulkhead);
    let (gate, http) = (&settings.gate, &settings.http);
    let cors = Cors::new(&http.origins, http.allow_null_origin);
    let config = GateConfig {
        connections_max: connections_that_fit(gate.connections_max),
        connections_per_address_max: gate.connections_per_address_max,
        head_bytes_max: bytes(gate.head_bytes_max.0),
        body_bytes_max: bytes(gate.body_bytes_max.0),
        head_deadline: gate.head_deadline,
        keep_alive: gate.keep_alive,
        write_deadline: gate.write_deadline,
        answer_deadline: http.answer_deadline,
        bulkheads: Bulkheads::new(supervisor, settings, kinds_of_work),
        guard: Guard::new(ground.address.ip(), &http.hosts, ground.token, cors),
        lookup: Lookup {
            caches: data.caches,
            snapshots: looks_tx,
        },
        snapshots,
        routes,
        commands,
        sessions: Sessions::new(supervisor, data.hub, ws_config(settings)),
    };
    control::open(supervisor, &ground.files, ground.address, &config)?;
    if let Some(file) = ground.token_file {
        start_token_reader(supervisor, file).doing("starting the reader of http.token_file")?;
    }
    // The last: whom the port answers finds every thread there.
    start_gate(supervisor, ground.listener, config).doing("starting the gate")?;
    Ok(ground.log_lock)
}

/// What the routes need.
fn routes(
    start: &Start<'_>,
    ground: &Ground,
    data: &MarketData,
    watchdog: Tx<ToWatchdog>,
) -> Result<HttpConfig, StartError> {
    let settings = start.settings;
    let watchdog_log = ground.files.watchdog();
    // Drills may be ordered where a setting says so, and of the embedded market.
    let of_sim = settings.server.market == Market::Sim;
    Ok(HttpConfig {
        model_deadline: settings.model.deadline,
        validate_ttl: settings.model.cache_ttl,
        spike_window: settings.stream.spike_window,
        prompt: ground.prompt.clone(),
        trader_url: data.endpoints.trader_url.clone(),
        clock: data.clock,
        started: start.started,
        watchdog,
        watchdog_log: std::path::absolute(watchdog_log).doing("finding the log folder")?,
        reports: start_reports(start.supervisor, &ground.files)?,
        allow_drills: settings.watchdog.allow_drills.0.unwrap_or(of_sim),
    })
}
