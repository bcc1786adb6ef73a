//! The last answer of a connection as it was written, for a client that sends the very same request again:
//! who polls does, and then neither the request's head is read nor the answer's written anew. It was
//! admitted with these very bytes. Pure.

use std::time::Instant;

use crate::edge::answer::Written;

/// What may be written again.
struct Again {
    until: Instant,
    written: Written,
}

/// The last request's head as it came, and what it may be answered with again.
#[derive(Default)]
pub struct Repeat {
    /// The last head that was read.
    head: Vec<u8>,
    /// The head that `again` answers.
    request: Vec<u8>,
    again: Option<Again>,
}

impl Repeat {
    /// A whole head was read; `rest` are the bytes that came, which begin with these `length` bytes of it.
    pub fn take_head(&mut self, rest: &mut Vec<u8>, length: usize) {
        self.head.clear();
        self.head.extend(rest.drain(..length));
    }

    /// Whether these bytes, all that came, are the request that may be answered again.
    pub fn is_again(&self, now: Instant, came: &[u8]) -> bool {
        self.again
            .as_ref()
            .is_some_and(|again| now < again.until && self.request == came)
    }

    /// What it is answered with.
    pub fn written(&self) -> Option<&Written> {
        self.again.as_ref().map(|again| &again.written)
    }

    /// The last head is answered with this, until then also if it comes again.
    pub fn keep(&mut self, until: Instant, written: Written) -> &Written {
        std::mem::swap(&mut self.head, &mut self.request);
        &self.again.insert(Again { until, written }).written
    }

    /// Nothing is answered again: who may ask has changed, or the connection ends.
    pub fn forget(&mut self) {
        self.again = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(text: &str) -> Written {
        Written {
            head: text.as_bytes().to_vec(),
            body: None,
        }
    }

    /// A request that is answered, with its answer kept until then.
    fn answer(repeat: &mut Repeat, request: &str, until: Instant, with: &str) {
        let mut came = request.as_bytes().to_vec();
        repeat.take_head(&mut came, request.len());
        repeat.keep(until, written(with));
    }

    #[test]
    fn the_very_same_request_is_answered_again_within_its_time_and_no_other() {
        let (mut repeat, now) = (Repeat::default(), Instant::now());
        let until = now + Duration::from_millis(100);
        assert!(!repeat.is_again(now, b"") && repeat.written().is_none());
        answer(&mut repeat, "GET /a", until, "a");
        assert!(repeat.is_again(now, b"GET /a") && !repeat.is_again(until, b"GET /a"));
        assert_eq!(repeat.written().unwrap().head, b"a");
        assert!(!repeat.is_again(now, b"GET /") && !repeat.is_again(now, b"GET /a GET /a"));
        answer(&mut repeat, "GET /b", until, "b");
        assert!(repeat.is_again(now, b"GET /b") && !repeat.is_again(now, b"GET /a"));
        repeat.forget();
        assert!(!repeat.is_again(now, b"GET /b"));
    }

    #[test]
    fn a_request_in_between_that_is_not_kept_leaves_the_answer_with_its_own_request() {
        let (mut repeat, now) = (Repeat::default(), Instant::now());
        let until = now + Duration::from_millis(100);
        answer(&mut repeat, "GET /a", until, "a");
        let mut came = b"POST /b and more".to_vec();
        repeat.take_head(&mut came, 7);
        assert_eq!(came, b" and more");
        assert!(repeat.is_again(now, b"GET /a") && !repeat.is_again(now, b"POST /b"));
    }
}
