//! The word that clients show where one is set. Pure.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// A shorter token can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// The longest token that fits into a request's head beside all else.
const TOKEN_CHARS_MAX: usize = 1_024;

/// A longer file holds no token.
pub const TOKEN_FILE_BYTES_MAX: u64 = 8_192;

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    /// Keeps it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A token as its file has it: one word of 16 to 1024 visible ASCII characters.
    ///
    /// # Errors
    /// What is wrong with it, without any of it.
    pub fn token(file: &str) -> Result<Self, String> {
        let word = file.trim();
        if !word.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("a token is one word of visible ASCII characters".to_owned());
        }
        if !(TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&word.len()) {
            return Err(format!(
                "a token has {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} characters and this one {}; `openssl rand -hex 32` makes a good one",
                word.len()
            ));
        }
        Ok(Self(word.to_owned()))
    }

    /// The value of an `Authorization` header that shows it.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether this is it. Takes as long for a wrong one of the same length as for the right one.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// Whether an `Authorization` header shows it: `Bearer TOKEN`, or `Basic` with the token as the password, which browsers ask their user for.
    #[must_use]
    pub fn is_shown_by(&self, authorization: &Self) -> bool {
        let Some((scheme, value)) = authorization.0.trim().split_once(' ') else {
            return false;
        };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(value);
        }
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        let decoded = STANDARD.decode(value).ok().filter(|_| is_basic);
        #[expect(clippy::disallowed_methods, reason = "a password is no JSON")]
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        pair.is_some_and(|pair| {
            pair.split_once(':')
                .is_some_and(|(_, password)| self.is(password))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_long_word_and_is_never_shown() {
        let token = "a-token-of-tests-0123456789";
        let secret = Secret::token(&format!("  {token}\n")).unwrap();
        assert!(secret.is(token));
        for bad in [
            "",
            "short",
            "two words of good length",
            "ümlaut-ümlaut-ümlaut",
        ] {
            let why = Secret::token(bad).unwrap_err();
            assert!(bad.is_empty() || !why.contains(bad), "{why}");
        }
        assert!(!format!("{secret:?}").contains(token));
    }
}
