//! What the watchdog's probe asks the port.

use crate::diag::watchdog::ProbeRequest;
use crate::edge::routes::LANE_PING_PATH;

use crate::edge::access::Token;

/// Two questions, with the token in force: the gate answers the first by itself, the second takes the way
/// through a worker.
#[must_use]
pub fn probe_requests(token: &mut Token) -> Vec<ProbeRequest> {
    token.look();
    let shown = token
        .current()
        .map(|secret| format!("Authorization: {}\r\n", secret.bearer()))
        .unwrap_or_default();
    [("/api/health", false), (LANE_PING_PATH, true)]
        .map(|(path, worker_needed)| ProbeRequest {
            head: format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{shown}\r\n"
            ),
            worker_needed,
        })
        .into()
}
