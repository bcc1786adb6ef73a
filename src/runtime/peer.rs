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
    /// The thread of this kind that has the same request in hand, whichever it is.
    Holder(ThreadKind),
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
    /// Whether this is the thread, `mine` being the request of who waits and `its` the thread's.
    #[must_use]
    pub fn is(&self, thread: ThreadName, mine: Option<u64>, its: Option<u64>) -> bool {
        match self {
            Self::Thread(name) => *name == thread,
            Self::Holder(kind) => *kind == thread.kind && mine.is_some() && mine == its,
            Self::Upstream(_)
            | Self::Client
            | Self::OwnPort
            | Self::LocalServer
            | Self::NameServer => false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_told_by_its_request_and_a_thread_by_its_name() {
        let third = ThreadKind::Http.nth(3);
        let holder = Peer::Holder(ThreadKind::Http);
        assert!(holder.is(third, Some(7), Some(7)));
        assert!(!holder.is(third, Some(7), Some(8)));
        assert!(!holder.is(third, None, None), "nobody has no request");
        assert!(!holder.is(ThreadKind::Conn.nth(3), Some(7), Some(7)));
        let named = Peer::from(third);
        assert!(named.is(third, None, Some(8)));
        assert!(!named.is(ThreadKind::Http.nth(4), None, None));
        assert!(!Peer::Client.is(third, None, None));
    }
}
