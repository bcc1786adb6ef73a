//! The connection to the source of quotes: when it is tried, what is sent over it, when it is given up. Pure.
//!
//! Losing the source is told at once; it is tried again with backoff and jitter, without end. The set of
//! wanted symbols outlives a connection: the next one subscribes to all of them.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::json::Mended;
use crate::market::Symbol;
use crate::resilience::{Backoff, Jitter};
use crate::runtime::log_throttle::LogThrottle;
use crate::upstream::{StreamCodec, StreamEvent, StreamOutput};

use super::messages::Wanted;

/// A connection that lasted longer than this was a good one: the backoff begins anew.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// What the thread is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Connect, then say [`Link::opened`] or [`Link::lost`].
    Connect,
    /// Do without the source until then.
    Rest(Instant),
    /// Read from the source for a moment, no longer than until it is dead.
    Read,
}

/// What is to be done at once, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Write this text message to the source.
    Send(String),
    /// The source is there: quotes flow from here on.
    Joined,
    /// Fields of quotes came.
    Update(Value),
    /// A volume spike came.
    Spike(Symbol, Map<String, Value>),
    /// Account for what was not understood, or mended.
    Mended(Mended),
    /// Close the connection, if there is one: the source is not there, and why.
    Lost(String),
    /// Words for the log about a source that is not there.
    Warn(String),
}

/// The state of the connection.
#[derive(Debug)]
pub(super) struct Link<C> {
    url: String,
    backoff: Backoff,
    jitter: Jitter,
    /// Tries since the last good connection.
    attempt: u32,
    wanted: Wanted,
    phase: Phase<C>,
    failures: LogThrottle,
}

#[derive(Debug)]
enum Phase<C> {
    Away { again_at: Instant },
    Connecting { since: Instant },
    Open { codec: C, since: Instant },
}

impl<C: StreamCodec> Link<C> {
    /// To be tried at once.
    pub(super) fn new(now: Instant, url: String, backoff: Backoff, seed: u64) -> Self {
        Self {
            url,
            backoff,
            jitter: Jitter::new(seed),
            attempt: 0,
            wanted: Wanted::default(),
            phase: Phase::Away { again_at: now },
            failures: LogThrottle::default(),
        }
    }

    /// What to do now. A source that has been silent for too long is lost by this.
    pub(super) fn next(&mut self, now: Instant, out: &mut Vec<Action>) -> Next {
        match &self.phase {
            Phase::Away { again_at } if now < *again_at => Next::Rest(*again_at),
            Phase::Away { .. } | Phase::Connecting { .. } => {
                self.phase = Phase::Connecting { since: now };
                Next::Connect
            }
            Phase::Open { codec, .. } if now >= codec.dead_at() => {
                let why = "it has been silent for longer than its own ping interval";
                self.lost(now, why.to_owned(), out);
                self.next(now, out)
            }
            Phase::Open { .. } => Next::Read,
        }
    }

    /// These symbols are wanted from now on, and no others.
    pub(super) fn want(&mut self, wanted: Wanted, out: &mut Vec<Action>) {
        self.wanted = wanted;
        if let Phase::Open { codec, .. } = &mut self.phase {
            out.extend(codec.want(&self.wanted).into_iter().map(Action::Send));
        }
    }

    /// The WebSocket is open.
    pub(super) fn opened(&mut self, now: Instant, out: &mut Vec<Action>) {
        // Connecting counts: what takes long and then ends at once is no better than what fails.
        let since = match self.phase {
            Phase::Connecting { since } => since,
            Phase::Away { .. } | Phase::Open { .. } => now,
        };
        let mut codec = C::new(now);
        out.extend(codec.want(&self.wanted).into_iter().map(Action::Send));
        self.phase = Phase::Open { codec, since };
    }

    /// A text message came.
    pub(super) fn text(&mut self, now: Instant, text: &str, out: &mut Vec<Action>) {
        if let Phase::Open { codec, .. } = &mut self.phase {
            let output = codec.text(now, text);
            self.heard(now, output, out);
        }
    }

    /// A binary message came.
    pub(super) fn binary(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Phase::Open { codec, .. } = &mut self.phase {
            let output = codec.binary(now);
            self.heard(now, output, out);
        }
    }

    fn heard(&mut self, now: Instant, output: StreamOutput, out: &mut Vec<Action>) {
        out.extend(output.send.into_iter().map(Action::Send));
        if let Phase::Open { codec, .. } = &mut self.phase {
            out.push(Action::Mended(codec.mended()));
        }
        match output.event {
            None => {}
            Some(StreamEvent::Joined) => out.push(Action::Joined),
            Some(StreamEvent::Update(payload)) => out.push(Action::Update(payload)),
            Some(StreamEvent::Spike { symbol, fields }) => out.push(Action::Spike(symbol, fields)),
            Some(StreamEvent::Ended(why)) => self.lost(now, why, out),
        }
    }

    /// There is no connection any more, or none could be made. Told twice of one it is over already.
    pub(super) fn lost(&mut self, now: Instant, why: String, out: &mut Vec<Action>) {
        let since = match self.phase {
            Phase::Away { .. } => return,
            Phase::Connecting { since } | Phase::Open { since, .. } => since,
        };
        self.attempt = if now > since + GOOD_AFTER {
            1
        } else {
            self.attempt.saturating_add(1)
        };
        let wait = self.backoff.delay(self.attempt, self.jitter.draw());
        self.phase = Phase::Away {
            again_at: now + wait,
        };
        if let Some(untold) = self.failures.happened_as(now, &why) {
            let words = format!(
                "no quotes from {}: {why}; next try in {} ms{untold}",
                self.url,
                wait.as_millis()
            );
            out.push(Action::Warn(words));
        }
        out.push(Action::Lost(why));
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
