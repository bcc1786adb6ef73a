//! The thread that sees to it that a local server accepts.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockRef, Socket};
use tiny_http::{Listener, Server};

#[cfg(unix)]
use super::address::connect_path;
use super::address::{Address, bind};
use crate::runtime::deadline_io::{self, connect_unless, read_some, write_all};
use crate::runtime::{Heartbeat, Peer, Stop, WatchTx};

/// How often it is asked whether the server still accepts, and, while it does not, tried to make it anew.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// How long a server may take to answer that.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// A server that accepts and then says nothing so often in a row is deaf; one that refuses is so at once.
const SILENCES_MAX: u32 = 2;

/// How long workers may take to let go of a server that is deaf.
const RELEASE_DEADLINE: Duration = Duration::from_secs(3);
const RELEASE_LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a probe found.
#[derive(Debug)]
enum Liveness {
    /// The server accepts and reads.
    Answered,
    /// Nobody listens.
    Refused,
    /// It says nothing.
    Silent,
    /// It could not be asked, which says nothing about the server.
    Unknown,
}

/// Sees to it that there is a server that accepts.
pub(super) struct ServerKeeper {
    /// What the server is called.
    pub(super) name: &'static str,
    pub(super) address: Address,
    /// Bound by who started it.
    pub(super) first: Cell<Option<Listener>>,
    pub(super) servers: WatchTx<Option<Arc<Server>>>,
    pub(super) stop: Stop,
}

impl ServerKeeper {
    pub(super) fn run(&self, heartbeat: &Heartbeat) {
        loop {
            heartbeat.begin("opening a server");
            match self.open() {
                Ok((server, listener)) => {
                    self.servers.publish(Some(Arc::clone(&server)));
                    self.watch(heartbeat);
                    if !self.stop.is_set() {
                        // Ends an acceptor that lives and that nobody can reach: one whose path was removed.
                        let _ = listener.shutdown(Shutdown::Both);
                    }
                    heartbeat.wait(
                        Peer::LocalServer,
                        "having the workers let go of a server",
                        Instant::now() + RELEASE_DEADLINE,
                    );
                    self.release(server);
                }
                Err(e) => {
                    log::warn!(target: "LOCAL", "{} cannot listen at {}: {e}; trying again", self.name, self.address);
                    heartbeat.idle();
                    let _ = self.stop.sleep(PROBE_EVERY);
                }
            }
            if self.stop.is_set() {
                return;
            }
        }
    }

    /// The server, and a second handle of its listener.
    fn open(&self) -> io::Result<(Arc<Server>, Socket)> {
        let listener = match self.first.take() {
            Some(first) => first,
            None => bind(&self.address)?.listener,
        };
        let second = match &listener {
            Listener::Tcp(listener) => SockRef::from(listener).try_clone()?,
            #[cfg(unix)]
            Listener::Unix(listener) => SockRef::from(listener).try_clone()?,
        };
        let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
        Ok((Arc::new(server), second))
    }

    /// Returns when the server is deaf, or at the stop.
    fn watch(&self, heartbeat: &Heartbeat) {
        let mut silences = 0;
        loop {
            heartbeat.idle();
            if self.stop.sleep(PROBE_EVERY) {
                return;
            }
            let by = Instant::now() + PROBE_DEADLINE;
            heartbeat.wait(
                Peer::LocalServer,
                "asking the server whether it accepts",
                by,
            );
            silences = match probe(&self.address, by) {
                Liveness::Answered => 0,
                Liveness::Unknown => silences,
                Liveness::Silent => silences + 1,
                Liveness::Refused => SILENCES_MAX,
            };
            if silences >= SILENCES_MAX {
                log::warn!(
                    target: "LOCAL",
                    "the server {} at {} accepts no connections; it is made anew",
                    self.name,
                    self.address
                );
                return;
            }
        }
    }

    /// Waits until no worker has the server: the last to let go of it removes its path, and that must not be the next one's.
    fn release(&self, server: Arc<Server>) {
        self.servers.publish(None);
        let until = Instant::now() + RELEASE_DEADLINE;
        while Arc::strong_count(&server) > 1 && Instant::now() < until {
            server.unblock();
            thread::sleep(RELEASE_LOOK_EVERY);
        }
    }
}

/// Whether somebody answers at the address.
fn probe(address: &Address, by: Instant) -> Liveness {
    let answered = match address {
        Address::Tcp(address) => {
            connect_unless(*address, by, || false).and_then(|mut socket| ask(&mut socket, by))
        }
        #[cfg(unix)]
        Address::Path(path) => connect_path(path).and_then(|mut socket| ask(&mut socket, by)),
    };
    match answered {
        Ok(()) => Liveness::Answered,
        Err(e) => match e.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Liveness::Refused,
            ErrorKind::TimedOut
            | ErrorKind::WouldBlock
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Liveness::Silent,
            _ => Liveness::Unknown,
        },
    }
}

/// A line that is no request: the library's own threads answer it, by 400.
fn ask<S: deadline_io::Socket>(socket: &mut S, by: Instant) -> io::Result<()> {
    write_all(socket, b"?\r\n", by)?;
    match read_some(socket, &mut [0; 64], by)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
