//! The strict reader, on which the tolerant one is built. Pure.

use serde::de::DeserializeOwned;

/// Reads a document that this program has written, or one that only it talks to.
///
/// # Errors
/// When it is no JSON, or not what was expected.
#[expect(
    clippy::disallowed_methods,
    reason = "the tolerant reader begins with it"
)]
pub fn own<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes)
}

/// As [`own`], of what is known to be UTF-8.
///
/// # Errors
/// As there.
#[expect(
    clippy::disallowed_methods,
    reason = "the tolerant reader begins with it"
)]
pub fn own_text<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}
