//! A growing JSONL file as a JSON array. Pure.
//!
//! Fed with the bytes as they are appended, in any pieces. Each object stands in the array as it was
//! written: one to a line, several on a line, one over several lines, or an array of them. What is no object
//! is left out and counted by lines. Objects behind the last newline count when they are whole.
//!
//! `cargo bench --bench cores -- history`: 10,000 lines read and made into a body in 24 ms, a line more in 0.17 ms.

use std::mem;

use crate::json::{self, Decoder, Depth, Kind, Mended};
use crate::payload::{Body, GrowingArray};

/// A longer line, or object over several lines, is left out.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The array so far.
#[derive(Debug, Default)]
pub struct Lines {
    array: GrowingArray,
    /// Where each object begins in it.
    starts: Vec<usize>,
    decoder: Decoder,
    /// The line that is being read.
    partial: Vec<u8>,
    /// The line that is being read is too long: everything up to its newline is left out.
    skipping: bool,
    /// The beginning of the line is dealt with already.
    within_line: bool,
    open: Option<Open>,
    left_out: u64,
    mended: Mended,
}

/// An object whose end is on a later line.
#[derive(Clone, Debug)]
struct Open {
    /// Nothing more is kept of one that is too long: it is only followed to its end.
    text: String,
    too_long: bool,
    depth: Depth,
    lines: u64,
}

/// The array as it is served.
#[derive(Clone, Debug)]
pub struct Trades {
    /// The array.
    pub body: Body,
    /// Where each object begins in it.
    pub starts: Vec<usize>,
    /// Lines that gave no object, the unfinished last one included.
    pub left_out: u64,
}

/// What a line gave.
#[derive(Default)]
struct Found {
    objects: Vec<Vec<u8>>,
    open: Option<Open>,
    /// Lines that gave nothing, or not all.
    left_out: u64,
    mended: Mended,
}

impl Lines {
    /// More bytes were appended.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut decoder = mem::take(&mut self.decoder);
        self.feed_decoded(&decoder.feed(bytes));
        self.decoder = decoder;
    }

    fn feed_decoded(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            let whole = mem::take(&mut self.partial);
            if mem::take(&mut self.skipping) || whole.len() + line.len() > LINE_BYTES_MAX {
                self.left_out += 1;
            } else if whole.is_empty() {
                self.line(line);
            } else {
                self.line(&[&whole, line].concat());
            }
            self.within_line = false;
        }
        if self.skipping {
            return;
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LINE_BYTES_MAX {
            self.long_line();
        }
    }

    /// The array, finished, with what is whole behind the last newline.
    #[must_use]
    pub fn trades(&mut self) -> Trades {
        let mut last = Found::default();
        if !self.skipping {
            last = found(self.open.clone(), &self.partial, self.within_line);
        }
        let unfinished = u64::from(self.skipping) + last.open.map_or(0, |o| o.lines);
        let mut starts = self.starts.clone();
        let mut next = self.array.next_start();
        for object in &last.objects {
            starts.push(next);
            next += object.len() + 1;
        }
        let tail = last.objects.join(&b',');
        let body = self.array.body((!tail.is_empty()).then_some(&tail));
        let mut mended = self.mended();
        // Of what is not whole a character may be cut in two.
        if !last.objects.is_empty() {
            mended += last.mended;
        }
        Trades {
            body: body.with_mended(mended),
            starts,
            left_out: self.left_out + last.left_out + unfinished,
        }
    }

    /// What was mended in what is finished.
    #[must_use]
    pub fn mended(&self) -> Mended {
        let mut mended = self.mended;
        mended.surrogates += self.decoder.surrogates();
        mended.form += u64::from(self.decoder.had_utf16());
        mended
    }

    /// Finished lines that gave no object.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn line(&mut self, line: &[u8]) {
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() {
            return;
        }
        if self.open.is_none() && !self.within_line && is_sound_object(trimmed) {
            self.starts.push(self.array.push(trimmed));
            return;
        }
        let found = found(self.open.take(), line, self.within_line);
        self.take(found);
    }

    fn take(&mut self, found: Found) {
        for object in &found.objects {
            self.starts.push(self.array.push(object));
        }
        self.left_out += found.left_out;
        self.mended += found.mended;
        self.open = found.open;
    }

    /// A line that is longer than what is kept of one: the objects that end in it are taken, as of an array
    /// without newlines.
    fn long_line(&mut self) {
        let Some(end) = self.partial.iter().rposition(|b| *b == b'}') else {
            self.partial = Vec::new();
            self.skipping = true;
            return;
        };
        let rest = self.partial.split_off(end + 1);
        let before = mem::replace(&mut self.partial, rest);
        let found = found(self.open.take(), &before, self.within_line);
        self.take(found);
        self.within_line = true;
    }
}

fn is_sound_object(line: &[u8]) -> bool {
    line.starts_with(b"{") && json::is_sound(line)
}

/// The objects in a line, or in the rest of one, of which the first may have begun earlier.
fn found(open: Option<Open>, line: &[u8], within_line: bool) -> Found {
    let mut found = Found::default();
    let (text, mut decoded) = json::text(line);
    // Blanks in front tell the lines of one object from those that begin another.
    let mut rest: &str = text.trim_start_matches(['\u{feff}', '\0']);
    if let Some(mut open) = open {
        if rest.starts_with('{') && !within_line {
            // Who writes an object over several lines does not begin one of them so: it was cut off.
            found.left_out += open.lines;
        } else if let Some(end) = open.depth.end(rest.as_bytes()) {
            open.goes_on(&rest[..end], within_line);
            rest = &rest[end..];
            if open.too_long {
                found.left_out += open.lines;
            } else {
                found.object(&open.text, open.lines);
            }
        } else {
            open.goes_on(rest, within_line);
            rest = "";
            found.open = Some(open);
        }
    }
    loop {
        rest = rest.trim_start_matches(|c| is_mark(c) || matches!(c, ',' | '[' | ']'));
        if rest.is_empty() {
            break;
        }
        if !rest.starts_with('{') {
            found.left_out += 1;
            break;
        }
        let mut depth = Depth::default();
        let Some(end) = depth.end(rest.as_bytes()) else {
            found.open = Some(Open {
                text: rest.to_owned(),
                too_long: rest.len() > LINE_BYTES_MAX,
                depth,
                lines: 1,
            });
            break;
        };
        found.object(&rest[..end], 1);
        rest = &rest[end..];
    }
    // A mark or padding that was read past.
    decoded.form += u64::from(text.contains(['\u{feff}', '\0']));
    found.mended += decoded;
    found
}

impl Open {
    fn goes_on(&mut self, text: &str, within_line: bool) {
        self.lines += u64::from(!within_line);
        self.too_long |= self.text.len() + text.len() > LINE_BYTES_MAX;
        if self.too_long {
            self.text = String::new();
            return;
        }
        if !within_line {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }
}

impl Found {
    /// An object by its brackets; one that is none is left out, with the lines that it stood on.
    fn object(&mut self, text: &str, lines: u64) {
        match json::pass(text.as_bytes()) {
            Ok(passed) if passed.kind == Kind::Object => {
                self.mended += passed.mended;
                self.objects.push(passed.json.into_owned());
            }
            _ => self.left_out += lines,
        }
    }
}

/// What may stand between objects and means nothing.
fn is_mark(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The array, and how many lines are left out.
    fn read(pieces: &[&[u8]]) -> (String, u64) {
        let mut lines = Lines::default();
        pieces.iter().for_each(|piece| lines.feed(piece));
        let trades = lines.trades();
        let array = String::from_utf8(trades.body.plain().to_vec()).unwrap();
        for (start, object) in trades
            .starts
            .iter()
            .zip(serde_json::from_str::<Vec<serde_json::Value>>(&array).unwrap())
        {
            let mut from_here = serde_json::Deserializer::from_str(&array[*start..])
                .into_iter::<serde_json::Value>();
            assert_eq!(from_here.next().unwrap().unwrap(), object);
        }
        (array, trades.left_out)
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn objects_stay_as_written_and_the_rest_is_counted() {
        let mut lines = Lines::default();
        lines.feed(b"{\"b\":1,\"a\":2}\r\nnot json\n\n[1]\n{\"c\":3}\n{\"half\":");
        let trades = lines.trades();
        assert_eq!(&**trades.body.plain(), br#"[{"b":1,"a":2},{"c":3}]"#);
        assert_eq!(
            (trades.starts.len(), trades.left_out),
            (2, 3),
            "the half one as well"
        );
        lines.feed(b"4}\n");
        let trades = lines.trades();
        assert_eq!((trades.starts.len(), trades.left_out), (3, 2));
    }

    #[test]
    fn a_whole_object_counts_before_its_newline_and_only_once() {
        let mut lines = Lines::default();
        lines.feed(b"{\"a\":1}\n{\"a\":2}");
        let before = lines.trades();
        assert_eq!(&**before.body.plain(), br#"[{"a":1},{"a":2}]"#);
        assert_eq!((before.starts.clone(), before.left_out), (vec![1, 9], 0));
        lines.feed(b"\n");
        let after = lines.trades();
        assert_eq!(
            (after.body.etag(false), after.starts),
            (before.body.etag(false), before.starts)
        );
        assert_eq!(read(&[b"{\"a\":1}"]).0, r#"[{"a":1}]"#, "the only one");
    }

    #[test]
    fn several_on_a_line_an_array_and_lines_that_end_otherwise_are_given() {
        let want = r#"[{"a":1},{"b":{"c":2}},{"d":"}{"}]"#;
        let ends = [r#"{"a":1}"#, r#"{"b":{"c":2}}"#, r#"{"d":"}{"}"#];
        let joined = |with: &str| ends.join(with);
        for text in [
            joined("\n"),
            joined("\r"),
            joined("\r\n"),
            joined(""),
            joined(","),
            joined(",\n") + ",\n",
            joined(" "),
            joined("\0\0"),
            joined("\n\u{feff}"),
            joined("\n\x1e"),
            format!("[{}]", joined(",")),
            format!("[\n{}\n]\n", joined(",\n")),
            format!("[{}][{}]\n", ends[0], ends[1..].join(", ")),
        ] {
            assert_eq!(read(&[text.as_bytes()]), (want.to_owned(), 0), "{text:?}");
        }
    }

    #[test]
    fn an_object_over_several_lines_is_given_and_one_that_was_cut_off_is_counted() {
        let one = serde_json::json!({"a": 1, "b": {"c": [{"d": "}"}, {"e": 2}]}});
        let pretty = serde_json::to_string_pretty(&one).unwrap();
        let all = serde_json::to_string_pretty(&serde_json::json!([one, one])).unwrap();
        for text in [
            format!("{pretty}\n{pretty}"),
            format!("{pretty}{pretty}\n"),
            all.clone(),
            all.replace('\n', "\r\n"),
        ] {
            let (array, left_out) = read(&[text.as_bytes()]);
            let got: serde_json::Value = serde_json::from_str(&array).unwrap();
            assert_eq!(
                (got, left_out),
                (serde_json::json!([one, one]), 0),
                "{text}"
            );
        }
        let torn = [
            "{\"a\":1,\"b\":\n{\"c\":2}\n",
            "{\"a\":\"hel\n{\"c\":2}\n",
            "{\n  \"a\": 1,\n{\"c\":2}\n",
            "{\"a\":1,\"b{\"a\":7}\n{\"c\":2}\n",
            "{\"a\":[1,2,{}\r\n{\"c\":2}\r\n",
        ];
        for (text, lines) in torn.into_iter().zip([1, 1, 2, 1, 1]) {
            assert_eq!(
                read(&[text.as_bytes()]),
                (r#"[{"c":2}]"#.to_owned(), lines),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_odd_in_an_object_is_mended_and_counted() {
        let mut lines = Lines::default();
        lines.feed(
            b"\xef\xbb\xbf{\"a\":NaN,\"b\":\"\\ud83d\"}\n\0\0{\"c\":\"\xe9\"}\n{\"d\":1e999}",
        );
        let trades = lines.trades();
        let want = "[{\"a\":null,\"b\":\"\u{fffd}\"},{\"c\":\"\u{fffd}\"},{\"d\":null}]";
        assert_eq!(
            (&**trades.body.plain(), trades.left_out),
            (want.as_bytes(), 0)
        );
        assert_eq!(
            trades.body.mended().header().unwrap(),
            "numbers=2, surrogates=1, bytes=1"
        );
    }

    #[test]
    fn what_powershell_writes_and_appends_is_read() {
        let le = utf16("{\"a\":\"Ċ上\"}\r\n");
        let all = [
            b"{\"x\":1}\n".as_slice(),
            &le,
            b"{\"y\":2}\n",
            b"\xff\xfe",
            &le,
        ]
        .concat();
        let want = r#"[{"x":1},{"a":"Ċ上"},{"y":2},{"a":"Ċ上"}]"#;
        assert_eq!(read(&[&all]), (want.to_owned(), 0));
        let one_by_one: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(read(&one_by_one), (want.to_owned(), 0));
    }

    #[test]
    fn an_endless_line_costs_bounded_memory_and_one_count() {
        let mut lines = Lines::default();
        for _ in 0..5 {
            lines.feed(&vec![b'x'; LINE_BYTES_MAX / 2]);
        }
        assert!(lines.partial.len() <= LINE_BYTES_MAX);
        lines.feed(b"\n{}\n");
        assert_eq!((lines.starts.len(), lines.left_out), (1, 1));
        // An object that never ends, too.
        lines.feed(b"{\n");
        for _ in 0..40 {
            lines.feed(&[b" \"", [b'x'; 99_999].as_slice(), b"\":{\n {\n }\n},\n"].concat());
        }
        assert!(lines.open.as_ref().unwrap().text.is_empty());
        lines.feed(b"{\"a\":1}\n");
        assert_eq!((lines.starts.len(), lines.left_out), (2, 162));
    }

    #[test]
    fn an_array_longer_than_any_line_is_given() {
        let object = format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000));
        let text = format!("[{}]", vec![object; 3_000].join(","));
        let mut lines = Lines::default();
        text.as_bytes()
            .chunks(100_000)
            .for_each(|piece| lines.feed(piece));
        let trades = lines.trades();
        assert_eq!((trades.starts.len(), trades.left_out), (3_000, 0));
        assert_eq!(&**trades.body.plain(), text.as_bytes());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            text in "(\\{\"a\":[0-9]{1,3}\\}|x|\\[\\]|\r)?(\n?(\\{\"a\":[0-9]{1,3}\\}|y|\"|\\{| \"b\":1|\\}|NaN))*\n?",
            cuts in prop::collection::vec(0_usize..200, 0..6)
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.sort_unstable();
            let mut parts = Lines::default();
            let mut from = 0;
            for cut in cuts {
                parts.feed(&text.as_bytes()[from..cut]);
                drop(parts.trades());
                from = cut;
            }
            parts.feed(&text.as_bytes()[from..]);
            let parts = parts.trades();
            let mut whole = Lines::default();
            whole.feed(text.as_bytes());
            let whole = whole.trades();
            prop_assert_eq!(whole.body.etag(false), parts.body.etag(false));
            prop_assert_eq!(whole.body.plain(), parts.body.plain());
            prop_assert_eq!((whole.left_out, whole.starts), (parts.left_out, parts.starts));
            prop_assert!(serde_json::from_slice::<Vec<serde_json::Value>>(whole.body.plain()).is_ok());
        }
    }
}
