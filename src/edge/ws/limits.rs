//! Limits of sessions.

use std::time::Duration;

use crate::stream::write_grant::WriterLimits;

use super::writer::HUB_PATIENCE;

/// Beyond the time that a write may take: a writer that has taken nothing for so long is stuck. And beyond
/// the time between pings: a reader that has said nothing for so long is.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Limits of sessions.
#[derive(Clone, Debug)]
pub struct WsConfig {
    /// Sessions at once.
    pub sessions_max: usize,
    /// Symbols of one session.
    pub symbols_max: usize,
    /// A longer message ends the session.
    pub message_bytes_max: usize,
    /// A ping is sent this often.
    pub ping_every: Duration,
    /// Without a byte from the client for this long, it is gone.
    pub silence_max: Duration,
    /// How long a client may take for a batch.
    pub write_deadline: Duration,
}

impl WsConfig {
    /// A reader that lives says something to its writer more often than this.
    #[must_use]
    pub fn reader_silent_max(&self) -> Duration {
        self.ping_every + STUCK_AFTER
    }

    /// How long a session's writer waits.
    pub(super) fn writer_limits(&self) -> WriterLimits {
        WriterLimits {
            write_deadline: self.write_deadline,
            reader_silent_max: self.reader_silent_max(),
        }
    }

    /// A client that has taken nothing for so long is stuck, and not its reader.
    #[must_use]
    pub fn client_stuck_after(&self) -> Duration {
        self.write_deadline
            .max(self.reader_silent_max() + HUB_PATIENCE)
    }
}
