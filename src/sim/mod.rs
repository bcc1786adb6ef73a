//! The embedded market: Schwab's market data and the trader app, played by this process on loopback
//! sockets, so that everything works without an account and tests meet real connections.
//!
//! ```text
//! sim-schwab     a local server's keeper     price history, quotes       (Bearer token)
//! sim-schwab-N   its workers
//! sim-trader     another's                   what is polled
//! sim-trader-N   its workers
//! sim-stream     accepts on a third port     Socket.IO
//! sim-stream-N   one session each
//! sim-files      the data folder             token.json, runners.json, paper_trading/trade_outcomes.jsonl
//! ```
//!
//! No data crosses between these threads: prices, tokens and trades are pure functions of the seed
//! and the time, and each thread computes those that it needs (`market.rs`).

mod clock;
mod daily_plan;
mod days;
mod engine;
mod feed;
mod files;
mod history;
mod line;
mod listings;
mod market;
mod moves;
mod news;
mod paper_trades;
mod request;
mod rng;
mod schwab;
mod stream;
mod tape;
mod token;
mod trader;

#[cfg(test)]
mod market_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use clock::{SimClock, sim_offset_ms};

use crate::runtime::clock::{Clock, system_ms};
use crate::runtime::local_server::{self, Address, Asked, Bound, Spec};
use crate::runtime::{Counter, Heartbeat, Supervisor, ThreadKind};
use engine::Pings;
use files::{FileSettings, Folder};
use market::Market;
use request::Request;
use schwab::SchwabSite;
use stream::StreamSettings;
use token::TokenPlan;
use trader::TraderSite;

/// Requests that Schwab's stand-in answers at once.
const SCHWAB_WORKERS: u32 = 4;
/// … and the trader app's: each of its workers first computes the whole day by itself.
const TRADER_WORKERS: u32 = 2;

/// How the embedded market is to be.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Which of all possible markets it is.
    pub seed: u64,
    /// The session clock, the same that the rest of the process has; see [`sim_offset_ms`].
    pub clock: Clock,
    /// Quotes that a stream session gets a second, over all its symbols; 0 for none but the first of
    /// each symbol.
    pub quotes_per_second: u32,
    /// Where its files go; none for a temporary folder that is removed at an orderly end. A folder
    /// with a real trader app's files is refused.
    pub data_dir: Option<PathBuf>,
}

/// Where the embedded market is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimEndpoints {
    /// Stands for `https://api.schwabapi.com/marketdata/v1`.
    pub schwab_base_url: String,
    /// Stands for `http://127.0.0.1:8080`, but for its stream.
    pub trader_url: String,
    /// Stands for the same, as a stream.
    pub stream_url: String,
    /// The token file, in schwab-py's format; it is there when this is returned.
    pub token_file: PathBuf,
    /// The trader app's data folder.
    pub data_dir: PathBuf,
}

/// How fast things change that a user never sets.
#[derive(Clone, Copy, Debug)]
struct Paces {
    token_every: Duration,
    token_grace: Duration,
    runners_every: Duration,
    pings: Pings,
}

const PACES: Paces = Paces {
    token_every: Duration::from_secs(25 * 60),
    token_grace: Duration::from_secs(60),
    runners_every: Duration::from_secs(60),
    pings: Pings {
        every: Duration::from_secs(25),
        timeout: Duration::from_secs(20),
    },
};

/// Starts the embedded market. It ends with the supervisor's stop.
///
/// # Errors
/// When a port, a thread or the folder cannot be had; `AlreadyExists` for a folder that holds files
/// of a real trader app.
pub fn start_sim(supervisor: &Supervisor, config: SimConfig) -> io::Result<SimEndpoints> {
    start_with(supervisor, config, PACES)
}

fn start_with(
    supervisor: &Supervisor,
    config: SimConfig,
    paces: Paces,
) -> io::Result<SimEndpoints> {
    let born_ms = system_ms();
    let tokens = TokenPlan::new(
        config.seed,
        (Instant::now(), born_ms),
        paces.token_every,
        paces.token_grace,
    );
    let folder = Folder::open(config.data_dir.clone())?;
    files::write_token(&folder, &tokens, 0)?;
    files::write_first_runners(&folder, config.clock.now().wall_ms)?;
    let data_dir = folder.path.clone();
    let file_settings = FileSettings {
        folder,
        seed: config.seed,
        clock: config.clock,
        tokens,
        runners_every: paces.runners_every,
        stop: supervisor.stop().clone(),
    };
    supervisor.spawn(ThreadKind::SimFiles, move |heartbeat| {
        files::run(heartbeat, &file_settings);
    })?;
    let stream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stream_addr = stream.local_addr()?;
    let quotes = Counter::default();
    let stream_settings = StreamSettings {
        seed: config.seed,
        clock: config.clock,
        quotes_per_second: config.quotes_per_second,
        pings: paces.pings,
        stop: supervisor.stop().clone(),
        quotes: quotes.clone(),
    };
    stream::start(supervisor, stream, stream_settings)?;
    let schwab_addr = start_schwab(supervisor, &config, tokens)?;
    let trader_addr = start_trader(supervisor, &config, quotes)?;
    log::info!(
        target: "SIM",
        "the embedded market (seed {}) stands for Schwab at {schwab_addr} and for the trader app at {trader_addr}, whose stream is at {stream_addr}; its files are in {}",
        config.seed,
        data_dir.display()
    );
    Ok(SimEndpoints {
        schwab_base_url: format!("http://{schwab_addr}/marketdata/v1"),
        trader_url: format!("http://{trader_addr}"),
        stream_url: format!("http://{stream_addr}"),
        token_file: data_dir.join(files::TOKEN),
        data_dir,
    })
}

/// Schwab's stand-in. Each worker computes its answers by itself.
fn start_schwab(
    supervisor: &Supervisor,
    config: &SimConfig,
    tokens: TokenPlan,
) -> io::Result<Address> {
    let spec = Spec {
        keeper: ThreadKind::SimSchwab,
        worker: ThreadKind::SimSchwabWorker,
        workers: SCHWAB_WORKERS,
    };
    let (clock, seed, workers) = (config.clock, config.seed, Counter::default());
    local_server::start(supervisor, spec, anywhere()?, move || {
        let mut site = SchwabSite::new(Market::new(seed), tokens, workers.next());
        move |asked: &Asked, _: &Heartbeat| site.answer(&Request::from(asked), clock.now()).into()
    })
}

/// The trader app's stand-in, but for its stream.
fn start_trader(
    supervisor: &Supervisor,
    config: &SimConfig,
    quotes: Counter,
) -> io::Result<Address> {
    let spec = Spec {
        keeper: ThreadKind::SimTrader,
        worker: ThreadKind::SimTraderWorker,
        workers: TRADER_WORKERS,
    };
    let (clock, seed) = (config.clock, config.seed);
    local_server::start(supervisor, spec, anywhere()?, move || {
        let mut site = TraderSite::new(Market::new(seed), quotes.clone());
        move |asked: &Asked, _: &Heartbeat| {
            let request = Request::from(asked);
            site.answer(&request, clock.wall_ms()).into()
        }
    })
}

/// A port of the system's choice, on loopback.
fn anywhere() -> io::Result<Bound> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    local_server::bind(&Address::Tcp(address))
}
