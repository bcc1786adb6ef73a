//! Files that the settings name and that are read once, at the start.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;

use crate::config::Settings;
use crate::files::regular;
use crate::gate::Secret;
use crate::model::BUILT_IN;

use super::start::{Doing, StartError};

/// More of the file with the clients' token is not read; it is then no token.
const CLIENT_TOKEN_FILE_BYTES_MAX: u64 = 8_192;

/// The template of the model's prompt.
///
/// # Errors
/// When it cannot be read, or has no place for the symbol.
pub fn prompt(settings: &Settings) -> Result<Arc<str>, StartError> {
    let path = &settings.model.prompt_file;
    if path.as_os_str().is_empty() {
        return Ok(BUILT_IN.into());
    }
    let text = fs::read_to_string(path).doing(format!(
        "reading the prompt template {} (model.prompt_file)",
        path.display()
    ))?;
    if text.contains("{symbol}") {
        Ok(text.into())
    } else {
        Err(io::Error::other("it has no {symbol} in it")).doing(format!(
            "using the prompt template {} (model.prompt_file)",
            path.display()
        ))
    }
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
    let mut text = String::new();
    file.take(CLIENT_TOKEN_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .doing(&what)?;
    let token = Secret::token(&text).map_err(io::Error::other).doing(what)?;
    Ok(Some(token))
}
