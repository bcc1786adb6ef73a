//! A finished body: built once by whoever has the data, then only pointed to, however many clients get
//! it. It holds the bytes, the same compressed where that pays, and the tag by which a client that has
//! it already says so. Pure; plain data that may cross a channel.

mod accept;
mod array;
mod gzip;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

pub use accept::Accepts;
pub use array::GrowingArray;

use crate::json::{Mended, Passed};

/// Shorter bodies are sent as they are: the head would outweigh what compression saves.
const GZIP_FROM_BYTES: usize = 1_024;

/// Bytes for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    plain: Arc<[u8]>,
    gzip: Option<Arc<[u8]>>,
    /// Of the plain bytes; none for what no client keeps.
    tag: Option<u64>,
    /// What in it was mended on its way through.
    mended: Mended,
}

impl AsRef<Self> for Body {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Body {
    /// A body that many will ask for: compressed if it is long enough, and tagged.
    #[must_use]
    pub fn built(plain: Vec<u8>) -> Self {
        let gzip = (plain.len() >= GZIP_FROM_BYTES)
            .then(|| packed(&plain))
            .flatten();
        let tag = Some(tag(&plain));
        Self {
            plain: plain.into(),
            gzip,
            tag,
            mended: Mended::default(),
        }
    }

    /// Another program's document, passed on.
    #[must_use]
    pub fn passed(document: Passed<'_>) -> Self {
        Self::built(document.json.into_owned()).with_mended(document.mended)
    }

    /// Has it say what in it was mended.
    #[must_use]
    pub fn with_mended(self, mended: Mended) -> Self {
        Self { mended, ..self }
    }

    /// What in it was mended on its way through.
    #[must_use]
    pub fn mended(&self) -> &Mended {
        &self.mended
    }

    /// A body for one client: neither compressed nor tagged.
    #[must_use]
    pub fn once(plain: impl Into<Arc<[u8]>>) -> Self {
        Self {
            plain: plain.into(),
            gzip: None,
            tag: None,
            mended: Mended::default(),
        }
    }

    /// A body whose parts were built piece by piece.
    fn of_parts(plain: Vec<u8>, gzip: Option<Vec<u8>>, tag: u64) -> Self {
        let worth_it = plain.len() >= GZIP_FROM_BYTES;
        Self {
            plain: plain.into(),
            gzip: gzip.filter(|_| worth_it).map(Into::into),
            tag: Some(tag),
            mended: Mended::default(),
        }
    }

    /// The bytes as they are.
    #[must_use]
    pub fn plain(&self) -> &Arc<[u8]> {
        &self.plain
    }

    /// The bytes in the gzip format (RFC 1952), if they are kept in it.
    #[must_use]
    pub fn gzip(&self) -> Option<&Arc<[u8]>> {
        self.gzip.as_ref()
    }

    /// The bytes in the form that this client gets, and whether that is gzip; none where it takes neither.
    #[must_use]
    pub fn for_client(&self, accepts: Accepts) -> Option<(Arc<[u8]>, bool)> {
        if accepts.prefers_gzip()
            && let Some(gzip) = &self.gzip
        {
            return Some((Arc::clone(gzip), true));
        }
        if accepts.takes_plain() || self.plain.is_empty() {
            return Some((Arc::clone(&self.plain), false));
        }
        let gzip = accepts.takes_gzip().then(|| packed(&self.plain));
        gzip.flatten().map(|gzip| (gzip, true))
    }

    /// The strong entity tag of the plain or the compressed form (RFC 9110, 8.8.3), quotes included.
    #[must_use]
    pub fn etag(&self, gzip: bool) -> Option<String> {
        let form = if gzip { "-gzip" } else { "" };
        self.tag.map(|tag| format!("\"{tag:016x}{form}\""))
    }

    /// Whether an `If-None-Match` value (RFC 9110, 13.1.2) names the plain or the compressed form: whoever
    /// has one cannot be told by the tag of the other that it is the same.
    #[must_use]
    pub fn matches(&self, if_none_match: &str, gzip: bool) -> bool {
        // A comma in another's tag splits it, and neither part is then whole, as ours are.
        self.etag(gzip).is_some_and(|tag| {
            if_none_match.trim() == "*"
                || if_none_match
                    .split(',')
                    .map(str::trim)
                    .any(|asked| asked.strip_prefix("W/").unwrap_or(asked) == tag)
        })
    }
}

/// Fast rather than small: a body is compressed when its data change, and some of it changes each second.
fn packed(plain: &[u8]) -> Option<Arc<[u8]>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain).ok()?;
    Some(encoder.finish().ok()?.into())
}

fn tag(plain: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    plain.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn both_forms_say_the_same_and_short_ones_have_one() {
        let long = "[1.5,2.25],".repeat(500).into_bytes();
        let body = Body::built(long.clone());
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&**body.gzip().unwrap())
            .read_to_end(&mut out)
            .unwrap();
        assert_eq!(out, long);
        assert!(body.gzip().unwrap().len() < long.len() / 10);
        assert!(Body::built(b"[]".to_vec()).gzip().is_none());
    }

    #[test]
    fn a_client_that_has_it_is_known_by_the_tag_of_the_form_it_has() {
        let body = Body::built(b"[1]".to_vec());
        let tags = [false, true].map(|gzip| body.etag(gzip).unwrap());
        assert_ne!(tags[0], tags[1], "strong tags differ where the bytes do");
        for (gzip, tag) in [false, true].into_iter().zip(&tags) {
            for asked in [
                tag.clone(),
                format!("W/{tag}"),
                format!("\"x\", {tag}"),
                format!("W/\"x\",W/{tag} ,\"y\""),
                " * ".into(),
            ] {
                assert!(body.matches(&asked, gzip), "{asked}");
            }
            for other in [
                tags[usize::from(!gzip)].clone(),
                tag.to_ascii_uppercase().replace("W/", ""),
                tag.replace('"', ""),
                tag.replacen('"', "\"+", 1),
                tag.replacen('"', "\"x,", 1),
                String::new(),
                "\"0\"".into(),
                "W/\"\"".into(),
                "\"x\", *".into(),
            ] {
                // A tag without letters is the same in upper case.
                assert!(other == *tag || !body.matches(&other, gzip), "{other}");
            }
        }
        assert_ne!(body.etag(false), Body::built(b"[2]".to_vec()).etag(false));
        assert!(!Body::once(*b"[1]").matches("*", false));
    }

    #[test]
    fn a_client_gets_a_form_that_it_takes_made_for_it_where_need_be() {
        let long = Body::built(b"[1.5,2.25],".repeat(500));
        let short = Body::once(*b"[]");
        let form = |body: &Body, field| {
            let (bytes, gzip) = body.for_client(Accepts::read(field))?;
            let is_plain = bytes == *body.plain();
            assert_eq!(is_plain, !gzip);
            Some(gzip)
        };
        assert_eq!(form(&long, "gzip"), Some(true));
        assert_eq!(form(&long, "gzip;q=0.1, identity"), Some(false));
        assert_eq!(form(&short, "gzip"), Some(false), "it would be longer");
        assert_eq!(form(&short, "gzip, identity;q=0"), Some(true));
        assert_eq!(form(&long, "identity;q=0"), None);
        assert_eq!(form(&Body::once(*b""), "*;q=0"), Some(false));
    }
}
