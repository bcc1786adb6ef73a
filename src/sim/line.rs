//! A socket of the embedded market's stream: reads and writes end at absolute deadlines, whatever signals come, and at the
//! end of the process.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::runtime::Stop;

/// No wait is longer, so that the end of the process is noticed in time.
pub(super) const SLICE: Duration = Duration::from_millis(250);

/// A socket with absolute deadlines, which ends its waits when the process ends.
#[derive(Debug)]
pub(super) struct Line<'a> {
    stream: &'a TcpStream,
    stop: Stop,
    /// Reads fail with `WouldBlock` from then on, after one try.
    pub(super) read_until: Instant,
    /// Writes fail with `TimedOut` from then on, after one try.
    pub(super) write_until: Instant,
}

impl<'a> Line<'a> {
    pub(super) fn new(stream: &'a TcpStream, stop: Stop) -> Self {
        let now = Instant::now();
        Self {
            stream,
            stop,
            read_until: now,
            write_until: now,
        }
    }

    /// The time left until `until`, as a socket option takes it: never zero, and never long.
    fn slice(until: Instant) -> Duration {
        until
            .saturating_duration_since(Instant::now())
            .clamp(Duration::from_millis(1), SLICE)
    }

    /// Whether an error is only an interruption or the end of a slice, …
    fn is_pause(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    }

    /// … and whether there is time to go on after it.
    fn goes_on(&self, until: Instant) -> bool {
        Instant::now() < until && !self.stop.is_set()
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream
                .set_read_timeout(Some(Self::slice(self.read_until)))?;
            match (&mut &*self.stream).read(buffer) {
                Err(e) if !Self::is_pause(&e) => return Err(e),
                Err(_) if self.goes_on(self.read_until) => {}
                Err(_) => return Err(io::ErrorKind::WouldBlock.into()),
                read => return read,
            }
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.stream
                .set_write_timeout(Some(Self::slice(self.write_until)))?;
            match (&mut &*self.stream).write(bytes) {
                Err(e) if !Self::is_pause(&e) => return Err(e),
                Err(_) if self.goes_on(self.write_until) => {}
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
