//! A client's request head, bounded and checked, and the head that is handed on in its place. Pure.
//!
//! Nothing of the client's bytes goes further: what tiny_http gets is written anew from what was
//! understood here (RFC 9112), so that no two readers can disagree about where a request ends.
//!
//! `cargo bench --bench cores`: a browser's head in 1.1 µs.

use std::borrow::Cow;

use super::handshake::{self, Handshake};
use super::origin::{Origin, host_and_port};

use super::framing::{self, Framing};
use super::refusal::Refusal;
use super::secret::Secret;
use super::sender::Sender;
use super::target::{self, Target};

/// More header lines than this are refused.
const HEADERS_MAX: usize = 100;

/// What a head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Upper-case letters.
    pub method: String,
    /// Path and query as they came, or `*` for the server as a whole.
    pub target: String,
    /// HTTP/1.0 closes unless asked otherwise.
    pub http10: bool,
    /// Whether the client wants the connection closed after this answer.
    pub close: bool,
    /// How the body that follows is framed.
    pub framing: Framing,
    /// Whether the client waits to be told that its body is wanted.
    pub expects_continue: bool,
    /// The host that it asks, as its target or else the `Host` header names it: a name or an address, and
    /// perhaps a port. Empty where HTTP/1.0 names none.
    pub host: String,
    /// The `Origin` header; none where it is empty.
    pub origin: Option<String>,
    /// What it says of its sender besides.
    pub sender: Sender,
    /// The `Authorization` header; it goes no further.
    pub authorization: Option<Secret>,
    /// Whether it asks to become a WebSocket.
    pub handshake: Handshake,
    /// Headers that go on to the workers, by their names here.
    pub passed: Vec<(&'static str, String)>,
}

/// What came of looking at the bytes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// More is needed.
    Partial,
    /// A whole head of this many bytes.
    Whole(Box<Head>, usize),
    /// It will not do; the connection is closed.
    Refused(Refusal),
}

/// Headers that the workers may see, besides `Origin`. A list's parts may stand on lines of their own.
const PASSED: [&str; 4] = [
    "Accept-Encoding",
    "If-None-Match",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
];

/// The longest passed value, in bytes; what would make one longer is left out.
const PASSED_BYTES_MAX: usize = 1_024;

/// Headers that decide where the request ends, whom it asks and who asks: not one byte of these may be
/// guessed at. In others a byte that is not ASCII stands for itself and nothing else.
const DECISIVE: [&str; 9] = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Expect",
    "Origin",
    "Upgrade",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
];

/// Looks at the bytes received so far.
#[must_use]
pub fn parse(bytes: &[u8], head_bytes_max: usize, body_bytes_max: usize) -> Parsed {
    let seen = &bytes[..bytes.len().min(head_bytes_max)];
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match measured(&mut request, seen) {
        Ok(Some(length)) => length,
        Ok(None) if bytes.len() < head_bytes_max => return Parsed::Partial,
        Ok(None) => {
            let detail = format!("The request's head is longer than {head_bytes_max} bytes");
            return Parsed::Refused(Refusal::new(431, detail));
        }
        Err(refusal) => return Parsed::Refused(refusal),
    };
    match understood(&request, body_bytes_max) {
        Ok(head) => Parsed::Whole(Box::new(head), length),
        Err(refusal) => Parsed::Refused(refusal),
    }
}

/// Takes the lines apart; the head's length, none while it is not all there.
fn measured<'b>(
    request: &mut httparse::Request<'_, 'b>,
    seen: &'b [u8],
) -> Result<Option<usize>, Refusal> {
    if seen.starts_with(b"PRI * HTTP/2") {
        let detail = "This server speaks HTTP/1.1; HTTP/2 is not supported";
        return Err(Refusal::new(505, detail));
    }
    let length = match request.parse(seen) {
        Ok(httparse::Status::Complete(length)) => Some(length),
        Ok(httparse::Status::Partial) => None,
        Err(httparse::Error::TooManyHeaders) => {
            let detail = format!("More than {HEADERS_MAX} header lines");
            return Err(Refusal::new(431, detail));
        }
        Err(httparse::Error::Version) => return Err(target::version_refusal(seen)),
        Err(e) => return Err(Refusal::new(400, format!("The request is not HTTP: {e}"))),
    };
    match request.path {
        Some(path) => target::check_length(path)?,
        None => target::check_begun(seen)?,
    }
    // The parser wants a line feed behind each carriage return, and takes one alone as well.
    let read = &seen[..length.unwrap_or(seen.len())];
    let count = |byte| read.iter().filter(|b| **b == byte).count();
    if count(b'\n') > count(b'\r') {
        let detail = "A line of the request's head ends without a carriage return";
        return Err(Refusal::new(400, detail));
    }
    Ok(length)
}

fn understood(request: &httparse::Request<'_, '_>, body_max: usize) -> Result<Head, Refusal> {
    let method = request.method.unwrap_or("");
    target::check_method(method)?;
    let target = Target::read(method, request.path.unwrap_or(""))?;
    let mut lines = Lines::of(Head {
        method: method.to_owned(),
        target: target.path,
        http10: request.version == Some(0),
        ..Head::default()
    });
    for header in request.headers.iter() {
        let value = header.value.trim_ascii();
        let is_decisive = || DECISIVE.iter().any(|d| d.eq_ignore_ascii_case(header.name));
        if !value.is_ascii() && is_decisive() {
            let detail = format!("The header {} is not ASCII", header.name);
            return Err(Refusal::new(400, detail));
        }
        lines.take(header.name, &String::from_utf8_lossy(value))?;
    }
    lines.verdict(target.host, body_max)
}

/// Gathers what the header lines say.
struct Lines {
    head: Head,
    host: Option<String>,
    framing: framing::Gathered,
    handshake: handshake::Gathered,
    closes: bool,
    keeps: bool,
}

impl Lines {
    /// Of a head that has none yet.
    fn of(head: Head) -> Self {
        Self {
            head,
            host: None,
            framing: framing::Gathered::default(),
            handshake: handshake::Gathered::default(),
            closes: false,
            keeps: false,
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if self.framing.take(name, value)? || self.handshake.take(name, value) {
            return Ok(());
        }
        if is("Host") {
            if self.host.replace(value.to_owned()).is_some() {
                return Err(Refusal::new(400, "More than one Host header"));
            }
        } else if is("Connection") {
            for token in value.split(',').map(str::trim) {
                self.closes |= token.eq_ignore_ascii_case("close");
                self.keeps |= token.eq_ignore_ascii_case("keep-alive");
            }
        } else if is("Expect") {
            for expected in value.split(',').map(str::trim).filter(|e| !e.is_empty()) {
                if !expected.eq_ignore_ascii_case("100-continue") {
                    let detail = "Of the expectations this server knows 100-continue alone";
                    return Err(Refusal::new(417, detail));
                }
                // HTTP/1.0 has no interim answers.
                self.head.expects_continue = !self.head.http10;
            }
        } else if is("Authorization") {
            self.head.authorization = Some(Secret::new(value));
        } else if is("Origin") {
            let value = Some(value.to_owned()).filter(|v| !v.is_empty());
            if self.head.origin.is_some() && self.head.origin != value {
                return Err(Refusal::new(400, "More than one Origin header"));
            }
            self.head.origin = value;
        } else if let Some(known) = PASSED.iter().find(|p| is(p)) {
            self.head.pass(known, value);
        } else {
            self.head.sender.hear(name, value);
        }
        Ok(())
    }

    fn verdict(self, host: Option<String>, body_max: usize) -> Result<Head, Refusal> {
        let mut head = self.head;
        let named = match (self.host, head.http10) {
            (None, false) => return Err(Refusal::new(400, "The Host header is missing")),
            (named, _) => named,
        };
        // Both, also where the one counts and the other does not.
        for host in [&named, &host].into_iter().flatten() {
            if host_and_port(host).is_none() {
                let detail = "The request's Host must be a name or an address, and perhaps a port";
                return Err(Refusal::new(400, detail));
            }
        }
        head.host = host.or(named).unwrap_or_default();
        head.close = self.closes || (head.http10 && !self.keeps);
        head.framing = self.framing.verdict(head.http10, body_max)?;
        let has_body = head.framing != Framing::None;
        head.handshake = self
            .handshake
            .verdict(head.method == "GET", head.http10, has_body);
        Ok(head)
    }
}

impl Head {
    /// Path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// The value of a header that routes read.
    #[must_use]
    pub fn passed(&self, name: &str) -> Option<&str> {
        let hit = self.passed.iter().find(|(n, _)| *n == name);
        hit.map(|(_, value)| value.as_str())
    }

    /// Adds a line of such a header. Who reads it behind takes ASCII alone.
    fn pass(&mut self, name: &'static str, value: &str) {
        let value: Cow<'_, str> = if value.is_ascii() {
            value.into()
        } else {
            value.replace(|c: char| !c.is_ascii(), "?").into()
        };
        let so_far = self.passed.iter_mut().find(|(n, _)| *n == name);
        let length = so_far.as_ref().map_or(0, |(_, list)| list.len() + 2);
        if length + value.len() > PASSED_BYTES_MAX {
            return;
        }
        match so_far {
            Some((_, list)) => {
                list.push_str(", ");
                list.push_str(&value);
            }
            None => self.passed.push((name, value.into_owned())),
        }
    }

    /// Whether an origin is that of the server that the request names. Means something only for a host
    /// that is known to be ours.
    #[must_use]
    pub fn is_own(&self, origin: &str) -> bool {
        Origin::parse(origin).is_some_and(|origin| origin.is_of_host(&self.host))
    }

    /// Drops the origin of a page that came from this server itself: it needs nobody's leave.
    pub fn forget_own_origin(&mut self) {
        if self.origin.as_deref().is_some_and(|o| self.is_own(o)) {
            self.origin = None;
        }
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
