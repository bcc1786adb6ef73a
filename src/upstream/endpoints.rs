//! Where the upstreams are.

use std::path::PathBuf;

use super::{Lookups, Roots};

/// The addresses and files in the settings, or those of the embedded market.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Schwab's market data API, up to and including its version.
    pub schwab_url: String,
    /// The file in which another program keeps Schwab's access token.
    pub token_file: PathBuf,
    /// The trader app's base URL.
    pub trader_url: String,
    /// Where its stream is: at the same address, but for the embedded one.
    pub stream_url: String,
    /// The trader app's data folder.
    pub data_dir: PathBuf,
    /// Whose certificates are believed of Schwab.
    pub schwab_roots: Roots,
    /// Whose certificates are believed of the trader app.
    pub trader_roots: Roots,
    /// Makes the look-ups of their names.
    pub lookups: Lookups,
}
