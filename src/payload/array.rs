//! A JSON array that grows: what was written, hashed and compressed of it once is kept. Pure.

use std::hash::{DefaultHasher, Hasher};

use super::Body;
use super::gzip::GrowingGzip;

/// An array of items in the order in which they came.
#[derive(Debug)]
pub struct GrowingArray {
    /// Without the closing bracket.
    plain: Vec<u8>,
    gzip: GrowingGzip,
    hasher: DefaultHasher,
    /// How much of the plain form the two have seen.
    known: usize,
    /// How much of it was compressed in one piece.
    in_one_piece: usize,
}

/// Small pieces compress badly: once they are more than this part of what was compressed in one piece,
/// all is compressed anew.
const PIECES_PART: usize = 4;

/// That many bytes of pieces are left alone in any case.
const PIECES_BYTES_MIN: usize = 2_048;

impl Default for GrowingArray {
    fn default() -> Self {
        Self {
            plain: b"[".to_vec(),
            gzip: GrowingGzip::default(),
            hasher: DefaultHasher::new(),
            known: 0,
            in_one_piece: 0,
        }
    }
}

impl GrowingArray {
    /// Another item, as JSON. Returns where it begins.
    pub fn push(&mut self, item: &[u8]) -> usize {
        if self.plain.len() > 1 {
            self.plain.push(b',');
        }
        let start = self.plain.len();
        self.plain.extend_from_slice(item);
        start
    }

    /// Where the next item will begin.
    #[must_use]
    pub fn next_start(&self) -> usize {
        self.plain.len() + usize::from(self.plain.len() > 1)
    }

    /// The array with `last` behind it, which is not kept: an item that is not final yet.
    pub fn body(&mut self, last: Option<&[u8]>) -> Body {
        let new = &self.plain[self.known..];
        // Not `hash`, which would make the tag depend on the pieces.
        self.hasher.write(new);
        let in_pieces = self.plain.len() - self.in_one_piece;
        let packed = if in_pieces > self.in_one_piece / PIECES_PART + PIECES_BYTES_MIN {
            self.gzip = GrowingGzip::default();
            self.in_one_piece = self.plain.len();
            self.gzip.feed(&self.plain)
        } else {
            self.gzip.feed(new)
        };
        self.known = self.plain.len();
        let mut tail = Vec::new();
        if let Some(last) = last {
            if self.plain.len() > 1 {
                tail.push(b',');
            }
            tail.extend_from_slice(last);
        }
        tail.push(b']');
        let mut hasher = self.hasher.clone();
        hasher.write(&tail);
        let plain = [self.plain.as_slice(), &tail].concat();
        let gzip = packed.and_then(|()| self.gzip.with_tail(&tail));
        Body::of_parts(plain, gzip, hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    proptest! {
        #[test]
        fn at_every_time_it_is_the_array_of_its_items(
            items in prop::collection::vec((0_u32..1_000, any::<bool>()), 0..40)
        ) {
            let mut array = GrowingArray::default();
            let mut so_far: Vec<u32> = Vec::new();
            for (item, last) in items {
                let text = item.to_string();
                let body = if last {
                    let body = array.body(Some(text.as_bytes()));
                    so_far.push(item);
                    body
                } else {
                    array.push(text.as_bytes());
                    so_far.push(item);
                    array.body(None)
                };
                let got: Vec<u32> = serde_json::from_slice(body.plain()).unwrap();
                prop_assert_eq!(&got, &so_far);
                if last { so_far.pop(); }
            }
        }
    }

    #[test]
    fn a_long_array_that_grew_by_single_items_is_as_small_as_one_made_at_once() {
        let item = br#"{"timestamp":1772807400000,"open":2.5,"close":2.75,"volume":1200}"#;
        let mut whole = GrowingArray::default();
        let mut grown = GrowingArray::default();
        for _ in 0..2_000 {
            whole.push(item);
            grown.push(item);
            let _each_time = grown.body(None);
        }
        let (whole, grown) = (whole.body(None), grown.body(None));
        assert_eq!(whole.plain(), grown.plain());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&**grown.gzip().unwrap())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(&**grown.plain(), &unpacked[..]);
        assert!(grown.gzip().unwrap().len() < grown.plain().len() / 3);
    }

    #[test]
    fn the_tag_tells_contents_apart_and_not_how_they_came() {
        let mut whole = GrowingArray::default();
        whole.push(b"1");
        whole.push(b"2");
        let mut parts = GrowingArray::default();
        parts.push(b"1");
        let one = parts.body(None).etag(false);
        parts.push(b"2");
        assert_eq!(whole.body(None).etag(false), parts.body(None).etag(false));
        assert_ne!(one, parts.body(None).etag(false));
    }
}
