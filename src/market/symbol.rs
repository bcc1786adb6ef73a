//! A symbol as a client may write it and as everything else knows it.
//!
//! The forms are those that Schwab documents for its quotes: `AAPL`, `BRK/B`, `$SPX`, `/ESZ26`, `AUD/CAD`,
//! options of 21 characters (`AMZN  230317C01360000`), options on futures (`./ADUF23C0.55`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest symbol accepted, in characters: more than an option's 21.
const SYMBOL_CHARS_MAX: usize = 24;

/// An option's root is filled with blanks to so many characters.
const ROOT_CHARS: usize = 6;

/// What follows an option's root: the expiry `YYMMDD`, `C` or `P`, the strike in thousandths.
const EXPIRY_CHARS: usize = 6;
const STRIKE_CHARS: usize = 8;
const CONTRACT_CHARS: usize = EXPIRY_CHARS + 1 + STRIKE_CHARS;

/// A checked symbol: 1 to 24 of `A–Z`, `0–9`, `.`, `-`, `/`, `$`, always upper case, with a letter or
/// digit, and no two marks in a row but the `./` before an option on a future; or an option, its root
/// filled with blanks to six characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Arc<str>);

/// Why a text is no symbol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{given:?} is not a symbol: use 1 to 24 of the characters A-Z, 0-9, '.', '-', '/' and '$', for example TOYO, BRK/B, $SPX, /ESZ26 or ./ADUF23C0.55; an option has 21 characters, as \"AMZN  230317C01360000\""
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

    /// Whether `text` is this symbol, however it is written.
    #[must_use]
    pub fn is_written(&self, text: &str) -> bool {
        text.parse::<Self>().is_ok_and(|other| other == *self)
    }

    /// Whether `c` may stand in a symbol that is no option.
    fn allows(c: char) -> bool {
        matches!(c, 'A'..='Z' | '0'..='9' | '.' | '-' | '/' | '$')
    }

    fn is_plain(text: &str) -> bool {
        // No exchange writes two marks in a row, and as a path they would lead elsewhere: "../x".
        let marks = if text.starts_with("./") {
            &text[1..]
        } else {
            text
        };
        let marks_in_a_row = marks
            .as_bytes()
            .windows(2)
            .any(|w| w.iter().all(u8::is_ascii_punctuation));
        text.len() <= SYMBOL_CHARS_MAX
            && text.chars().all(Self::allows)
            && text.bytes().any(|b| b.is_ascii_alphanumeric())
            && !marks_in_a_row
    }

    /// An option, whose root some clients fill with fewer blanks or none, or with `+` as forms are encoded.
    fn option(text: &str) -> Option<String> {
        let (root, contract) = text.split_at_checked(text.len().checked_sub(CONTRACT_CHARS)?)?;
        let bare = root.trim_end_matches([' ', '+']);
        let (expiry, rest) = contract.split_at_checked(EXPIRY_CHARS)?;
        let (side, strike) = rest.split_at_checked(1)?;
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let sound = root.len() <= ROOT_CHARS
            && !bare.is_empty()
            && bare.bytes().all(|b| b.is_ascii_alphanumeric())
            && digits(expiry)
            && matches!(side, "C" | "P")
            && digits(strike);
        sound.then(|| format!("{bare:ROOT_CHARS$}{contract}"))
    }
}

impl FromStr for Symbol {
    type Err = BadSymbol;

    fn from_str(text: &str) -> Result<Self, BadSymbol> {
        let upper = text.trim().to_ascii_uppercase();
        if let Some(option) = Self::option(&upper) {
            Ok(Self(option.into()))
        } else if Self::is_plain(&upper) {
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
    fn what_schwab_documents_is_a_symbol() {
        for good in [
            "AAAHX",
            "TOITF",
            "$DJI",
            "AUD/CAD",
            "XYZ/WS/A",
            "/ESH23",
            "./ADUF23C0.55",
            "AMZN  230317C01360000",
            "DJX   231215C00290000",
            "SPXW  240517P05000000",
            "F     240517C00012500",
            "GOOGL7240517C00100000",
        ] {
            assert_eq!(good.parse::<Symbol>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn blanks_around_are_trimmed_and_an_option_is_filled_to_its_21_characters() {
        for (written, want) in [
            (" aapl ", "AAPL"),
            ("a\n", "A"),
            ("\tBRK/B\u{a0}", "BRK/B"),
            ("amzn 230317c01360000", "AMZN  230317C01360000"),
            ("AMZN++230317C01360000", "AMZN  230317C01360000"),
            ("AMZN230317C01360000", "AMZN  230317C01360000"),
            ("f240517c00012500", "F     240517C00012500"),
            (" AMZN  230317C01360000 ", "AMZN  230317C01360000"),
        ] {
            let symbol = written.parse::<Symbol>().unwrap();
            assert_eq!(symbol.as_str(), want);
            assert!(symbol.is_written(written));
        }
    }

    #[test]
    fn what_is_no_symbol_is_refused_in_words() {
        for bad in [
            "",
            "   ",
            "FAR-TOO-LONG-TO-BE-A-SYMBOL",
            "A B",
            "A%2FB",
            "é",
            "../x",
            "..",
            "./",
            ".//ES",
            "./.X",
            "/",
            "A//B",
            "ACAQ+",
            "^VIX",
            "ES=F",
            "AMZN  230317X01360000",
            "AMZN  23031C01360000",
            "AMZNAB  230317C01360000",
        ] {
            let e = bad.parse::<Symbol>().unwrap_err();
            assert!(e.to_string().contains("is not a symbol"), "{bad}: {e}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in prop_oneof![".{0,40}", "[A-Z]{0,7}[ +]{0,6}[0-9]{5,7}[CPX][0-9]{7,9}"]) {
            if let Ok(symbol) = text.parse::<Symbol>() {
                prop_assert!(symbol.is_written(&text) && symbol.is_written(symbol.as_str()));
                prop_assert_eq!(symbol.as_str().trim(), symbol.as_str());
                prop_assert_eq!(symbol.as_str().parse::<Symbol>().unwrap(), symbol);
            }
        }
    }
}
