//! How a request's body is framed (RFC 9112, section 6), and the body taken from the bytes that follow
//! its head. Pure.
//!
//! Two readers that disagree about where a body ends see different requests behind it. So there is one
//! reading here, the strict one: what leaves room for another is refused, and its connection ends.

use super::chunks::Chunks;
use super::refusal::{Refusal, is_token, too_long};

/// How a body is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none, or an empty one.
    #[default]
    None,
    /// This many bytes follow the head: not 0, and not more than a body may have.
    Length(usize),
    /// Chunks follow the head.
    Chunked,
}

/// Gathers what the header lines say.
#[derive(Debug, Default)]
pub struct Gathered {
    length: Option<u64>,
    /// The transfer codings in their order: whether each is `chunked`.
    codings: Vec<bool>,
}

impl Gathered {
    /// Looks at one header line; its value has no white space around it. True if it is about framing.
    ///
    /// # Errors
    /// 400 for a line that can be understood in more ways than one, or in none.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, Refusal> {
        if name.eq_ignore_ascii_case("Content-Length") {
            // Also a second one that says the same: somebody on the way added it.
            if self.length.replace(length(value)?).is_some() {
                return Err(Refusal::new(400, "More than one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case("Transfer-Encoding") {
            for coding in value.split(',') {
                self.codings.push(is_chunked(coding)?);
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// What all lines together say.
    ///
    /// # Errors
    /// 400 where they exclude each other, 413 for a length above `body_bytes_max`, 501 for a coding that
    /// is not `chunked`.
    pub fn verdict(&self, http10: bool, body_bytes_max: usize) -> Result<Framing, Refusal> {
        let Some(last_is_chunked) = self.codings.last() else {
            return match self.length.map(usize::try_from) {
                None | Some(Ok(0)) => Ok(Framing::None),
                Some(Ok(length)) if length <= body_bytes_max => Ok(Framing::Length(length)),
                Some(_) => Err(too_long(body_bytes_max)),
            };
        };
        let bad = |detail: &str| Err(Refusal::new(400, detail));
        let chunked = self
            .codings
            .iter()
            .filter(|is_chunked| **is_chunked)
            .count();
        if self.length.is_some() {
            bad("Transfer-Encoding and Content-Length exclude each other")
        } else if http10 {
            bad("HTTP/1.0 has no Transfer-Encoding; send Content-Length")
        } else if chunked > 1 || (chunked == 1 && !last_is_chunked) {
            bad("Of the transfer codings chunked is the last, and stands there once")
        } else if self.codings.len() > chunked {
            let detail = "Of the transfer codings this server knows chunked alone";
            Err(Refusal::new(501, detail))
        } else {
            Ok(Framing::Chunked)
        }
    }
}

fn length(value: &str) -> Result<u64, Refusal> {
    // Not by `parse` alone, which takes a sign.
    let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let length = value.parse().ok().filter(|_| is_number);
    length.ok_or_else(|| Refusal::new(400, "Content-Length is not one number of 64 bits"))
}

/// Whether a coding is `chunked`, which has no parameters, or another one.
fn is_chunked(coding: &str) -> Result<bool, Refusal> {
    let coding = coding.trim_matches([' ', '\t']);
    let name = coding.split([';', ' ', '\t']).next().unwrap_or("");
    let is_chunked = name.eq_ignore_ascii_case("chunked");
    if !is_token(name.as_bytes()) || (is_chunked && coding != name) {
        return Err(Refusal::new(
            400,
            "Transfer-Encoding is not a list of codings",
        ));
    }
    Ok(is_chunked)
}

/// A body on its way.
#[derive(Debug)]
pub enum Intake {
    /// So many bytes are missing, after these.
    Length(usize, Vec<u8>),
    /// Chunk by chunk.
    Chunked(Chunks),
}

impl Intake {
    /// Of a body that is framed so.
    #[must_use]
    pub fn new(framing: Framing, body_bytes_max: usize) -> Self {
        match framing {
            Framing::None => Self::Length(0, Vec::new()),
            Framing::Length(length) => Self::Length(length, Vec::new()),
            Framing::Chunked => Self::Chunked(Chunks::new(body_bytes_max)),
        }
    }

    /// Takes from the front of what was received what is the body's. True once it is whole; what is left
    /// then is the next request's.
    ///
    /// # Errors
    /// Why the body will not do.
    pub fn take(&mut self, received: &mut Vec<u8>) -> Result<bool, Refusal> {
        match self {
            Self::Length(missing, body) => {
                let taken = received.len().min(*missing);
                *missing -= taken;
                body.extend(received.drain(..taken));
                Ok(*missing == 0)
            }
            Self::Chunked(chunks) => {
                let taken = chunks.feed(received)?;
                received.drain(..taken);
                Ok(chunks.is_whole())
            }
        }
    }

    /// The body as far as it came.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        match self {
            Self::Length(_, body) => body,
            Self::Chunked(chunks) => chunks.into_body(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 65_536;

    fn framing(lines: &[(&str, &str)]) -> Result<Framing, u16> {
        let mut gathered = Gathered::default();
        for (name, value) in lines {
            gathered.take(name, value).map_err(|r| r.status)?;
        }
        gathered.verdict(false, MAX).map_err(|r| r.status)
    }

    #[test]
    fn a_length_is_one_number_of_ascii_digits_within_the_bound() {
        let length = |value| framing(&[("content-length", value)]);
        assert_eq!(framing(&[("X", "1")]), Ok(Framing::None));
        assert_eq!(length("0"), Ok(Framing::None));
        assert_eq!(length("00"), Ok(Framing::None));
        assert_eq!(length("5"), Ok(Framing::Length(5)));
        // Decimal, as the standard has it.
        assert_eq!(length("010"), Ok(Framing::Length(10)));
        assert_eq!(length("65536"), Ok(Framing::Length(MAX)));
        assert_eq!(length("65537"), Err(413));
        assert_eq!(length("18446744073709551615"), Err(413));
        for bad in [
            "",
            "+5",
            "-5",
            "-0",
            "0x5",
            "0o5",
            "5 ",
            "5,5",
            "5, 5",
            "1_0",
            "1 0",
            "5;",
            "5.0",
            "1e1",
            "\u{a0}5",
            "\u{663}",
            "18446744073709551616",
            "99999999999999999999",
        ] {
            assert_eq!(length(bad), Err(400), "{bad:?}");
        }
        for second in ["5", "6", "0"] {
            let two = [("Content-Length", "5"), ("Content-Length", second)];
            assert_eq!(framing(&two), Err(400), "{second}");
        }
    }

    #[test]
    fn chunked_alone_and_once_is_the_only_coding() {
        let coded = |value| framing(&[("transfer-encoding", value)]);
        for good in ["chunked", "Chunked", "CHUNKED"] {
            assert_eq!(coded(good), Ok(Framing::Chunked), "{good}");
        }
        for bad in [
            "",
            ",",
            ",chunked",
            "chunked,",
            "chunked, chunked",
            "chunked, gzip",
            "chunked;q=1",
            "chunked ;a",
            "chunked chunked",
            "\"chunked\"",
            "\u{a0}chunked",
            "chun ked\u{b}",
            "(chunked)",
            "gzip, chunked, chunked",
            "=",
        ] {
            let _ = coded(bad).map(|f| panic!("{bad:?} gave {f:?}"));
        }
        for bad in [
            ",chunked",
            "chunked, gzip",
            "chunked;q=1",
            "chunked, chunked",
        ] {
            assert_eq!(coded(bad), Err(400), "{bad}");
        }
        for other in [
            "gzip",
            "identity",
            "xchunked",
            "gzip, chunked",
            "br;q=1, chunked",
        ] {
            assert_eq!(coded(other), Err(501), "{other}");
        }
        let twice = [
            ("Transfer-Encoding", "chunked"),
            ("Transfer-Encoding", "chunked"),
        ];
        assert_eq!(framing(&twice), Err(400));
        let over = [("Transfer-Encoding", "chunked"), ("Content-Length", "5")];
        assert_eq!(framing(&over), Err(400));
        let unknown = [("Content-Length", "0"), ("Transfer-Encoding", "gzip")];
        assert_eq!(framing(&unknown), Err(400));
        let mut old = Gathered::default();
        old.take("Transfer-Encoding", "chunked").unwrap();
        assert_eq!(old.verdict(true, MAX).unwrap_err().status, 400);
    }

    proptest! {
        #[test]
        fn whatever_the_lines_say_there_is_one_reading_or_none(
            lines in prop::collection::vec(
                ("(Content-Length|Transfer-Encoding)", "(chunked|gzip|[0-9]{1,6}|[ -~]{0,8})"), 0..4)
        ) {
            let lines: Vec<(&str, &str)> = lines.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            if let Ok(framing) = framing(&lines) {
                prop_assert!(lines.len() < 2, "{:?} for {:?}", framing, lines);
            }
        }

        #[test]
        fn of_what_is_received_the_body_takes_its_length_and_no_more(
            body in prop::collection::vec(any::<u8>(), 1..60), more in prop::collection::vec(any::<u8>(), 0..20), cut in 0_usize..80
        ) {
            let whole = [body.clone(), more.clone()].concat();
            let (first, second) = whole.split_at(cut.min(whole.len()));
            let mut intake = Intake::new(Framing::Length(body.len()), MAX);
            let mut received = first.to_vec();
            let early = intake.take(&mut received).unwrap();
            prop_assert_eq!(early, first.len() >= body.len());
            received.extend_from_slice(second);
            prop_assert!(intake.take(&mut received).unwrap());
            prop_assert_eq!(received, more);
            prop_assert_eq!(intake.into_body(), body);
        }
    }
}
