//! Why a request is refused before it is understood, and what its grammar is made of. Pure.

/// Why a head is refused: a status and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// For `{"detail": …}`.
    pub detail: String,
}

impl Refusal {
    /// With this status and sentence.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }
}

/// The refusal of a body above its limit.
pub(super) fn too_long(body_bytes_max: usize) -> Refusal {
    Refusal::new(
        413,
        format!("The body is longer than {body_bytes_max} bytes"),
    )
}

/// Whether it is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let is_of_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !bytes.is_empty() && bytes.iter().all(is_of_token)
}
