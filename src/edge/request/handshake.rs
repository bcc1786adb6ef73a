//! What a request's head says about becoming a WebSocket (RFC 6455, section 4.2.1). Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The one version there is.
pub const VERSION: &str = "13";

/// The random bytes of a `Sec-WebSocket-Key`.
const KEY_BYTES: usize = 16;

/// How much of a client's value is repeated in an error.
const ECHO_CHARS_MAX: usize = 40;

/// What the head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Handshake {
    /// It does not ask, or somebody between took away that it does.
    #[default]
    NotAsked,
    /// It asks for a version that this server does not speak.
    Version(String),
    /// It asks, and what is wrong with it.
    Malformed(String),
    /// It asks as it should, with this key.
    Whole(String),
}

/// Gathers what the header lines say.
#[derive(Debug, Default)]
pub struct Gathered {
    upgrade: bool,
    connection: bool,
    versions: Vec<String>,
    keys: Vec<String>,
}

impl Gathered {
    /// Looks at one header line. True if it is of the handshake alone.
    pub fn take(&mut self, name: &str, value: &str) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let names = |token: &str| {
            let mut tokens = value.split(',').map(str::trim);
            tokens.any(|t| t.eq_ignore_ascii_case(token))
        };
        if is("Connection") {
            self.connection |= names("upgrade");
            return false;
        }
        if is("Upgrade") {
            self.upgrade |= names("websocket");
        } else if is("Sec-WebSocket-Version") {
            self.versions.push(value.to_owned());
        } else if is("Sec-WebSocket-Key") {
            self.keys.push(value.to_owned());
        } else {
            return false;
        }
        true
    }

    /// What all lines together say.
    #[must_use]
    pub fn verdict(self, is_get: bool, http10: bool, has_body: bool) -> Handshake {
        // A proxy that speaks HTTP/1.0 to us cannot pass it on, whatever it copied.
        if !self.upgrade || !self.connection || !is_get || http10 {
            return Handshake::NotAsked;
        }
        if has_body {
            // Its bytes would be read as frames, by us or by somebody between.
            return Handshake::Malformed("it has a body".to_owned());
        }
        match self.versions.as_slice() {
            [version] if version == VERSION => {}
            [] => return Handshake::Malformed("Sec-WebSocket-Version is missing".to_owned()),
            [version] if version.bytes().all(|b| b.is_ascii_digit()) && !version.is_empty() => {
                return Handshake::Version(cut(version));
            }
            _ => return Handshake::Malformed("Sec-WebSocket-Version is not one number".to_owned()),
        }
        match self.keys.as_slice() {
            [key] if STANDARD.decode(key).is_ok_and(|k| k.len() == KEY_BYTES) => {
                Handshake::Whole(key.clone())
            }
            [] => Handshake::Malformed("Sec-WebSocket-Key is missing".to_owned()),
            [key] => Handshake::Malformed(format!(
                "Sec-WebSocket-Key {:?} is not the base64 of {KEY_BYTES} bytes",
                cut(key)
            )),
            _ => Handshake::Malformed("there is more than one Sec-WebSocket-Key".to_owned()),
        }
    }
}

impl Handshake {
    /// The key of a whole handshake.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Whole(key) => Some(key),
            _ => None,
        }
    }

    /// The status and the sentence for a client that asked for the stream and cannot have it; none for a
    /// whole handshake.
    #[must_use]
    pub fn refusal(&self) -> Option<(u16, String)> {
        match self {
            Self::Whole(_) => None,
            Self::NotAsked => Some((
                426,
                "This is a WebSocket: open it with ws:// (in a page: new WebSocket(url)). If you did, a proxy between took the headers Upgrade and Connection away; it must pass both on, over HTTP/1.1 (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";)".to_owned(),
            )),
            Self::Version(version) => Some((
                426,
                format!("WebSocket version {version} is not spoken here; use version {VERSION} (RFC 6455)"),
            )),
            Self::Malformed(why) => Some((400, format!("The WebSocket handshake will not do: {why}"))),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn verdict(lines: &[(&str, &str)]) -> Handshake {
        let mut gathered = Gathered::default();
        for (name, value) in lines {
            gathered.take(name, value);
        }
        gathered.verdict(true, false, false)
    }

    fn with(version: &str, key: &str) -> Handshake {
        verdict(&[
            ("upgrade", "WebSocket"),
            ("Connection", "keep-alive, Upgrade"),
            ("Sec-WebSocket-Version", version),
            ("sec-websocket-key", key),
        ])
    }

    #[test]
    fn a_whole_handshake_is_known_in_every_spelling_that_the_standard_allows() {
        assert_eq!(with("13", KEY), Handshake::Whole(KEY.into()));
        let in_lists = verdict(&[
            ("Upgrade", "foo, websocket"),
            ("Connection", "keep-alive"),
            ("Connection", "UPGRADE"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ]);
        assert_eq!(in_lists.key(), Some(KEY));
    }

    #[test]
    fn who_does_not_ask_or_asks_for_another_version_is_told_to_upgrade() {
        let lost = [
            verdict(&[]),
            verdict(&[("Upgrade", "websocket"), ("Connection", "close")]),
            verdict(&[("Connection", "Upgrade"), ("Sec-WebSocket-Key", KEY)]),
            verdict(&[("Upgrade", "h2c"), ("Connection", "Upgrade")]),
        ];
        for handshake in lost {
            let (status, words) = handshake.refusal().unwrap();
            assert!(status == 426 && words.contains("proxy"), "{words}");
        }
        for version in ["8", "0", "14", "255"] {
            let (status, words) = with(version, KEY).refusal().unwrap();
            assert!(status == 426 && words.contains("13"), "{words}");
        }
    }

    #[test]
    fn a_handshake_that_is_broken_is_told_what_is_wrong_with_it() {
        for (version, key) in [
            ("13", ""),
            ("13", "abc="),
            ("13", "not base64 at all!!!!!!!"),
            ("13", "dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ=="),
            ("13, 8", KEY),
            ("", KEY),
            ("-13", KEY),
        ] {
            let (status, words) = with(version, key).refusal().unwrap();
            assert!(
                status == 400 && words.contains("Sec-WebSocket"),
                "{version} {key}: {words}"
            );
        }
        let twice = verdict(&[
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Key", KEY),
        ]);
        assert_eq!(twice.refusal().unwrap().0, 400);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_and_only_a_whole_handshake_has_no_refusal(
            lines in prop::collection::vec(("(Upgrade|Connection|Sec-WebSocket-Version|Sec-WebSocket-Key)", "\\PC{0,30}"), 0..8),
            is_get: bool, http10: bool, has_body: bool
        ) {
            let mut gathered = Gathered::default();
            for (name, value) in &lines {
                gathered.take(name, value);
            }
            let verdict = gathered.verdict(is_get, http10, has_body);
            prop_assert_eq!(verdict.key().is_none(), verdict.refusal().is_some());
        }
    }
}
