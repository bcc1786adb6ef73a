//! A worker's end of one request: what the gate hears of it until it has the answer.
//!
//! The gate waits [`WORKER_PATIENCE`] for a word and then takes the worker to be stuck: what may be asked
//! twice goes to another. A worker that waits by design, for a cache or the watchdog, says so with an
//! interim answer that has [`ANSWER_WITHIN`].

use std::io::Write;
use std::time::{Duration, Instant};

use crate::runtime::clock::millis;

use crate::edge::answer::{Answer, Wants};

/// How long a worker that has a request in hand may be silent.
pub const WORKER_PATIENCE: Duration = Duration::from_secs(1);

/// In an interim answer: within how many milliseconds the gate hears more.
pub const ANSWER_WITHIN: &str = "X-Answer-Within";

/// The end.
pub struct GateEnd {
    out: Box<dyn Write + Send>,
    head_only: bool,
    answered: bool,
}

impl GateEnd {
    /// Of a request that was not answered yet; `head_only`: its answer has no body.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, head_only: bool) -> Self {
        Self {
            out,
            head_only,
            answered: false,
        }
    }

    /// Has the gate wait: another worker could not answer sooner. False when it waits no more: the client
    /// left.
    pub fn hear_within(&mut self, time: Duration) -> bool {
        let words = format!(
            "HTTP/1.1 102 Processing\r\n{ANSWER_WITHIN}: {}\r\n\r\n",
            millis(time)
        );
        self.send(words.as_bytes())
    }

    /// The answer, head and body.
    pub fn answer(mut self, bytes: &[u8]) {
        self.answered = true;
        self.send(bytes);
    }

    /// False when the gate has closed its end: the client left, and nobody is there to be told.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = self.out.write_all(bytes).and_then(|()| self.out.flush());
        sent.is_ok()
    }
}

impl Drop for GateEnd {
    fn drop(&mut self) {
        if !self.answered {
            let answer = Answer::error(
                500,
                "The thread that made this answer panicked; see the [PANIC] lines in logs/backend.log",
            );
            let wants = Wants {
                head_only: self.head_only,
                ..Wants::default()
            };
            let bytes = answer.write(&wants, Instant::now(), &[]).into_bytes();
            self.send(&bytes);
        }
    }
}
