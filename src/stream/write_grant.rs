//! Who may write to a session's client: one grant, two parties. Pure.
//!
//! A client's socket has two writers: the hub, which writes a batch as far as the socket takes it at once, and the
//! session's writer, which waits for the client. Who writes holds the session's one [`WriteGrant`], so that frames
//! never interleave. While nobody writes it lies in the session's slot, a channel with room for one, from which
//! either party takes it and into which it gives it back.
//!
//! - The hub takes it for a batch ([`Attempt`]). If the socket takes all, the hub gives it back. Else what is left
//!   goes to the writer with the grant, as the next byte must be of the same frame. If the grant is not there
//!   the writer is writing: the batch goes to it without. The hub has no other batch for that client until the
//!   writer says that it has written this one, so that a channel of one always has room for it.
//! - The writer ([`WriterSide`]) takes it for what the reader says and for a batch that came without, and gives it back
//!   when it has nothing more to write. It needs no word of the hub for that: a hub that is stalled while it does not
//!   write holds up nobody.
//! - The grant cannot be copied, and is lost with a party that ends while it writes: what the client has got then
//!   may end within a frame, so nothing more is written and the session ends.

use std::time::{Duration, Instant};
use std::vec::IntoIter;

use super::frame::{Frame, close_frame};

/// Of a batch this much is written at a time, in bytes; between two such pieces go the pongs that the client
/// waits for.
const PIECE_BYTES: usize = 8 * 1024;

/// The right to write to a session's client, of which there is one.
#[derive(Debug)]
pub struct WriteGrant {
    _made_here: (),
}

impl WriteGrant {
    /// That of a new session.
    pub(super) fn of_new_session() -> Self {
        Self { _made_here: () }
    }
}

/// What the hub leaves to a session's writer.
#[derive(Debug)]
pub struct Handover {
    /// None if the hub had none: the writer has it, or finds it in the slot.
    grant: Option<WriteGrant>,
    /// What is left of a frame that the client has the beginning of.
    begun: Vec<u8>,
    /// Whole frames, to be written then.
    frames: IntoIter<Frame>,
    /// The client has taken nothing for so long: the session ends here.
    too_slow: Option<Duration>,
}

impl Handover {
    /// For a client that has taken nothing for so long, with what the slot had.
    #[must_use]
    pub fn too_slow(time: Duration, grant: Option<WriteGrant>) -> Self {
        Self {
            grant,
            begun: Vec::new(),
            frames: Vec::new().into_iter(),
            too_slow: Some(time),
        }
    }

    /// For a batch of which this many bytes are written; none if that is all of it.
    fn of_rest(batch: Vec<Frame>, written: usize) -> Option<Self> {
        let mut frames = batch.into_iter();
        let mut left = written;
        while let Some(frame) = frames.next() {
            if left < frame.len() {
                return Some(Self {
                    grant: None,
                    begun: frame[left..].to_vec(),
                    frames,
                    too_slow: None,
                });
            }
            left -= frame.len();
        }
        None
    }
}

/// The hub's side: a batch that it writes, with the grant.
#[derive(Debug)]
pub struct Attempt {
    grant: WriteGrant,
    frames: Vec<Frame>,
}

impl Attempt {
    /// A client's batch, with what the slot had.
    ///
    /// # Errors
    /// What is to be left to the writer instead, if the slot was empty.
    pub fn begin(frames: Vec<Frame>, grant: Option<WriteGrant>) -> Result<Self, Handover> {
        match grant {
            Some(grant) => Ok(Self { grant, frames }),
            None => Err(Handover {
                grant: None,
                begun: Vec::new(),
                frames: frames.into_iter(),
                too_slow: None,
            }),
        }
    }

    /// What is to be written, as much of it as the socket takes at once.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.frames.concat()
    }

    /// The socket took this many bytes: the grant is to be given back, and the client gets the next batch.
    ///
    /// # Errors
    /// What is to be left to the writer, if that was not all. The hub has no batch for this client then until the
    /// writer says so.
    pub fn wrote(self, written: usize) -> Result<WriteGrant, Handover> {
        let Self { grant, frames } = self;
        match Handover::of_rest(frames, written) {
            None => Ok(grant),
            Some(rest) => Err(Handover {
                grant: Some(grant),
                ..rest
            }),
        }
    }
}

/// How long a session's writer waits.
#[derive(Clone, Copy, Debug)]
pub struct WriterLimits {
    /// For the client to take a batch, and for a hub that is writing to give the grant back.
    pub write_deadline: Duration,
    /// A reader that lives says something, a ping at least, more often than this.
    pub reader_silent_max: Duration,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client was told, and may still close in its turn.
    InWords,
    /// The reader is stuck; the client was told.
    ReaderStuck,
    /// The hub did not take a word; the client was told.
    HubSilent,
    /// The client is gone.
    Gone,
    /// The client took nothing for so long.
    TooSlow(Duration),
    /// Nobody may write any more: the hub ended, or is stalled, while it wrote.
    GrantLost,
}

/// Why something could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// The client did not take it in time.
    Late,
    /// The client is gone.
    Gone,
}

/// What a session's writer does next.
#[derive(Debug)]
pub enum WriterStep {
    /// Writes all of this by then.
    Write(Vec<u8>, Instant),
    /// Gives the grant back.
    GiveBack(WriteGrant),
    /// Tells the hub that its batch is written.
    TellHub,
    /// Waits until then for the hub, and for the grant.
    WaitForGrant(Instant),
    /// Waits until then for the hub, and for what the reader says.
    WaitForWords(Instant),
    /// Ends the session.
    End(Ended),
}

/// The writer's side: what it has to write, and whether it may.
#[derive(Debug)]
pub struct WriterSide {
    limits: WriterLimits,
    grant: Option<WriteGrant>,
    /// By when what is being written must be taken.
    write_by: Instant,
    /// By when the grant must be here; none while it is not waited for.
    grant_by: Option<Instant>,
    /// What the hub left.
    handover: Option<Handover>,
    /// What the reader said.
    words: Vec<u8>,
    /// What is said after all else, and how the session ends with it.
    last: Option<(Vec<u8>, Ended)>,
    /// When the reader last said something.
    heard: Instant,
    /// Whether the hub has to be told that it may have the next batch.
    owes_word: bool,
    hub_ended: bool,
    ended: Option<Ended>,
}

impl WriterSide {
    /// A new session's, which answers the handshake and tells the hub so.
    #[must_use]
    pub fn new(grant: WriteGrant, now: Instant, limits: WriterLimits) -> Self {
        Self {
            limits,
            grant: Some(grant),
            write_by: now + limits.write_deadline,
            grant_by: None,
            handover: None,
            words: Vec::new(),
            last: None,
            heard: now,
            owes_word: true,
            hub_ended: false,
            ended: None,
        }
    }

    /// The reader has frames for the client.
    pub fn said(&mut self, now: Instant, frames: Vec<u8>) {
        self.heard = now;
        if self.words.is_empty() {
            self.words = frames;
        } else {
            self.words.extend(frames);
        }
    }

    /// The reader ended, with these last frames.
    pub fn reader_ended(&mut self, last: Vec<u8>) {
        self.last.get_or_insert((last, Ended::InWords));
    }

    /// Something came from the hub.
    pub fn handed_over(&mut self, now: Instant, mut handover: Handover) {
        let grant = handover.grant.take();
        self.handover = Some(handover);
        if let Some(grant) = grant {
            self.granted(now, grant);
        }
    }

    /// The grant was in the slot.
    pub fn granted(&mut self, now: Instant, grant: WriteGrant) {
        self.grant = Some(grant);
        self.grant_by = None;
        self.write_by = now + self.limits.write_deadline;
    }

    /// The hub has let go of the session, because the reader left or because the hub itself ended; with what
    /// the slot had. All that the reader said by then was told before.
    pub fn hub_ended(&mut self, now: Instant, grant: Option<WriteGrant>) {
        self.hub_ended = true;
        let close = || close_frame(1011, "the server's quote hub has ended");
        self.last.get_or_insert_with(|| (close(), Ended::InWords));
        if let Some(grant) = grant {
            self.granted(now, grant);
        }
    }

    /// The hub did not take a word in time.
    pub fn hub_is_silent(&mut self) {
        let close = || close_frame(1011, "the server's quote hub does not answer");
        self.last.get_or_insert_with(|| (close(), Ended::HubSilent));
    }

    /// What became of the last write.
    pub fn wrote(&mut self, outcome: Result<(), Unwritten>) {
        let failed = outcome.err().map(|why| match why {
            Unwritten::Late => Ended::TooSlow(self.limits.write_deadline),
            Unwritten::Gone => Ended::Gone,
        });
        self.ended = failed.or(self.ended);
        if self.ended.is_some() {
            // Nobody writes any more.
            self.grant = None;
        }
    }

    /// Whether what the reader says is to be taken now: between the frames of a batch, and while nothing is
    /// written. What it says meanwhile is no part of what must be taken by the same deadline.
    #[must_use]
    pub fn listens(&self) -> bool {
        let has_more = |handover: &Handover| handover.frames.len() > 0;
        self.grant.is_none() || self.handover.as_ref().is_some_and(has_more)
    }

    /// By when what is being written must be taken, at first the handshake's answer.
    #[must_use]
    pub fn write_by(&self) -> Instant {
        self.write_by
    }

    /// What it does next.
    pub fn next(&mut self, now: Instant) -> WriterStep {
        if let Some(grant) = self.grant.take() {
            return self.with_grant(grant);
        }
        if let Some(ended) = self.ended {
            return WriterStep::End(ended);
        }
        if std::mem::take(&mut self.owes_word) {
            return WriterStep::TellHub;
        }
        if self.has_nothing() {
            let silent_at = self.heard + self.limits.reader_silent_max;
            if now < silent_at {
                return WriterStep::WaitForWords(silent_at);
            }
            let why = "the server's thread that hears this stream is stuck; connect again";
            self.last = Some((close_frame(1011, why), Ended::ReaderStuck));
        }
        let grant_by = *self
            .grant_by
            .get_or_insert(now + self.limits.write_deadline);
        if self.hub_ended || now >= grant_by {
            return WriterStep::End(Ended::GrantLost);
        }
        WriterStep::WaitForGrant(grant_by)
    }

    fn has_nothing(&self) -> bool {
        self.handover.is_none() && self.words.is_empty() && self.last.is_none()
    }

    fn with_grant(&mut self, grant: WriteGrant) -> WriterStep {
        if let Some(time) = self.handover.as_ref().and_then(|h| h.too_slow) {
            self.ended = Some(Ended::TooSlow(time));
            return WriterStep::End(Ended::TooSlow(time));
        }
        let piece = self.piece();
        if !piece.is_empty() {
            self.grant = Some(grant);
            return WriterStep::Write(piece, self.write_by);
        }
        WriterStep::GiveBack(grant)
    }

    /// What is to be written next; nothing when all is.
    fn piece(&mut self) -> Vec<u8> {
        let mut piece = Vec::new();
        if let Some(handover) = &mut self.handover {
            piece = std::mem::take(&mut handover.begun);
            piece.append(&mut self.words);
            while piece.len() < PIECE_BYTES
                && let Some(frame) = handover.frames.next()
            {
                piece.extend_from_slice(&frame);
            }
            if handover.frames.len() > 0 {
                return piece;
            }
            self.handover = None;
            self.owes_word = true;
        }
        piece.append(&mut self.words);
        if let Some((frames, how)) = self.last.take() {
            piece.extend(frames);
            self.ended = Some(how);
        }
        piece
    }
}

#[cfg(test)]
#[path = "write_grant_model_tests.rs"]
mod model_tests;
#[cfg(test)]
#[path = "write_grant_tests.rs"]
mod tests;
