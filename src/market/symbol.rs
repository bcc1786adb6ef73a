//! A symbol as a client may write it and as everything else knows it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest symbol accepted, in characters.
pub const SYMBOL_CHARS_MAX: usize = 16;

/// A checked symbol: 1 to 16 of `A–Z`, `0–9`, `.`, `-`, `/`, `$`, always upper case, with a letter or
/// digit and never two marks in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Arc<str>);

/// Why a text is no symbol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{given:?} is not a symbol: use 1 to 16 of the characters A-Z, 0-9, '.', '-', '/' and '$', for example TOYO or BRK/B"
)]
pub struct BadSymbol {
    /// What was given, cut to a readable length.
    pub given: String,
}

impl Symbol {
    /// The symbol in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `c` may stand in a symbol.
    #[must_use]
    pub fn allows(c: char) -> bool {
        matches!(c, 'A'..='Z' | '0'..='9' | '.' | '-' | '/' | '$')
    }
}

impl FromStr for Symbol {
    type Err = BadSymbol;

    fn from_str(text: &str) -> Result<Self, BadSymbol> {
        let upper = text.to_ascii_uppercase();
        // No exchange writes two marks in a row, and as a path they would lead elsewhere: "../x".
        let marks_in_a_row = upper
            .as_bytes()
            .windows(2)
            .any(|w| w.iter().all(u8::is_ascii_punctuation));
        let sound = upper.len() <= SYMBOL_CHARS_MAX
            && upper.chars().all(Self::allows)
            && upper.bytes().any(|b| b.is_ascii_alphanumeric())
            && !marks_in_a_row;
        if sound {
            Ok(Self(upper.into()))
        } else {
            Err(BadSymbol {
                given: text.chars().take(2 * SYMBOL_CHARS_MAX).collect(),
            })
        }
    }
}

impl TryFrom<String> for Symbol {
    type Error = BadSymbol;

    fn try_from(text: String) -> Result<Self, BadSymbol> {
        text.parse()
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0.as_ref().into()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn any_case_is_accepted_and_upper_case_is_kept() {
        assert_eq!("brk/b".parse::<Symbol>().unwrap().as_str(), "BRK/B");
        assert_eq!("$SPX".parse::<Symbol>().unwrap().as_str(), "$SPX");
    }

    #[test]
    fn what_is_no_symbol_is_refused_in_words() {
        for bad in [
            "",
            "TOO-LONG-A-SYMBOL",
            "A B",
            "A%2FB",
            "é",
            "a\n",
            "../x",
            "..",
            "/",
            "A//B",
        ] {
            let e = bad.parse::<Symbol>().unwrap_err();
            assert!(e.to_string().contains("is not a symbol"), "{e}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in ".{0,40}") {
            if let Ok(symbol) = text.parse::<Symbol>() {
                prop_assert_eq!(symbol.as_str().parse::<Symbol>().unwrap(), symbol);
            }
        }
    }
}
