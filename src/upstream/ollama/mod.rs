//! Validation by a language model behind an Ollama server: what the cache of validations keeps, the client with
//! its limits, what the model is told and what its answers mean. Answers can take a minute and be malformed; a malformed one is asked for again.

mod client;
mod exchange;
mod limits;
mod number;
mod places;
mod presence;
mod prompt_file;
mod reply;
pub mod setup;
mod template;
pub(crate) mod verdict;
mod words;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::cache::{Key, UpstreamOnly};
use crate::market::Symbol;

pub use client::Client;
pub use exchange::OllamaConfig;
pub use places::PromptInputs;
pub use presence::Presence;
pub use prompt_file::Prompt;
pub use template::Template;
pub use verdict::{Verdict, answer, fallback};

/// As errors name it.
pub const OLLAMA: &str = "the model";

/// The queues' numbers.
pub const QUEUE_VALIDATE: usize = 0;
/// Whether the model is there.
pub const QUEUE_STATUS: usize = 1;

/// A validation, known by its symbol alone: the same symbol asked again meanwhile shares the verdict.
#[derive(Clone, Debug)]
pub struct ValidateRequest {
    /// Of what.
    pub symbol: Symbol,
    /// Who the model is to be; none leaves its own.
    pub system: Option<Arc<str>>,
    /// The whole prompt.
    pub prompt: Arc<str>,
    /// What it is made from, for the verdict.
    pub setup: Value,
}

/// What the Ollama cache keeps.
#[derive(Clone, Debug)]
pub enum ValidationKey {
    /// A verdict.
    Validate(ValidateRequest),
    /// Whether the model is there.
    Status,
}

impl ValidationKey {
    fn symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Validate(request) => Some(&request.symbol),
            Self::Status => None,
        }
    }
}

impl PartialEq for ValidationKey {
    fn eq(&self, other: &Self) -> bool {
        self.symbol() == other.symbol()
    }
}
impl Eq for ValidationKey {}
impl PartialOrd for ValidationKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ValidationKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.symbol().cmp(&other.symbol())
    }
}
impl Hash for ValidationKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.symbol().hash(state);
    }
}

impl fmt::Display for ValidationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Validate(request) => write!(f, "validation {}", request.symbol),
            Self::Status => f.write_str("model status"),
        }
    }
}

/// What the Ollama cache says.
#[derive(Clone, Debug)]
pub enum ValidationAnswer {
    /// A verdict.
    Verdict(Arc<Verdict>),
    /// Whether the model is there.
    Presence(Presence),
}

impl UpstreamOnly for ValidationAnswer {}

impl Key for ValidationKey {
    fn queue(&self) -> usize {
        match self {
            Self::Validate(_) => QUEUE_VALIDATE,
            Self::Status => QUEUE_STATUS,
        }
    }
}
