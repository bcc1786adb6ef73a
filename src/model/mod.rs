//! Validation by a model behind an Ollama server: what the model desk keeps and how its fetchers get
//! it. Answers can take a minute and be malformed; a malformed one is asked for again.

mod prompt;
pub(crate) mod verdict;

use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::desk::{self, Failure, Heard, Job, Key};
use crate::market::Symbol;
use crate::providers::http::{Response, Upstream};

pub use prompt::{BUILT_IN, PromptInputs, render};
pub use verdict::{Verdict, answer, fallback};

/// As errors name it.
pub const MODEL: &str = "the model";

/// The lanes' numbers.
pub const LANE_VALIDATE: usize = 0;
/// Whether the model is there.
pub const LANE_STATUS: usize = 1;

/// A validation, known by its symbol alone: the same symbol asked again meanwhile shares the verdict.
#[derive(Clone, Debug)]
pub struct ValidateRequest {
    /// Of what.
    pub symbol: Symbol,
    /// The whole prompt.
    pub prompt: Arc<str>,
}

/// What the model desk keeps.
#[derive(Clone, Debug)]
pub enum ModelKey {
    /// A verdict.
    Validate(ValidateRequest),
    /// Whether the server answers.
    Status,
}

impl ModelKey {
    fn symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Validate(request) => Some(&request.symbol),
            Self::Status => None,
        }
    }
}

impl PartialEq for ModelKey {
    fn eq(&self, other: &Self) -> bool {
        self.symbol() == other.symbol()
    }
}
impl Eq for ModelKey {}
impl PartialOrd for ModelKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ModelKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.symbol().cmp(&other.symbol())
    }
}
impl Hash for ModelKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.symbol().hash(state);
    }
}

impl fmt::Display for ModelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Validate(request) => write!(f, "validation {}", request.symbol),
            Self::Status => f.write_str("model status"),
        }
    }
}

impl desk::Value for Arc<Verdict> {
    /// Only the model says what it thinks.
    type News = Infallible;
    type Out = Self;

    fn hear(&mut self, news: &Infallible) -> Heard {
        match *news {}
    }

    fn out(&mut self) -> Self {
        Self::clone(self)
    }
}

impl Key for ModelKey {
    fn lane(&self) -> usize {
        match self {
            Self::Validate(_) => LANE_VALIDATE,
            Self::Status => LANE_STATUS,
        }
    }
}

/// Which model is asked.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The Ollama server.
    pub url: String,
    /// The model's name there.
    pub name: String,
    /// Tries until an answer is well-formed, within the flight's deadline.
    pub attempts_max: u32,
    /// The session clock.
    pub clock: Clock,
}

/// One fetcher's client.
#[derive(Debug)]
pub struct Fetch {
    upstream: Upstream,
    config: ModelConfig,
}

impl Fetch {
    /// Connects when it is first asked.
    #[must_use]
    pub fn new(config: &ModelConfig) -> Self {
        Self {
            upstream: Upstream::new(MODEL, &config.url),
            config: config.clone(),
        }
    }

    /// Makes one call, or as many as it takes for a well-formed answer, by the job's deadline. The value
    /// of `Status` is an empty map.
    ///
    /// # Errors
    /// What went wrong.
    pub fn run(&self, job: &Job<ModelKey>) -> Result<Arc<Verdict>, Failure> {
        let ModelKey::Validate(request) = &job.key else {
            let response = self.upstream.get("/api/tags", &[], job.deadline)?;
            return ok(response).map(|_| Arc::default());
        };
        let body = json!({
            "model": self.config.name,
            "prompt": &*request.prompt,
            "stream": false,
            "format": "json",
        })
        .to_string();
        let mut why = String::new();
        for attempt in 1..=self.config.attempts_max {
            let response =
                self.upstream
                    .post_json("/api/generate", body.as_bytes(), job.deadline)?;
            let response = ok(response)?;
            match self.verdict(&response, &request.symbol) {
                Ok(verdict) => return Ok(Arc::new(verdict)),
                Err(e) => why = e,
            }
            log::warn!(
                target: "MODEL",
                "validation of {}: answer {attempt} of {} is unusable: {why}",
                request.symbol, self.config.attempts_max
            );
        }
        Err(Failure::Malformed {
            upstream: MODEL,
            why: format!("{why} ({} answers)", self.config.attempts_max),
        })
    }

    fn verdict(&self, response: &Response, symbol: &Symbol) -> Result<Verdict, String> {
        let outer: Value = serde_json::from_slice(&response.body)
            .map_err(|e| format!("the server's answer is not JSON ({e})"))?;
        let text = outer
            .get("response")
            .and_then(Value::as_str)
            .ok_or("there is no response in the server's answer")?;
        verdict::parse(text, symbol, self.config.clock.wall_ms())
    }
}

fn ok(response: Response) -> Result<Response, Failure> {
    if response.status == 200 {
        return Ok(response);
    }
    let detail = serde_json::from_slice::<Value>(&response.body)
        .ok()
        .and_then(|v| {
            Some(
                v.get("error")?
                    .as_str()?
                    .chars()
                    .take(160)
                    .collect::<String>(),
            )
        })
        .map(|e| format!(": {e}"))
        .unwrap_or_default();
    Err(Failure::Status {
        upstream: MODEL,
        code: response.status,
        detail,
        retry_after: response.retry_after,
    })
}
