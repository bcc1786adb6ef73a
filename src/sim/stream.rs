//! The trader app's stand-in as a stream: it accepts WebSockets on an address of its own and serves each on a thread.
//!
//! `sim-stream` accepts, `sim-stream-N` serves one session, which computes its own quotes. The one channel holds the free
//! permits for sessions. A local server (`tiny_http`) does not serve this: of a connection that it upgrades it shows
//! neither the socket nor a timeout, and a session must make quotes while its client says nothing.

use std::borrow::Cow;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tungstenite::handshake::server::{ErrorResponse, Request as Handshake, Response as Accepted};
use tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tungstenite::{Error, HandshakeError, Message, WebSocket, accept_hdr_with_config, http};

use super::engine::{Engine, MESSAGE_BYTES_MAX, Out, Pings, refusal};
use super::line::{Line, SLICE};
use super::market::Market;
use super::request::Request;
use crate::runtime::clock::Clock;
use crate::runtime::deadline_io::client_waits;
use crate::runtime::{Counter, Heartbeat, Peer, Semaphore, Stop, Supervisor, ThreadKind};

/// Sessions at once: several times what this process opens.
const SESSIONS_MAX: usize = 32;
/// A pause after an error of accept, which comes back at once while descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// How long one batch of messages may take to be written; a client that does not read is dropped.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// What is written at the end of the process gets no longer.
const FAREWELL_DEADLINE: Duration = Duration::from_millis(250);
/// Messages read between two looks at the clock.
const READS_MAX: usize = 64;

/// What a stream session needs to know.
#[derive(Clone, Debug)]
pub(super) struct StreamSettings {
    /// Which of all possible markets it is.
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) quotes_per_second: u32,
    pub(super) pings: Pings,
    pub(super) stop: Stop,
    /// Counts the quotes of all sessions.
    pub(super) quotes: Counter,
}

/// Starts the acceptor.
///
/// # Errors
/// When the system refuses a thread or a socket option.
pub(super) fn start(
    supervisor: &Supervisor,
    listener: TcpListener,
    settings: StreamSettings,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let acceptor = Acceptor {
        supervisor: supervisor.clone(),
        permits: supervisor.semaphore("sim stream sessions", SESSIONS_MAX),
        numbers: Counter::default(),
        settings,
    };
    supervisor.spawn(ThreadKind::SimStream, move |heartbeat| {
        acceptor.run(heartbeat, &listener);
    })?;
    Ok(())
}

struct Acceptor {
    supervisor: Supervisor,
    permits: Semaphore,
    numbers: Counter,
    settings: StreamSettings,
}

impl Acceptor {
    fn run(&self, heartbeat: &Heartbeat, listener: &TcpListener) {
        while !self.settings.stop.is_set() {
            heartbeat.idle();
            if !client_waits(listener, SLICE) {
                continue;
            }
            heartbeat.begin("accepting a connection");
            let admitted = listener.accept().and_then(|(socket, _)| self.admit(socket));
            match admitted {
                Ok(()) => {}
                Err(e) if is_passing(&e) => {}
                Err(e) => {
                    log::warn!(target: "SIM", "the embedded market cannot serve a stream: {e}; trying again");
                    if self.settings.stop.sleep(ACCEPT_PAUSE) {
                        return;
                    }
                }
            }
        }
    }

    /// Starts the session of a connection; one for which there is no permit is closed.
    fn admit(&self, socket: TcpStream) -> io::Result<()> {
        let Ok(permit) = self.permits.acquire(Instant::now()) else {
            log::warn!(target: "SIM", "the embedded market has {SESSIONS_MAX} stream sessions and room for no more");
            return Ok(());
        };
        // Some systems hand the listener's mode down.
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        let number = self.numbers.next();
        let name = ThreadKind::SimSession.turn(number);
        let settings = self.settings.clone();
        self.supervisor.spawn_once(name, move |heartbeat| {
            let _held = &permit;
            let line = Line::new(&socket, settings.stop.clone());
            if let Err(e) = serve(line, heartbeat, format!("sim-{number}"), &settings) {
                log::debug!(target: "SIM", "a session of the trader app's stand-in ended: {e}");
            }
            // The peer sees the end now, not when the thread's last handle is gone.
            let _ = socket.shutdown(Shutdown::Both);
        })?;
        Ok(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}

/// The session that a client opens; none if it asks for something else or takes too long.
fn open(mut line: Line<'_>) -> io::Result<Option<WebSocket<Line<'_>>>> {
    let by = Instant::now() + HANDSHAKE_DEADLINE;
    (line.read_until, line.write_until) = (by, by);
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    match accept_hdr_with_config(line, judge, Some(limits)) {
        Ok(socket) => Ok(Some(socket)),
        Err(HandshakeError::Interrupted(_) | HandshakeError::Failure(Error::Protocol(_))) => {
            Ok(None)
        }
        Err(HandshakeError::Failure(Error::Io(e))) => Err(e),
        Err(HandshakeError::Failure(other)) => Err(io::Error::other(other)),
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the library's callback has this shape"
)]
fn judge(handshake: &Handshake, accepted: Accepted) -> Result<Accepted, ErrorResponse> {
    let request = Request::new(handshake.method().as_str(), &handshake.uri().to_string());
    let Some(why) = refusal(&request) else {
        return Ok(accepted);
    };
    let mut refused = ErrorResponse::new(Some(why.to_string()));
    *refused.status_mut() = http::StatusCode::BAD_REQUEST;
    Err(refused)
}

/// Serves a session until the client leaves, is silent for too long or does not read, or the process ends.
///
/// # Errors
/// What the socket said.
fn serve(
    line: Line<'_>,
    heartbeat: &Heartbeat,
    sid: String,
    settings: &StreamSettings,
) -> io::Result<()> {
    heartbeat.wait(
        Peer::Client,
        "hearing the handshake of a stream session",
        Instant::now() + HANDSHAKE_DEADLINE,
    );
    let Some(mut socket) = open(line)? else {
        return Ok(());
    };
    let mut market = Market::new(settings.seed);
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
