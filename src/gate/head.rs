//! A client's request head, bounded and checked, and the head that is handed on in its place. Pure.
//!
//! Nothing of the client's bytes goes further: what tiny_http gets is written anew from what was
//! understood here (RFC 9112), so that no two readers can disagree about where a request ends.
//!
//! `cargo bench --bench cores`: a browser's head in 0.7 µs.

use std::fmt::Write;
use std::time::Duration;

use crate::http::Origin;

use super::handshake::{Gathered, Handshake};
use super::secret::Secret;
use super::sender::Sender;

/// More header lines than this are refused.
const HEADERS_MAX: usize = 64;

/// What a head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Upper-case letters.
    pub method: String,
    /// Path and query as they came, in origin form.
    pub target: String,
    /// HTTP/1.0 closes unless asked otherwise.
    pub http10: bool,
    /// Whether the client wants the connection closed after this answer.
    pub close: bool,
    /// Bytes of body that follow.
    pub body_bytes: usize,
    /// Whether the client waits to be told that its body is wanted.
    pub expects_continue: bool,
    /// The `Host` header.
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

/// Why a head is refused: a status and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// For `{"detail": …}`.
    pub detail: String,
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

/// Headers that the workers may see, besides `Origin`.
const PASSED: [&str; 5] = [
    "Accept-Encoding",
    "If-None-Match",
    "Content-Type",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
];

/// The longest passed value, in bytes.
const PASSED_BYTES_MAX: usize = 1_024;

/// Looks at the bytes received so far.
#[must_use]
pub fn parse(bytes: &[u8], head_bytes_max: usize, body_bytes_max: usize) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let refused = |status, detail: &str| {
        Parsed::Refused(Refusal {
            status,
            detail: detail.to_owned(),
        })
    };
    if bytes.starts_with(b"PRI * HTTP/2") {
        return refused(505, "This server speaks HTTP/1.1; HTTP/2 is not supported");
    }
    let length = match request.parse(&bytes[..bytes.len().min(head_bytes_max)]) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= head_bytes_max => {
            return refused(
                431,
                &format!("The request's head is longer than {head_bytes_max} bytes"),
            );
        }
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => {
            return refused(431, &format!("More than {HEADERS_MAX} header lines"));
        }
        Err(httparse::Error::Version) => {
            return refused(505, "This server speaks HTTP/1.1 and HTTP/1.0");
        }
        Err(e) => return refused(400, &format!("The request is not HTTP: {e}")),
    };
    match understood(&request, body_bytes_max) {
        Ok(head) => Parsed::Whole(Box::new(head), length),
        Err(refusal) => Parsed::Refused(refusal),
    }
}

fn understood(request: &httparse::Request<'_, '_>, body_max: usize) -> Result<Head, Refusal> {
    let refusal = |status, detail: String| Refusal { status, detail };
    let http10 = request.version == Some(0);
    let mut head = Head {
        method: request.method.unwrap_or("").to_owned(),
        target: request.path.unwrap_or("").to_owned(),
        http10,
        close: http10,
        ..Head::default()
    };
    if !head.method.bytes().all(|b| b.is_ascii_uppercase()) || head.method.len() > 16 {
        return Err(refusal(400, "The request's method is none".into()));
    }
    if !head.target.starts_with('/') || !head.target.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
        return Err(refusal(
            400,
            "The request's target must be a path that begins with '/'".into(),
        ));
    }
    let mut host = None;
    let mut length: Option<usize> = None;
    let mut handshake = Gathered::default();
    for header in request.headers.iter() {
        let name = header.name;
        let Ok(value) = std::str::from_utf8(header.value).map(str::trim) else {
            return Err(refusal(400, format!("The header {name} is not text")));
        };
        if value.bytes().any(|b| b < b' ' && b != b'\t') {
            return Err(refusal(
                400,
                format!("The header {name} has control characters"),
            ));
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if handshake.take(name, value) {
            continue;
        }
        if is("Host") {
            if host.replace(value).is_some() {
                return Err(refusal(400, "More than one Host header".into()));
            }
        } else if is("Content-Length") {
            let sound = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let bytes = value.parse::<usize>().unwrap_or(usize::MAX);
            if !sound || length.is_some_and(|l| l != bytes) {
                return Err(refusal(400, "Content-Length is not one number".into()));
            }
            length = Some(bytes);
        } else if is("Transfer-Encoding") {
            return Err(refusal(
                501,
                "Bodies in Transfer-Encoding are not taken; send Content-Length".into(),
            ));
        } else if is("Connection") {
            for token in value.split(',').map(str::trim) {
                if token.eq_ignore_ascii_case("close") {
                    head.close = true;
                } else if token.eq_ignore_ascii_case("keep-alive") && http10 {
                    head.close = false;
                }
            }
        } else if is("Expect") {
            head.expects_continue = value.eq_ignore_ascii_case("100-continue");
        } else if is("Authorization") {
            head.authorization = Some(Secret::new(value));
        } else if is("Origin") {
            let value = Some(value.to_owned()).filter(|v| !v.is_empty());
            if head.origin.is_some() && head.origin != value {
                return Err(refusal(400, "More than one Origin header".into()));
            }
            head.origin = value;
        } else if let Some(known) = PASSED.iter().find(|p| is(p))
            && value.len() <= PASSED_BYTES_MAX
        {
            head.passed.push((known, value.to_owned()));
        } else {
            head.sender.hear(name, value);
        }
    }
    match host {
        Some(host) => head.host = host.to_owned(),
        None if http10 => {}
        None => return Err(refusal(400, "The Host header is missing".into())),
    }
    head.body_bytes = length.unwrap_or(0);
    if head.body_bytes > body_max {
        return Err(refusal(
            413,
            format!("The body is longer than {body_max} bytes"),
        ));
    }
    head.handshake = handshake.verdict(head.method == "GET", http10);
    Ok(head)
}

impl Head {
    /// Path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// The value of a header that goes on to the workers.
    #[must_use]
    pub fn passed(&self, name: &str) -> Option<&str> {
        let hit = self.passed.iter().find(|(n, _)| *n == name);
        hit.map(|(_, value)| value.as_str())
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

    /// The head that tiny_http gets: this request, how long it may take, and nothing of the client's
    /// own bytes.
    #[must_use]
    pub fn rewritten(&self, ask: u64, peer: &str, left: Duration) -> Vec<u8> {
        let mut out = String::with_capacity(256);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "{} {} HTTP/1.1\r\nHost: gate\r\nX-Ask: {ask}\r\nX-Peer: {peer}\r\nX-Left-Ms: {}\r\nContent-Length: {}\r\n",
            self.method,
            self.target,
            left.as_millis(),
            self.body_bytes
        );
        if let Some(origin) = &self.origin {
            let _ = write!(out, "Origin: {origin}\r\n");
        }
        for (name, value) in &self.passed {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        out.push_str("\r\n");
        out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD_MAX: usize = 8_192;
    const BODY_MAX: usize = 65_536;

    fn status(text: &str) -> u16 {
        match parse(text.as_bytes(), HEAD_MAX, BODY_MAX) {
            Parsed::Refused(r) => r.status,
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    fn head(text: &str) -> Head {
        match parse(text.as_bytes(), HEAD_MAX, BODY_MAX) {
            Parsed::Whole(head, _) => *head,
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_page_of_this_server_is_no_foreign_one() {
        let left = |origin: &str| {
            let mut head = Head {
                host: "192.168.1.5:8081".into(),
                origin: Some(origin.into()),
                ..Head::default()
            };
            head.forget_own_origin();
            head.origin
        };
        assert_eq!(left("http://192.168.1.5:8081"), None);
        assert_eq!(left("https://192.168.1.5:8081"), None);
        for foreign in [
            "http://192.168.1.5:3000",
            "http://192.168.1.5:8081.evil.example",
            "http://evil.example",
            "null",
            "192.168.1.5:8081",
        ] {
            assert_eq!(left(foreign).as_deref(), Some(foreign));
        }
    }

    #[test]
    fn what_would_confuse_a_reader_behind_is_refused() {
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
        assert_eq!(
            status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n"),
            400
        );
        assert_eq!(
            status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"),
            400
        );
        assert_eq!(
            status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400
        );
        assert_eq!(
            status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n"),
            413
        );
        assert_eq!(
            status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            501
        );
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
        assert_eq!(status("GET http://x/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(
            status(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(9_000))),
            431
        );
        assert_eq!(status("\0\0\0\0"), 400);
    }

    #[test]
    fn a_client_cannot_speak_as_the_gate() {
        let head = head(
            "GET /api/health HTTP/1.1\r\nHost: h\r\nX-Peer: 127.0.0.1\r\nX-Ask: 1\r\nOrigin: http://localhost:1\r\n\r\n",
        );
        let text =
            String::from_utf8(head.rewritten(7, "10.0.0.9", Duration::from_secs(9))).unwrap();
        assert_eq!(text.matches("X-Peer").count(), 1);
        assert!(text.contains("X-Peer: 10.0.0.9\r\n") && text.contains("X-Ask: 7\r\n"));
        assert!(text.contains("Origin: http://localhost:1\r\n"));
    }

    #[test]
    fn keep_alive_follows_the_version_and_the_wish() {
        assert!(!head("GET / HTTP/1.1\r\nHost: a\r\n\r\n").close);
        assert!(head("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").close);
        assert!(head("GET / HTTP/1.0\r\n\r\n").close);
        assert!(!head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close);
    }

    #[test]
    fn a_websocket_handshake_is_recognized() {
        let text = "GET /api/ws/quotes HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert_eq!(head(text).handshake.key(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        let of_1_0 = text.replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(head(&of_1_0).handshake, Handshake::NotAsked);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_chunks_do_not_change_the_outcome(
            text in "(GET|POST|x) /[a-z%/?]{0,10} HTTP/1\\.[0-2]\r\n(Host: a\r\n)?([A-Za-z-]{1,8}: [ -~]{0,8}\r\n){0,4}\r\n",
            cut in 0_usize..80
        ) {
            let whole = parse(text.as_bytes(), HEAD_MAX, BODY_MAX);
            let part = parse(&text.as_bytes()[..cut.min(text.len())], HEAD_MAX, BODY_MAX);
            prop_assert!(part == Parsed::Partial || matches!(part, Parsed::Refused(_)) || part == whole);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes, HEAD_MAX, BODY_MAX);
        }

        #[test]
        fn what_is_handed_on_says_exactly_one_length(value in "[ -~]{0,20}") {
            let text = format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: {value}\r\nContent-Length: 3\r\n\r\n");
            if let Parsed::Whole(head, _) = parse(text.as_bytes(), HEAD_MAX, BODY_MAX) {
                let out = head.rewritten(1, "p", Duration::from_secs(9));
                let again = parse(&out, HEAD_MAX, BODY_MAX);
                let Parsed::Whole(again, length) = again else { panic!("{again:?}") };
                prop_assert_eq!(again.body_bytes, 3);
                prop_assert_eq!(length, out.len());
            }
        }
    }
}
