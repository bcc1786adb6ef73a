//! One fetcher's client of an Ollama server.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::cache::{Answers, CacheConfig, Job, Source};
use crate::config::Settings;
use crate::json::{self, Account};
use crate::resilience::FetchError;
use crate::runtime::ThreadKind;
use crate::upstream::http::HttpClient;
use crate::upstream::{Roots, Upstream, Wiring};

use super::super::limits::count;
use super::exchange::{self, OllamaConfig};
use super::limits;
use super::presence::Presence;
use super::verdict::Verdict;
use super::{OLLAMA, ValidateRequest, ValidationAnswer, ValidationKey};

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

    const CACHE: ThreadKind = ThreadKind::OllamaCache;

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
            lookups: wiring.endpoints.lookups.clone(),
        })
    }

    fn new(config: &OllamaConfig) -> Self {
        Self {
            http: HttpClient::new(OLLAMA, &config.url, &config.roots, &config.lookups),
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
            let body = exchange::answered(&self.config.name, r)?.body;
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
        let body = exchange::question(&self.config, request);
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
            if !exchange::is_worth_another(took, left) {
                break;
            }
        }
        let (words, answers) = unusable.unwrap_or_default();
        Err(FetchError::Malformed {
            upstream: OLLAMA,
            why: format!("{words} ({answers} answers)"),
        })
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
            .and_then(|r| exchange::answered(&self.config.name, r))
            .map_err(Try::Failed)?;
        let (outer, mended) = exchange::generated(&response.body).map_err(Try::Unusable)?;
        self.account.tell("an answer", &mended);
        let now_ms = self.config.clock.wall_ms();
        exchange::verdict(&outer, request, now_ms, self.config.tokens_max).map_err(Try::Unusable)
    }
}
