//! How much a client may have on its way to it. Pure.
//!
//! A socket takes a batch long before its client does: half a megabyte waits in the kernels of both sides, which
//! is half a minute of quotes to a client that reads fifty a second. What it shows would be as old, and so
//! would be the pong that it waits for. So the hub sends a ping behind what it writes, takes the pong as word
//! that all before it has arrived, and stops at a window of bytes that have not. A window that is used doubles
//! while pongs come soon, and shrinks by as much as they come late. Until a pong is late nothing is conflated.
//!
//! Measured with 1,000 quotes a second to a client that reads fifty messages a second (`tests/it/websocket.rs`,
//! debug build): without a window its quotes were 37 s old after 40 s, and older every second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The window of a client of which nothing is known yet, in bytes: sixty quotes.
const WINDOW_BYTES_FIRST: usize = 16 * 1024;

/// The smallest window. A frame that is larger goes when nothing else is on its way.
const WINDOW_BYTES_MIN: usize = 1024;

/// The largest: what the kernel keeps for a client is less.
const WINDOW_BYTES_MAX: usize = 1024 * 1024;

/// A pong that took no longer than this beyond the shortest way there and back is soon …
const SOON: Duration = Duration::from_millis(300);

/// … and one that took longer than this is late.
const LATE: Duration = Duration::from_secs(1);

/// Behind a batch there is a ping at least this often, however small the batches are.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A ping for each such part of the window.
const PINGS_PER_WINDOW: usize = 4;

/// Pings on their way at once. Beyond it they are left out: the next covers what these would have.
const PINGS_MAX: usize = 16;

/// A client that has answered no ping for this long from the beginning may answer none: until it does it is
/// left to what its socket takes.
const FIRST_PONG_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Ping {
    number: u64,
    /// Bytes that are on their way with it and were not with the one before.
    bytes: usize,
    /// Whether half of the window was on its way: else its pong says nothing of a larger one.
    full: bool,
    at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// No ping has been answered; the first was sent then, if one was.
    NotYet(Option<Instant>),
    Yes,
    Never,
}

/// What is on its way to one client.
#[derive(Debug)]
pub struct Pace {
    answers: Answers,
    window: usize,
    /// Bytes that no pong has covered.
    on_their_way: usize,
    /// Of these, bytes that no ping covers yet.
    uncovered: usize,
    pings: VecDeque<Ping>,
    numbers: u64,
    pinged: Option<Instant>,
    /// When the last pong came.
    ponged: Instant,
    /// The last ping that was sent before the window changed: pongs up to it say nothing of the new one.
    judged: u64,
    /// The shortest way there and back.
    shortest: Duration,
    late: bool,
}

impl Pace {
    /// Nothing is on its way to a client that begins now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            answers: Answers::NotYet(None),
            window: WINDOW_BYTES_FIRST,
            on_their_way: 0,
            uncovered: 0,
            pings: VecDeque::new(),
            numbers: 0,
            pinged: None,
            ponged: now,
            judged: 0,
            shortest: Duration::MAX,
            late: false,
        }
    }

    /// Whether more may be sent, when so many bytes are about to be.
    #[must_use]
    pub fn has_room(&self, waiting: usize) -> bool {
        // A window that shrank below what no ping covers: what goes next takes one along.
        let nothing_to_wait_for = self.pings.is_empty() && waiting == 0;
        self.answers == Answers::Never
            || nothing_to_wait_for
            || self.on_their_way + waiting < self.window
    }

    /// Bytes were sent; the number of a ping to be sent behind them, if one is due.
    pub fn sent(&mut self, now: Instant, bytes: usize) -> Option<u64> {
        self.on_their_way += bytes;
        self.uncovered += bytes;
        let due = self.uncovered * PINGS_PER_WINDOW >= self.window
            || self
                .pinged
                .is_none_or(|at| now.duration_since(at) >= PING_EVERY);
        if !due || self.pings.len() >= PINGS_MAX {
            return None;
        }
        self.numbers += 1;
        self.pinged = Some(now);
        if self.answers == Answers::NotYet(None) {
            self.answers = Answers::NotYet(Some(now));
        }
        self.pings.push_back(Ping {
            number: self.numbers,
            bytes: std::mem::take(&mut self.uncovered),
            full: self.on_their_way * 2 >= self.window,
            at: now,
        });
        Some(self.numbers)
    }

    /// A pong came. One of no ping that is on its way says nothing.
    pub fn ponged(&mut self, now: Instant, number: u64) {
        let Some(place) = self.pings.iter().position(|p| p.number == number) else {
            return;
        };
        self.answers = Answers::Yes;
        self.ponged = now;
        let (mut took, mut full) = (Duration::ZERO, false);
        for ping in self.pings.drain(..=place) {
            self.on_their_way -= ping.bytes;
            took = now.saturating_duration_since(ping.at);
            full = ping.full;
        }
        self.shortest = self.shortest.min(took);
        if number <= self.judged {
            return;
        }
        let beyond = took - self.shortest;
        self.late = beyond > LATE || (self.late && beyond > SOON);
        if beyond <= SOON && full {
            self.window = (self.window * 2).min(WINDOW_BYTES_MAX);
        } else if beyond > LATE {
            let share = LATE.as_secs_f64() / beyond.as_secs_f64();
            self.window = part(self.window, share).max(WINDOW_BYTES_MIN);
        } else {
            return;
        }
        self.judged = self.numbers;
    }

    /// Time passes: a pong becomes late; and a client that has answered no ping in time is taken for one that
    /// answers none.
    pub fn look(&mut self, now: Instant) {
        match self.answers {
            Answers::NotYet(Some(first)) if now >= first + FIRST_PONG_WITHIN => {
                self.answers = Answers::Never;
            }
            Answers::Yes => self.late |= self.waits_too_long(now),
            _ => {}
        }
    }

    /// Whether the client is known to read slower than it is written to.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// For how long a client that answers pings has taken nothing of what is on its way.
    #[must_use]
    pub fn takes_nothing_for(&self, now: Instant) -> Duration {
        let since = self.pings.front().map(|oldest| oldest.at.max(self.ponged));
        let since = since.filter(|_| self.answers == Answers::Yes);
        since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// Whether the oldest ping waits for its pong beyond what is in time.
    fn waits_too_long(&self, now: Instant) -> bool {
        let oldest = self.pings.front();
        oldest.is_some_and(|p| now.saturating_duration_since(p.at) > self.shortest + LATE)
    }
}

/// A share of so many bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a megabyte at most, and a share between 0 and 1"
)]
fn part(bytes: usize, share: f64) -> usize {
    (bytes as f64 * share) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A client that reads so many bytes a second, of a source that always has more.
    fn worst_lag(bytes_per_second: u64, for_ms: u64, frame: usize) -> (Duration, u64) {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        // What is on its way: when it was sent, its bytes, its ping.
        let mut line: VecDeque<(Instant, usize, Option<u64>)> = VecDeque::new();
        let (mut credit, mut worst, mut read) = (0_u64, Duration::ZERO, 0);
        for ms in 0..for_ms {
            let now = start + Duration::from_millis(ms);
            pace.look(now);
            while pace.has_room(0) {
                let ping = pace.sent(now, frame);
                line.push_back((now, frame, ping));
            }
            credit += bytes_per_second;
            while let Some((at, bytes, ping)) = line.front().copied()
                && credit >= bytes as u64 * 1_000
            {
                line.pop_front();
                credit -= bytes as u64 * 1_000;
                read += bytes as u64;
                if ms > for_ms / 2 {
                    worst = worst.max(now - at);
                }
                if let Some(number) = ping {
                    pace.ponged(now, number);
                }
            }
            if line.is_empty() {
                credit = 0;
            }
        }
        (worst, read * 1_000 / for_ms)
    }

    #[test]
    fn what_a_slow_client_reads_is_not_old_and_what_a_fast_one_reads_is_not_held_up() {
        for rate in [5_000, 14_000, 100_000, 1_000_000] {
            let (lag, got) = worst_lag(rate, 20_000, 280);
            assert!(
                lag < Duration::from_millis(2_500),
                "{rate} bytes/s: {lag:?}"
            );
            assert!(got * 10 > rate * 8, "{rate} bytes/s: only {got} taken");
        }
    }

    #[test]
    fn a_client_that_answers_no_ping_is_left_to_its_socket_until_it_does() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        while pace.has_room(0) {
            pace.sent(start, 1_000);
        }
        pace.look(start);
        assert!(!pace.has_room(0));
        pace.look(start + FIRST_PONG_WITHIN);
        assert!(pace.has_room(usize::MAX / 2));
        let later = start + Duration::from_secs(60);
        for _ in 0..100 {
            pace.sent(later, 1_000_000);
        }
        assert!(pace.pings.len() <= PINGS_MAX && pace.takes_nothing_for(later).is_zero());
        // One that has only been away for long is heard again.
        pace.ponged(later, 1);
        assert!(!pace.has_room(1));
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_and_all_pongs_give_all_room_back(
            steps in prop::collection::vec((0_usize..5_000, any::<bool>(), 0_u64..700), 1..200)
        ) {
            let mut now = Instant::now();
            let mut pace = Pace::new(now);
            let mut unanswered = VecDeque::new();
            for (bytes, answer, wait) in steps {
                now += Duration::from_millis(wait);
                unanswered.extend(pace.sent(now, bytes));
                if answer && let Some(number) = unanswered.pop_front() {
                    pace.ponged(now, number);
                    pace.ponged(now, number);
                }
                pace.ponged(now, 1 << 40);
                prop_assert!((WINDOW_BYTES_MIN..=WINDOW_BYTES_MAX).contains(&pace.window));
                prop_assert!(pace.pings.len() <= PINGS_MAX);
                prop_assert_eq!(
                    pace.on_their_way,
                    pace.uncovered + pace.pings.iter().map(|p| p.bytes).sum::<usize>()
                );
            }
            for number in unanswered { pace.ponged(now, number) }
            prop_assert_eq!(pace.on_their_way, pace.uncovered);
        }
    }
}
