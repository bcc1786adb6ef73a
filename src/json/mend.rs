//! One pass over a text that is nearly JSON, which knows strings from what stands between them. Pure.
//!
//! What cannot be kept becomes `null` or U+FFFD, what can be kept is written as JSON has it, and everything
//! else stays as it stands: what is no JSON at all does not become any.

use super::mended::Mended;
use super::strict::own_text;

/// Deeper values become `null`: serde_json, among others, goes no deeper than 127.
const DEPTH_MAX: usize = 120;

/// What is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// What programs write: numbers that JSON lacks, characters, escapes, padding.
    Programs,
    /// And what models and people write: trailing commas, single quotes, bare words, comments, commas in
    /// numbers.
    Models,
}

/// The text, mended, and what was mended.
#[must_use]
pub fn mend(text: &str, rules: Rules) -> (String, Mended) {
    let mut mender = Mender {
        text,
        at: 0,
        out: String::with_capacity(text.len() + 16),
        mended: Mended::default(),
        open: Vec::new(),
        rules,
    };
    while mender.at < text.len() {
        mender.step();
    }
    (mender.out, mender.mended)
}

struct Mender<'a> {
    text: &'a str,
    at: usize,
    out: String,
    mended: Mended,
    /// The brackets that are open.
    open: Vec<u8>,
    rules: Rules,
}

impl Mender<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn step(&mut self) {
        let first = self.byte(self.at);
        let is_loose = self.rules == Rules::Models;
        match first {
            b'"' => self.string('"', '"'),
            b'{' | b'[' if self.open.len() >= DEPTH_MAX => self.too_deep(),
            b'{' | b'[' => {
                self.open.push(first);
                self.push(first);
            }
            b'}' | b']' => {
                self.open.pop();
                if is_loose {
                    self.without_trailing_comma();
                }
                self.push(first);
            }
            b',' if is_loose && self.is_within_a_number() => self.slip(1),
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => self.push(first),
            b'\'' if is_loose => self.string('\'', '\''),
            b'/' if is_loose && matches!(self.byte(self.at + 1), b'/' | b'*') => self.comment(),
            _ if self.is_word(first) => self.word(),
            _ => self.other(),
        }
    }

    fn push(&mut self, byte: u8) {
        self.out.push(char::from(byte));
        self.at += 1;
    }

    /// Skips bytes that are not needed.
    fn slip(&mut self, bytes: usize) {
        self.at += bytes;
        self.mended.form += 1;
    }

    fn is_word(&self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'#')
            || (self.rules == Rules::Models && matches!(byte, b'$' | b'%' | b'/'))
    }

    /// Characters that are nothing between strings: marks, padding, other blanks.
    fn other(&mut self) {
        let Some(c) = self.text[self.at..].chars().next() else {
            return;
        };
        match c {
            '“' | '”' if self.rules == Rules::Models => return self.string(c, '”'),
            c if c.is_control() || c.is_whitespace() || c == '\u{feff}' => {
                self.out.push(' ');
                self.mended.form += 1;
            }
            c => self.out.push(c),
        }
        self.at += c.len_utf8();
    }

    /// A number, `true`, `false`, `null`, or what is written in place of one.
    fn word(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let end = rest.iter().position(|b| !self.is_word(*b));
        let word = &self.text[self.at..self.at + end.unwrap_or(rest.len())];
        self.at += word.len();
        if matches!(word, "true" | "false" | "null") || is_number(word) {
            self.out.push_str(word);
            return;
        }
        let value: Option<f64> = word.parse().ok();
        let lower = word.to_ascii_lowercase();
        let (form, number) = (&mut self.mended.form, &mut self.mended.numbers);
        let (count, new) = match (lower.as_str(), value) {
            ("true" | "false" | "null", _) => (form, lower),
            ("none" | "undefined" | "nil", _) => (form, "null".to_owned()),
            (_, Some(v)) if v.is_finite() => (form, serde_json::Value::from(v).to_string()),
            (_, Some(_)) => (number, "null".to_owned()),
            // As C's library of Windows prints them.
            (other, None) if other.contains("1.#") => (number, "null".to_owned()),
            (_, None) if self.rules == Rules::Models => {
                (form, serde_json::Value::from(word).to_string())
            }
            (_, None) => {
                self.out.push_str(word);
                return;
            }
        };
        *count += 1;
        self.out.push_str(&new);
    }

    /// A value that is nested too deep, with all in it.
    fn too_deep(&mut self) {
        let mut depth = Depth::default();
        let rest = &self.text.as_bytes()[self.at..];
        match depth.end(rest) {
            Some(end) => {
                self.at += end;
                self.out.push_str("null");
                self.mended.deep += 1;
            }
            None => {
                self.out.push_str(&self.text[self.at..]);
                self.at = self.text.len();
            }
        }
    }

    fn string(&mut self, open: char, close: char) {
        self.out.push('"');
        self.at += open.len_utf8();
        self.mended.form += u64::from(open != '"');
        let text = self.text;
        loop {
            let rest = &text[self.at..];
            let is_odd = |c: char| c == close || matches!(c, '\\' | '"') || c < ' ';
            let Some((n, c)) = rest.char_indices().find(|(_, c)| is_odd(*c)) else {
                // It never ends.
                self.out.push_str(rest);
                self.at = text.len();
                return;
            };
            self.out.push_str(&rest[..n]);
            self.at += n + c.len_utf8();
            match c {
                '\\' => self.at += self.escape(self.at),
                c if c == close && (c == '"' || self.ends_a_string(self.at)) => {
                    self.out.push('"');
                    return;
                }
                c if c == '"' || c < ' ' => {
                    self.mended.form += 1;
                    let quoted = serde_json::Value::from(c.to_string()).to_string();
                    self.out.push_str(&quoted[1..quoted.len() - 1]);
                }
                c => self.out.push(c),
            }
        }
    }

    /// Whether a single quote before this place can be the end of a string, and no apostrophe.
    fn ends_a_string(&self, at: usize) -> bool {
        let next = self.text[at..].trim_start().bytes().next();
        next.is_none_or(|b| matches!(b, b',' | b':' | b'}' | b']'))
    }

    /// What stands behind a backslash; how many bytes of it were read.
    fn escape(&mut self, at: usize) -> usize {
        let next = self.byte(at);
        match next {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.out.push('\\');
                self.out.push(char::from(next));
                1
            }
            b'u' => match self.unit(at) {
                Some(0xD800..=0xDBFF)
                    if self.byte(at + 5) == b'\\'
                        && self.byte(at + 6) == b'u'
                        && matches!(self.unit(at + 6), Some(0xDC00..=0xDFFF)) =>
                {
                    self.out.push_str(&self.text[at - 1..at + 11]);
                    11
                }
                Some(0xD800..=0xDFFF) => {
                    self.mended.surrogates += 1;
                    self.out.push('\u{fffd}');
                    5
                }
                Some(_) => {
                    self.out.push_str(&self.text[at - 1..at + 5]);
                    5
                }
                None => self.bare_backslash(),
            },
            b'\'' => {
                self.mended.form += 1;
                self.out.push('\'');
                1
            }
            _ => self.bare_backslash(),
        }
    }

    /// A backslash that escapes nothing, as in `C:\data`, means itself.
    fn bare_backslash(&mut self) -> usize {
        self.mended.form += 1;
        self.out.push_str("\\\\");
        0
    }

    /// The four digits behind a `u`.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at + 1..at + 5)?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
    }

    fn without_trailing_comma(&mut self) {
        let kept = self.out.trim_end();
        if let Some(without) = kept.strip_suffix(',') {
            let blanks = self.out[kept.len()..].to_owned();
            self.out.truncate(without.len());
            self.out.push_str(&blanks);
            self.mended.form += 1;
        }
    }

    /// Whether the comma here parts thousands: in an object no digit can follow it otherwise.
    fn is_within_a_number(&self) -> bool {
        let digit = |at: usize| self.byte(at).is_ascii_digit();
        let after = self.at + 1;
        self.open.last() == Some(&b'{')
            && self.out.ends_with(|c: char| c.is_ascii_digit())
            && digit(after)
            && digit(after + 1)
            && digit(after + 2)
            && !digit(after + 3)
    }

    fn comment(&mut self) {
        let rest = &self.text[self.at..];
        let end = if rest.starts_with("//") {
            rest.find('\n')
        } else {
            rest.find("*/").map(|at| at + 2)
        };
        self.slip(end.unwrap_or(rest.len()));
    }
}

/// Whether a word is a number as JSON has it and a double can hold.
fn is_number(word: &str) -> bool {
    own_text::<serde_json::Number>(word).is_ok()
}

/// Where a bracketed value ends, in a text that comes in pieces: brackets are counted outside strings.
#[derive(Clone, Debug, Default)]
pub struct Depth {
    open: usize,
    in_string: bool,
    escaped: bool,
}

impl Depth {
    /// The place behind the bracket that closes the first one.
    pub fn end(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, byte) in piece.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.open += 1,
                b'}' | b']' => {
                    self.open = self.open.saturating_sub(1);
                    if self.open == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}
