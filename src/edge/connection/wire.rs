//! A client's socket as one connection's thread reads and writes it, every call against a deadline.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::edge::answer::Written;
use crate::edge::request::{Framing, Intake, Refusal};
use crate::runtime::deadline_io::{
    SharedStream, Sparing, is_gone, read_some, write_all, write_both,
};
use crate::runtime::turns::in_long_turns;
use crate::runtime::{Heartbeat, Peer};

/// How much is read at a time, in bytes.
const BUFFER_BYTES: usize = 32 * 1024;

/// An answer of so many bytes is written in long turns.
const LONG_BYTES: usize = 512 * 1024;

/// What a refused client may still send, in time and in bytes.
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);
/// As above.
const DRAIN_BYTES_MAX: usize = 256 * 1024;

/// Why a connection ends.
#[derive(Debug)]
pub enum Close {
    /// Without a word: the client left, or there is nothing to say.
    Quietly,
    /// With a last answer.
    Refused(Refusal),
}

impl From<io::Error> for Close {
    fn from(_: io::Error) -> Self {
        Self::Quietly
    }
}

/// The socket, and what came and is not used yet.
pub struct Wire {
    stream: Sparing<SharedStream>,
    /// For the log.
    peer: String,
    write_deadline: Duration,
    /// Bytes received and not used yet.
    pub pending: Vec<u8>,
    buffer: Vec<u8>,
}

impl Wire {
    /// Of a fresh connection.
    pub fn new(stream: SharedStream, peer: String, write_deadline: Duration) -> Self {
        Self {
            stream: Sparing::new(stream),
            peer,
            write_deadline,
            pending: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    /// The socket itself.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads what there is until `by`; false at the end of the stream.
    ///
    /// # Errors
    /// `TimedOut`, or the socket's.
    pub fn read(&mut self, by: Instant) -> io::Result<bool> {
        let n = read_some(&mut self.stream, &mut self.buffer, by)?;
        self.pending.extend_from_slice(&self.buffer[..n]);
        Ok(n > 0)
    }

    /// Reads a request's body.
    ///
    /// # Errors
    /// Why the connection ends.
    pub fn read_body(
        &mut self,
        framing: Framing,
        bytes_max: usize,
        expects_continue: bool,
        within: Duration,
        heartbeat: &Heartbeat,
    ) -> Result<Vec<u8>, Close> {
        let waits = expects_continue && self.pending.is_empty();
        let mut intake = Intake::new(framing, bytes_max);
        let mut taken = intake.take(&mut self.pending).map_err(Close::Refused)?;
        if taken {
            return Ok(intake.into_body());
        }
        let until = Instant::now() + within;
        heartbeat.wait(Peer::Client, "reading a request's body", until);
        if waits {
            write_all(&mut self.stream, b"HTTP/1.1 100 Continue\r\n\r\n", until)?;
        }
        while !taken {
            match self.read(until) {
                Ok(true) => {}
                Ok(false) => return Err(Close::Quietly),
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    let detail = "The request's body did not arrive in time";
                    return Err(Close::Refused(Refusal::new(408, detail)));
                }
                Err(e) => return Err(e.into()),
            }
            taken = intake.take(&mut self.pending).map_err(Close::Refused)?;
        }
        Ok(intake.into_body())
    }

    /// True when the client has taken it all.
    pub fn write(&mut self, answer: &Written, heartbeat: &Heartbeat) -> bool {
        let until = Instant::now() + self.write_deadline;
        let body = answer.body.as_deref().unwrap_or(&[]);
        let mut write = || write_both(&mut self.stream, &answer.head, body, until);
        let written = if body.len() < LONG_BYTES {
            write()
        } else {
            in_long_turns(write)
        };
        if written.is_ok() {
            return true;
        }
        heartbeat.idle();
        if !is_gone(&self.stream) {
            log::info!(
                target: "GATE",
                "closed the connection of {}: it did not take an answer of {} bytes within {} s",
                self.peer,
                answer.head.len() + body.len(),
                self.write_deadline.as_secs()
            );
        }
        false
    }

    /// Takes what the client still sends, for a moment: closing on unread bytes would reset the
    /// connection, and the client would lose the answer.
    pub fn drain(&mut self, heartbeat: &Heartbeat) {
        let until = Instant::now() + DRAIN_DEADLINE;
        heartbeat.wait(Peer::Client, "letting a refused client finish", until);
        let _gone = self.stream.shutdown(Shutdown::Write);
        let mut taken = 0;
        while taken < DRAIN_BYTES_MAX {
            match read_some(&mut self.stream, &mut self.buffer, until) {
                Ok(n) if n > 0 => taken += n,
                _ => return,
            }
        }
    }
}
