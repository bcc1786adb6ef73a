//! What a client gets for whom there is no place, no thread or no descriptor: a whole answer that needs
//! none of them, instead of a connection that breaks or is never taken.

use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::edge::answer::{Answer, Wants};
use crate::runtime::deadline_io::write_now;

/// A client that sees the answer before it has sent its request may lose it: so long its request is waited
/// for. It comes with the connection, mostly.
const LINGER: Duration = Duration::from_millis(50);

/// When it may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// More of a request is not read.
const READ_BYTES_MAX: usize = 16_384;

/// Why it is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// As many connections are open as may be.
    Full,
    /// The system gives no other thread.
    NoThread,
    /// The system gives no other descriptor.
    NoDescriptor,
}

impl Why {
    fn detail(self) -> &'static str {
        match self {
            Self::Full => "Too many connections; close some, or raise the server's limit",
            Self::NoThread => {
                "The system gives this server no thread for another connection; try again, or raise its limit (ulimit -u, or TasksMax in a unit file)"
            }
            Self::NoDescriptor => {
                "The system gives this server no descriptor for another connection; close some, or raise its limit (ulimit -n, or LimitNOFILE in a unit file)"
            }
        }
    }

    fn answer(self) -> Vec<u8> {
        let answer = Answer::error(503, self.detail()).with_retry_after(Some(RETRY_AFTER));
        let close = [("Connection", "close".to_owned())];
        let written = answer.write(&Wants::default(), Instant::now(), &close);
        written.into_bytes()
    }
}

/// Tells a client, and closes. Where there is no thread or descriptor it takes up to [`LINGER`]: no
/// other client could be served meanwhile.
pub fn turn_away(mut stream: &TcpStream, why: Why) {
    let _gone = write_now(stream, &why.answer());
    let _gone = stream.shutdown(Shutdown::Write);
    let waits = if why == Why::Full {
        stream.set_nonblocking(true)
    } else {
        stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_read_timeout(Some(LINGER)))
    };
    if waits.is_ok() {
        let _what_it_wanted = stream.read(&mut [0; READ_BYTES_MAX]);
    }
}

/// A descriptor kept for the time when there is none.
#[derive(Debug)]
pub struct Reserve(Option<TcpListener>);

impl Reserve {
    /// Keeps one.
    #[must_use]
    pub fn new(listener: &TcpListener) -> Self {
        Self(listener.try_clone().ok())
    }

    /// Takes the next client by it and turns that one away. False where another thread was faster.
    pub fn turn_one_away(&mut self, listener: &TcpListener) -> bool {
        self.0 = None;
        let turned = listener
            .accept()
            .map(|(stream, _)| turn_away(&stream, Why::NoDescriptor));
        self.0 = listener.try_clone().ok();
        turned.is_ok()
    }
}

/// Whether no descriptor could be had, of the process's or of the system's.
#[must_use]
pub fn lacks_descriptor(e: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let lacks = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        e.raw_os_error().is_some_and(|code| lacks.contains(&code))
    }
    #[cfg(not(unix))]
    {
        let _ = e;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusals_are_whole_answers() {
        for why in [Why::Full, Why::NoThread, Why::NoDescriptor] {
            let answer = String::from_utf8(why.answer()).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            for line in [
                "HTTP/1.1 503 Service Unavailable\r\n",
                "\r\nDate: ",
                "\r\nX-Content-Type-Options: nosniff\r\n",
                "\r\nRetry-After: 1\r\n",
                "\r\nConnection: close",
            ] {
                assert!(head.contains(line), "{head}");
            }
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["detail"], why.detail());
        }
    }
}
