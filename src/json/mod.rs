//! JSON as the world writes it: the one reader for everything that comes from outside. Pure, but for
//! [`Account`], which tells the log and the totals what was mended.
//!
//! A document is first read strictly, which is all that happens to a sound one. Only if that fails it is
//! decoded (marks, UTF-16, bytes that are no UTF-8), mended by one pass that knows strings from what stands
//! between them, and read again. What is well is kept; what cannot be is `null` or U+FFFD, and counted.
//!
//! | met | becomes |
//! |---|---|
//! | `NaN`, `Infinity`, `-inf`, `1e400`, `-1.#IND` | `null` |
//! | `"\ud83d"`, half a character in UTF-16 | U+FFFD |
//! | bytes that are no UTF-8 | U+FFFD |
//! | a value nested deeper than 120 | `null` |
//! | byte order marks, UTF-16, zeros and odd blanks around values | read past |
//! | raw control characters and backslashes in strings, `+1`, `.5`, `01`, `True`, `None` | what they mean |
//! | from models: trailing commas, single quotes, bare words, comments, `1,234.50` | what they mean |
//!
//! Integers beyond 64 bits are read as doubles, and passed on as they are.
//!
//! `cargo bench --bench cores -- json`: a sound document is read in the time that serde_json takes (100 entries
//! of a watchlist, 19 kB: 0.14 ms), one with a `NaN` in it in 1.15 times that; to pass it on takes 0.03 ms, which
//! is twice a look at its grammar alone, and 0.07 ms when it is mended.

mod encoding;
mod mend;
mod mended;
mod say;
mod sound;
mod strict;
#[cfg(test)]
mod tests;
mod totals;

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use thiserror::Error;

pub use encoding::Decoder;
pub use mend::{Depth, Rules, mend};
pub use mended::Mended;
pub use say::Account;
pub use sound::Kind;
pub use strict::{own, own_text};
pub use totals::{Source, metrics_text};

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotJson(String);

/// A document that every reader takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed<'a> {
    /// The JSON, with nothing around it.
    pub json: Cow<'a, [u8]>,
    /// What it is.
    pub kind: Kind,
    /// What was mended.
    pub mended: Mended,
}

/// Reads a document of a program's into a value.
///
/// # Errors
/// When it is no JSON, or not what was expected, also after it was mended.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Mended), NotJson> {
    read_by(Rules::Programs, bytes)
}

/// Reads a document that is known to be UTF-8 into a value: a seventh faster for an event.
///
/// # Errors
/// As above.
pub fn read_text<T: DeserializeOwned>(text: &str) -> Result<(T, Mended), NotJson> {
    match own_text(text) {
        Ok(value) => Ok((value, Mended::default())),
        Err(_) => read(text.as_bytes()),
    }
}

/// Reads a document into a value, with these rules.
///
/// # Errors
/// As above.
pub fn read_by<T: DeserializeOwned>(rules: Rules, bytes: &[u8]) -> Result<(T, Mended), NotJson> {
    let (value, mended) = read_or_mend(rules, bytes)?;
    Ok((value, mended.map_or_else(Mended::default, |(_, m)| m)))
}

/// Checks a document that is to be passed on, and mends it where a strict reader would refuse it.
///
/// # Errors
/// When it is no JSON, also after it was mended.
pub fn pass(bytes: &[u8]) -> Result<Passed<'_>, NotJson> {
    let (kind, mended) = read_or_mend::<Kind>(Rules::Programs, bytes)?;
    let (json, mended) = match mended {
        None => (Cow::Borrowed(bytes.trim_ascii()), Mended::default()),
        Some((text, mended)) => (Cow::Owned(text.trim().as_bytes().to_vec()), mended),
    };
    Ok(Passed { json, kind, mended })
}

/// Reads a document strictly, and where that fails once more when it is mended: then with the text that was
/// read, and what was mended.
fn read_or_mend<T: DeserializeOwned>(
    rules: Rules,
    bytes: &[u8],
) -> Result<(T, Option<(String, Mended)>), NotJson> {
    let strict = match own(bytes) {
        Ok(value) => return Ok((value, None)),
        Err(e) => e,
    };
    let (text, mended) = mended_text(rules, bytes);
    match own_text(&text) {
        Ok(value) => Ok((value, Some((text, mended.mended)))),
        Err(_) if mended.mended.is_none() => Err(NotJson(strict.to_string())),
        Err(e) => Err(mended.error(&e)),
    }
}

/// Whether every reader takes a document as it stands.
#[must_use]
pub fn is_sound(bytes: &[u8]) -> bool {
    own::<Kind>(bytes).is_ok()
}

/// Bytes as text, whatever they are, and what that took.
#[must_use]
pub fn text(bytes: &[u8]) -> (Cow<'_, str>, Mended) {
    let (text, decoded) = decoded(bytes);
    (text, decoded.mended)
}

/// The text of a small file that people write, without a mark; none where some of it is no text.
#[must_use]
pub fn whole_text(bytes: &[u8]) -> Option<String> {
    let (text, mended) = text(bytes);
    let text = text.trim_start_matches('\u{feff}');
    (mended.lost() == 0).then(|| text.to_owned())
}

struct Decoded {
    mended: Mended,
    utf16: bool,
}

impl Decoded {
    fn error(&self, e: &serde_json::Error) -> NotJson {
        NotJson(if self.utf16 {
            format!("read as UTF-16: {e}")
        } else if self.mended.bytes > 0 {
            format!("some of it is no UTF-8, and for the rest: {e}")
        } else {
            e.to_string()
        })
    }
}

fn mended_text(rules: Rules, bytes: &[u8]) -> (String, Decoded) {
    let (text, mut decoded) = decoded(bytes);
    let (text, mended) = mend(&text, rules);
    decoded.mended += mended;
    (text, decoded)
}

fn decoded(bytes: &[u8]) -> (Cow<'_, str>, Decoded) {
    let mut decoder = Decoder::default();
    let mut plain = decoder.feed(bytes);
    let rest = decoder.finish();
    if !rest.is_empty() {
        plain.to_mut().extend_from_slice(&rest);
    }
    let mut mended = Mended {
        surrogates: decoder.surrogates(),
        form: u64::from(decoder.had_utf16()),
        ..Mended::default()
    };
    let text = match plain {
        Cow::Borrowed(plain) => lossy(plain, &mut mended),
        Cow::Owned(plain) => Cow::Owned(lossy(&plain, &mut mended).into_owned()),
    };
    let utf16 = decoder.had_utf16();
    (text, Decoded { mended, utf16 })
}

fn lossy<'a>(bytes: &'a [u8], mended: &mut Mended) -> Cow<'a, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let bad = bytes.utf8_chunks().filter(|c| !c.invalid().is_empty());
    mended.bytes += bad.count() as u64;
    String::from_utf8_lossy(bytes)
}
