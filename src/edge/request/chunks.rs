//! A chunked body, decoded as its bytes come (RFC 9112, section 7.1). Pure.
//!
//! Strict: lines end with CR and LF, a size is hexadecimal digits and nothing before them, white space
//! stands nowhere but in quoted strings. Extensions and trailers are checked, bounded and dropped.

use super::refusal::{Refusal, is_token, too_long};

/// More digits of a size say nothing more than 64 bits can.
const SIZE_DIGITS_MAX: usize = 16;

/// Of one line: a size with its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 1_024;

/// Of all extensions and trailers together: nobody here reads them.
const EXTRA_BYTES_MAX: usize = 8_192;

/// A body on its way.
#[derive(Debug)]
pub struct Chunks {
    body: Vec<u8>,
    body_bytes_max: usize,
    /// Extensions and trailers so far.
    extra_bytes: usize,
    next: Next,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The line with a chunk's size.
    Size,
    /// So many bytes of its data, and a line's end.
    Data(usize),
    /// A trailer, or the empty line that ends all.
    Trailer,
    /// Nothing.
    Whole,
}

impl Chunks {
    /// Nothing yet.
    #[must_use]
    pub fn new(body_bytes_max: usize) -> Self {
        Self {
            body: Vec::new(),
            body_bytes_max,
            extra_bytes: 0,
            next: Next::Size,
        }
    }

    /// Whether the last byte of the body has come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.next == Next::Whole
    }

    /// The data so far.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Looks at the bytes that follow those used so far; gives how many of them are used now. What is not
    /// used belongs in front of the next bytes, or to the next request where the body is whole.
    ///
    /// # Errors
    /// 400 for what is no chunked body, 413 for one that is too long, 431 for trailers that are.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut used = 0;
        loop {
            let left = &bytes[used..];
            used += match self.next {
                Next::Whole => return Ok(used),
                Next::Data(0) => match left {
                    [b'\r', b'\n', ..] => {
                        self.next = Next::Size;
                        2
                    }
                    [] | [b'\r'] => return Ok(used),
                    _ => return Err(bad("longer than its size, or does not end with CR and LF")),
                },
                Next::Data(size) => {
                    let taken = left.len().min(size);
                    if taken == 0 {
                        return Ok(used);
                    }
                    self.body.extend_from_slice(&left[..taken]);
                    self.next = Next::Data(size - taken);
                    taken
                }
                Next::Size | Next::Trailer => {
                    let Some(line) = line(left)? else {
                        return Ok(used);
                    };
                    self.hear(line)?;
                    line.len() + 2
                }
            };
        }
    }

    /// A whole line, without its end.
    fn hear(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if self.next == Next::Trailer {
            if line.is_empty() {
                self.next = Next::Whole;
                return Ok(());
            }
            let name = line.split(|b| *b == b':').next().unwrap_or(&[]);
            if name.len() == line.len() || !is_token(name) {
                return Err(Refusal::new(400, "A trailer is no header line"));
            }
            return self.count_extra(line.len(), 431);
        }
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let (size, extensions) = line.split_at(digits);
        if !(1..=SIZE_DIGITS_MAX).contains(&digits) || !are_extensions(extensions) {
            return Err(bad("without a size in hexadecimal digits before it"));
        }
        self.count_extra(extensions.len(), 400)?;
        let size = size.iter().fold(0_u64, |size, digit| {
            size << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or(0))
        });
        self.next = match usize::try_from(size) {
            Ok(0) => Next::Trailer,
            Ok(size) if size <= self.body_bytes_max - self.body.len() => Next::Data(size),
            _ => return Err(too_long(self.body_bytes_max)),
        };
        Ok(())
    }

    fn count_extra(&mut self, bytes: usize, status: u16) -> Result<(), Refusal> {
        self.extra_bytes += bytes;
        if self.extra_bytes > EXTRA_BYTES_MAX {
            let detail = format!(
                "Extensions and trailers of the body have more than {EXTRA_BYTES_MAX} bytes"
            );
            return Err(Refusal::new(status, detail));
        }
        Ok(())
    }
}

fn bad(what: &str) -> Refusal {
    Refusal::new(
        400,
        format!("The body in chunks is broken: a chunk is {what}"),
    )
}

/// The first line without its end; none while it is not all there.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let is_control = |b: &u8| b.is_ascii_control() && *b != b'\t';
    let end = bytes.iter().take(LINE_BYTES_MAX).position(is_control);
    match end.map(|end| (end, &bytes[end..])) {
        Some((end, [b'\r', b'\n', ..])) => Ok(Some(&bytes[..end])),
        Some((_, [b'\r'])) => Ok(None),
        None if bytes.len() < LINE_BYTES_MAX => Ok(None),
        _ => Err(Refusal::new(
            400,
            "The body in chunks is broken: a line of it is too long, has control characters, or does not end with CR and LF",
        )),
    }
}

/// Whether it is `*( ";" token [ "=" ( token / quoted-string ) ] )`.
fn are_extensions(mut bytes: &[u8]) -> bool {
    while let Some(rest) = bytes.strip_prefix(b";") {
        let (name, rest) = split_token(rest);
        if name.is_empty() {
            return false;
        }
        bytes = match rest.strip_prefix(b"=") {
            None => rest,
            Some(value) => match after_value(value) {
                Some(rest) => rest,
                None => return false,
            },
        };
    }
    bytes.is_empty()
}

fn split_token(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = bytes.iter().take_while(|b| is_token(&[**b])).count();
    bytes.split_at(length)
}

/// What follows a token or a quoted string (RFC 9110, section 5.6.4).
fn after_value(bytes: &[u8]) -> Option<&[u8]> {
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let (value, rest) = split_token(bytes);
        return (!value.is_empty()).then_some(rest);
    };
    let mut escaped = false;
    let end = quoted.iter().position(|b| {
        let ends = !escaped && *b == b'"';
        escaped = !escaped && *b == b'\\';
        ends
    })?;
    Some(&quoted[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 1_000;

    /// The body and what is left behind it, none while it is not whole; or a refusal's status.
    type Decoded<'a> = Result<Option<(Vec<u8>, &'a [u8])>, u16>;

    /// All at once.
    fn decoded(bytes: &[u8]) -> Decoded<'_> {
        let mut chunks = Chunks::new(MAX);
        let used = chunks.feed(bytes).map_err(|r| r.status)?;
        Ok(chunks
            .is_whole()
            .then(|| (chunks.into_body(), &bytes[used..])))
    }

    /// Byte by byte.
    fn decoded_slowly(bytes: &[u8]) -> Decoded<'_> {
        let mut chunks = Chunks::new(MAX);
        let (mut from, mut to) = (0, 0);
        while to < bytes.len() && !chunks.is_whole() {
            to += 1;
            from += chunks.feed(&bytes[from..to]).map_err(|r| r.status)?;
        }
        Ok(chunks
            .is_whole()
            .then(|| (chunks.into_body(), &bytes[from..])))
    }

    #[test]
    fn sound_bodies_are_decoded_and_what_follows_is_left() {
        for (text, body) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
            ("A\r\nhelloworld\r\n0\r\n\r\n", "helloworld"),
            ("00005\r\nhello\r\n000\r\n\r\n", "hello"),
            (
                "5;a;b=c;d=\"e ;\\\"\\\\\"\r\nhello\r\n0;x=\"\"\r\n\r\n",
                "hello",
            ),
            (
                "5\r\nhello\r\n0\r\nX-Sum: abc\r\nContent-Length: 50\r\n\r\n",
                "hello",
            ),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ] {
            let all = format!("{text}GET / HTTP/1.1\r\n");
            let want = Ok(Some((body.as_bytes().to_vec(), &b"GET / HTTP/1.1\r\n"[..])));
            assert_eq!(decoded(all.as_bytes()), want, "{text:?}");
            assert_eq!(decoded_slowly(all.as_bytes()), want, "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(decoded(&text.as_bytes()[..cut]), Ok(None), "{text:?} {cut}");
            }
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in [
            "\r\n\r\n",
            " 5\r\nhello",
            "5 \r\nhello",
            "\t0\r\n\r\n",
            "0x5\r\nhello",
            "+5\r\nhello",
            "-1\r\nhello",
            "-0\r\n\r\n",
            "1_0\r\n",
            "g\r\n",
            "5\nhello",
            "5\r\nhello\n",
            "5\r\nhello\r0",
            "5\rX",
            "5\r\r;a\r\n",
            "5\r\nhello!!\r\n",
            "5\r\nhello0\r\n\r\n",
            "5;\r\nhello",
            "5;\nhello",
            "5;a\rb\r\n",
            "5;a=\r\n",
            "5;bad[=x\r\n",
            "5;a=\"b\r\n",
            "5;a=\"b\"c\r\n",
            "5; a\r\n",
            "5 ;a\r\n",
            "5;a \0\r\n",
            "5,5\r\n",
            "00000000000000005\r\nhello",
            "FFFFFFFFFFFFFFFF0\r\nhello",
            "0\r\n\n",
            "0\r\nX\r\n\r\n",
            "0\r\nX : a\r\n\r\n",
            "0\r\n X: a\r\n\r\n",
            "0\r\nX: a\n\r\n",
            "0\r\nX: a\0\r\n\r\n",
            "0\r\n: a\r\n\r\n",
            "0\r\nX:POST / HTTP/1.1\rA",
        ] {
            assert_eq!(decoded(bad.as_bytes()), Err(400), "{bad:?}");
            assert_eq!(decoded_slowly(bad.as_bytes()), Err(400), "{bad:?}");
        }
    }

    #[test]
    fn bodies_extensions_and_trailers_have_their_bounds() {
        assert_eq!(decoded(b"3e8\r\n"), Ok(None));
        assert_eq!(decoded(b"3e9\r\n"), Err(413));
        assert_eq!(decoded(b"ffffffffffffffff\r\n"), Err(413));
        let two = format!("3e8\r\n{}\r\n1\r\n", "a".repeat(MAX));
        assert_eq!(decoded(two.as_bytes()), Err(413));
        let line = format!("1;{}", "a".repeat(LINE_BYTES_MAX));
        assert_eq!(
            decoded(line.as_bytes()),
            Err(400),
            "no need to wait for its end"
        );
        let many = format!("1;{}\r\nx\r\n", "a".repeat(500)).repeat(17);
        assert_eq!(decoded(many.as_bytes()), Err(400));
        let trailers = "X: a\r\n".repeat(3_000);
        assert_eq!(decoded(format!("0\r\n{trailers}").as_bytes()), Err(431));
    }

    proptest! {
        #[test]
        fn what_is_coded_comes_back_however_it_arrives(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            rest in prop::collection::vec(any::<u8>(), 0..20), upper: bool
        ) {
            let mut coded = Vec::new();
            for piece in &pieces {
                let size = if upper { format!("{:X}\r\n", piece.len()) } else { format!("0{:x}\r\n", piece.len()) };
                coded.extend_from_slice(size.as_bytes());
                coded.extend_from_slice(piece);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\n\r\n");
            coded.extend_from_slice(&rest);
            let want = Ok(Some((pieces.concat(), rest.as_slice())));
            prop_assert_eq!(&decoded(&coded), &want);
            prop_assert_eq!(&decoded_slowly(&coded), &want);
        }

        #[test]
        fn pieces_do_not_change_the_outcome(text in "([0-9a-f]{1,2}|[ -~]{1,3}|0)?(;[a-z=\"]{0,4})?(\r\n|\n|\r)[a-z]{0,5}(\r\n|\n|)(0\r\n)?([A-Z]: x\r\n)?(\r\n)?[a-z]{0,3}") {
            let (at_once, slowly) = (decoded(text.as_bytes()), decoded_slowly(text.as_bytes()));
            prop_assert_eq!(at_once, slowly);
        }
    }
}
