//! Starting every part, in the order in which they need each other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use signal_hook::iterator::Handle as SignalsHandle;
use thiserror::Error;
use tiny_http::Server;

use crate::config::Settings;
use crate::gate::BindError;
use crate::http::unblock_workers;
use crate::log::LogHandle;
use crate::supervise::{Supervisor, SupervisorEnds};

use super::classes::Classes;
use super::lifecycle::Ears;

/// Why the server cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port cannot be had: exit code 3.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Anything else that the system refused: exit code 1.
    #[error("{doing} failed: {source}")]
    System {
        /// What was being done, with what.
        doing: String,
        /// The system's words.
        source: io::Error,
    },
}

impl StartError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bind(_) => 3,
            Self::System { .. } => 1,
        }
    }
}

/// Says what was being done when the system refused.
trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, StartError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, StartError> {
        self.map_err(|source| StartError::System {
            doing: what.into(),
            source,
        })
    }
}

/// A started server.
pub struct Running {
    /// What `main` listens to.
    pub ears: Ears,
    /// To be drained last.
    pub log: LogHandle,
    server: Arc<Server>,
    workers: usize,
    signals: SignalsHandle,
    private: PrivateFolder,
}

impl Running {
    /// Wakes the threads that wait where the stop cannot be heard.
    pub fn wake_everybody(&self) {
        unblock_workers(&self.server, self.workers);
        self.signals.close();
    }

    /// Removes what was made for this run only.
    pub fn tidy_up(&self) {
        let _gone_already = fs::remove_dir_all(&self.private.path);
    }
}

/// A folder that only this user may enter, for the socket between the gate and the workers.
struct PrivateFolder {
    path: PathBuf,
}
