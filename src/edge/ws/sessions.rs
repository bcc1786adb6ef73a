//! What sessions are made with, and how one begins: its place, its writer, the handshake's answer.

use std::io;
use std::net::TcpStream;
use std::time::Instant;

use tungstenite::handshake::derive_accept_key;

use crate::runtime::deadline_io::{Sparing, write_all};
use crate::runtime::{Heartbeat, Permit, Semaphore, Supervisor, ThreadKind, Tx, one_shot};
use crate::stream::{SessionId, ToHub};

use super::limits::WsConfig;
use super::reader::{Listener, Reader};
use super::session::Session;
use super::writer::{HUB_PATIENCE, Writer};

/// Frames that the reader may have waiting for its writer; a client that makes more waits itself.
const WORDS_MAX: usize = 32;

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
        let place = self.place(id, heartbeat)?;
        let (to_writer, words) = supervisor.private_channel(WORDS_MAX);
        let (end, last) = one_shot();
        let (out, pen) = one_shot();
        let Upgrade {
            mut stream,
            received,
            key,
            peer,
            number,
        } = upgrade;
        let socket = stream
            .try_clone()
            .map_err(|e| format!("The stream could not begin: {e}"))?;
        self.join(ToHub::Join { id, socket, out }, heartbeat)?;
        let accept = derive_accept_key(key.as_bytes());
        let began = self
            .accept(&mut stream, &accept)
            .and_then(|()| stream.try_clone())
            .and_then(|out| {
                let writer = Writer {
                    stream: Sparing::new(out),
                    peer: peer.clone(),
                    id,
                    hub: self.hub.clone(),
                    pen,
                    words,
                    last,
                    write_deadline: self.config.write_deadline,
                    reader_silent_max: self.config.reader_silent_max(),
                };
                writer.start(supervisor, number)
            });
        if let Err(e) = began {
            log::info!(target: "WS", "a stream of {peer} ended before it began: {e}");
            return Ok(());
        }
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
        drop(place);
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
    fn join(&self, join: ToHub, heartbeat: &Heartbeat) -> Result<(), String> {
        let by = Instant::now() + HUB_PATIENCE;
        heartbeat.wait(ThreadKind::QuoteHub, "beginning a stream", by);
        self.hub
            .send_by(join, by)
            .map_err(|_| "The server's quote hub does not answer; see /api/health".to_owned())
    }

    /// Answers the handshake.
    fn accept(&self, stream: &mut TcpStream, accept: &str) -> io::Result<()> {
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let by = Instant::now() + self.config.write_deadline;
        write_all(stream, response.as_bytes(), by)
    }
}
