//! Whether the named model is among those that an Ollama server has (`GET /api/tags`). Pure.
//!
//! Names as Ollama reads them: without a tag `latest` is meant, case does not count, and models of its
//! own library may bear the library's address.

use serde_json::Value;

use crate::json;

/// Models that an error lists.
const LISTED_MAX: usize = 12;

/// What the server said about the named model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whether it can be asked.
    pub available: bool,
    /// Which model is missing and what to do; none where it is there.
    pub detail: Option<String>,
}

impl Presence {
    /// Reads the body of `GET /api/tags`.
    ///
    /// # Errors
    /// When it is no list of models.
    pub fn read(body: &[u8], name: &str, url: &str) -> Result<Self, String> {
        let (body, _): (Value, _) =
            json::read(body).map_err(|e| format!("its list of models is not JSON ({e})"))?;
        let models = body
            .get("models")
            .and_then(Value::as_array)
            .ok_or("there is no list of models in its answer")?;
        let names: Vec<&str> = models
            .iter()
            .filter_map(|m| m.get("name").or_else(|| m.get("model"))?.as_str())
            .collect();
        let wanted = full(name);
        if names.iter().any(|n| full(n) == wanted) {
            return Ok(Self {
                available: true,
                detail: None,
            });
        }
        let others = match names.len() {
            0 => "it has none".to_owned(),
            n => {
                let listed = names[..n.min(LISTED_MAX)].join(", ");
                let more = if n > LISTED_MAX { ", …" } else { "" };
                format!("it has {listed}{more}")
            }
        };
        Ok(Self {
            available: false,
            detail: Some(format!(
                "The model {name} is missing on the Ollama server at {url} ({others}); {}, or name another in model.name",
                pull(name)
            )),
        })
    }
}

/// How to get a model.
#[must_use]
pub fn pull(name: &str) -> String {
    format!("run `ollama pull {name}`")
}

/// A name with its tag, in one case, without the library's address.
fn full(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("registry.ollama.ai/").unwrap_or(&name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &[u8] = br#"{"models":[{"name":"llama3.1:latest","model":"llama3.1:latest","size":1},{"name":"qwen3:8b"},{"model":"hf.co/Org/Model-GGUF:Q4_K_M"}]}"#;

    fn is_there(name: &str) -> bool {
        Presence::read(TAGS, name, "http://m").unwrap().available
    }

    #[test]
    fn a_model_is_found_by_any_of_its_names() {
        for name in [
            "llama3.1",
            "LLaMA3.1:Latest",
            "library/llama3.1",
            "registry.ollama.ai/library/llama3.1:latest",
            "qwen3:8b",
            "hf.co/org/model-gguf:q4_k_m",
        ] {
            assert!(is_there(name), "{name}");
        }
        for name in ["llama3", "llama3.1:8b", "qwen3", "8b", ""] {
            assert!(!is_there(name), "{name}");
        }
    }

    #[test]
    fn a_missing_one_is_named_with_what_to_do() {
        let missing = Presence::read(TAGS, "mistral", "http://m:1").unwrap();
        let said = missing.detail.unwrap();
        for words in [
            "mistral",
            "http://m:1",
            "qwen3:8b",
            "`ollama pull mistral`",
            "model.name",
        ] {
            assert!(said.contains(words), "{said}");
        }
        let none = Presence::read(br#"{"models":[]}"#, "x", "u").unwrap();
        assert!(none.detail.unwrap().contains("it has none"));
        assert!(Presence::read(b"<html>", "x", "u").is_err());
        assert!(Presence::read(b"{}", "x", "u").is_err());
    }
}
