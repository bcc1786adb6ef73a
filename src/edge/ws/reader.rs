//! A session's reader, on its connection's own thread: messages, pings, the end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use crate::runtime::deadline_io::read_some;
use crate::runtime::{Heartbeat, Peer, Stop, ThreadKind, Tx};
use crate::stream::{SessionId, ToHub, Wanted};

use super::limits::{STUCK_AFTER, WsConfig};
use super::writer::HUB_PATIENCE;
use crate::stream::frame::{close_frame, message_frame, ping_frame, pong_number};

/// How often a silent session looks at the time and at the stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After its last frame, how long a client may take to close. What it still sends is taken meanwhile: closing
/// on unread bytes resets the connection, and the client would lose the close's code.
const LINGER: Duration = Duration::from_secs(2);

/// What is read at a time, in bytes.
const DRAIN_BYTES: usize = 16 * 1024;

/// Who understands what a client says. Pure.
pub trait Listener {
    /// A whole text message.
    fn text(&mut self, text: &str) -> Outcome;

    /// A whole binary message.
    fn binary(&mut self, bytes: &[u8]) -> Outcome;
}

/// What came of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The whole wish, if it changed.
    pub wanted: Option<Wanted>,
    /// For the client.
    pub answer: Option<Message>,
    /// Which ping of the hub it answered.
    pub ponged: Option<u64>,
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

/// Why a session ends.
enum End {
    /// With these last frames.
    Said(Vec<u8>),
    /// Without a word of ours: the client has left, or the writer says why.
    Quietly,
    /// The writer takes nothing any more.
    WriterStuck,
}

/// What a reader works with.
pub struct Reader<'a, L> {
    /// Whose.
    pub id: SessionId,
    /// Where a wish goes.
    pub hub: &'a Tx<ToHub>,
    /// The limits.
    pub config: &'a WsConfig,
    /// Frames for the client.
    pub writer: Tx<Vec<u8>>,
    /// The frames after which the writer ends; there is always room for them.
    pub end: Sender<Vec<u8>>,
    /// Who understands the client.
    pub listener: L,
    /// The client's address.
    pub peer: &'a str,
    /// The server's end.
    pub stop: &'a Stop,
    /// Of the connection's thread.
    pub heartbeat: &'a Heartbeat,
}

impl<L: Listener> Reader<'_, L> {
    /// Hears the client to its end; `received` is what it sent after its head.
    pub fn run(&mut self, stream: TcpStream, received: Vec<u8>) {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(self.config.message_bytes_max))
            .max_frame_size(Some(self.config.message_bytes_max));
        let tap = Tap {
            stream,
            out: Vec::new(),
            heard: Instant::now(),
        };
        let mut socket = WebSocket::from_partially_read(tap, received, Role::Server, Some(limits));
        let end = self.hear(&mut socket);
        let stream = &mut socket.get_mut().stream;
        match end {
            End::Said(frames) => {
                // A writer that has ended has said the last word itself.
                drop(self.end.try_send(frames));
                self.linger(stream);
            }
            End::Quietly => {}
            End::WriterStuck => {
                log::error!(target: "WS", "closing the stream of {}: its writer is stuck, see watchdog.log; the client can connect again", self.peer);
                let _gone = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn hear(&mut self, socket: &mut WebSocket<Tap>) -> End {
        let mut pinged = Instant::now();
        let mut taken = Instant::now();
        loop {
            self.heartbeat.idle();
            let read = socket.read();
            self.heartbeat.begin("hearing a streaming client");
            // What answers the client's pings and its close waits inside, and would wait for the next message.
            let flushed = socket.flush();
            let tap = socket.get_mut();
            let replies = std::mem::take(&mut tap.out);
            let outcome = match read {
                Ok(Message::Text(text)) => self.listener.text(text.as_str()),
                Ok(Message::Binary(bytes)) => self.listener.binary(&bytes),
                Ok(Message::Pong(payload)) => Outcome {
                    ponged: pong_number(&payload),
                    ..Outcome::default()
                },
                Ok(_) => Outcome::default(),
                Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => Outcome::default(),
                Err(e) => return End::of_error(&e, replies),
            };
            if flushed.is_err() {
                // The client's close, and the answer to it.
                return End::Said(replies);
            }
            let now = Instant::now();
            let told = self.say(replies).and_then(|()| self.carry_out(outcome));
            if let Err(end) = told {
                return end;
            }
            if self.stop.is_set() {
                return End::Said(close_frame(1001, "the server is shutting down"));
            }
            if now.duration_since(socket.get_ref().heard) > self.config.silence_max {
                let why = "nothing was heard from you for too long";
                return End::Said(close_frame(1001, why));
            }
            if self.writer.waiting() == 0 {
                taken = now;
            } else if now.duration_since(taken) > self.config.write_deadline + STUCK_AFTER {
                return End::WriterStuck;
            }
            if now.duration_since(pinged) >= self.config.ping_every {
                pinged = now;
                if let Err(end) = self.say(ping_frame()) {
                    return end;
                }
            }
        }
    }

    fn carry_out(&self, outcome: Outcome) -> Result<(), End> {
        let id = self.id;
        if let Some(symbols) = outcome.wanted {
            self.tell_hub(ToHub::Want { id, symbols })?;
        }
        if let Some(number) = outcome.ponged {
            let at = Instant::now();
            self.tell_hub(ToHub::Pong { id, number, at })?;
        }
        match outcome.answer {
            Some(message) => self.say(message_frame(message)),
            None => Ok(()),
        }
    }

    fn tell_hub(&self, words: ToHub) -> Result<(), End> {
        let by = Instant::now() + HUB_PATIENCE;
        self.heartbeat
            .wait(ThreadKind::QuoteHub, "hearing a streaming client", by);
        self.hub.send_by(words, by).map_err(|_| {
            log::error!(target: "WS", "closing the stream of {}: the quote hub does not take what its client wants", self.peer);
            End::Said(close_frame(1011, "the server's quote hub does not answer"))
        })
    }

    /// Gives frames to the writer. A client that asks for more than it takes is not heard meanwhile.
    fn say(&self, frames: Vec<u8>) -> Result<(), End> {
        if frames.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + self.config.write_deadline + STUCK_AFTER;
        let mut frames = match self.writer.offer(frames) {
            Ok(()) => return Ok(()),
            Err(frames) => frames,
        };
        let writer = ThreadKind::WsWriter.turn(self.id.0);
        self.heartbeat
            .wait(writer, "hearing a streaming client", until);
        loop {
            let now = Instant::now();
            let by = until.min(now + LOOK_EVERY);
            match self.writer.send_by(frames, by) {
                Ok(()) => return Ok(()),
                Err(_) if Instant::now() < by => return Err(End::Quietly),
                Err(_) if by == until => return Err(End::WriterStuck),
                Err(_) if self.stop.is_set() => return Err(End::Quietly),
                Err(back) => frames = back,
            }
        }
    }

    /// Until the client closes, for a moment.
    fn linger(&self, stream: &mut TcpStream) {
        let until = Instant::now() + LINGER;
        self.heartbeat
            .wait(Peer::Client, "letting a streaming client close", until);
        let mut buffer = vec![0; DRAIN_BYTES];
        while !self.stop.is_set() {
            let by = until.min(Instant::now() + LOOK_EVERY);
            match read_some(stream, &mut buffer, by) {
                Ok(n) if n > 0 && Instant::now() < until => {}
                Err(e) if e.kind() == ErrorKind::TimedOut && by < until => {}
                _ => return,
            }
        }
    }
}

impl End {
    /// `replies` are what was to be said before it.
    fn of_error(error: &Error, mut replies: Vec<u8>) -> Self {
        let (code, why) = match error {
            Error::Capacity(_) => (1009, "message too long"),
            Error::Utf8(_) => (1007, "text that is not UTF-8"),
            Error::Protocol(_) => (1002, "not the WebSocket protocol"),
            _ => return Self::Said(replies),
        };
        replies.extend(close_frame(code, why));
        Self::Said(replies)
    }
}
