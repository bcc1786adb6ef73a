//! The `ws-N-out` thread: what a session's client gets besides what the hub can write at once, the answer to its
//! handshake first.
//!
//! In: what the hub had no room for, what the reader has to say, the write grant from its slot. Out: the socket,
//! and the grant back into the slot. What is written when is decided by [`WriterSide`]. It ends when the client
//! does not take a batch within the deadline, when the reader says so, or when the reader is stuck.

use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, TryRecvError, select_biased};

use crate::runtime::deadline_io::{Sparing, write_all, write_now};
use crate::runtime::{Heartbeat, Peer, Supervisor, ThreadKind, Tx};
use crate::stream::frame::close_frame;
use crate::stream::write_grant::{Ended, Handover, Unwritten, WriterSide, WriterStep};
use crate::stream::{GrantSlot, SessionId, ToHub};

/// Telling the hub may wait this long for room in its inbox, and what it has to answer for an answer; longer
/// means that it is stalled.
pub const HUB_PATIENCE: Duration = Duration::from_secs(2);

/// A writer that has nothing to do shows this often that it lives, and takes the order of a drill.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// Frames that the reader may have waiting for its writer; a client that makes more waits itself.
pub const WORDS_MAX: usize = 32;

/// A session's writer.
pub struct Writer {
    /// What it has to write, and whether it may.
    pub side: WriterSide,
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
    pub handovers: Receiver<Handover>,
    /// Where the write grant lies while nobody writes.
    pub slot: GrantSlot,
    /// Frames from the reader.
    pub words: Receiver<Vec<u8>>,
    /// From the reader: the last frames, said after all of `words`.
    pub last: Receiver<Vec<u8>>,
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
                let ended = writer.run(heartbeat);
                writer.end(ended);
            })
            .map(drop)
    }

    fn run(&mut self, heartbeat: &Heartbeat) -> Ended {
        // The grant is here to begin with.
        if !self.answer_handshake(heartbeat) {
            return Ended::Gone;
        }
        loop {
            if self.side.listens() {
                self.gather();
            }
            match self.side.next(Instant::now()) {
                WriterStep::Write(bytes, by) => {
                    let outcome = self.write(&bytes, by, heartbeat);
                    self.side.wrote(outcome);
                }
                WriterStep::GiveBack(grant) => self.slot.give_back(grant),
                WriterStep::TellHub => self.tell_hub(heartbeat),
                WriterStep::WaitForGrant(by) => self.wait_for_grant(by, heartbeat),
                WriterStep::WaitForWords(by) => self.wait_for_words(by, heartbeat),
                WriterStep::End(ended) => return ended,
            }
        }
    }

    /// False when the client is gone or does not take it.
    fn answer_handshake(&mut self, heartbeat: &Heartbeat) -> bool {
        let by = self.side.write_by();
        heartbeat.wait(Peer::Client, "answering a handshake", by);
        let written = write_all(&mut self.stream, self.handshake.as_bytes(), by);
        if let Err(e) = &written {
            log::info!(target: "WS", "a stream of {} ended before it began: {e}", self.peer);
        }
        written.is_ok()
    }

    /// As a rule it is in the slot.
    fn wait_for_grant(&mut self, by: Instant, heartbeat: &Heartbeat) {
        if let Some(grant) = self.slot.take() {
            self.side.granted(Instant::now(), grant);
            return;
        }
        heartbeat.wait(ThreadKind::QuoteHub, "writing to a streaming client", by);
        select_biased! {
            recv(self.handovers) -> handover => self.take_handover(handover.ok()),
            recv(self.slot.receiver()) -> grant => if let Ok(grant) = grant {
                self.side.granted(Instant::now(), grant);
            },
            default(by.saturating_duration_since(Instant::now())) => {}
        }
    }

    fn wait_for_words(&mut self, by: Instant, heartbeat: &Heartbeat) {
        heartbeat.idle();
        let patience = by.saturating_duration_since(Instant::now());
        select_biased! {
            recv(self.words) -> said => if let Ok(frames) = said {
                self.side.said(Instant::now(), frames);
            },
            recv(self.last) -> last => self.take_last(last.ok()),
            recv(self.handovers) -> handover => self.take_handover(handover.ok()),
            default(patience.min(BEAT_EVERY)) => {}
        }
    }

    /// What the hub left; none when it has let go of the session.
    fn take_handover(&mut self, handover: Option<Handover>) {
        match handover {
            Some(handover) => self.side.handed_over(Instant::now(), handover),
            None => {
                self.gather();
                self.side.hub_ended(Instant::now(), self.slot.take());
            }
        }
    }

    /// Takes what the reader has said by now.
    fn gather(&mut self) {
        self.take_words();
        match self.last.try_recv() {
            Ok(last) => self.take_last(Some(last)),
            Err(TryRecvError::Disconnected) => self.take_last(None),
            Err(TryRecvError::Empty) => {}
        }
    }

    /// The reader has ended: with its last frames or without a word. What it said before is here by now.
    fn take_last(&mut self, last: Option<Vec<u8>>) {
        self.take_words();
        self.side.reader_ended(last.unwrap_or_default());
    }

    fn take_words(&mut self) {
        let now = Instant::now();
        for frames in self.words.try_iter().take(WORDS_MAX) {
            self.side.said(now, frames);
        }
    }

    fn tell_hub(&mut self, heartbeat: &Heartbeat) {
        let by = Instant::now() + HUB_PATIENCE;
        heartbeat.wait(ThreadKind::QuoteHub, "writing to a streaming client", by);
        if self.hub.send_by(ToHub::Ready { id: self.id }, by).is_err() {
            self.side.hub_is_silent();
        }
    }

    fn write(
        &mut self,
        bytes: &[u8],
        until: Instant,
        heartbeat: &Heartbeat,
    ) -> Result<(), Unwritten> {
        heartbeat.wait(
            Peer::Client,
            format!("writing {} bytes to {}", bytes.len(), self.peer),
            until,
        );
        write_all(&mut self.stream, bytes, until).map_err(|e| match e.kind() {
            std::io::ErrorKind::TimedOut => Unwritten::Late,
            _ => Unwritten::Gone,
        })
    }

    fn end(&mut self, ended: Ended) {
        let peer = &self.peer;
        match ended {
            Ended::InWords | Ended::Gone | Ended::HubSilent => {}
            Ended::TooSlow(time) => {
                let seconds = time.as_secs();
                log::info!(target: "WS", "closed the stream of {peer}: it took nothing for {seconds} s");
                // The socket may be full, so this may not get through; the reset that follows does.
                let close = close_frame(1013, "too slow: quotes were not taken in time");
                let _full = write_now(&self.stream, &close);
            }
            Ended::ReaderStuck => {
                log::error!(target: "WS", "closing the stream of {peer}: its reader is stuck, see watchdog.log; the client can connect again");
            }
            Ended::GrantLost => {
                log::error!(target: "WS", "closing the stream of {peer}: the quote hub is stuck or ended while it wrote to it, see watchdog.log; the client can connect again");
            }
        }
        let how = match ended {
            Ended::InWords => Shutdown::Write,
            _ => Shutdown::Both,
        };
        let _gone = self.stream.shutdown(how);
    }
}
