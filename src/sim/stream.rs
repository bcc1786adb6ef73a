//! The thread of a stream session: one WebSocket of the trader app's stand-in, on the "sim-conn-N" of
//! its connection. No channel enters or leaves; it computes its own quotes.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tungstenite::{Error, Message, WebSocket};

use super::engine::{Engine, MESSAGE_BYTES_MAX, Out, Pings};
use super::http::{Line, Request};
use super::market::Market;
use crate::runtime::clock::Clock;
use crate::runtime::{Counter, Heartbeat, Stop};

/// How long one batch of messages may take to be written; a client that does not read is dropped.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// What is written at the end of the process gets no longer.
const FAREWELL_DEADLINE: Duration = Duration::from_millis(250);
/// Messages read between two looks at the clock.
const READS_MAX: usize = 64;

/// What a stream session needs to know.
#[derive(Clone, Debug)]
pub(super) struct StreamSettings {
    pub(super) clock: Clock,
    pub(super) quotes_per_second: u32,
    pub(super) pings: Pings,
    pub(super) stop: Stop,
    /// Counts the quotes of all sessions.
    pub(super) quotes: Counter,
}

/// Answers the handshake in `request` and serves the session until the client leaves, is silent for
/// too long or does not read, or the process ends.
///
/// # Errors
/// What the socket said.
pub(super) fn serve(
    mut line: Line<'_>,
    heartbeat: &Heartbeat,
    (request, unread): (&Request, Vec<u8>),
    sid: String,
    settings: &StreamSettings,
    mut market: Market,
) -> io::Result<()> {
    let key = request.header("sec-websocket-key").unwrap_or("");
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    line.write_until = Instant::now() + WRITE_DEADLINE;
    line.write_all(head.as_bytes())?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut socket = WebSocket::from_partially_read(line, unread, Role::Server, Some(limits));

    let (mut engine, hello) = Engine::open(
        sid,
        settings.pings,
        settings.quotes_per_second,
        settings.clock.now(),
    );
    let mut out = vec![Out::Text(hello)];
    loop {
        if !send(&mut socket, out)? {
            return Ok(());
        }
        heartbeat.idle();
        let Some(heard) = receive(&mut socket, &mut engine, settings)? else {
            return Ok(());
        };
        if settings.stop.is_set() {
            socket.get_mut().write_until = Instant::now() + FAREWELL_DEADLINE;
            let farewell = CloseFrame {
                code: CloseCode::Away,
                reason: "the embedded market ends".into(),
            };
            // The process ends whether the client hears it or not.
            let _ = socket.close(Some(farewell));
            let _ = socket.flush();
            return Ok(());
        }
        heartbeat.begin(Cow::Borrowed("making quotes for a stream session"));
        out = heard;
        out.extend(engine.tick(&mut market, settings.clock.now()));
        settings.quotes.add(std::mem::take(&mut engine.quotes));
    }
}

/// Sends all in one write where it fits. False if the session has ended.
fn send(socket: &mut WebSocket<Line<'_>>, out: Vec<Out>) -> io::Result<bool> {
    if out.is_empty() {
        return Ok(true);
    }
    socket.get_mut().write_until = Instant::now() + WRITE_DEADLINE;
    for one in out {
        let done = match one {
            Out::Text(text) => socket.write(Message::text(text)),
            Out::Close => {
                let _ = socket.close(None);
                let _ = socket.flush();
                return Ok(false);
            }
        };
        if let Err(e) = done {
            return ended(e);
        }
    }
    match socket.flush() {
        Ok(()) => Ok(true),
        Err(e) => ended(e),
    }
}

/// What to answer to what the client says until the next tick; none if it has left.
fn receive(
    socket: &mut WebSocket<Line<'_>>,
    engine: &mut Engine,
    settings: &StreamSettings,
) -> io::Result<Option<Vec<Out>>> {
    let mut out = Vec::new();
    let begun = Instant::now();
    socket.get_mut().read_until = engine.next_tick(begun);
    // A read answers the client's pings, and that is a write.
    socket.get_mut().write_until = begun + WRITE_DEADLINE;
    for _ in 0..READS_MAX {
        match socket.read() {
            Ok(Message::Text(text)) => {
                out.extend(engine.on_text(text.as_str(), settings.clock.now()));
                if !out.is_empty() {
                    break;
                }
            }
            Ok(_) => {}
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return ended(e).map(|_| None),
        }
    }
    Ok(Some(out))
}

/// A client that leaves, in whatever way, ends the session without a fault.
fn ended(error: Error) -> io::Result<bool> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_) => Ok(false),
        Error::Io(e) => Err(e),
        other => Err(io::Error::other(other)),
    }
}
