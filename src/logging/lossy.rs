//! A writer that loses what cannot be written, keeps the account of it, and tells of it in its own place as
//! soon as that takes something again. Pure: what it writes to is a [`Sink`].

use std::fmt;
use std::io;
use std::time::Instant;

use crate::runtime::log_throttle::{LogThrottle, Untold};

/// Where lines go.
pub trait Sink {
    /// Writes whole lines, all or nothing.
    ///
    /// # Errors
    /// The system's.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Whether the next lines could be written.
    ///
    /// # Errors
    /// The system's.
    fn ready(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The writer, in the hands of one thread.
#[derive(Debug)]
pub struct LossyWriter<S> {
    sink: S,
    /// The line that tells that so many were lost.
    lost_line: fn(u64) -> String,
    /// What could not be written.
    failed: u64,
    /// What was lost and is told.
    told: u64,
    failures: LogThrottle,
}

/// Writing failed, and that is worth a line elsewhere.
#[derive(Debug)]
pub struct Failure {
    error: io::Error,
    lost: u64,
    untold: Untold,
}

/// `error; 3 are lost so far`
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {} are lost so far{}",
            self.error, self.lost, self.untold
        )
    }
}

impl<S: Sink> LossyWriter<S> {
    /// `lost_line`: tells in the sink itself that so many were lost; whole, with its newline.
    #[must_use]
    pub fn new(sink: S, lost_line: fn(u64) -> String) -> Self {
        Self {
            sink,
            lost_line,
            failed: 0,
            told: 0,
            failures: LogThrottle::default(),
        }
    }

    /// Writes one entry, and behind it what was lost before: of those, `refused` found no room in the queue
    /// since the start.
    pub fn write(&mut self, now: Instant, bytes: &[u8], refused: u64) -> Option<Failure> {
        if let Err(error) = self.sink.append(bytes) {
            self.failed += 1;
            return self.failure(now, error, refused);
        }
        self.tell_lost(refused);
        None
    }

    /// Has the sink made ready, so that what is wrong with it shows before there is something to write.
    pub fn ready(&mut self, now: Instant, refused: u64) -> Option<Failure> {
        let error = self.sink.ready().err()?;
        self.failure(now, error, refused)
    }

    fn failure(&mut self, now: Instant, error: io::Error, refused: u64) -> Option<Failure> {
        let untold = self.failures.happened(now)?;
        let lost = refused + self.failed - self.told;
        Some(Failure {
            error,
            lost,
            untold,
        })
    }

    fn tell_lost(&mut self, refused: u64) {
        let lost = refused + self.failed;
        if lost > self.told {
            let line = (self.lost_line)(lost - self.told);
            if self.sink.append(line.as_bytes()).is_ok() {
                self.told = lost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes so many entries, then refuses so many, by turns.
    #[derive(Default)]
    struct Moody {
        refuses: bool,
        text: String,
    }

    impl Sink for Moody {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            if self.refuses {
                return Err(io::Error::other("full"));
            }
            self.text.push_str(&String::from_utf8_lossy(bytes));
            Ok(())
        }
    }

    fn writer() -> LossyWriter<Moody> {
        LossyWriter::new(Moody::default(), |lost| format!("lost {lost}\n"))
    }

    #[test]
    fn what_is_lost_is_told_behind_the_next_entry_and_failures_in_few_lines() {
        let (mut writer, now) = (writer(), Instant::now());
        assert!(writer.write(now, b"one\n", 0).is_none());
        writer.sink.refuses = true;
        let failure = writer.write(now, b"two\n", 2).unwrap();
        assert_eq!(failure.to_string(), "full; 3 are lost so far");
        assert!(writer.write(now, b"three\n", 2).is_none(), "told just now");
        writer.sink.refuses = false;
        assert!(writer.write(now, b"four\n", 2).is_none());
        assert!(writer.write(now, b"five\n", 2).is_none());
        assert_eq!(writer.sink.text, "one\nfour\nlost 4\nfive\n");
    }

    proptest! {
        #[test]
        fn each_entry_is_written_or_counted(
            steps in prop::collection::vec((any::<bool>(), 0..5_u64), 0..100),
        ) {
            let (mut writer, now, mut refused) = (writer(), Instant::now(), 0);
            for (refuses, more) in &steps {
                writer.sink.refuses = *refuses;
                refused += more;
                writer.write(now, b"entry\n", refused);
            }
            writer.sink.refuses = false;
            writer.write(now, b"entry\n", refused);
            let written = writer.sink.text.matches("entry\n").count() as u64;
            let lost: u64 = writer
                .sink
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("lost ")?.parse::<u64>().ok())
                .sum();
            prop_assert_eq!(written + lost, steps.len() as u64 + 1 + refused);
        }
    }
}
