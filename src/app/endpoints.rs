//! Where market data come from: the addresses in the settings, or those of the embedded market.

use std::path::Path;

use crate::config::Settings;
use crate::config::values::{Market, SimTime};
use crate::market::Session;
use crate::runtime::Supervisor;
use crate::runtime::clock::{Clock, system_ms};
use crate::sim::{SimClock, SimConfig, SimEndpoints, sim_offset_ms, start_sim};
use crate::upstream::{Endpoints, Lookups, Roots};

use super::error::{Doing, StartError};

/// The upstreams, started if they are embedded, and the session clock.
///
/// # Errors
/// When the system refuses the embedded market something.
pub fn endpoints(
    settings: &Settings,
    supervisor: &Supervisor,
) -> Result<(Endpoints, Clock), StartError> {
    let lookups = Lookups::new(supervisor);
    if settings.server.market == Market::Schwab {
        return Ok((of_settings(settings, lookups)?, Clock::default()));
    }
    let mode = match settings.sim.clock {
        SimTime::Open => SimClock::Open,
        SimTime::Real => SimClock::Real,
    };
    let clock = Clock {
        offset_ms: sim_offset_ms(system_ms(), mode, &Session::new()),
    };
    let data_dir = Some(settings.sim.data_dir.clone()).filter(|d| !d.as_os_str().is_empty());
    let SimEndpoints {
        schwab_base_url,
        trader_url,
        stream_url,
        token_file,
        data_dir,
    } = start_sim(
        supervisor,
        SimConfig {
            seed: settings.sim.seed,
            clock,
            quotes_per_second: u32::try_from(settings.sim.quotes_per_second).unwrap_or(u32::MAX),
            data_dir,
        },
    )
    .doing("starting the embedded market")?;
    let endpoints = Endpoints {
        schwab_url: schwab_base_url,
        token_file,
        trader_url,
        stream_url,
        data_dir,
        schwab_roots: Roots::default(),
        trader_roots: Roots::default(),
        lookups,
    };
    Ok((endpoints, clock))
}

/// What the settings name.
fn of_settings(settings: &Settings, lookups: Lookups) -> Result<Endpoints, StartError> {
    let trader = &settings.trader;
    let stream_url = trader.stream_url.0.as_ref().unwrap_or(&trader.url.0);
    Ok(Endpoints {
        schwab_url: settings.schwab.base_url.0.clone(),
        token_file: settings.schwab.token_file.clone(),
        trader_url: settings.trader.url.0.clone(),
        stream_url: stream_url.clone(),
        data_dir: settings.trader.data_dir.clone(),
        schwab_roots: roots(
            "schwab.ca_file",
            &settings.schwab.base_url.0,
            &settings.schwab.ca_file,
        )?,
        trader_roots: roots(
            "trader.ca_file",
            [stream_url, &trader.url.0]
                .into_iter()
                .find(|url| url.starts_with("https:"))
                .unwrap_or(stream_url),
            &settings.trader.ca_file,
        )?,
        lookups,
    })
}

/// Whom to believe of an upstream; an error names the setting.
fn roots(key: &str, url: &str, ca_file: &Path) -> Result<Roots, StartError> {
    Roots::read(url, ca_file)
        .map_err(|e| StartError::Setting(format!("reading {} ({key}): {e}", ca_file.display())))
}
