//! What one client is to get. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::market::Symbol;

use super::super::frame::Frame;
use super::super::messages::Wanted;
use super::super::outbox::Outbox;
use super::super::pace::Pace;

/// Frames that wait for a client as they came; what is beyond is conflated. At 2,000 quotes a second that is
/// one second of them.
pub const BATCH_FRAMES_MAX: usize = 2_048;

/// What a frame is, for when it must give way.
enum Kind {
    /// The state of the source: only the last matters.
    Status,
    /// What was wrong with a wish: the last is kept.
    Error,
    /// A quote: of its symbol only the last matters.
    Quote(Symbol),
}

/// A session's client.
pub struct Client {
    pub wanted: Wanted,
    /// What the client gets next, every quote of it.
    batch: VecDeque<(Kind, Frame)>,
    batch_bytes: usize,
    /// What the batch has no room for, conflated.
    outbox: Outbox<Frame>,
    /// As above.
    error: Option<Frame>,
    /// Whether its socket took all that it was given so far.
    pub ready: bool,
    pub pace: Pace,
}

impl Client {
    /// A client that begins now, with the state of the source to be told.
    pub fn new(now: Instant, status: Frame) -> Self {
        let mut client = Self {
            wanted: Wanted::default(),
            batch: VecDeque::new(),
            batch_bytes: 0,
            outbox: Outbox::default(),
            error: None,
            ready: false,
            pace: Pace::new(now),
        };
        client.tell_status(status);
        client
    }

    /// Whether what comes now goes into the next batch as it is.
    fn takes(&self) -> bool {
        self.outbox.is_empty() && self.error.is_none() && self.has_room()
    }

    /// A client that reads slower than quotes come has room for as much as it reads in time, any other for a
    /// second of quotes.
    fn has_room(&self) -> bool {
        self.batch.len() < BATCH_FRAMES_MAX
            && (!self.pace.is_late() || self.pace.has_room(self.batch_bytes))
    }

    fn add(&mut self, kind: Kind, frame: Frame) {
        self.batch_bytes += frame.len();
        self.batch.push_back((kind, frame));
    }

    /// True if it replaced a quote that nobody will see.
    fn conflate(&mut self, kind: Kind, frame: Frame) -> bool {
        match kind {
            Kind::Status => self.outbox.replace_control(frame),
            Kind::Error => self.error = Some(frame),
            Kind::Quote(symbol) => return self.outbox.push(symbol, frame),
        }
        false
    }

    /// Into the batch of a client that keeps up, else conflated. True if it replaced a quote that nobody will
    /// see.
    fn put(&mut self, kind: Kind, frame: Frame) -> bool {
        if self.takes() {
            self.add(kind, frame);
            return false;
        }
        self.conflate(kind, frame)
    }

    /// What waits is conflated: the client has fallen behind. How many quotes nobody will see.
    pub fn fall_behind(&mut self) -> u64 {
        let newer = std::mem::take(&mut self.outbox);
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let mut replaced = 0;
        for (kind, frame) in batch {
            replaced += u64::from(self.conflate(kind, frame));
        }
        replaced + self.outbox.append(newer)
    }

    /// What was conflated becomes part of the next batch, as far as there is room: what comes now is newer and
    /// goes behind it.
    fn gather(&mut self) {
        while self.has_room() {
            if let Some(error) = self.error.take() {
                self.add(Kind::Error, error);
                continue;
            }
            match self.outbox.pop() {
                Some((Some(symbol), frame)) => self.add(Kind::Quote(symbol), frame),
                Some((None, frame)) => self.add(Kind::Status, frame),
                None => return,
            }
        }
    }

    /// Whether something waits for it.
    pub fn has_frames(&self) -> bool {
        !self.batch.is_empty() || self.error.is_some() || !self.outbox.is_empty()
    }

    /// The next batch, as much as may be on its way, with a ping where one is due; none when there is nothing,
    /// or no more may be on its way.
    pub fn take_batch(&mut self, now: Instant, ping: fn(u64) -> Frame) -> Option<Vec<Frame>> {
        self.gather();
        let mut frames = Vec::new();
        let mut bytes = 0;
        while self.pace.has_room(bytes)
            && let Some((_, frame)) = self.batch.pop_front()
        {
            bytes += frame.len();
            frames.push(frame);
        }
        if frames.is_empty() {
            return None;
        }
        self.ready = false;
        self.batch_bytes -= bytes;
        frames.extend(self.pace.sent(now, bytes).map(ping));
        self.gather();
        Some(frames)
    }

    /// The state of the source.
    pub fn tell_status(&mut self, frame: Frame) {
        self.put(Kind::Status, frame);
    }

    /// What was wrong with a wish.
    pub fn tell_error(&mut self, frame: Frame) {
        self.put(Kind::Error, frame);
    }

    /// A symbol's frame. True if it replaced one that nobody will see.
    pub fn give(&mut self, symbol: &Symbol, frame: Frame) -> bool {
        self.put(Kind::Quote(symbol.clone()), frame)
    }

    /// A symbol is no longer wanted.
    pub fn forget(&mut self, symbol: &Symbol) {
        self.outbox.forget(symbol);
    }

    /// Whether something waits for it and it has taken nothing for longer than this.
    pub fn is_stuck(&self, now: Instant, longest: Duration) -> bool {
        self.has_frames() && self.pace.takes_nothing_for(now) > longest
    }
}
