//! A session's reader, on its connection's own thread: handshake, messages, pings, the end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use crate::deadline_io::{Sparing, read_some, write_all};
use crate::quotes::{SessionId, ToHub};
use crate::supervise::{Class, Full, Pulse, Stop, Supervisor, Tx, one_shot};

use super::frame::{close_frame, ping_frame, text_frame};
use super::session::{Outcome, Session};
use super::writer::{FromReader, HUB_PATIENCE, Writer};

/// How often a silent session looks at the time and at the stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the reader may have waiting for its writer; more error messages are dropped.
const WORDS_MAX: usize = 32;

/// Beyond the time that a write may take: a writer that has taken nothing for so long is stuck. And beyond
/// the time between pings: a reader that has said nothing for so long is.
const STUCK_AFTER: Duration = Duration::from_secs(5);

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

/// What sessions are made with; one handle, cloned into every connection.
#[derive(Clone, Debug)]
pub struct Sessions {
    config: WsConfig,
    class: Class,
    hub: Tx<ToHub>,
    /// Holds one token for each session that lives.
    places: Tx<()>,
    taken: Receiver<()>,
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
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let leave = ToHub::Leave { id: self.id };
        if self
            .sessions
            .hub
            .send_by(leave, Instant::now() + HUB_PATIENCE)
            .is_err()
        {
            log::error!(target: "WS", "the quote hub could not be told that a session ended; it finds out at the next quote");
        }
        let _mine = self.sessions.taken.try_recv();
    }
}

impl Sessions {
    /// A handle; `class` is what is expected of the writers' threads.
    #[must_use]
    pub fn new(supervisor: &Supervisor, class: Class, hub: Tx<ToHub>, config: WsConfig) -> Self {
        let (places, taken) = supervisor.channel(
            "ws sessions (places taken)",
            config.sessions_max,
            Full::Shed,
        );
        Self {
            config,
            class,
            hub,
            places,
            taken,
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
        pulse: &Pulse,
    ) -> Result<(), String> {
        if self.places.offer(()).is_err() {
            return Err(format!(
                "All {} places for streams are taken; close some, or raise ws.sessions_max",
                self.config.sessions_max
            ));
        }
        let id = SessionId(upgrade.number);
        let place = Place { sessions: self, id };
        let (to_writer, reader) = supervisor.private_channel(WORDS_MAX);
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
        self.hub
            .send_by(
                ToHub::Join { id, socket, out },
                Instant::now() + HUB_PATIENCE,
            )
            .map_err(|_| "The server's quote hub does not answer; see /api/health".to_owned())?;
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        let began = write_all(
            &mut stream,
            response.as_bytes(),
            Instant::now() + self.config.write_deadline,
        )
        .and_then(|()| stream.try_clone())
        .and_then(|out| {
            let writer = Writer {
                stream: Sparing::new(out),
                peer: peer.clone(),
                id,
                hub: self.hub.clone(),
                pen,
                reader,
                write_deadline: self.config.write_deadline,
                reader_silent_max: self.config.ping_every + STUCK_AFTER,
            };
            writer.start(
                supervisor,
                self.class,
                format!("ws-{}-out", number % 100_000),
            )
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
            session: Session::new(self.config.symbols_max),
            stop: supervisor.stop(),
        };
        reader.run(stream, received, &peer, pulse);
        drop(place);
        Ok(())
    }
}

/// The socket as tungstenite sees it: reads come from it, writes are kept for the writer thread.
struct Tap {
    stream: TcpStream,
    out: Vec<u8>,
    heard: Instant,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match read_some(&mut self.stream, buffer, Instant::now() + LOOK_EVERY) {
            Err(e) if e.kind() == ErrorKind::TimedOut => Err(ErrorKind::WouldBlock.into()),
            Ok(n) => {
                self.heard = Instant::now();
                Ok(n)
            }
            Err(e) => Err(e),
        }
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Reader<'a> {
    id: SessionId,
    hub: &'a Tx<ToHub>,
    config: &'a WsConfig,
    writer: Tx<FromReader>,
    session: Session,
    stop: &'a Stop,
}

impl Reader<'_> {
    fn run(&mut self, stream: TcpStream, received: Vec<u8>, peer: &str, pulse: &Pulse) {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(self.config.message_bytes_max))
            .max_frame_size(Some(self.config.message_bytes_max));
        let tap = Tap {
            stream,
            out: Vec::new(),
            heard: Instant::now(),
        };
        let mut socket = WebSocket::from_partially_read(tap, received, Role::Server, Some(limits));
        let mut pinged = Instant::now();
        let mut taken = Instant::now();
        loop {
            pulse.idle();
            let read = socket.read();
            pulse.begin("hearing a streaming client");
            let tap = socket.get_mut();
            let out = std::mem::take(&mut tap.out);
            let now = Instant::now();
            let last = match read {
                Ok(Message::Text(text)) => {
                    if !out.is_empty() && !self.say(out) {
                        return;
                    }
                    let outcome = self.session.hear(text.as_str());
                    if !self.carry_out(outcome, peer) {
                        return;
                    }
                    None
                }
                Ok(Message::Binary(_)) => {
                    let outcome =
                        Outcome::error("binary messages are not understood; send JSON text");
                    self.carry_out(outcome, peer);
                    None
                }
                // Pings are answered by tungstenite, into the tap; so is a close.
                Ok(_) => {
                    if !out.is_empty() && !self.say(out) {
                        return;
                    }
                    None
                }
                Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => None,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => Some(out),
                Err(Error::Capacity(_)) => Some(close_frame(1009, "message too long")),
                Err(Error::Utf8(_)) => Some(close_frame(1007, "text that is not UTF-8")),
                Err(Error::Protocol(_)) => Some(close_frame(1002, "not the WebSocket protocol")),
                Err(_) => Some(Vec::new()),
            };
            let last = last.or_else(|| {
                if self.stop.is_set() {
                    Some(close_frame(1001, "the server is shutting down"))
                } else if now.duration_since(socket.get_ref().heard) > self.config.silence_max {
                    Some(close_frame(1001, "nothing was heard from you for too long"))
                } else {
                    None
                }
            });
            if let Some(bytes) = last {
                // Full of error messages: the writer ends by its own deadline.
                drop(self.writer.offer(FromReader::Last(bytes)));
                return;
            }
            if self.writer.waiting() == 0 {
                taken = now;
            } else if now.duration_since(taken) > self.config.write_deadline + STUCK_AFTER {
                log::error!(target: "WS", "closing the stream of {peer}: its writer is stuck, see watchdog.log; the client can connect again");
                let _gone = socket.get_ref().stream.shutdown(Shutdown::Both);
                return;
            }
            if now.duration_since(pinged) >= self.config.ping_every {
                pinged = now;
                if !self.say(ping_frame()) {
                    return;
                }
            }
        }
    }

    /// False when the hub is stalled.
    fn carry_out(&self, outcome: Outcome, peer: &str) -> bool {
        if let Some(symbols) = outcome.wanted {
            let want = ToHub::Want {
                id: self.id,
                symbols,
            };
            if self
                .hub
                .send_by(want, Instant::now() + HUB_PATIENCE)
                .is_err()
            {
                log::error!(target: "WS", "closing the stream of {peer}: the quote hub does not take its subscription");
                drop(self.writer.offer(FromReader::Last(close_frame(
                    1011,
                    "the server's quote hub does not answer",
                ))));
                return false;
            }
        }
        if let Some(error) = outcome.error {
            // A client that sends nonsense faster than it reads loses some of the answers.
            drop(
                self.writer
                    .offer(FromReader::Bytes(text_frame(&error).to_vec())),
            );
        }
        true
    }

    /// False when the writer has ended or is stuck.
    fn say(&self, bytes: Vec<u8>) -> bool {
        self.writer.offer(FromReader::Bytes(bytes)).is_ok()
    }
}
