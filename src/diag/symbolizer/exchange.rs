//! What the server and the symbolizer say to each other: a line `NUMBER NAME` for each report that is wanted; for each
//! of those a line with its number, four lengths and a file's name, then three formats and why they were not kept. By
//! the number an answer that comes late is told from the one that is waited for.

use std::io::{self, BufRead, Write};

use super::ReportFormats;

/// In place of a request: the watchdog is silent, and what was captured lies in the other file.
pub const SILENT_WATCHDOG: &str = "watchdog-silent";

/// A format longer than this is none.
const FORMAT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A report that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRequest<'a> {
    /// Its number in the process that asks, never used twice.
    pub number: u64,
    /// The name of its files, without an ending.
    pub name: &'a str,
}

impl<'a> ReportRequest<'a> {
    /// As it is sent, without the end of the line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.number, self.name)
    }

    /// The request in a line; none in any other.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (number, name) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        Some(Self { number, name })
    }
}

/// What the symbolizer says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportAnswer {
    /// The request's number.
    pub number: u64,
    /// The report.
    pub formats: ReportFormats,
}

impl ReportAnswer {
    /// Sends it.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let f = &self.formats;
        let texts = [&f.text, &f.json, &f.folded, &f.not_kept];
        let [text, json, folded, not_kept] = texts.map(String::len);
        let number = self.number;
        writeln!(out, "{number} {text} {json} {folded} {not_kept} {}", f.file)?;
        for text in texts {
            out.write_all(text.as_bytes())?;
        }
        out.flush()
    }

    /// Reads one.
    ///
    /// # Errors
    /// The system's; `UnexpectedEof` where there is no more, `InvalidData` for what is no answer.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let whole = line.strip_suffix('\n');
        let mut words = whole.ok_or(io::ErrorKind::UnexpectedEof)?.splitn(6, ' ');
        let number = words.next().and_then(|word| word.parse().ok());
        let mut length = || {
            words
                .next()
                .and_then(|word| word.parse::<usize>().ok())
                .filter(|length| *length <= FORMAT_BYTES_MAX)
                .ok_or(io::ErrorKind::InvalidData)
        };
        let lengths = [length()?, length()?, length()?, length()?];
        let file = words.next().unwrap_or_default().to_owned();
        let [text, json, folded, not_kept] = lengths.map(|length| {
            let mut bytes = vec![0; length];
            from.read_exact(&mut bytes)
                .map(|()| String::from_utf8_lossy(&bytes).into_owned())
        });
        Ok(Self {
            number: number.ok_or(io::ErrorKind::InvalidData)?,
            formats: ReportFormats {
                text: text?,
                json: json?,
                folded: folded?,
                file,
                not_kept: not_kept?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_a_line_and_other_lines_are_none() {
        let request = ReportRequest {
            number: 7,
            name: "20260204074930-0007",
        };
        assert_eq!(ReportRequest::parse(&request.line()), Some(request));
        for none in ["", SILENT_WATCHDOG, "x y", "-1 name"] {
            assert_eq!(ReportRequest::parse(none), None, "{none}");
        }
    }

    fn any_answer() -> impl Strategy<Value = ReportAnswer> {
        let text = || "(?s).{0,40}";
        let file = "(/[a-z 0-9.]{0,9}[a-z]){0,3}";
        (any::<u64>(), text(), text(), text(), file, text()).prop_map(
            |(number, text, json, folded, file, not_kept)| ReportAnswer {
                number,
                formats: ReportFormats {
                    text,
                    json,
                    folded,
                    file,
                    not_kept,
                },
            },
        )
    }

    proptest! {
        #[test]
        fn answers_are_read_as_they_were_written_and_half_of_one_is_none(
            answers in prop::collection::vec(any_answer(), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            let mut last_begins = 0;
            for answer in &answers {
                last_begins = bytes.len();
                answer.write(&mut bytes).unwrap();
            }
            let mut from = &bytes[..];
            for answer in &answers {
                prop_assert_eq!(&ReportAnswer::read(&mut from).unwrap(), answer);
            }
            prop_assert!(ReportAnswer::read(&mut from).is_err());
            let last = &bytes[last_begins..];
            let mut half = &last[..cut.index(last.len())];
            prop_assert!(ReportAnswer::read(&mut half).is_err());
        }
    }
}
