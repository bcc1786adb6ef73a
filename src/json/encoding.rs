//! From bytes as programs write them to UTF-8. Pure.
//!
//! Windows PowerShell's `>` writes UTF-16, and its `>>` appends UTF-16 to whatever there is; other programs
//! then append UTF-8 to that. So the encoding is looked at anew at each line, and in the middle of one where
//! a character of eight bits is followed by zeros as they stand in UTF-16.

use std::borrow::Cow;
use std::mem;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// UTF-8, or what claims to be.
    #[default]
    Bytes,
    Utf16Le,
    Utf16Be,
}

/// Decodes a text that comes in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    form: Form,
    /// Bytes whose meaning the next ones decide; at most three.
    carry: Vec<u8>,
    /// The last byte was no newline.
    in_line: bool,
    /// The last byte of eight bits.
    last: u8,
    /// Half of a character.
    high: Option<u16>,
    /// Whether some of it was UTF-16.
    utf16: bool,
    /// Halves without their other half, which became U+FFFD.
    surrogates: u64,
}

impl Decoder {
    /// The next bytes, as UTF-8, if the text is sound; what is neither stays as it is. A few bytes may come
    /// out with the next piece.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(last) = bytes.last() else {
            return Cow::Borrowed(bytes);
        };
        // In UTF-16 every character of JSON's own has a zero, and a mark has a byte that UTF-8 never has.
        let is_plain = !bytes.contains(&0) && !bytes.contains(&0xFF) && *last != 0xFE;
        if self.form == Form::Bytes && self.carry.is_empty() && is_plain {
            self.last = *last;
            self.in_line = *last != b'\n';
            return Cow::Borrowed(bytes);
        }
        let mut all = mem::take(&mut self.carry);
        all.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(all.len());
        let mut at = 0;
        while let Some(taken) = self.step(&all[at..], &mut out) {
            at += taken;
        }
        self.carry = all.split_off(at);
        Cow::Owned(out)
    }

    /// What is left at the end of the text.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.high.take().is_some() {
            self.lone(&mut out);
        }
        out.append(&mut self.carry);
        out
    }

    /// Whether some of it was UTF-16.
    #[must_use]
    pub fn had_utf16(&self) -> bool {
        self.utf16
    }

    /// Halves of characters that became U+FFFD.
    #[must_use]
    pub fn surrogates(&self) -> u64 {
        self.surrogates
    }

    /// Decodes the first character; how many bytes it took, or none where more must be known.
    fn step(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        match self.form {
            Form::Bytes => self.step_bytes(bytes, out),
            Form::Utf16Le | Form::Utf16Be => self.step_utf16(bytes, out),
        }
    }

    fn step_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let first = *bytes.first()?;
        match first {
            0xFF | 0xFE => {
                let second = *bytes.get(1)?;
                let form = match (first, second) {
                    (0xFF, 0xFE) => Form::Utf16Le,
                    (0xFE, 0xFF) => Form::Utf16Be,
                    _ => return Some(self.byte(first, out)),
                };
                Some(self.switch(form, 2))
            }
            0 => {
                let (second, third) = (*bytes.get(1)?, *bytes.get(2)?);
                if third == 0 && is_ascii(second) && self.in_line && is_ascii(self.last) {
                    // The byte before was the first half of this unit.
                    return Some(self.switch(Form::Utf16Le, 1));
                }
                if is_ascii(second) && !self.in_line && third == 0 {
                    return Some(self.switch(Form::Utf16Be, 0));
                }
                Some(self.byte(0, out))
            }
            _ => Some(self.byte(first, out)),
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> usize {
        self.last = byte;
        self.in_line = byte != b'\n';
        out.push(byte);
        1
    }

    fn switch(&mut self, form: Form, taken: usize) -> usize {
        self.form = form;
        self.utf16 |= form != Form::Bytes;
        // The next unit is none that ended a line.
        self.in_line = true;
        taken
    }

    fn step_utf16(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let pair = [*bytes.first()?, *bytes.get(1)?];
        if !self.in_line && begins_in_bytes(pair) {
            if self.high.take().is_some() {
                self.lone(out);
            }
            return Some(self.switch(Form::Bytes, 0));
        }
        let unit = match self.form {
            Form::Utf16Be => u16::from_be_bytes(pair),
            Form::Utf16Le | Form::Bytes => u16::from_le_bytes(pair),
        };
        self.in_line = unit != u16::from(b'\n');
        let units: &[u16] = match self.high.take() {
            Some(high) => &[high, unit],
            None => &[unit],
        };
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                // A mark in front says only what is known by now.
                Ok('\u{feff}') => {}
                Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(e) if e.unpaired_surrogate() == unit && unit & 0xFC00 == 0xD800 => {
                    self.high = Some(unit);
                }
                Err(_) => self.lone(out),
            }
        }
        Some(2)
    }

    fn lone(&mut self, out: &mut Vec<u8>) {
        self.surrogates += 1;
        out.extend_from_slice("\u{fffd}".as_bytes());
    }
}

/// A character as JSON is made of.
fn is_ascii(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')
}

/// Whether a line that begins so is of eight bits: as UTF-16 these would be characters that begin no line
/// of JSON.
fn begins_in_bytes(pair: [u8; 2]) -> bool {
    let opens = matches!(
        pair[0],
        b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n' | b'}' | b']'
    );
    (opens && is_ascii(pair[1])) || pair == [0xEF, 0xBB]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    fn decoded(pieces: &[&[u8]]) -> String {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&decoder.feed(piece));
        }
        out.extend_from_slice(&decoder.finish());
        String::from_utf8(out).unwrap()
    }

    const TEXT: &str = "{\"a\":\"Ċ上 – 😀\"}\r\n{\"b\":1}\r\n";

    #[test]
    fn utf16_is_read_with_and_without_a_mark_in_either_order() {
        for unit in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            assert_eq!(decoded(&[&utf16(TEXT, unit)]), TEXT);
            let marked = format!("\u{feff}{TEXT}");
            assert_eq!(decoded(&[&utf16(&marked, unit)]), TEXT);
        }
    }

    #[test]
    fn what_powershell_appends_to_a_file_of_eight_bits_is_read_and_what_is_appended_to_that() {
        let le = utf16(TEXT, u16::to_le_bytes);
        let all = [TEXT.as_bytes(), &le, TEXT.as_bytes(), &le].concat();
        assert_eq!(decoded(&[&all]), TEXT.repeat(4));
        // The line before had no newline.
        let torn = [b"{\"x\":1}".as_slice(), &le].concat();
        assert_eq!(decoded(&[&torn]), format!("{{\"x\":1}}{TEXT}"));
    }

    #[test]
    fn half_a_character_is_replaced_and_counted() {
        let mut bytes = utf16("{\"a\":\"", u16::to_le_bytes);
        bytes.extend_from_slice(&0xD83D_u16.to_le_bytes());
        bytes.extend_from_slice(&utf16("\"}", u16::to_le_bytes));
        let mut decoder = Decoder::default();
        let text = decoder.feed(&bytes).into_owned();
        assert_eq!(text, "{\"a\":\"\u{fffd}\"}".as_bytes());
        assert_eq!((decoder.surrogates(), decoder.had_utf16()), (1, true));
    }

    #[test]
    fn zeros_that_only_pad_stay_what_they_are() {
        let padded = b"\0\0\0\0{\"a\":1}\0\0\0\0";
        assert_eq!(decoded(&[padded]).as_bytes(), padded);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_and_utf8_passes_unchanged(
            lines in prop::collection::vec(("\\{\"[a-zé上]{0,4}\":\"[^\u{0}\"\\\\\n\r\u{feff}]{0,6}\"\\}", 0..3_u8), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)
        ) {
            let mut bytes = Vec::new();
            let mut want = String::new();
            let mut form = 0;
            for (line, wish) in &lines {
                let line = format!("{line}\n");
                want.push_str(&line);
                // Nobody appends big-endian UTF-16 to the other.
                if !(form != 0 && *wish != 0) { form = *wish; }
                match form {
                    0 => bytes.extend_from_slice(line.as_bytes()),
                    1 => bytes.extend(utf16(&line, u16::to_le_bytes)),
                    _ => bytes.extend(utf16(&line, u16::to_be_bytes)),
                }
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts { pieces.push(&bytes[from..cut]); from = cut; }
            pieces.push(&bytes[from..]);
            prop_assert_eq!(decoded(&pieces), want);
        }
    }
}
