//! Files that the settings name and that are read once, at the start.

use std::sync::Arc;

use crate::config::Settings;
use crate::edge::access::{Token, TokenFile};
use crate::files::regular;
use crate::upstream::ollama::Prompt;

use super::error::{Doing, StartError};

/// A longer prompt is refused.
const PROMPT_FILE_BYTES_MAX: u64 = 1_000_000;

/// What the model is told.
///
/// # Errors
/// When the file cannot be read or used.
pub fn prompt(settings: &Settings) -> Result<Arc<Prompt>, StartError> {
    let path = &settings.model.prompt_file;
    let prompt = if path.as_os_str().is_empty() {
        Prompt::built_in()
    } else {
        regular::read_text(path, PROMPT_FILE_BYTES_MAX)
            .map_err(|e| format!("reading it failed: {e}"))
            .and_then(|text| Prompt::parse(path, &text))
    };
    prompt.map(Arc::new).map_err(|why| {
        StartError::Setting(format!(
            "the prompt in {} cannot be used (model.prompt_file): {why}",
            path.display()
        ))
    })
}

/// The token that every client must show and the file to be followed, where one is set.
///
/// # Errors
/// When it cannot be read, is none, or others can write it.
pub fn client_token(settings: &Settings) -> Result<(Option<TokenFile>, Token), StartError> {
    let path = &settings.http.token_file;
    if path.as_os_str().is_empty() {
        return Ok((None, Token::fixed(None)));
    }
    let (file, token) = TokenFile::begin(path.clone()).doing(format!(
        "reading the clients' token in {} (http.token_file)",
        path.display()
    ))?;
    Ok((Some(file), token))
}
