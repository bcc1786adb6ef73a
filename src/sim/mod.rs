//! The embedded market: Schwab's market data and the trader app, played by this process on loopback
//! sockets, so that everything works without an account and tests meet real connections.
//!
//! ```text
//! sim-schwab   accepts on one port     price history, quotes       (Bearer token)
//! sim-trader   accepts on another      REST, Socket.IO
//! sim-conn-N   one connection each     computes its answers by itself
//! sim-files    the data folder         token.json, runners.json, paper_trading/trade_outcomes.jsonl
//! ```
//!
//! No data crosses between these threads: prices, tokens and trades are pure functions of the seed
//! and the time, and each thread computes those that it needs (`market.rs`).

mod cast;
mod clock;
mod days;
mod dice;
mod engine;
mod feed;
mod files;
mod history;
mod http;
mod market;
mod moves;
mod news;
mod paper;
mod plan;
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
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use clock::{SimClock, sim_offset_ms};

use crate::runtime::clock::{Clock, system_ms};
use crate::runtime::{Counter, Heartbeat, Supervisor, ThreadKind};
use engine::Pings;
use files::{FileSettings, Folder};
use http::{Line, Slots};
use market::Market;
use schwab::SchwabSite;
use stream::StreamSettings;
use token::TokenPlan;
use trader::TraderSite;

/// Connections to both addresses together: several times what this process opens.
const CONNECTIONS_MAX: u32 = 128;

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
    /// Stands for `http://127.0.0.1:8080`.
    pub trader_url: String,
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
    let schwab = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let trader = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (schwab_addr, trader_addr) = (schwab.local_addr()?, trader.local_addr()?);
    let folder = Folder::open(config.data_dir.clone())?;
    files::write_token(&folder, &tokens, 0)?;
    files::write_first_runners(&folder, config.clock.now().wall_ms)?;
    let endpoints = SimEndpoints {
        schwab_base_url: format!("http://{schwab_addr}/marketdata/v1"),
        trader_url: format!("http://{trader_addr}"),
        token_file: folder.path.join(files::TOKEN),
        data_dir: folder.path.clone(),
    };

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
    let slots = Slots::new(supervisor, CONNECTIONS_MAX);
    let talk = schwab_talk(supervisor, &config, tokens);
    http::listen(
        supervisor,
        ThreadKind::SimSchwab,
        schwab,
        slots.clone(),
        talk,
    )?;
    let talk = trader_talk(supervisor, &config, paces.pings);
    http::listen(supervisor, ThreadKind::SimTrader, trader, slots, talk)?;
    log::info!(
        target: "SIM",
        "the embedded market (seed {}) stands for Schwab at {schwab_addr} and for the trader app at {trader_addr}; its files are in {}",
        config.seed,
        endpoints.data_dir.display()
    );
    Ok(endpoints)
}

/// A connection to Schwab's stand-in.
fn schwab_talk(
    supervisor: &Supervisor,
    config: &SimConfig,
    tokens: TokenPlan,
) -> impl Fn(&Heartbeat, &TcpStream) + Clone + Send + 'static {
    let (stop, clock, seed) = (supervisor.stop().clone(), config.clock, config.seed);
    let connections = Counter::default();
    move |heartbeat, stream| {
        let mut site = SchwabSite::new(Market::new(seed), tokens, connections.next());
        let mut line = Line::new(stream, stop.clone());
        let served = http::serve(&mut line, heartbeat, |request| {
            http::Outcome::Answer(site.answer(request, clock.now()))
        });
        if let Err(e) = served {
            log::debug!(target: "SIM", "a connection to Schwab's stand-in ended: {e}");
        }
    }
}

/// A connection to the trader app's stand-in, which may become a stream.
fn trader_talk(
    supervisor: &Supervisor,
    config: &SimConfig,
    pings: Pings,
) -> impl Fn(&Heartbeat, &TcpStream) + Clone + Send + 'static {
    let (stop, clock, seed) = (supervisor.stop().clone(), config.clock, config.seed);
    let sessions = Counter::default();
    let settings = StreamSettings {
        clock,
        quotes_per_second: config.quotes_per_second,
        pings,
        stop: stop.clone(),
        quotes: Counter::default(),
    };
    move |heartbeat, stream| {
        let mut site = TraderSite::new(Market::new(seed), settings.quotes.clone());
        let mut line = Line::new(stream, stop.clone());
        let served = http::serve(&mut line, heartbeat, |request| {
            site.decide(request, clock.wall_ms())
        });
        let done = match served {
            Ok(Some((request, unread))) => {
                let sid = format!("sim-{}", sessions.next());
                let market = site.into_market();
                stream::serve(line, heartbeat, (&request, unread), sid, &settings, market)
            }
            Ok(None) => Ok(()),
            Err(e) => Err(e),
        };
        if let Err(e) = done {
            log::debug!(target: "SIM", "a connection to the trader app's stand-in ended: {e}");
        }
    }
}
