//! The `ws-N-out` thread: what a session's client gets besides what the hub can write at once, the answer to its
//! handshake first.
//!
//! In: the pen from the hub, with what the socket had no room for, and what the reader has to say. Out: the
//! socket, and the pen back to the hub. It ends when the client does not take a batch within the
//! deadline, when the reader says so, or when the reader is stuck.

use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, never, select_biased};

use crate::runtime::deadline_io::{Sparing, write_all, write_now};
use crate::runtime::{Heartbeat, Peer, Supervisor, ThreadKind, Tx};
use crate::stream::{Pen, SessionId, ToHub};

use crate::stream::frame::close_frame;

/// Telling the hub may wait this long for room in its inbox, and what it has to answer for an answer; longer
/// means that it is stalled. A silent session looks at its reader as often.
pub const HUB_PATIENCE: Duration = Duration::from_secs(2);

/// Of a batch this much is written at a time, in bytes; between two such pieces go the pongs that the client
/// waits for.
const PIECE_BYTES: usize = 8 * 1024;

/// A session's writer.
pub struct Writer {
    /// The client's socket.
    pub stream: Sparing<TcpStream>,
    /// The answer to the client's handshake, written before all else.
    pub handshake: String,
    /// The client's address.
    pub peer: String,
    /// Whose.
    pub id: SessionId,
    /// To the hub.
    pub hub: Tx<ToHub>,
    /// From the hub.
    pub pen: Receiver<Pen>,
    /// Frames from the reader.
    pub words: Receiver<Vec<u8>>,
    /// From the reader: the last frames, said after all of `words`.
    pub last: Receiver<Vec<u8>>,
    /// For one batch.
    pub write_deadline: Duration,
    /// A reader that lives says something, a ping at least, more often than this.
    pub reader_silent_max: Duration,
}

/// What the reader has said and the client has not got yet.
#[derive(Default)]
struct Held {
    words: Vec<u8>,
    last: Option<Vec<u8>>,
}

/// How a session ended.
enum Ended {
    /// The client was told, and may still close in its turn.
    InWords,
    /// Nothing more can be written.
    InTrouble,
}

impl Writer {
    /// Starts the thread, as that of the connection of this number.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(self, supervisor: &Supervisor, number: u64) -> std::io::Result<()> {
        let mut writer = self;
        supervisor
            .spawn_once(ThreadKind::WsWriter.turn(number), move |heartbeat| {
                let how = match writer.run(heartbeat) {
                    Ended::InWords => Shutdown::Write,
                    Ended::InTrouble => Shutdown::Both,
                };
                let _gone = writer.stream.shutdown(how);
            })
            .map(drop)
    }

    fn run(&mut self, heartbeat: &Heartbeat) -> Ended {
        // The pen is here to begin with.
        if !self.answer_handshake(heartbeat) || !self.tell(ToHub::Ready { id: self.id }, heartbeat)
        {
            return Ended::InTrouble;
        }
        let mut heard = Instant::now();
        let mut held = Held::default();
        loop {
            heartbeat.idle();
            let (words, last) = match held.is_empty() {
                true => (self.words.clone(), self.last.clone()),
                false => (never(), never()),
            };
            let ended = select_biased! {
                recv(words) -> said => {
                    match said {
                        Ok(frames) => held.words = frames,
                        // The reader has ended: with its last frames or without a word.
                        Err(_) => held.last = Some(self.last.try_recv().unwrap_or_default()),
                    }
                    heard = Instant::now();
                    self.ask_for_pen(heartbeat)
                }
                recv(last) -> said => {
                    held.last = Some(said.unwrap_or_default());
                    self.ask_for_pen(heartbeat)
                }
                recv(self.pen) -> pen => match pen {
                    Ok(pen) => self.write_batch(pen, &mut held, heartbeat),
                    Err(_) => Some(self.end_without_hub(&mut held, heartbeat)),
                },
                default(HUB_PATIENCE) => self.write_past_hub(&mut held, heartbeat),
            };
            if let Some(ended) = ended {
                return ended;
            }
            if heard.elapsed() > self.reader_silent_max && held.is_empty() {
                log::error!(target: "WS", "closing the stream of {}: its reader is stuck, see watchdog.log; the client can connect again", self.peer);
                let why = "the server's thread that hears this stream is stuck; connect again";
                self.write(&close_frame(1011, why), self.deadline(), heartbeat);
                return Ended::InTrouble;
            }
        }
    }

    /// False when the client is gone or does not take it.
    fn answer_handshake(&mut self, heartbeat: &Heartbeat) -> bool {
        let by = self.deadline();
        heartbeat.wait(Peer::Client, "answering a handshake", by);
        let written = write_all(&mut self.stream, self.handshake.as_bytes(), by);
        if let Err(e) = &written {
            log::info!(target: "WS", "a stream of {} ended before it began: {e}", self.peer);
        }
        written.is_ok()
    }

    /// Writes what the hub had no room for and what the reader says meanwhile, and gives the pen back.
    fn write_batch(&mut self, pen: Pen, held: &mut Held, heartbeat: &Heartbeat) -> Option<Ended> {
        if let Some(time) = pen.too_slow {
            self.close_too_slow(time);
            return Some(Ended::InTrouble);
        }
        let until = self.deadline();
        let mut piece = pen.begun;
        let mut frames = pen.frames.iter();
        loop {
            self.gather(held);
            piece.append(&mut held.words);
            while piece.len() < PIECE_BYTES
                && let Some(frame) = frames.next()
            {
                piece.extend_from_slice(frame);
            }
            let last = held.last.take_if(|_| frames.len() == 0);
            let ends = last.is_some();
            piece.extend(last.unwrap_or_default());
            if !self.write(&piece, until, heartbeat) {
                return Some(Ended::InTrouble);
            }
            if ends {
                return Some(Ended::InWords);
            }
            if piece.is_empty() {
                break;
            }
            piece.clear();
        }
        let told = self.tell(ToHub::Ready { id: self.id }, heartbeat);
        (!told).then_some(Ended::InTrouble)
    }

    /// Takes what the reader has said by now.
    fn gather(&self, held: &mut Held) {
        let take_words = |held: &mut Held| self.words.try_iter().for_each(|w| held.words.extend(w));
        take_words(held);
        if held.last.is_none()
            && let Ok(last) = self.last.try_recv()
        {
            // What it said before its last is here by now.
            take_words(held);
            held.last = Some(last);
        }
    }

    /// The hub has let go of the session: because the reader left, which then has said its last, or because
    /// the hub itself ended.
    fn end_without_hub(&mut self, held: &mut Held, heartbeat: &Heartbeat) -> Ended {
        self.gather(held);
        let last = held.last.take();
        let mut bytes = std::mem::take(&mut held.words);
        bytes.extend(last.unwrap_or_else(|| close_frame(1011, "the server's quote hub has ended")));
        match self.write(&bytes, self.deadline(), heartbeat) {
            true => Ended::InWords,
            false => Ended::InTrouble,
        }
    }

    /// The pen has not come in time: a hub that is stuck writes nothing, so that what the reader says need
    /// not wait for it. It goes in one piece, or the session ends.
    fn write_past_hub(&mut self, held: &mut Held, heartbeat: &Heartbeat) -> Option<Ended> {
        if held.is_empty() {
            return None;
        }
        self.gather(held);
        if held.last.is_some() {
            return Some(self.end_without_hub(held, heartbeat));
        }
        let words = std::mem::take(&mut held.words);
        let whole = write_now(&self.stream, &words).is_ok_and(|n| n == words.len());
        (!whole).then_some(Ended::InTrouble)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.write_deadline
    }

    fn ask_for_pen(&mut self, heartbeat: &Heartbeat) -> Option<Ended> {
        let told = self.tell(ToHub::AsksForPen { id: self.id }, heartbeat);
        (!told).then_some(Ended::InTrouble)
    }

    /// False when the hub is stalled.
    fn tell(&mut self, words: ToHub, heartbeat: &Heartbeat) -> bool {
        let by = Instant::now() + HUB_PATIENCE;
        heartbeat.wait(ThreadKind::QuoteHub, "writing to a streaming client", by);
        let told = self.hub.send_by(words, by).is_ok();
        if !told {
            let why = "the server's quote hub does not answer";
            self.write(&close_frame(1011, why), self.deadline(), heartbeat);
        }
        told
    }

    /// False when the client is gone or too slow.
    fn write(&mut self, bytes: &[u8], until: Instant, heartbeat: &Heartbeat) -> bool {
        if bytes.is_empty() {
            return true;
        }
        heartbeat.wait(
            Peer::Client,
            format!("writing {} bytes to {}", bytes.len(), self.peer),
            until,
        );
        let Err(e) = write_all(&mut self.stream, bytes, until) else {
            return true;
        };
        if e.kind() == std::io::ErrorKind::TimedOut {
            self.close_too_slow(self.write_deadline);
        }
        false
    }

    /// For a client that takes nothing.
    fn close_too_slow(&mut self, time: Duration) {
        log::info!(
            target: "WS",
            "closed the stream of {}: it took nothing for {} s",
            self.peer,
            time.as_secs()
        );
        // The socket may be full, so this may not get through; the reset that follows does.
        let close = close_frame(1013, "too slow: quotes were not taken in time");
        let _full = write_now(&self.stream, &close);
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.last.is_none()
    }
}
