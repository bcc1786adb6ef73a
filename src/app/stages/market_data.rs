//! What clients ask for: the caches before the upstreams, the trader's files, the quote stream.

use std::sync::Arc;

use crate::cache::ToCache;
use crate::config::Settings;
use crate::edge::ws::WsConfig;
use crate::market::SkewBounds;
use crate::resilience::Backoff;
use crate::runtime::clock::{Clock, system_ms};
use crate::runtime::{LatestRx, Supervisor, Tx, WatchTx, channels, latest};
use crate::stream::{
    HubBounds, HubOutputs, ReaderEnds, StreamConfig, StreamStatus, ToHub, start_hub, start_reader,
};
use crate::upstream::schwab::candles::MarketKey;
use crate::upstream::trader_app::{
    self,
    files::{FilesRead, History, start_file_readers},
};
use crate::upstream::{Caches, Endpoints, SymbolsMet, Wiring};

use super::super::endpoints::endpoints;
use super::super::error::{Doing, StartError};
use super::{Start, bytes};

/// Quotes and sessions' words that can wait for the hub.
const HUB_INBOX: usize = 4_096;

/// What the port answers from.
pub struct MarketData {
    /// Where the upstreams are.
    pub endpoints: Endpoints,
    /// The session clock.
    pub clock: Clock,
    /// The caches before the upstreams.
    pub caches: Caches,
    /// The inbox of the quote hub.
    pub hub: Tx<ToHub>,
}

/// The publishing ends of what the trader's files and the quote hub say.
type Published = (
    WatchTx<Arc<FilesRead>>,
    WatchTx<Arc<History>>,
    WatchTx<Arc<StreamStatus>>,
);

/// Starts the embedded market where it is wanted, the caches, the readers of files, the stream.
///
/// # Errors
/// When the system refuses a thread, or a file that a setting names cannot be read.
pub fn start(
    start: &Start<'_>,
    (files, history, status): Published,
) -> Result<MarketData, StartError> {
    let (settings, supervisor) = (start.settings, start.supervisor);
    let (endpoints, clock) = endpoints(settings, supervisor)?;
    let (caches, skew) = start_caches(supervisor, settings, &endpoints, clock)?;
    let (data_dir, access) = (endpoints.data_dir.clone(), endpoints.token_file.clone());
    start_file_readers(supervisor, data_dir, access, files, history)
        .doing("starting the file readers")?;
    let fed = (&caches, skew);
    let hub = start_stream(supervisor, settings, &endpoints, clock, fed, status)?;
    Ok(MarketData {
        endpoints,
        clock,
        caches,
        hub,
    })
}

/// Starts the caches of everything that is asked. With them comes what answers say of this machine's clock.
///
/// # Errors
/// When the system refuses a thread, or a file that a setting names cannot be read.
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

/// The bounds of streaming clients.
#[must_use]
pub fn ws_config(settings: &Settings) -> WsConfig {
    let ws = &settings.ws;
    WsConfig {
        sessions_max: ws.sessions_max,
        symbols_max: ws.symbols_max,
        message_bytes_max: bytes(ws.message_bytes_max.0),
        ping_every: ws.ping_every,
        silence_max: ws.silence_max,
        write_deadline: ws.write_deadline,
    }
}

/// Starts the quote hub and the reader of the source; gives the hub's inbox.
///
/// # Errors
/// When the system refuses a thread.
fn start_stream(
    supervisor: &Supervisor,
    settings: &Settings,
    endpoints: &Endpoints,
    clock: Clock,
    (caches, skew): (&Caches, LatestRx<SkewBounds>),
    status: WatchTx<Arc<StreamStatus>>,
) -> Result<Tx<ToHub>, StartError> {
    let (hub_tx, hub_inbox) = supervisor.channel(channels::QUOTE_HUB, HUB_INBOX);
    let (wanted_tx, wanted) = latest();
    let outputs = HubOutputs {
        wanted: wanted_tx,
        status,
    };
    let bounds = HubBounds {
        spike_window: settings.stream.spike_window,
        symbols_max: settings.stream.symbols_max,
        stuck_after: ws_config(settings).client_stuck_after(),
    };
    start_hub(supervisor, hub_inbox, outputs, clock, bounds).doing("starting the quote hub")?;
    let config = StreamConfig {
        url: endpoints.stream_url.clone(),
        roots: endpoints.trader_roots.clone(),
        lookups: endpoints.lookups.clone(),
        connect_deadline: settings.stream.connect_deadline,
        backoff: Backoff {
            min: settings.stream.backoff_min,
            max: settings.stream.backoff_max,
        },
        seed: jitter_seed(),
        clock,
    };
    let ends = ReaderEnds {
        wanted,
        skew,
        hub: hub_tx.clone(),
        candle_cache: caches.market.clone(),
    };
    start_reader::<trader_app::Codec>(supervisor, config, ends)
        .doing("starting the quote reader")?;
    Ok(hub_tx)
}

/// Servers started together must not come back together.
fn jitter_seed() -> u64 {
    system_ms().unsigned_abs() ^ (u64::from(std::process::id()) << 32)
}
