//! What a starting server says of itself, to the terminal and to the log.

use std::net::SocketAddr;

use crate::config::Settings;
use crate::config::values::Market;
use crate::logging::{LogFiles, LogHandle};
use crate::upstream::Endpoints;

/// Says who can reach the server.
pub fn warn_of_exposure(address: SocketAddr, has_token: bool) {
    if !address.ip().is_loopback() && !has_token {
        log::warn!(
            target: "MAIN",
            "listening on {address}, which is not loopback, without a token: everybody who reaches this address can read everything; set http.token_file"
        );
    }
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        log::warn!(target: "MAIN", "running as root, which nothing here needs");
    }
}

/// Says where the logs are if another process had the folder first.
pub fn warn_of_company(files: &LogFiles) {
    if files.number() > 1 {
        log::warn!(
            target: "MAIN",
            "another process writes its logs to {}: this one's are {}, {} and {}; give it a folder of its own with --log-dir",
            files.dir().display(),
            files.backend().display(),
            files.watchdog().display(),
            files.reports().display()
        );
    }
}

/// The address, what the server is connected to, and where its logs are.
pub fn announce(log: &LogHandle, settings: &Settings, address: SocketAddr, endpoints: &Endpoints) {
    let version = env!("CARGO_PKG_VERSION");
    let market = match settings.server.market {
        Market::Sim => "embedded market",
        Market::Schwab => "Schwab",
    };
    log.banner(format!(
        "tapewarden {version} listening on http://{address}"
    ));
    log.banner(format!(
        "  market data: {market} at {}",
        endpoints.schwab_url
    ));
    log.banner(format!(
        "  trader app:  {} (files in {})",
        endpoints.trader_url,
        endpoints.data_dir.display()
    ));
    log.banner(format!("  model:       {}", settings.model.url.0));
    log.banner(format!(
        "  logs:        {}",
        settings.server.log_dir.display()
    ));
    log.banner("  Ctrl-C ends it");
    log::info!(
        target: "MAIN",
        "tapewarden {version} listening on http://{address}; market data: {market} at {}, trader app at {}, process {}",
        endpoints.schwab_url, endpoints.trader_url, std::process::id()
    );
}
