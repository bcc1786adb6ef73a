//! Why a start failed, and the process's exit code for it.

use std::io;

use thiserror::Error;

use crate::edge::listener::BindError;
use crate::logging::LogError;

use super::limits::remedy;

/// Why the server cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port cannot be had: exit code 3.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A file that a setting names cannot be used: exit code 2.
    #[error("{0}")]
    Setting(String),
    /// The log cannot be had: exit code 2 for a level that is none, else 1.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Anything else that the system refused: exit code 1.
    #[error("{doing} failed: {source}{}", remedy(.source))]
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
            Self::Setting(_) | Self::Log(LogError::Level { .. }) => 2,
            Self::Log(LogError::Start(_)) | Self::System { .. } => 1,
        }
    }
}

/// Says what was being done when the system refused.
pub(super) trait Doing<T> {
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
