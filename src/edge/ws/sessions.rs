//! What sessions are made with, and how one begins: its place, its leave of the hub, its writer, which answers the
//! handshake: a client that has the answer has both threads, and each is known to the watchdog.

use std::io;
use std::net::TcpStream;
use std::time::Instant;

use crossbeam::channel::Sender;
use tungstenite::handshake::derive_accept_key;

use crate::runtime::deadline_io::Sparing;
use crate::runtime::{Heartbeat, Permit, Semaphore, Supervisor, ThreadKind, Tx, one_shot};
use crate::stream::write_grant::{Handover, WriterSide};
use crate::stream::{GrantSlot, SessionId, ToHub};

use super::limits::WsConfig;
use super::reader::{Listener, Reader};
use super::session::Session;
use super::writer::{HUB_PATIENCE, WORDS_MAX, Writer};

/// What sessions are made with; one handle, cloned into every connection.
#[derive(Clone, Debug)]
pub struct Sessions {
    config: WsConfig,
    hub: Tx<ToHub>,
    places: Semaphore,
}

/// A connection that asks to become a session.
#[derive(Debug)]
pub struct Upgrade {
    /// The client's socket.
    pub stream: TcpStream,
    /// What it sent after its head.
    pub received: Vec<u8>,
    /// Its `Sec-WebSocket-Key`.
    pub key: String,
    /// Its address.
    pub peer: String,
    /// The connection's number.
    pub number: u64,
}

/// A session's place, given back however it ends, and its leave from the hub.
struct Place<'a> {
    sessions: &'a Sessions,
    id: SessionId,
    heartbeat: &'a Heartbeat,
    _permit: Permit,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let leave = ToHub::Leave { id: self.id };
        let by = Instant::now() + HUB_PATIENCE;
        // A panic is told of as such.
        if !std::thread::panicking() {
            self.heartbeat
                .wait(ThreadKind::QuoteHub, "ending a stream", by);
        }
        if self.sessions.hub.send_by(leave, by).is_err() {
            log::error!(target: "WS", "the quote hub could not be told that a session ended; it finds out at the next quote");
        }
    }
}

impl Sessions {
    /// A handle.
    #[must_use]
    pub fn new(supervisor: &Supervisor, hub: Tx<ToHub>, config: WsConfig) -> Self {
        let places = supervisor.semaphore("ws sessions: free places", config.sessions_max);
        Self {
            config,
            hub,
            places,
        }
    }

    /// Serves a session to its end.
    ///
    /// # Errors
    /// A sentence for the client, when it cannot begin.
    pub fn serve(
        &self,
        supervisor: &Supervisor,
        upgrade: Upgrade,
        heartbeat: &Heartbeat,
    ) -> Result<(), String> {
        let listener = Session::new(self.config.symbols_max);
        self.serve_with(supervisor, upgrade, heartbeat, listener)
    }

    /// As [`Self::serve`], for a listener of any kind.
    pub(super) fn serve_with(
        &self,
        supervisor: &Supervisor,
        upgrade: Upgrade,
        heartbeat: &Heartbeat,
        listener: impl Listener,
    ) -> Result<(), String> {
        let id = SessionId(upgrade.number);
        let _place = self.place(id, heartbeat)?;
        let (to_writer, words) = supervisor.private_channel(WORDS_MAX);
        let (end, last) = one_shot();
        let (slot, grant) = GrantSlot::of_new_session();
        let (writer, handovers) = one_shot();
        let Upgrade {
            stream,
            received,
            key,
            peer,
            number,
        } = upgrade;
        let cannot_begin = |e: io::Error| format!("The stream could not begin: {e}");
        let socket = stream.try_clone().map_err(cannot_begin)?;
        let to_client = stream.try_clone().map_err(cannot_begin)?;
        self.join(id, socket, slot.clone(), writer, heartbeat)?;
        let writer = Writer {
            side: WriterSide::new(grant, Instant::now(), self.config.writer_limits()),
            stream: Sparing::new(to_client),
            handshake: handshake(&derive_accept_key(key.as_bytes())),
            peer: peer.clone(),
            id,
            hub: self.hub.clone(),
            handovers,
            slot,
            words,
            last,
        };
        writer.start(supervisor, number).map_err(cannot_begin)?;
        let mut reader = Reader {
            id,
            hub: &self.hub,
            config: &self.config,
            writer: to_writer,
            end,
            listener,
            peer: &peer,
            stop: supervisor.stop(),
            heartbeat,
        };
        reader.run(stream, received);
        // First the reader lets go of the writer, then the hub, so that the writer knows which ended.
        drop(reader);
        Ok(())
    }

    fn place<'a>(&'a self, id: SessionId, heartbeat: &'a Heartbeat) -> Result<Place<'a>, String> {
        let permit = self.places.acquire(Instant::now()).map_err(|_| {
            format!(
                "All {} places for streams are taken; close some, or raise ws.sessions_max",
                self.config.sessions_max
            )
        })?;
        Ok(Place {
            sessions: self,
            id,
            heartbeat,
            _permit: permit,
        })
    }

    /// Tells the hub of a session.
    fn join(
        &self,
        id: SessionId,
        socket: TcpStream,
        slot: GrantSlot,
        writer: Sender<Handover>,
        heartbeat: &Heartbeat,
    ) -> Result<(), String> {
        let join = ToHub::Join {
            id,
            socket,
            slot,
            writer,
        };
        let by = Instant::now() + HUB_PATIENCE;
        heartbeat.wait(ThreadKind::QuoteHub, "beginning a stream", by);
        self.hub
            .send_by(join, by)
            .map_err(|_| "The server's quote hub does not answer; see /api/health".to_owned())
    }
}

/// The answer to the client's handshake.
fn handshake(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Limits, Notice, channels, stop};
    use std::io::Read;
    use std::net::TcpListener;
    use std::time::Duration;

    const CONFIG: WsConfig = WsConfig {
        sessions_max: 200,
        symbols_max: 1,
        message_bytes_max: 1_024,
        ping_every: Duration::from_secs(60),
        silence_max: Duration::from_secs(120),
        write_deadline: Duration::from_secs(10),
    };

    #[test]
    fn a_client_that_has_the_handshakes_answer_has_a_writer_that_the_watchdog_knows() {
        let (_stopper, stop) = stop();
        let (supervisor, ends) = Supervisor::new(Limits::default(), stop);
        let (hub, _inbox) = supervisor.channel(channels::QUOTE_HUB, 1_024);
        let sessions = Sessions::new(&supervisor, hub, CONFIG);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for number in 1..=100 {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let upgrade = Upgrade {
                stream: listener.accept().unwrap().0,
                received: Vec::new(),
                key: "dGhlIHNhbXBsZSBub25jZQ==".into(),
                peer: "a test".into(),
                number: number.into(),
            };
            let (sessions, same) = (sessions.clone(), supervisor.clone());
            supervisor
                .spawn_once(ThreadKind::Conn.nth(number), move |heartbeat| {
                    sessions.serve(&same, upgrade, heartbeat).unwrap();
                })
                .unwrap();
            client.read_exact(&mut [0]).unwrap();
            let born = ends.notices.try_iter().filter_map(|notice| match notice {
                Notice::Born(born) => Some(born.life.name),
                _ => None,
            });
            let born: Vec<_> = born.collect();
            let writer = ThreadKind::WsWriter.nth(number);
            assert!(born.contains(&writer), "{writer} is not among {born:?}");
        }
    }
}
