//! The `ws-N-out` thread: every byte that a session's client gets.
//!
//! In: batches from the hub, and what the reader has to say. Out: the socket, and `Ready` to the hub
//! after each batch. It ends when the client does not take a batch within the deadline, when it is told to,
//! or when its reader is stuck.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, select_biased};

use crate::deadline_io::{Sparing, write_all};
use crate::quotes::{SessionId, ToHub, ToSession};
use crate::supervise::{Class, Pulse, Supervisor, Tx};

use super::frame::close_frame;

/// Telling the hub may wait this long for room in its inbox; longer means that it is stalled.
pub const HUB_PATIENCE: Duration = Duration::from_secs(2);

/// How often a silent session looks at its reader.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the reader has to say.
#[derive(Debug)]
pub enum FromReader {
    /// Frames.
    Bytes(Vec<u8>),
    /// Frames, and then the end.
    Last(Vec<u8>),
}

/// A session's writer.
pub struct Writer {
    /// The client's socket.
    pub stream: Sparing<TcpStream>,
    /// The client's address.
    pub peer: String,
    /// Whose.
    pub id: SessionId,
    /// To the hub.
    pub hub: Tx<ToHub>,
    /// From the hub.
    pub batches: Receiver<ToSession>,
    /// From the reader.
    pub reader: Receiver<FromReader>,
    /// For one batch.
    pub write_deadline: Duration,
    /// A reader that lives says something, a ping at least, more often than this.
    pub reader_silent_max: Duration,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(self, supervisor: &Supervisor, class: Class, name: String) -> std::io::Result<()> {
        let mut writer = self;
        supervisor
            .spawn_once(name, class, move |pulse| {
                writer.run(pulse);
                let _gone = writer.stream.shutdown(Shutdown::Both);
            })
            .map(drop)
    }

    fn run(&mut self, pulse: &Pulse) {
        let mut heard = Instant::now();
        loop {
            pulse.idle();
            select_biased! {
                recv(self.reader) -> words => match words {
                    Ok(FromReader::Bytes(bytes)) => {
                        heard = Instant::now();
                        if !self.write(&bytes, pulse) {
                            return;
                        }
                    }
                    Ok(FromReader::Last(bytes)) => {
                        self.write(&bytes, pulse);
                        return;
                    }
                    Err(_) => return,
                },
                recv(self.batches) -> batch => match batch {
                    Ok(ToSession::Batch(frames)) => {
                        if !self.write(&frames.concat(), pulse) {
                            return;
                        }
                        let ready = ToHub::Ready { id: self.id };
                        if self.hub.send_by(ready, Instant::now() + HUB_PATIENCE).is_err() {
                            self.write(&close_frame(1011, "the server's quote hub does not answer"), pulse);
                            return;
                        }
                    }
                    Ok(ToSession::Close { code, reason }) => {
                        self.write(&close_frame(code, reason), pulse);
                        return;
                    }
                    Err(_) => {
                        self.write(&close_frame(1011, "the server's quote hub has ended"), pulse);
                        return;
                    }
                },
                default(LOOK_EVERY) => {}
            }
            if heard.elapsed() > self.reader_silent_max {
                log::error!(target: "WS", "closing the stream of {}: its reader is stuck, see watchdog.log; the client can connect again", self.peer);
                let words = "the server's thread that hears this stream is stuck; connect again";
                self.write(&close_frame(1011, words), pulse);
                return;
            }
        }
    }

    /// False when the client is gone or too slow.
    fn write(&mut self, bytes: &[u8], pulse: &Pulse) -> bool {
        let until = Instant::now() + self.write_deadline;
        pulse.wait(
            format!("writing {} bytes to {}", bytes.len(), self.peer),
            until,
        );
        let Err(e) = write_all(&mut self.stream, bytes, until) else {
            return true;
        };
        if e.kind() == std::io::ErrorKind::TimedOut {
            log::info!(
                target: "WS",
                "closed the stream of {}: it took nothing for {} s",
                self.peer,
                self.write_deadline.as_secs()
            );
            // The socket is full, so this may not get through; the reset that follows does.
            if self.stream.set_nonblocking(true).is_ok() {
                let _full = self.stream.write(&close_frame(
                    1013,
                    "too slow: quotes were not taken in time",
                ));
            }
        }
        false
    }
}
