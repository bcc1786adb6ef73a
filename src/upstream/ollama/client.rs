//! One fetcher's client of an Ollama server.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::cache::{Answers, CacheConfig, Job, Source};
use crate::config::Settings;
use crate::json::{self, Account, Mended};
use crate::resilience::FetchError;
use crate::runtime::clock::Clock;
use crate::runtime::{Channel, Queue, channels};
use crate::upstream::http::{HttpClient, Response};
use crate::upstream::{Roots, Upstream, Wiring};

use super::super::limits::count;
use super::limits;
use super::presence::{Presence, pull};
use super::verdict::{self, Verdict};
use super::{OLLAMA, ValidateRequest, ValidationAnswer, ValidationKey};

/// How much of the server's own words is kept.
const DETAIL_CHARS_MAX: usize = 160;

/// Which model is asked, and how.
#[derive(Clone, Debug)]
pub struct OllamaConfig {
    /// The Ollama server.
    pub url: String,
    /// The model's name there.
    pub name: String,
    /// Tries until an answer is well-formed, within the flight's deadline.
    pub attempts_max: u32,
    /// How freely it chooses its words.
    pub temperature: f64,
    /// Tokens that it may use for one answer.
    pub tokens_max: usize,
    /// The session clock.
    pub clock: Clock,
    /// Whose certificates are believed.
    pub roots: Roots,
}

/// The client.
#[derive(Debug)]
pub struct Client {
    http: HttpClient,
    config: OllamaConfig,
    /// What was told last of the model's absence.
    told: Option<String>,
    account: Account,
}

/// Why a try gave no verdict.
enum Try {
    /// The model answered with something unusable: asked again it may do better.
    Unusable(String),
    /// There was no answer.
    Failed(FetchError),
}

impl Upstream for Client {
    type Config = OllamaConfig;

    const INBOX: Channel<Queue> = channels::MODEL_CACHE;

    fn limits(settings: &Settings) -> CacheConfig {
        limits::limits(settings)
    }

    fn config(wiring: &Wiring<'_>) -> io::Result<OllamaConfig> {
        let s = &wiring.settings.model;
        Ok(OllamaConfig {
            url: s.url.0.clone(),
            name: s.name.clone(),
            attempts_max: count(s.attempts_max),
            temperature: s.temperature.0,
            tokens_max: s.tokens_max,
            clock: wiring.clock,
            roots: Roots::read(&s.url.0, Path::new(""))?,
        })
    }

    fn new(config: &OllamaConfig) -> Self {
        Self {
            http: HttpClient::with_roots(OLLAMA, &config.url, &config.roots),
            config: config.clone(),
            told: None,
            account: Account::new(json::Source::Model, OLLAMA),
        }
    }
}

impl Source for Client {
    type Key = ValidationKey;
    type Value = ValidationAnswer;

    /// Makes as many calls as it takes for a well-formed answer.
    fn call(&mut self, job: &Job<ValidationKey>) -> Answers<ValidationAnswer> {
        let answer = match &job.key {
            ValidationKey::Status => self.presence(job.deadline).map(ValidationAnswer::Presence),
            ValidationKey::Validate(request) => {
                let verdict = self.validate(request, job.deadline);
                verdict.map(|verdict| ValidationAnswer::Verdict(Arc::new(verdict)))
            }
        };
        answer.into()
    }
}

impl Client {
    fn presence(&mut self, deadline: Instant) -> Result<Presence, FetchError> {
        let found = self.http.get("/api/tags", &[], deadline).and_then(|r| {
            let body = self.answered(r)?.body;
            Presence::read(&body, &self.config.name, &self.config.url).map_err(|why| {
                FetchError::Malformed {
                    upstream: OLLAMA,
                    why,
                }
            })
        });
        let missing = match &found {
            Ok(presence) => presence.detail.clone(),
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(words) = &missing
            && self.told != missing
        {
            log::warn!(target: "MODEL", "set-ups cannot be validated: {words}");
        }
        if missing.is_none() && self.told.is_some() {
            log::info!(target: "MODEL", "the model {} is there", self.config.name);
        }
        self.told = missing;
        found
    }

    fn validate(
        &mut self,
        request: &ValidateRequest,
        deadline: Instant,
    ) -> Result<Verdict, FetchError> {
        let body = self.question(request);
        let begun = Instant::now();
        let mut unusable: Option<(String, u32)> = None;
        for attempt in 1..=self.config.attempts_max {
            let tried = Instant::now();
            let why = match self.attempt(&body, request, deadline) {
                Ok(verdict) => {
                    log::info!(
                        target: "MODEL",
                        "validated {} in {:.1} s, by answer {attempt}",
                        request.symbol, begun.elapsed().as_secs_f64()
                    );
                    return Ok(verdict);
                }
                Err(why) => why,
            };
            let took = tried.elapsed();
            let left = deadline.saturating_duration_since(Instant::now());
            let words = match &why {
                Try::Unusable(words) => format!("is unusable: {words}"),
                Try::Failed(failure) => format!("did not come: {failure}"),
            };
            log::warn!(
                target: "MODEL",
                "validation of {}: answer {attempt} of at most {} {words} (after {:.1} s, {:.1} s are left)",
                request.symbol, self.config.attempts_max, took.as_secs_f64(), left.as_secs_f64()
            );
            match (why, unusable.take()) {
                (Try::Unusable(words), _) => unusable = Some((words, attempt)),
                (Try::Failed(failure), None) => return Err(failure),
                (Try::Failed(failure), Some((words, answers))) => {
                    unusable = Some((format!("{words}; asked again: {failure}"), answers));
                    break;
                }
            }
            if !is_worth_another(took, left) {
                break;
            }
        }
        let (words, answers) = unusable.unwrap_or_default();
        Err(FetchError::Malformed {
            upstream: OLLAMA,
            why: format!("{words} ({answers} answers)"),
        })
    }

    fn question(&self, request: &ValidateRequest) -> String {
        let mut body = json!({
            "model": self.config.name,
            "prompt": &*request.prompt,
            "stream": false,
            "format": "json",
            "options": {
                "temperature": self.config.temperature,
                "num_predict": self.config.tokens_max,
            },
        });
        if let Some(system) = &request.system {
            body["system"] = Value::from(&**system);
        }
        body.to_string()
    }

    fn attempt(
        &mut self,
        body: &str,
        request: &ValidateRequest,
        deadline: Instant,
    ) -> Result<Verdict, Try> {
        let response = self
            .http
            .post_json("/api/generate", body.as_bytes(), deadline)
            .and_then(|r| self.answered(r))
            .map_err(Try::Failed)?;
        let (outer, mended): (Map<String, Value>, Mended) = json::read(&response.body)
            .map_err(|e| Try::Unusable(format!("the server's answer is not JSON ({e})")))?;
        self.account.tell("an answer", &mended);
        let text = outer
            .get("response")
            .and_then(Value::as_str)
            .ok_or_else(|| Try::Unusable("there is no response in the server's answer".into()))?;
        let now_ms = self.config.clock.wall_ms();
        let mut verdict = verdict::parse(text, &request.symbol, now_ms).map_err(|why| {
            let was_cut = outer.get("done_reason").and_then(Value::as_str) == Some("length");
            Try::Unusable(if was_cut {
                let most = self.config.tokens_max;
                format!("{why}; it was cut after {most} tokens, model.tokens_max allows for more")
            } else {
                why
            })
        })?;
        verdict.insert("setup".into(), request.setup.clone());
        Ok(verdict)
    }

    /// A response that is no error.
    fn answered(&self, response: Response) -> Result<Response, FetchError> {
        if response.status == 200 {
            return Ok(response);
        }
        let said = json::read::<Value>(&response.body).ok();
        let said = said.as_ref().and_then(|(v, _)| v.get("error")?.as_str());
        let mut detail = said.map_or_else(String::new, |words| {
            format!(
                ": {}",
                words.chars().take(DETAIL_CHARS_MAX).collect::<String>()
            )
        });
        // "model 'x' not found": what Ollama says of a model that it does not have.
        if response.status == 404 && said.is_some() {
            detail = format!("{detail}; {}", pull(&self.config.name));
        }
        Err(FetchError::Status {
            upstream: OLLAMA,
            code: response.status,
            detail,
            retry_after: response.retry_after,
        })
    }
}

/// Whether another answer can come in time: half as long as the last one took must be left, since the
/// first one may have had to wait until the model was loaded.
fn is_worth_another(took: Duration, left: Duration) -> bool {
    !left.is_zero() && left >= took / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_asked_for_again_only_if_it_can_come_in_time() {
        let s = Duration::from_secs;
        assert!(is_worth_another(s(10), s(50)));
        assert!(is_worth_another(s(40), s(20)));
        assert!(!is_worth_another(s(45), s(15)));
        assert!(!is_worth_another(s(0), s(0)));
    }
}
