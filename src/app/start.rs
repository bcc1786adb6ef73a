//! Starting every part, in the order in which they need each other.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tiny_http::Server;

use crate::config::Settings;
use crate::config::values::Market;
use crate::diag::start_report_reader;
use crate::diag::watchdog::{
    EventLogConfig, WatchdogConfig, WatchdogInputs, start_probe, start_watchdog,
};
use crate::edge::access::{Cors, Guard, start_token_reader};
use crate::edge::connection::{GateConfig, LinkAddress, Lookup, start_workers, unblock_workers};
use crate::edge::listener::{bind, probe_requests, start_gate};
use crate::edge::routes::{Caches, HttpConfig, boards, start_board_cache};
use crate::edge::ws::{Sessions, WsConfig};
use crate::logging::{LogConfig, LogFiles, LogHandle};
use crate::resilience::Backoff;
use crate::runtime::clock::system_ms;
use crate::runtime::scratch::{self, Scratch};
use crate::runtime::{Supervisor, SupervisorEnds, channels, latest, room_for};
use crate::stream::{HubBounds, HubOutputs, StreamConfig, start_hub, start_reader};
use crate::upstream::trader_app::files::start_file_readers;

use super::announce::{announce, warn_of_company, warn_of_exposure};
use super::caches;
use super::descriptors::{are_enough, connections_that_fit};
use super::error::{Doing, StartError};
use super::given;
use super::lanes::lanes;
use super::lifecycle::Inputs;
use super::signals::{self, Listening};
use super::sources::sources;

/// Requests to a cache, and fetchers' answers, that can wait for it.
const CACHE_INBOX: usize = 1_024;

/// Quotes and sessions' words that can wait for the hub.
const HUB_INBOX: usize = 4_096;

/// Wishes for reports and drills that can wait for the watchdog.
const WATCHDOG_INBOX: usize = 16;

/// Questions that can wait for the reader of past reports.
const REPORTS_INBOX: usize = 16;

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
    server: Arc<Server>,
    workers: usize,
    signals: Listening,
    private: Option<Scratch>,
    /// Held as long as the names of the log files are this process's.
    _log_lock: Option<File>,
}

impl Running {
    /// Wakes the threads that wait where the stop cannot be heard.
    pub fn wake_everybody(&self) {
        unblock_workers(&self.server, self.workers);
        self.signals.end();
    }

    /// Removes what was made for this run only.
    pub fn tidy_up(&self) {
        let _gone_already = self.private.as_ref().map(Scratch::remove);
    }
}

/// Starts everything.
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
    let listener = bind(settings.server.listen.0)?;
    let address = listener
        .local_addr()
        .doing("asking for the port's address")?;
    let prompt = given::prompt(settings)?;
    let (token_file, token) = given::client_token(settings)?;
    let (files, log_lock) = LogFiles::take(&settings.server.log_dir);
    let config = log_config(settings, files.clone());
    let (log, log_lines) = crate::logging::init(supervisor, &config)?;
    warn_of_company(&files);
    warn_of_exposure(address, token_file.is_some());
    let (watchdog_tx, asked) = supervisor.channel(channels::WATCHDOG, WATCHDOG_INBOX);
    let (signals, listening) =
        signals::start(supervisor, watchdog_tx.clone()).doing("listening for signals")?;
    let (commands_tx, commands) = supervisor.channel(channels::COMMANDS, COMMANDS);

    let http = &settings.http;
    let lanes = lanes(settings);
    // One for each request that can be under way, and one for the lane keeper's ping.
    let workers = lanes.iter().map(|l| l.slots).sum::<usize>() + 1;
    // The board cache has a set like any worker.
    let (publishers, mut boards) = boards(workers + 1);
    let own_boards = boards.pop();

    let (give_up_tx, give_up) = latest();
    let mut shown = token.clone();
    let probed = start_probe(supervisor, probe_address(address), move || {
        probe_requests(&mut shown)
    })
    .doing("starting the probe")?;
    let watchdog = start_watchdog(
        supervisor,
        WatchdogConfig {
            tick: settings.watchdog.tick,
            heartbeat_every: settings.watchdog.heartbeat_every,
            event_log: EventLogConfig {
                files: files.clone(),
                file_bytes_max: settings.watchdog.file_bytes_max.0,
                files_max: settings.watchdog.files_max,
                reports_max: settings.watchdog.reports_max,
            },
            exit_after: settings.watchdog.exit_after.0,
            started,
        },
        WatchdogInputs {
            notices: ends.notices.clone(),
            lost: ends.lost.clone(),
            log_lines,
            log: log.clone(),
            probed,
            asked,
            give_up: give_up_tx,
        },
        publishers.snapshots,
    )
    .doing("starting the watchdog")?;

    let (sources, clock) = sources(settings, supervisor)?;

    let (market_tx, market) = supervisor.channel(channels::CANDLE_CACHE, CACHE_INBOX);
    let (trader_tx, trader) = supervisor.channel(channels::TRADER_CACHE, CACHE_INBOX);
    let (model_tx, model) = supervisor.channel(channels::MODEL_CACHE, CACHE_INBOX);
    let (skew_tx, skew) = latest();
    caches::start_market(
        supervisor, settings, &sources, clock, skew_tx, &market_tx, market,
    )
    .doing("starting the candle cache")?;
    caches::start_trader(
        supervisor, settings, &sources, &market_tx, &trader_tx, trader,
    )
    .doing("starting the trader cache")?;
    caches::start_model(supervisor, settings, clock, &model_tx, model)
        .doing("starting the model cache")?;
    let caches = Caches {
        market: market_tx,
        trader: trader_tx,
        model: model_tx,
    };

    start_file_readers(
        supervisor,
        sources.data_dir.clone(),
        sources.token_file.clone(),
        publishers.reads,
        publishers.histories,
    )
    .doing("starting the file readers")?;
    let (reports_tx, reports) = supervisor.channel(channels::REPORT_READER, REPORTS_INBOX);
    start_report_reader(supervisor, files.reports(), reports)
        .doing("starting the report reader")?;
    let (hub_tx, hub_inbox) = supervisor.channel(channels::QUOTE_HUB, HUB_INBOX);
    let (wanted_tx, wanted) = latest();
    let outputs = HubOutputs {
        wanted: wanted_tx,
        boards: publishers.streams,
    };
    let ws = WsConfig {
        sessions_max: settings.ws.sessions_max,
        symbols_max: settings.ws.symbols_max,
        message_bytes_max: bytes(settings.ws.message_bytes_max.0),
        ping_every: settings.ws.ping_every,
        silence_max: settings.ws.silence_max,
        write_deadline: settings.ws.write_deadline,
    };
    start_hub(
        supervisor,
        hub_inbox,
        outputs,
        clock,
        HubBounds {
            spike_window: settings.stream.spike_window,
            symbols_max: settings.stream.symbols_max,
            stuck_after: ws.client_stuck_after(),
        },
    )
    .doing("starting the quote hub")?;
    let stream = StreamConfig {
        url: sources.stream_url.clone(),
        roots: sources.trader_roots.clone(),
        connect_deadline: settings.stream.connect_deadline,
        backoff: Backoff {
            min: settings.stream.backoff_min,
            max: settings.stream.backoff_max,
        },
        seed: jitter_seed(),
        clock,
    };
    start_reader(
        supervisor,
        stream,
        wanted,
        skew,
        hub_tx.clone(),
        caches.market.clone(),
    )
    .doing("starting the quote reader")?;

    let cors = Cors::new(&http.origins, http.allow_null_origin);
    let (private, link_address, server) = worker_server()?;
    let config = HttpConfig {
        answer_deadlines: lanes.iter().map(|l| l.deadline).collect(),
        model_deadline: settings.model.deadline,
        validate_ttl: settings.model.cache_ttl,
        spike_window: settings.stream.spike_window,
        prompt,
        trader_url: sources.trader_url.clone(),
        cors: cors.clone(),
        clock,
        started,
        watchdog: watchdog_tx,
        watchdog_log: std::path::absolute(files.watchdog()).doing("finding the log folder")?,
        reports: reports_tx,
        allow_drills: settings
            .watchdog
            .allow_drills
            .0
            .unwrap_or(settings.server.market == Market::Sim),
    };
    start_workers(supervisor, &server, &caches, boards, &config, &commands_tx)
        .doing("starting the http workers")?;
    let (looks_tx, looks) = supervisor.channel(channels::BOARD_CACHE, CACHE_INBOX);
    if let Some(boards) = own_boards {
        start_board_cache(supervisor, boards, config.clone(), looks)
            .doing("starting the board cache")?;
    }
    let gate = GateConfig {
        connections_max: connections_that_fit(settings.gate.connections_max, workers),
        connections_per_address_max: settings.gate.connections_per_address_max,
        head_bytes_max: bytes(settings.gate.head_bytes_max.0),
        body_bytes_max: bytes(settings.gate.body_bytes_max.0),
        head_deadline: settings.gate.head_deadline,
        keep_alive: settings.gate.keep_alive,
        write_deadline: settings.gate.write_deadline,
        lanes,
        guard: Guard::new(address.ip(), &http.hosts, token, cors),
        lookup: Lookup {
            caches,
            boards: looks_tx,
        },
        sessions: Sessions::new(supervisor, hub_tx, ws),
    };
    start_gate(supervisor, listener, link_address, gate).doing("starting the gate")?;
    if let Some(file) = token_file {
        start_token_reader(supervisor, file).doing("starting the reader of http.token_file")?;
    }
    scratch::start_removal(supervisor).doing("starting the removal of leftovers")?;
    // tiny_http has a thread for each of the gate's connections, and listens no more once it gets none.
    room_for(workers + FIRST_CLIENTS).doing("making room for the threads of connections")?;
    announce(&log, settings, address, &sources);
    Ok(Running {
        inputs: Inputs::new(ends, commands, signals, watchdog, give_up),
        log,
        server,
        workers,
        signals: listening,
        private,
        _log_lock: log_lock,
    })
}

/// tiny_http, listening where only the gate can reach it.
#[cfg(unix)]
fn worker_server() -> Result<(Option<Scratch>, LinkAddress, Arc<Server>), StartError> {
    let folder = Scratch::new("gate").doing("making a private folder for the gate's socket")?;
    let path = folder.path().join("gate.sock");
    // It panics where the system refuses it a thread.
    let server = std::panic::catch_unwind(|| Server::http_unix(&path))
        .map_err(|_| io::ErrorKind::WouldBlock.into())
        .and_then(|made| made.map_err(io::Error::other))
        .doing(format!("listening on {}", path.display()))?;
    Ok((Some(folder), path, Arc::new(server)))
}

/// tiny_http, on a loopback port: this system has no private sockets.
#[cfg(not(unix))]
fn worker_server() -> Result<(Option<Scratch>, LinkAddress, Arc<Server>), StartError> {
    let server = Server::http("127.0.0.1:0")
        .map_err(io::Error::other)
        .doing("listening on a private loopback port")?;
    let address = server
        .server_addr()
        .to_ip()
        .ok_or_else(|| io::Error::other("it has no address"))
        .doing("asking for the private port")?;
    Ok((None, address, Arc::new(server)))
}

fn log_config(settings: &Settings, files: LogFiles) -> LogConfig {
    LogConfig {
        files,
        level: settings.log.level.clone(),
        console: settings.log.console,
        queue: settings.log.queue,
        file_bytes_max: settings.log.file_bytes_max.0,
        files_max: settings.log.files_max,
    }
}

/// The probe connects to this machine, also when the server listens everywhere.
fn probe_address(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let ip: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        SocketAddr::new(ip, address.port())
    } else {
        address
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Servers started together must not come back together.
fn jitter_seed() -> u64 {
    system_ms().unsigned_abs() ^ (u64::from(std::process::id()) << 32)
}
