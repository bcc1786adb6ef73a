//! The `ws-N-out` thread: what a session's client gets besides what the hub can write at once.
//!
//! In: the pen from the hub, with what the socket had no room for, and what the reader has to say. Out: the
//! socket, and the pen back to the hub. It ends when the client does not take a batch within the
//! deadline, when the reader says so, or when the reader is stuck.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, never, select_biased};

use crate::deadline_io::{Sparing, write_all};
use crate::quotes::{Pen, SessionId, ToHub};
use crate::supervise::{Class, Pulse, Supervisor, Tx};

use super::frame::close_frame;

/// Telling the hub may wait this long for room in its inbox, and what it has to answer for an answer; longer
/// means that it is stalled. A silent session looks at its reader as often.
pub const HUB_PATIENCE: Duration = Duration::from_secs(2);

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
    pub pen: Receiver<Pen>,
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
        // The pen is here to begin with: the handshake had to be written.
        if !self.tell(ToHub::Ready { id: self.id }, pulse) {
            return;
        }
        let mut heard = Instant::now();
        // What the reader has said, until the pen is here.
        let mut words = None;
        loop {
            pulse.idle();
            let reader = match words {
                None => self.reader.clone(),
                Some(_) => never(),
            };
            select_biased! {
                recv(reader) -> said => {
                    let Ok(said) = said else { return };
                    heard = Instant::now();
                    words = Some(said);
                    if !self.tell(ToHub::AsksForPen { id: self.id }, pulse) {
                        return;
                    }
                }
                recv(self.pen) -> pen => {
                    let hub_ended = pen.is_err();
                    let mut bytes = pen.map(|pen| pen.rest).unwrap_or_default();
                    let last = match words.take() {
                        Some(FromReader::Last(more)) => {
                            bytes.extend(more);
                            true
                        }
                        Some(FromReader::Bytes(more)) => {
                            bytes.extend(more);
                            false
                        }
                        None => false,
                    };
                    if hub_ended && !last {
                        bytes.extend(close_frame(1011, "the server's quote hub has ended"));
                    }
                    if !self.write(&bytes, pulse) || last || hub_ended {
                        return;
                    }
                    if !self.tell(ToHub::Ready { id: self.id }, pulse) {
                        return;
                    }
                }
                default(HUB_PATIENCE) => {
                    // A hub that is stuck writes nothing: these need no pen.
                    if let Some(FromReader::Last(bytes)) = words {
                        self.write(&bytes, pulse);
                        return;
                    }
                }
            }
            if heard.elapsed() > self.reader_silent_max && words.is_none() {
                log::error!(target: "WS", "closing the stream of {}: its reader is stuck, see watchdog.log; the client can connect again", self.peer);
                let words = "the server's thread that hears this stream is stuck; connect again";
                self.write(&close_frame(1011, words), pulse);
                return;
            }
        }
    }

    /// False when the hub is stalled.
    fn tell(&mut self, words: ToHub, pulse: &Pulse) -> bool {
        let told = self
            .hub
            .send_by(words, Instant::now() + HUB_PATIENCE)
            .is_ok();
        if !told {
            let why = "the server's quote hub does not answer";
            self.write(&close_frame(1011, why), pulse);
        }
        told
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
