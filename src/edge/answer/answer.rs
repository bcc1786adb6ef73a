//! An answer, and how it is written for one client: compressed, in short (304), or its head alone.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tiny_http::StatusCode;

use crate::cache::Served;
use crate::payload::{Accepts, Body};
use crate::resilience::FetchError;

use crate::edge::answer::date::add_date;

/// The longest header value made from a sentence, in characters.
const HEADER_CHARS_MAX: usize = 200;

/// What a client gets.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// When its data were current: for `Age`.
    pub as_of: Option<Instant>,
    /// From then on its data are too old to be shown.
    pub until: Option<Instant>,
}

/// How a client wants its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants<'a> {
    /// `HEAD`: no body.
    pub head_only: bool,
    /// `Accept-Encoding`: in which form.
    pub accepts: Accepts,
    /// `If-None-Match`: what it has already.
    pub has: Option<&'a str>,
}

impl<'a> Wants<'a> {
    /// From a request's method and the values of its headers.
    #[must_use]
    pub fn new(
        method: &str,
        accept_encoding: Option<&str>,
        if_none_match: Option<&'a str>,
    ) -> Self {
        let accepts = accept_encoding.map(Accepts::read).unwrap_or_default();
        let reads = matches!(method, "GET" | "HEAD");
        Self {
            head_only: method == "HEAD",
            accepts: if reads { accepts } else { accepts.or_plain() },
            has: if_none_match,
        }
    }
}

/// An answer as it goes over the wire: the two are written one after the other.
#[derive(Clone, Debug)]
pub struct Written {
    /// Status line and headers, with the blank line.
    pub head: Vec<u8>,
    /// None for `HEAD` and 304.
    pub body: Option<Arc<[u8]>>,
}

impl Written {
    /// Both in one buffer.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        if let Some(body) = &self.body {
            self.head.extend_from_slice(body);
        }
        self.head
    }
}

impl Answer {
    /// 200 with JSON for one client.
    #[must_use]
    pub fn json(body: impl Into<Arc<[u8]>>) -> Self {
        Self::with_status(200, Body::once(body))
    }

    /// 200 with JSON that was built once for many.
    #[must_use]
    pub fn built(body: Body) -> Self {
        Self::with_status(200, body)
    }

    /// JSON with any status. `X-Data-Mended` says how many values and characters of it could not be kept,
    /// by kind.
    #[must_use]
    pub fn with_status(status: u16, body: Body) -> Self {
        let mended = body.mended().header();
        Self {
            status,
            content_type: "application/json; charset=utf-8",
            headers: mended.map(|m| ("X-Data-Mended", m)).into_iter().collect(),
            body,
            as_of: None,
            until: None,
        }
    }

    /// 200 with JSON made from a value.
    #[must_use]
    pub fn value(value: &serde_json::Value) -> Self {
        Self::json(value.to_string().into_bytes())
    }

    /// 204 without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self::with_status(204, Body::once(Vec::new()))
    }

    /// An error in the contract's form.
    #[must_use]
    pub fn error(status: u16, detail: &str) -> Self {
        let body = json!({ "detail": detail }).to_string().into_bytes();
        Self::with_status(status, Body::once(body))
    }

    /// A failure with its own status and sentence, and when to come again.
    #[must_use]
    pub fn failure(failure: &FetchError) -> Self {
        Self::error(failure.http_status(), &failure.to_string())
            .with_retry_after(failure.retry_after())
    }

    /// A served value's body, marked when it is stale.
    #[must_use]
    pub fn served<V>(served: &Served<V>, body: Body) -> Self {
        let mut answer = Self::built(body);
        answer.as_of = Some(served.as_of);
        answer.until = served.until;
        match &served.stale_because {
            Some(why) => answer.stale(why),
            None => answer,
        }
    }

    /// Marks what is not as it is now.
    #[must_use]
    pub fn stale(mut self, why: &FetchError) -> Self {
        self.set("X-Data-Stale", header_safe(&why.to_string()));
        // A 304 takes no header from what a browser has kept: it must not keep this mark.
        self.set("Cache-Control", "no-store".to_owned());
        self
    }

    /// Adds `Retry-After`, in whole seconds, rounded up.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        if let Some(wait) = wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            self.set("Retry-After", seconds.max(1).to_string());
        }
        self
    }

    /// Adds a header.
    pub fn set(&mut self, name: &'static str, value: String) {
        self.headers.push((name, value));
    }

    /// Until when what is written at `now` stays right: its `Age` is in whole seconds.
    #[must_use]
    pub fn written_until(&self, now: Instant) -> Instant {
        let age = self
            .as_of
            .map_or(Duration::ZERO, |as_of| now.saturating_duration_since(as_of));
        now + Duration::from_secs(1) - Duration::from_nanos(age.subsec_nanos().into())
    }

    /// The answer for a client that wants it so, with these headers besides its own.
    ///
    /// A tagged body may be kept by the client and must be asked for again each time (`no-cache`); the
    /// question is answered with 304 while it is the same. An answer's own `Cache-Control` goes before that.
    /// Who takes it in no form that there is gets 406 instead, and an error as it is.
    #[must_use]
    pub fn write(
        &self,
        wants: &Wants<'_>,
        now: Instant,
        more: &[(&'static str, String)],
    ) -> Written {
        let (body, gzip) = match self.body.for_client(wants.accepts) {
            Some(form) => form,
            None if self.status == 200 => {
                let refused = Self::error(
                    406,
                    "This server sends its answers as they are or as gzip; let Accept-Encoding take one of these",
                );
                return refused.write(wants, now, more);
            }
            None => (Arc::clone(self.body.plain()), false),
        };
        let is_same = |has| self.body.matches(has, gzip);
        let same = self.status == 200 && wants.has.is_some_and(is_same);
        let status = if same { 304 } else { self.status };
        let reason = StatusCode(status).default_reason_phrase();
        let mut head = String::with_capacity(512);
        // Writing to a string cannot fail.
        let _ = write!(head, "HTTP/1.1 {status} {reason}\r\n");
        add_date(&mut head);
        head.push_str("X-Content-Type-Options: nosniff\r\n");
        // Neither has a body, and 204 must not tell a length (RFC 9110, 8.6).
        if !same && status != 204 {
            let _ = write!(head, "Content-Type: {}\r\n", self.content_type);
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
            if gzip {
                head.push_str("Content-Encoding: gzip\r\n");
            }
        }
        self.add_caching(&mut head, gzip, now);
        for (name, value) in self.headers.iter().chain(more) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        Written {
            head: head.into_bytes(),
            body: (!same && !wants.head_only).then_some(body),
        }
    }

    /// What a client may keep of it, and how old it is.
    fn add_caching(&self, head: &mut String, gzip: bool, now: Instant) {
        // Nobody keeps what is no success, to ask for it again.
        let etag = self.body.etag(gzip).filter(|_| self.status == 200);
        if let Some(etag) = &etag {
            let _ = write!(head, "ETag: {etag}\r\n");
        }
        let says = |(name, _): &(&str, String)| *name == "Cache-Control";
        if !self.headers.iter().any(says) {
            let keep = match etag {
                Some(_) => "no-cache",
                None => "no-store",
            };
            let _ = write!(head, "Cache-Control: {keep}\r\n");
        }
        if let Some(as_of) = self.as_of {
            let age = now.saturating_duration_since(as_of).as_secs();
            let _ = write!(head, "Age: {age}\r\n");
        }
    }
}

/// A sentence as a header's value: printable ASCII, cut.
fn header_safe(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .take(HEADER_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer, wants: &Wants<'_>) -> String {
        String::from_utf8(answer.write(wants, Instant::now(), &[]).into_bytes()).unwrap()
    }

    #[test]
    fn a_stale_value_says_why_and_how_old_it_is() {
        let now = Instant::now();
        let served = Served {
            value: (),
            as_of: now,
            until: None,
            stale_because: Some(FetchError::Malformed {
                upstream: "the trader app",
                why: "a line\r\nbreak".into(),
            }),
        };
        let answer = Answer::served(&served, Body::built(b"[]".to_vec()));
        let later = now + Duration::from_secs(75);
        let written = answer.write(&Wants::default(), later, &[("Vary", "Origin".into())]);
        let text = String::from_utf8(written.into_bytes()).unwrap();
        assert!(text.contains("Age: 75\r\n"), "{text}");
        assert!(text.contains("Vary: Origin\r\n"), "{text}");
        assert!(text.contains("Cache-Control: no-store\r\n") && !text.contains("no-cache"));
        assert!(text.contains("unusable: a line??break\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n[]"), "{text}");
    }

    #[test]
    fn every_answer_is_dated_and_not_to_be_guessed_at_and_one_without_content_tells_no_length() {
        let etag = Body::built(b"[1]".to_vec()).etag(false).unwrap();
        let built = Answer::built(Body::built(b"[1]".to_vec()));
        for (answer, status) in [
            (built.clone(), 200),
            (built, 304),
            (Answer::empty(), 204),
            (Answer::error(503, "busy"), 503),
        ] {
            let has = (status == 304).then_some(etag.as_str());
            let text = text(&answer, &Wants::new("GET", None, has));
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
            assert!(
                text.contains("\r\nDate: ") && text.contains(" GMT\r\n"),
                "{text}"
            );
            assert_eq!(
                text.matches("X-Content-Type-Options: nosniff\r\n").count(),
                1
            );
            let bodyless = matches!(status, 204 | 304);
            assert_eq!(text.contains("Content-Length"), !bodyless, "{text}");
        }
    }

    #[test]
    fn head_tells_the_length_and_sends_no_body() {
        let text = text(&Answer::json(*b"[1]"), &Wants::new("HEAD", None, None));
        assert!(text.contains("Content-Length: 3\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn each_client_gets_the_form_it_takes_and_what_it_has_only_in_short() {
        let answer = Answer::built(Body::built(b"[123456789]".repeat(200)));
        let plain = text(&answer, &Wants::new("GET", None, None));
        assert!(plain.contains("Content-Length: 2200\r\n") && !plain.contains("Encoding"));
        let gzip = answer.write(&Wants::new("GET", Some("gzip"), None), Instant::now(), &[]);
        let head = String::from_utf8(gzip.head).unwrap();
        assert!(head.contains("Content-Encoding: gzip\r\n"), "{head}");
        assert!(gzip.body.unwrap().len() < 200);
        let etag = head.split("ETag: ").nth(1).unwrap();
        let etag = etag.split("\r\n").next().unwrap();
        let same = text(&answer, &Wants::new("GET", Some("gzip"), Some(etag)));
        assert!(same.starts_with("HTTP/1.1 304 Not Modified\r\n") && same.ends_with("\r\n\r\n"));
        assert!(!same.contains("Content-Length"), "{same}");
        assert!(same.contains(&format!("ETag: {etag}\r\n")), "{same}");
        let other = text(&answer, &Wants::new("GET", None, Some(etag)));
        assert!(other.starts_with("HTTP/1.1 200"), "it has another form");
    }

    #[test]
    fn who_takes_no_form_that_there_is_gets_406_and_what_was_done_is_told_as_it_is() {
        let answer = Answer::built(Body::built(b"[1]".to_vec()));
        let status = |method, field| {
            let text = text(&answer, &Wants::new(method, Some(field), Some("*")));
            text[9..12].parse::<u16>().unwrap()
        };
        assert_eq!(status("GET", "gzip;q=0"), 304);
        assert_eq!(status("GET", "identity;q=0"), 406);
        assert_eq!(status("HEAD", "*;q=0"), 406);
        assert_eq!(status("POST", "*;q=0"), 304);
        let error = Answer::error(503, "busy");
        let error = text(&error, &Wants::new("GET", Some("*;q=0"), None));
        assert!(error.starts_with("HTTP/1.1 503 ") && error.ends_with("{\"detail\":\"busy\"}"));
    }

    #[test]
    fn an_error_has_a_detail_and_tells_when_to_come_again() {
        let answer = Answer::failure(&FetchError::Busy {
            what: "candles".into(),
            retry_in: Duration::from_millis(1_200),
        });
        assert_eq!(answer.status, 503);
        let untagged = Answer::with_status(503, Body::built(b"{}".to_vec()));
        let untagged = text(&untagged, &Wants::default());
        assert!(untagged.contains("Cache-Control: no-store\r\n") && !untagged.contains("ETag"));
        assert!(answer.headers.contains(&("Retry-After", "2".to_owned())));
        let body: serde_json::Value = serde_json::from_slice(answer.body.plain()).unwrap();
        assert!(body["detail"].as_str().unwrap().contains("candles"));
        assert!(text(&answer, &Wants::new("GET", None, Some("*"))).starts_with("HTTP/1.1 503"));
    }
}
