//! The token file: written by another program, only read here.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::files::regular::{self, Stamp};
use crate::json::{Account, Source};

use super::token_form::{self, NoToken, Token};

/// A longer file is no token file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why there is no token. The words name the file; they never hold its content.
#[derive(Debug, Error)]
pub enum TokenError {
    /// No such file, or not readable.
    #[error("the token file {path} cannot be read ({source}); {}", remedy(source))]
    Unreadable {
        /// Where.
        path: String,
        /// The system's words.
        source: io::Error,
    },
    /// Something else stands in it.
    #[error("the token file {path} holds no access token {source}")]
    Unusable {
        /// Where.
        path: String,
        /// What is wrong, and what to do.
        source: NoToken,
    },
}

fn remedy(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::PermissionDenied => {
            "let the user that this server runs as read it, or set schwab.token_file to another"
        }
        _ => "set schwab.token_file to the file that your login program writes",
    }
}

/// The file, and the token last read from it.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    seen: Option<Stamp>,
    token: Option<Token>,
}

impl TokenFile {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: None,
            token: None,
        }
    }

    /// The token, read again if the file has changed. A file caught half-written leaves the last token
    /// in force.
    ///
    /// # Errors
    /// When there never was one.
    pub fn token(&mut self) -> Result<Token, TokenError> {
        let (file, stamp) = match regular::open(&self.path) {
            Ok(opened) => opened,
            Err(source) => return self.last().ok_or_else(|| self.unreadable(source)),
        };
        if self.seen == Some(stamp)
            && let Some(token) = &self.token
        {
            return Ok(token.clone());
        }
        match self.read(file, stamp.length) {
            Ok(token) => {
                self.seen = Some(stamp);
                self.token = Some(token.clone());
                Ok(token)
            }
            Err(e) => self.last().ok_or(e),
        }
    }

    /// Has the file read again at the next call, changed or not: after a 401.
    pub fn doubt(&mut self) {
        self.seen = None;
    }

    /// "/x/token.json, written 31 min ago": for errors.
    #[must_use]
    pub fn description(&self) -> String {
        let age = fs::metadata(&self.path)
            .and_then(|m| m.modified())
            .ok()
            .and_then(|m| m.elapsed().ok());
        match age {
            Some(age) => format!("{}, written {} ago", self.path.display(), spoken(age)),
            None => self.path.display().to_string(),
        }
    }

    /// Words of an upstream without the token, should it repeat it.
    #[must_use]
    pub fn hidden_in(&self, words: String) -> String {
        match &self.token {
            Some(Token(token)) => words.replace(token, "***"),
            None => words,
        }
    }

    fn last(&self) -> Option<Token> {
        self.token.clone()
    }

    fn unreadable(&self, source: io::Error) -> TokenError {
        TokenError::Unreadable {
            path: self.path.display().to_string(),
            source,
        }
    }

    fn read(&self, mut file: File, length: u64) -> Result<Token, TokenError> {
        let unusable = |source| TokenError::Unusable {
            path: self.path.display().to_string(),
            source,
        };
        if length > FILE_BYTES_MAX {
            return Err(unusable(token_form::too_long()));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| self.unreadable(e))?;
        let held = token_form::read(&bytes).map_err(unusable)?;
        Ok(held.token)
    }
}

/// Follows when the token in the file expires; the token itself is not kept.
#[derive(Debug)]
pub struct TokenExpiry {
    path: PathBuf,
    seen: Option<Stamp>,
    /// In milliseconds since the Unix epoch; none where the file does not tell.
    pub at_ms: Option<i64>,
    /// Whether there is a token.
    pub has_token: bool,
    account: Account,
}

impl TokenExpiry {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: None,
            at_ms: None,
            has_token: false,
            account: Account::new(Source::Token, "the token file"),
        }
    }

    /// Reads the file again if it changed. True if what it tells did.
    pub fn look(&mut self) -> bool {
        let before = (self.at_ms, self.has_token);
        match regular::open(&self.path) {
            Ok((_, stamp)) if self.seen == Some(stamp) => {}
            Ok((file, stamp)) => {
                self.seen = Some(stamp);
                let mut bytes = Vec::new();
                // A file caught half-written tells nothing; its next stamp has it read again.
                if file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).is_ok()
                    && let Ok(held) = token_form::read(&bytes)
                {
                    self.account.tell("the content", &held.mended);
                    self.at_ms = held.expires_ms;
                    self.has_token = true;
                }
            }
            Err(_) => {
                self.seen = None;
                self.at_ms = None;
                self.has_token = false;
            }
        }
        before != (self.at_ms, self.has_token)
    }
}

fn spoken(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn the_expiry_is_followed_and_one_that_is_not_told_is_unknown() {
        let (_folder, path) = file(r#"{"token":{"access_token":"a","expires_at":1700000000}}"#);
        let mut expiry = TokenExpiry::new(path.clone());
        assert!(expiry.look() && !expiry.look());
        assert_eq!(expiry.at_ms, Some(1_700_000_000_000));
        let text = r#"{"access_token_issued":"2026-01-02T03:04:05+00:00","token_dictionary":{"access_token":"b","expires_in":1800}}"#;
        fs::write(&path, text).unwrap();
        assert!(expiry.look());
        assert_eq!(expiry.at_ms, Some(1_767_324_845_000));
        fs::write(&path, r#"{"access_token":"silent"}"#).unwrap();
        assert!(expiry.look() && expiry.at_ms.is_none() && expiry.has_token);
        fs::remove_file(&path).unwrap();
        assert!(expiry.look() && !expiry.has_token);
    }

    #[test]
    fn a_half_written_file_leaves_the_last_token_in_force_and_a_new_one_is_taken() {
        let (_folder, path) = file(r#"{"token":{"access_token":"one"}}"#);
        let mut tokens = TokenFile::new(path.clone());
        assert_eq!(tokens.token().unwrap(), Token("one".into()));
        fs::write(&path, r#"{"token":{"acc"#).unwrap();
        assert_eq!(tokens.token().unwrap(), Token("one".into()));
        fs::write(&path, r#"{"token":{"access_token":"second"}}"#).unwrap();
        assert_eq!(tokens.token().unwrap(), Token("second".into()));
        fs::remove_file(&path).unwrap();
        assert_eq!(tokens.token().unwrap(), Token("second".into()));
    }

    #[test]
    fn a_missing_file_and_a_wrong_one_are_told_by_name_and_never_by_content() {
        let (_folder, path) = file(r#"{"token":{"refresh_token":"hush"}}"#);
        let words = TokenFile::new(path.clone())
            .token()
            .unwrap_err()
            .to_string();
        assert!(
            words.contains("token.json") && !words.contains("hush"),
            "{words}"
        );
        fs::remove_file(&path).unwrap();
        let words = TokenFile::new(path).token().unwrap_err().to_string();
        assert!(words.contains("schwab.token_file"), "{words}");
    }
}
