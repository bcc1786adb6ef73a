//! For whom or what a thread waits.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::threads::{ThreadKind, ThreadName};

/// What a declared wait is for: another thread, or something outside of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// This thread.
    Thread(ThreadName),
    /// A permit, which others have.
    Permit,
    /// An upstream, by its name in answers and logs.
    Upstream(Cow<'static, str>),
    /// The client of the connection.
    Client,
    /// The server's own port.
    OwnPort,
    /// The threads of a local server.
    LocalServer,
    /// The system's look-up of names.
    NameServer,
}

impl Peer {
    /// Whether this is the thread.
    #[must_use]
    pub fn is(&self, thread: ThreadName) -> bool {
        matches!(self, Self::Thread(name) if *name == thread)
    }
}

impl From<ThreadKind> for Peer {
    fn from(kind: ThreadKind) -> Self {
        Self::Thread(kind.into())
    }
}

impl From<ThreadName> for Peer {
    fn from(name: ThreadName) -> Self {
        Self::Thread(name)
    }
}
