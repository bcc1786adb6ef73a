//! Files that the settings name and that are read once, at the start.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::config::Settings;
use crate::files::regular;
use crate::gate::Secret;
use crate::json;
use crate::model::Prompt;

use super::start::{Doing, StartError};

/// A longer prompt is refused.
const PROMPT_FILE_BYTES_MAX: u64 = 1_000_000;

/// More of the file with the clients' token is not read; it is then no token.
const CLIENT_TOKEN_FILE_BYTES_MAX: u64 = 8_192;

/// What the model is told.
///
/// # Errors
/// When the file cannot be read or used.
pub fn prompt(settings: &Settings) -> Result<Arc<Prompt>, StartError> {
    let path = &settings.model.prompt_file;
    let prompt = if path.as_os_str().is_empty() {
        Prompt::built_in()
    } else {
        read(path, PROMPT_FILE_BYTES_MAX).and_then(|text| Prompt::parse(path, &text))
    };
    prompt.map(Arc::new).map_err(|why| {
        StartError::Setting(format!(
            "the prompt in {} cannot be used (model.prompt_file): {why}",
            path.display()
        ))
    })
}

/// The text of a regular file.
fn read(path: &Path, bytes_max: u64) -> Result<String, String> {
    let unreadable = |e: io::Error| format!("reading it failed: {e}");
    let (file, stamp) = regular::open(path).map_err(unreadable)?;
    if stamp.length > bytes_max {
        return Err(format!("it is longer than {bytes_max} bytes"));
    }
    text(file, bytes_max).map_err(unreadable)
}

/// The text at the beginning of a file, however its editor encodes it.
fn text(file: File, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    json::whole_text(&bytes).ok_or_else(|| io::Error::other("it is neither UTF-8 nor UTF-16 text"))
}

/// The token that every client must show, where one is set.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn client_token(settings: &Settings) -> Result<Option<Secret>, StartError> {
    let path = &settings.http.token_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let what = format!(
        "reading the clients' token in {} (http.token_file)",
        path.display()
    );
    let (file, _) = regular::open(path).doing(&what)?;
    let text = text(file, CLIENT_TOKEN_FILE_BYTES_MAX).doing(&what)?;
    let token = Secret::token(&text).map_err(io::Error::other).doing(what)?;
    Ok(Some(token))
}
