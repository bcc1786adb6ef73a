//! What the watchdog's probe asks the port.

use crate::edge::access::Token;

/// The head of a request for `/api/health`, with the token in force. 200, or 503 with the reasons: either way
/// somebody answers.
#[must_use]
pub fn probe_request(token: &mut Token) -> String {
    token.look();
    let shown = token
        .current()
        .map(|secret| format!("Authorization: {}\r\n", secret.bearer()))
        .unwrap_or_default();
    format!("GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{shown}\r\n")
}
