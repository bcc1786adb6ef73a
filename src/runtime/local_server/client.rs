//! A client of a local server: one request, one answer, one connection.

use std::io::{self, ErrorKind};
use std::time::Instant;

use super::address::Address;
#[cfg(unix)]
use super::address::connect_path;
use crate::runtime::deadline_io::{Socket, connect_unless, read_some, write_all};

/// A longer answer is refused, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How much is read at a time, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// More header lines than this are no answer of ours.
const HEADERS_MAX: usize = 32;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAnswer {
    /// HTTP status.
    pub status: u16,
    /// Names and values of its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl LocalAnswer {
    /// The value of the first header of that name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let is_it = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(is_it)
            .map(|(_, value)| value.as_str())
    }
}

/// Asks the server at the address, and has its answer by then.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` where no server is, `WouldBlock` where its queue is full, `TimedOut` where it does
/// not answer in time, `InvalidData` for what is no whole answer.
pub fn ask(address: &Address, method: &str, target: &str, by: Instant) -> io::Result<LocalAnswer> {
    match address {
        Address::Tcp(address) => exchange(
            &mut connect_unless(*address, by, || false)?,
            method,
            target,
            by,
        ),
        #[cfg(unix)]
        Address::Path(path) => exchange(&mut connect_path(path)?, method, target, by),
    }
}

fn exchange<S: Socket>(
    socket: &mut S,
    method: &str,
    target: &str,
    by: Instant,
) -> io::Result<LocalAnswer> {
    let head = format!("{method} {target} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    write_all(socket, head.as_bytes(), by)?;
    let mut got = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match read_some(socket, &mut buffer, by)? {
            0 => return understood(&got),
            n => got.extend_from_slice(&buffer[..n]),
        }
        if got.len() > ANSWER_BYTES_MAX {
            return Err(invalid("the answer is too long"));
        }
    }
}

/// The answer in all the bytes of a connection.
fn understood(got: &[u8]) -> io::Result<LocalAnswer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = response.parse(got) else {
        return Err(invalid("the answer has no whole head"));
    };
    let headers = response.headers.iter();
    let said = LocalAnswer {
        status: response.code.unwrap_or(0),
        headers: headers
            .map(|h| {
                (
                    h.name.to_owned(),
                    String::from_utf8_lossy(h.value).into_owned(),
                )
            })
            .collect(),
        body: got[length..].to_vec(),
    };
    let told = said.header("Content-Length").and_then(|l| l.parse().ok());
    if told.is_some_and(|told: usize| told != said.body.len()) {
        return Err(invalid("the answer was cut short"));
    }
    Ok(said)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_none() {
        let whole = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno";
        let said = understood(whole).unwrap();
        assert_eq!((said.status, said.body.as_slice()), (503, &b"no"[..]));
        for length in 0..whole.len() {
            let cut = understood(&whole[..length]).unwrap_err();
            assert_eq!(cut.kind(), ErrorKind::InvalidData, "{length}");
        }
    }
}
