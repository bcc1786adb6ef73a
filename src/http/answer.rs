//! An answer, and how it is written: head and body in one buffer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::desk::{Failure, Served};

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
    /// The body's bytes.
    pub body: Arc<[u8]>,
}

impl Answer {
    /// 200 with JSON.
    #[must_use]
    pub fn json(body: impl Into<Arc<[u8]>>) -> Self {
        Self::with_status(200, body)
    }

    /// JSON with any status.
    #[must_use]
    pub fn with_status(status: u16, body: impl Into<Arc<[u8]>>) -> Self {
        Self {
            status,
            content_type: "application/json; charset=utf-8",
            headers: vec![("Cache-Control", "no-store".to_owned())],
            body: body.into(),
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
        Self::with_status(204, Vec::new())
    }

    /// An error in the contract's form.
    #[must_use]
    pub fn error(status: u16, detail: &str) -> Self {
        Self::with_status(status, json!({ "detail": detail }).to_string().into_bytes())
    }

    /// A failure with its own status and sentence, and when to come again.
    #[must_use]
    pub fn failure(failure: &Failure) -> Self {
        Self::error(failure.http_status(), &failure.to_string())
            .with_retry_after(failure.retry_after())
    }

    /// A served value's body, marked when it is stale.
    #[must_use]
    pub fn served<V>(served: &Served<V>, body: Arc<[u8]>) -> Self {
        let mut answer = Self::json(body);
        answer.set("Age", served.age.as_secs().to_string());
        if let Some(why) = &served.stale_because {
            answer.set("Warning", "110 - \"Response is Stale\"".to_owned());
            answer.set("X-Data-Stale", header_safe(&why.to_string()));
        }
        answer
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

    /// Head and body in one buffer; without the body for `HEAD`.
    #[must_use]
    pub fn to_bytes(&self, head_only: bool) -> Vec<u8> {
        use std::io::Write;
        let body: &[u8] = if head_only { &[] } else { &self.body };
        let mut out = Vec::with_capacity(512 + body.len());
        // Writing to memory cannot fail.
        let _ = write!(out, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if self.status != 204 {
            let _ = write!(out, "Content-Type: {}\r\n", self.content_type);
        }
        let _ = write!(out, "Content-Length: {}\r\n", self.body.len());
        for (name, value) in &self.headers {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        out
    }
}

/// A sentence as a header's value: printable ASCII, cut.
fn header_safe(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .take(HEADER_CHARS_MAX)
        .collect()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_value_says_why_and_how_old_it_is() {
        let served = Served {
            value: (),
            age: Duration::from_secs(75),
            stale_because: Some(Failure::Malformed {
                upstream: "the trader app",
                why: "a line\r\nbreak".into(),
            }),
        };
        let text =
            String::from_utf8(Answer::served(&served, Arc::from(*b"[]")).to_bytes(false)).unwrap();
        assert!(text.contains("Age: 75\r\n"), "{text}");
        assert!(text.contains("unusable: a line??break\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n[]"), "{text}");
    }

    #[test]
    fn head_tells_the_length_and_sends_no_body() {
        let text = String::from_utf8(Answer::json(*b"[1]").to_bytes(true)).unwrap();
        assert!(text.contains("Content-Length: 3\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn an_error_has_a_detail_and_tells_when_to_come_again() {
        let answer = Answer::failure(&Failure::Busy {
            what: "candles".into(),
            retry_in: Duration::from_millis(1_200),
        });
        assert_eq!(answer.status, 503);
        assert!(answer.headers.contains(&("Retry-After", "2".to_owned())));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body["detail"].as_str().unwrap().contains("candles"));
    }
}
