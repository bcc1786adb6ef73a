//! What was mended in a document, by kind. Plain data.

use std::fmt;

/// How much of a document was mended, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Numbers that JSON does not have (`NaN`, `Infinity`) or that are beyond a double's range: `null`.
    pub numbers: u64,
    /// Halves of characters beyond U+FFFF without their other half: U+FFFD.
    pub surrogates: u64,
    /// Bytes that are no UTF-8: U+FFFD.
    pub bytes: u64,
    /// Values nested too deep for many readers: `null`.
    pub deep: u64,
    /// Prices of 0 or none in a candle: another price of the candle.
    pub prices: u64,
    /// Records (candles, lines, events) that could not be used at all and are left out.
    pub records: u64,
    /// What was written otherwise than JSON is, and lost nothing: marks, UTF-16, padding, raw control
    /// characters, escapes.
    pub form: u64,
}

/// How many kinds there are.
pub(super) const KINDS: usize = 7;

/// How much was mended of one kind.
#[derive(Clone, Copy, Debug)]
pub struct OfKind {
    /// Its name in metrics and headers.
    pub name: &'static str,
    /// How much.
    pub n: u64,
    /// What it is, for people.
    pub words: &'static str,
    /// Whether something could not be kept.
    pub loses: bool,
}

impl Mended {
    /// So many records were left out, and nothing else.
    #[must_use]
    pub fn left_out(records: u64) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    /// Nothing was.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Values, characters and records that could not be kept.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.kinds()
            .iter()
            .filter(|kind| kind.loses)
            .map(|kind| kind.n)
            .sum()
    }

    /// Each kind.
    #[must_use]
    pub fn kinds(&self) -> [OfKind; KINDS] {
        let of = |name, n, words| OfKind {
            name,
            n,
            words,
            loses: true,
        };
        [
            of(
                "numbers",
                self.numbers,
                "numbers that JSON does not have (now null)",
            ),
            of(
                "surrogates",
                self.surrogates,
                "halves of characters (now U+FFFD)",
            ),
            of("bytes", self.bytes, "pieces that are no UTF-8 (now U+FFFD)"),
            of("deep", self.deep, "values nested too deep (now null)"),
            of(
                "prices",
                self.prices,
                "prices of 0 or none (now another of their candle)",
            ),
            of("records", self.records, "records of no use (left out)"),
            OfKind {
                loses: false,
                ..of("form", self.form, "slips of form (nothing is lost)")
            },
        ]
    }

    /// `numbers=1, surrogates=2`, for a header; none where nothing was lost.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let kinds = self.kinds();
        let lost = kinds.iter().filter(|kind| kind.n > 0 && kind.loses);
        let words: Vec<String> = lost
            .map(|kind| format!("{}={}", kind.name, kind.n))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// What came since `before`, which was counted earlier.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            numbers: self.numbers.saturating_sub(before.numbers),
            surrogates: self.surrogates.saturating_sub(before.surrogates),
            bytes: self.bytes.saturating_sub(before.bytes),
            deep: self.deep.saturating_sub(before.deep),
            prices: self.prices.saturating_sub(before.prices),
            records: self.records.saturating_sub(before.records),
            form: self.form.saturating_sub(before.form),
        }
    }
}

impl std::ops::AddAssign for Mended {
    fn add_assign(&mut self, other: Self) {
        self.numbers += other.numbers;
        self.surrogates += other.surrogates;
        self.bytes += other.bytes;
        self.deep += other.deep;
        self.prices += other.prices;
        self.records += other.records;
        self.form += other.form;
    }
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for kind in self.kinds().iter().filter(|kind| kind.n > 0) {
            let comma = if std::mem::take(&mut first) { "" } else { ", " };
            write!(f, "{comma}{} {}", kind.n, kind.words)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_only_what_was_lost_and_words_name_all() {
        let mut mended = Mended {
            form: 2,
            ..Mended::default()
        };
        assert_eq!((mended.header(), mended.lost()), (None, 0));
        mended.numbers = 1;
        mended.surrogates = 3;
        assert_eq!(mended.header().unwrap(), "numbers=1, surrogates=3");
        assert!(mended.to_string().contains("2 slips of form"), "{mended}");
    }
}
