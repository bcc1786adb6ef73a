//! The page's files, as the build script made them. Plain data in the binary: to look one up waits for
//! nothing and reads no file.

use super::answer::Answer;
use crate::payload::Body;

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset {
    /// Where it is served.
    pub path: &'static str,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Its name changes with its content: a browser may keep it.
    pub lasting: bool,
    /// The body.
    pub bytes: &'static [u8],
}

/// All of them.
pub static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What the page may do in a browser: its own files and connections to its own server, nothing else.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file that is served at this path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|a| a.path == path)
}

impl Asset {
    /// The answer that it is.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let mut answer = Answer::built(Body::built(self.bytes.to_vec()));
        answer.content_type = self.content_type;
        for (name, value) in self.headers() {
            answer.set(name, value.to_owned());
        }
        answer
    }

    /// What its answers say besides those of any other.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, &'static str); 3] {
        let keep = if self.lasting {
            "max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        [
            ("Cache-Control", keep),
            ("Content-Security-Policy", POLICY),
            ("Referrer-Policy", "no-referrer"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pages_name_only_files_that_are_there() {
        for path in ["/", "/threads", "/docs"] {
            let page = find(path).unwrap();
            assert_eq!(page.content_type, "text/html; charset=utf-8");
            let text = std::str::from_utf8(page.bytes).unwrap();
            let mut named = 0;
            for rest in text.split("=\"/assets/").skip(1) {
                let name = rest.split('"').next().unwrap();
                let asset = find(&format!("/assets/{name}")).unwrap();
                assert!(asset.lasting && !asset.bytes.is_empty());
                named += 1;
            }
            assert!(named >= 2, "{text}");
            assert!(!text.contains("<style") && !text.contains("style="));
        }
        assert!(find("/assets/").is_none());
    }
}
