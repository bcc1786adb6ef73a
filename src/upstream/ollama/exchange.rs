//! What an Ollama server is asked, and what its answers say. Pure.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::json::{self, Mended};
use crate::resilience::FetchError;
use crate::runtime::clock::Clock;
use crate::upstream::http::Response;
use crate::upstream::{Lookups, Roots};

use super::presence::pull;
use super::verdict::{self, Verdict};
use super::{OLLAMA, ValidateRequest};

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
    /// Makes its look-ups.
    pub lookups: Lookups,
}

/// The body of `POST /api/generate`.
pub(super) fn question(config: &OllamaConfig, request: &ValidateRequest) -> String {
    let mut body = json!({
        "model": config.name,
        "prompt": &*request.prompt,
        "stream": false,
        "format": "json",
        "options": {
            "temperature": config.temperature,
            "num_predict": config.tokens_max,
        },
    });
    if let Some(system) = &request.system {
        body["system"] = Value::from(&**system);
    }
    body.to_string()
}

/// The answer to that, and what was mended in it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn generated(body: &[u8]) -> Result<(Map<String, Value>, Mended), String> {
    json::read(body).map_err(|e| format!("the server's answer is not JSON ({e})"))
}

/// The verdict in an answer that came at `now_ms`.
///
/// # Errors
/// Why there is none.
pub(super) fn verdict(
    answer: &Map<String, Value>,
    request: &ValidateRequest,
    now_ms: i64,
    tokens_max: usize,
) -> Result<Verdict, String> {
    let text = answer
        .get("response")
        .and_then(Value::as_str)
        .ok_or("there is no response in the server's answer")?;
    let mut verdict = verdict::parse(text, &request.symbol, now_ms).map_err(|why| {
        if answer.get("done_reason").and_then(Value::as_str) == Some("length") {
            format!("{why}; it was cut after {tokens_max} tokens, model.tokens_max allows for more")
        } else {
            why
        }
    })?;
    verdict.insert("setup".into(), request.setup.clone());
    Ok(verdict)
}

/// A response that is no error, of a server that is asked for this model.
///
/// # Errors
/// [`FetchError::Status`] with the server's own words, and what to do where it does not have the model.
pub(super) fn answered(model: &str, response: Response) -> Result<Response, FetchError> {
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
        detail = format!("{detail}; {}", pull(model));
    }
    Err(FetchError::Status {
        upstream: OLLAMA,
        code: response.status,
        detail,
        retry_after: response.retry_after,
    })
}

/// Whether another answer can come in time: half as long as the last one took must be left, since the
/// first one may have had to wait until the model was loaded.
pub(super) fn is_worth_another(took: Duration, left: Duration) -> bool {
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
