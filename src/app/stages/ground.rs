//! What must be there before anything else: the port, the files that settings name, the logs.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::config::Settings;
use crate::edge::access::{Token, TokenFile};
use crate::edge::listener::bind;
use crate::logging::{LogConfig, LogFiles, LogHandle};
use crate::runtime::LatestRx;
use crate::upstream::ollama::Prompt;

use super::super::announce::{warn_of_company, warn_of_exposure};
use super::super::error::{Doing, StartError};
use super::super::given;
use super::Start;

/// What the other stages stand on.
pub struct Ground {
    /// The port, bound.
    pub listener: TcpListener,
    /// Where it is bound.
    pub address: SocketAddr,
    /// What the model is told.
    pub prompt: Arc<Prompt>,
    /// What clients show.
    pub token: Token,
    /// Where it is read anew when it is changed.
    pub token_file: Option<TokenFile>,
    /// The names of the log's files.
    pub files: LogFiles,
    /// Held as long as these names are this process's.
    pub log_lock: Option<File>,
    /// The log.
    pub log: LogHandle,
}

/// Binds the port, reads what settings name, starts the log. With it come the last lines, for reports.
///
/// # Errors
/// The port is taken, a file cannot be read, or the system refuses a thread.
pub fn lay(start: &Start<'_>) -> Result<(Ground, LatestRx<Arc<str>>), StartError> {
    let settings = start.settings;
    let listener = bind(settings.server.listen.0)?;
    let address = listener
        .local_addr()
        .doing("asking for the port's address")?;
    let prompt = given::prompt(settings)?;
    let (token_file, token) = given::client_token(settings)?;
    let (files, log_lock) = LogFiles::take(&settings.server.log_dir);
    let config = log_config(settings, files.clone());
    let (log, log_lines) = crate::logging::init(start.supervisor, &config)?;
    warn_of_company(&files);
    warn_of_exposure(address, token_file.is_some());
    let ground = Ground {
        listener,
        address,
        prompt,
        token,
        token_file,
        files,
        log_lock,
        log,
    };
    Ok((ground, log_lines))
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
