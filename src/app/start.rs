//! Starting every part, in the order in which they need each other.

use std::fs::File;
use std::net::SocketAddr;
use std::time::Instant;

use crate::cache::ToCache;
use crate::config::Settings;
use crate::config::values::Market;
use crate::diag::start_report_reader;
use crate::diag::watchdog::{
    EventLogConfig, WatchdogConfig, WatchdogInputs, start_probe, start_watchdog,
};
use crate::edge::access::{Cors, Guard, start_token_reader};
use crate::edge::connection::{GateConfig, Lookup};
use crate::edge::listener::{bind, probe_request, start_gate};
use crate::edge::routes::{Bulkheads, HttpConfig, snapshots, start_snapshot_cache};
use crate::edge::ws::{Sessions, WsConfig};
use crate::logging::{LogConfig, LogFiles, LogHandle};
use crate::market::SkewBounds;
use crate::resilience::Backoff;
use crate::runtime::clock::{Clock, system_ms};
use crate::runtime::scratch;
use crate::runtime::{LatestRx, Supervisor, SupervisorEnds, channels, latest, room_for};
use crate::stream::{HubBounds, HubOutputs, ReaderEnds, StreamConfig, start_hub, start_reader};
use crate::upstream::schwab::candles::MarketKey;
use crate::upstream::trader_app;
use crate::upstream::trader_app::files::start_file_readers;
use crate::upstream::{Caches, Endpoints, SymbolsMet, Wiring};

use super::announce::{announce, warn_of_company, warn_of_exposure};
use super::bulkheads;
use super::descriptors::{are_enough, connections_that_fit};
use super::endpoints::endpoints;
use super::error::{Doing, StartError};
use super::given;
use super::lifecycle::Inputs;
use super::signals::{self, Listening};

/// Connections' looks at the boards that can wait for their cache.
const LOOKS: usize = 1_024;

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
    let (publishers, snapshots) = snapshots();

    let (give_up_tx, give_up) = latest();
    let mut shown = token.clone();
    let probed = start_probe(supervisor, probe_address(address), move || {
        probe_request(&mut shown)
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
        vec![publishers.threads],
    )
    .doing("starting the watchdog")?;

    let (endpoints, clock) = endpoints(settings, supervisor)?;
    let (caches, skew) = start_caches(supervisor, settings, &endpoints, clock)?;

    start_file_readers(
        supervisor,
        endpoints.data_dir.clone(),
        endpoints.token_file.clone(),
        vec![publishers.files],
        vec![publishers.history],
    )
    .doing("starting the file readers")?;
    let (reports_tx, reports) = supervisor.channel(channels::REPORT_READER, REPORTS_INBOX);
    start_report_reader(supervisor, files.reports(), reports)
        .doing("starting the report reader")?;
    let (hub_tx, hub_inbox) = supervisor.channel(channels::QUOTE_HUB, HUB_INBOX);
    let (wanted_tx, wanted) = latest();
    let outputs = HubOutputs {
        wanted: wanted_tx,
        snapshots: vec![publishers.stream],
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
        url: endpoints.stream_url.clone(),
        roots: endpoints.trader_roots.clone(),
        connect_deadline: settings.stream.connect_deadline,
        backoff: Backoff {
            min: settings.stream.backoff_min,
            max: settings.stream.backoff_max,
        },
        seed: jitter_seed(),
        clock,
    };
    let reader_ends = ReaderEnds {
        wanted,
        skew,
        hub: hub_tx.clone(),
        candle_cache: caches.market.clone(),
    };
    start_reader::<trader_app::Codec>(supervisor, stream, reader_ends)
        .doing("starting the quote reader")?;

    let cors = Cors::new(&http.origins, http.allow_null_origin);
    let routes = HttpConfig {
        model_deadline: settings.model.deadline,
        validate_ttl: settings.model.cache_ttl,
        spike_window: settings.stream.spike_window,
        prompt,
        trader_url: endpoints.trader_url.clone(),
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
    let (looks_tx, looks) = supervisor.channel(channels::SNAPSHOT_CACHE, LOOKS);
    start_snapshot_cache(supervisor, snapshots.clone(), routes.clone(), looks)
        .doing("starting the snapshot cache")?;
    let gate = GateConfig {
        connections_max: connections_that_fit(settings.gate.connections_max),
        connections_per_address_max: settings.gate.connections_per_address_max,
        head_bytes_max: bytes(settings.gate.head_bytes_max.0),
        body_bytes_max: bytes(settings.gate.body_bytes_max.0),
        head_deadline: settings.gate.head_deadline,
        keep_alive: settings.gate.keep_alive,
        write_deadline: settings.gate.write_deadline,
        answer_deadline: http.answer_deadline,
        bulkheads: Bulkheads::new(supervisor, |b| bulkheads::limits(b, settings)),
        guard: Guard::new(address.ip(), &http.hosts, token, cors),
        lookup: Lookup {
            caches,
            snapshots: looks_tx,
        },
        snapshots,
        routes,
        commands: commands_tx,
        sessions: Sessions::new(supervisor, hub_tx, ws),
    };
    start_gate(supervisor, listener, gate).doing("starting the gate")?;
    if let Some(file) = token_file {
        start_token_reader(supervisor, file).doing("starting the reader of http.token_file")?;
    }
    scratch::start_removal(supervisor).doing("starting the removal of leftovers")?;
    room_for(FIRST_CLIENTS).doing("making room for the threads of connections")?;
    announce(&log, settings, address, &endpoints);
    Ok(Running {
        inputs: Inputs::new(ends, commands, signals, watchdog, give_up),
        log,
        signals: listening,
        _log_lock: log_lock,
    })
}

/// Starts the caches of everything that is asked. With them comes what answers say of this machine's clock.
fn start_caches(
    supervisor: &Supervisor,
    settings: &Settings,
    endpoints: &Endpoints,
    clock: Clock,
) -> Result<(Caches, LatestRx<SkewBounds>), StartError> {
    let (caches, inboxes) = Caches::new(supervisor);
    let (skew_tx, skew) = latest();
    let market = caches.market.clone();
    let wiring = Wiring {
        settings,
        endpoints,
        clock,
        skew: skew_tx,
        symbols_met: SymbolsMet::new(move |symbols| {
            let known = symbols.into_iter().map(MarketKey::Quote).collect();
            // Who met them says it again.
            drop(market.offer(ToCache::Known(known)));
        }),
    };
    caches
        .start(inboxes, supervisor, &wiring)
        .map_err(|(cache, source)| StartError::System {
            doing: format!("starting the {cache}"),
            source,
        })?;
    Ok((caches, skew))
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
