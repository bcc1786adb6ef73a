//! Who may be answered at all: a request that names this server by a name it has, and that carries the
//! token where one is set. Pure.
//!
//! The name protects against DNS rebinding: a foreign page whose own name was made to point at this
//! machine sends that name, and its browser takes our answers for the page's own.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use crate::http::query_value;

use super::head::Head;

/// A shorter token can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// The longest token that fits into a request's head beside all else.
const TOKEN_CHARS_MAX: usize = 1_024;

/// How much of a refused name is repeated.
const ECHO_CHARS_MAX: usize = 80;

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    /// Keeps it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A token as its file has it: one word of 16 to 1024 visible ASCII characters.
    ///
    /// # Errors
    /// What is wrong with it, without any of it.
    pub fn token(file: &str) -> Result<Self, String> {
        let word = file.trim();
        if !word.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("a token is one word of visible ASCII characters".to_owned());
        }
        if !(TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&word.len()) {
            return Err(format!(
                "a token has {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} characters and this one {}; `openssl rand -hex 32` makes a good one",
                word.len()
            ));
        }
        Ok(Self(word.to_owned()))
    }

    /// The value of an `Authorization` header that shows it.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Takes as long for a wrong one of the same length as for the right one.
    fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// `Bearer TOKEN`, or `Basic` with the token as the password, which browsers ask their user for.
    fn is_shown_by(&self, authorization: &Self) -> bool {
        let Some((scheme, value)) = authorization.0.trim().split_once(' ') else {
            return false;
        };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(value);
        }
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        let decoded = STANDARD.decode(value).ok().filter(|_| is_basic);
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        pair.is_some_and(|pair| {
            pair.split_once(':')
                .is_some_and(|(_, password)| self.is(password))
        })
    }
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Its `Host` is no name of this server.
    Host(String),
    /// It shows no token, or a wrong one.
    Token,
}

impl Denied {
    /// The status that its sender gets.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Host(_) => 421,
            Self::Token => 401,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(
                f,
                "{host:?} is no name of this server; its owner can add it with the setting http.hosts"
            ),
            Self::Token => f.write_str(
                "This server wants its token with every request: send \"Authorization: Bearer TOKEN\", or ?token=TOKEN where a quote stream is opened; its owner set http.token_file",
            ),
        }
    }
}

/// Knows the server's names and its token.
#[derive(Clone, Debug)]
pub struct Guard {
    listen: IpAddr,
    names: Vec<String>,
    token: Option<Secret>,
}

impl Guard {
    /// `listen`: where the port is; `names`: further names that clients may use.
    #[must_use]
    pub fn new(listen: IpAddr, names: &[String], token: Option<Secret>) -> Self {
        Self {
            listen: listen.to_canonical(),
            names: names
                .iter()
                .map(|n| n.trim_end_matches('.').to_ascii_lowercase())
                .collect(),
            token,
        }
    }

    /// Whether this request is answered.
    ///
    /// # Errors
    /// Why it is not.
    pub fn admit(&self, head: &Head) -> Result<(), Denied> {
        // HTTP/1.0 may have no Host; no browser is that old.
        if !head.host.is_empty() && !self.knows(&head.host) {
            return Err(Denied::Host(
                head.host.chars().take(ECHO_CHARS_MAX).collect(),
            ));
        }
        match &self.token {
            None => Ok(()),
            // What a browser asks before it asks cannot carry a token, and tells nothing.
            Some(_) if head.method == "OPTIONS" => Ok(()),
            Some(token) if token_is_shown(token, head) => Ok(()),
            Some(_) => Err(Denied::Token),
        }
    }

    fn knows(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else {
            return false;
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Ok(ip) = name.parse::<IpAddr>() {
            // No page has an address for its name but one that is served there.
            let ip = ip.to_canonical();
            return ip.is_loopback() || ip == self.listen || self.listen.is_unspecified();
        }
        name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name)
    }
}

fn token_is_shown(token: &Secret, head: &Head) -> bool {
    let by_header = head
        .authorization
        .as_ref()
        .is_some_and(|shown| token.is_shown_by(shown));
    // A page's script cannot give a WebSocket a header.
    by_header
        || (head.handshake.key().is_some()
            && head
                .target
                .split_once('?')
                .and_then(|(_, query)| query_value(query, "token"))
                .is_some_and(|shown| token.is(&shown)))
}

/// `name`, `name:80`, `[::1]:80` → the name or address alone.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (address, port)
    } else {
        let end = host.find(':').unwrap_or(host.len());
        host.split_at(end)
    };
    let sound = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|p| p.is_empty() || p.parse::<u16>().is_ok());
    (sound && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Handshake;
    use proptest::prelude::*;

    const TOKEN: &str = "a-token-of-tests-0123456789";

    fn guard(listen: &str, names: &[&str], token: Option<&str>) -> Guard {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        Guard::new(
            listen.parse().unwrap(),
            &names,
            token.map(|t| Secret::token(t).unwrap()),
        )
    }

    fn named(host: &str) -> Head {
        Head {
            method: "GET".into(),
            target: "/api/health".into(),
            host: host.into(),
            ..Head::default()
        }
    }

    fn showing(authorization: &str) -> Head {
        Head {
            authorization: Some(Secret::new(authorization)),
            ..named("localhost")
        }
    }

    #[test]
    fn names_of_this_machine_are_known_and_those_that_look_like_them_are_not() {
        let guard = guard("127.0.0.1", &["Charts.Example"], None);
        for good in [
            "localhost",
            "LOCALHOST:8081",
            "localhost.",
            "charts.localhost",
            "127.0.0.1:8081",
            "127.9.9.9",
            "[::1]:8081",
            "charts.example:443",
            "",
        ] {
            assert_eq!(guard.admit(&named(good)), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:8081",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "192.168.1.5:8081",
            "charts.example.evil.example",
            "notlocalhost",
            "localhost:port",
            "[::1",
            ":8081",
        ] {
            let denied = guard.admit(&named(bad)).unwrap_err();
            assert_eq!(denied.status(), 421, "{bad}");
            assert!(denied.to_string().contains("http.hosts"));
        }
    }

    #[test]
    fn the_address_that_is_listened_on_is_a_name_and_any_address_where_all_are() {
        let one = guard("192.168.1.5", &[], None);
        assert_eq!(one.admit(&named("192.168.1.5:8081")), Ok(()));
        assert!(one.admit(&named("192.168.1.6:8081")).is_err());
        for all in ["0.0.0.0", "::"] {
            let all = guard(all, &[], None);
            assert_eq!(all.admit(&named("192.168.1.6:8081")), Ok(()));
            assert_eq!(all.admit(&named("[fe80::1]:8081")), Ok(()));
            assert!(all.admit(&named("evil.example:8081")).is_err());
        }
    }

    #[test]
    fn with_a_token_nothing_is_answered_without_it() {
        let guard = guard("0.0.0.0", &[], Some(TOKEN));
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for good in [
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN} "),
            basic(&format!("anybody:{TOKEN}")),
            basic(&format!(":{TOKEN}")),
        ] {
            assert_eq!(guard.admit(&showing(&good)), Ok(()), "{good}");
        }
        for bad in [
            String::new(),
            "Bearer".into(),
            "Bearer ".into(),
            TOKEN.to_owned(),
            format!("Bearer {TOKEN}0"),
            format!("Bearer {}", &TOKEN[1..]),
            format!("Digest {TOKEN}"),
            "Basic ===".into(),
            basic(TOKEN),
            basic(&format!("{TOKEN}:x")),
        ] {
            assert_eq!(guard.admit(&showing(&bad)), Err(Denied::Token), "{bad}");
        }
        assert_eq!(guard.admit(&named("localhost")), Err(Denied::Token));
        assert_eq!(
            guard.admit(&named("evil.example")).unwrap_err().status(),
            421
        );
        let preflight = Head {
            method: "OPTIONS".into(),
            ..named("localhost")
        };
        assert_eq!(guard.admit(&preflight), Ok(()));
    }

    #[test]
    fn a_stream_may_show_it_in_its_query_and_nothing_else_may() {
        let guard = guard("0.0.0.0", &[], Some(TOKEN));
        let mut head = Head {
            target: format!("/api/ws/quotes?a=1&token={TOKEN}"),
            ..named("localhost")
        };
        assert_eq!(guard.admit(&head), Err(Denied::Token));
        head.handshake = Handshake::Whole("key".into());
        assert_eq!(guard.admit(&head), Ok(()));
        head.target = "/api/ws/quotes?token=another".into();
        assert_eq!(guard.admit(&head), Err(Denied::Token));
    }

    #[test]
    fn a_token_is_a_long_word_and_is_never_shown() {
        assert!(Secret::token(&format!("  {TOKEN}\n")).is_ok());
        for bad in [
            "",
            "short",
            "two words of good length",
            "ümlaut-ümlaut-ümlaut",
        ] {
            let why = Secret::token(bad).unwrap_err();
            assert!(bad.is_empty() || !why.contains(bad), "{why}");
        }
        let shown = format!("{:?} {:?}", guard("::1", &[], Some(TOKEN)), showing(TOKEN));
        assert!(!shown.contains(TOKEN), "{shown}");
    }

    proptest! {
        #[test]
        fn no_host_or_header_makes_it_panic_or_lets_a_stranger_in(host in "\\PC{0,40}", shown in "\\PC{0,60}") {
            let guard = guard("127.0.0.1", &[], Some(TOKEN));
            let mut head = showing(&shown);
            head.host = host;
            prop_assert!(guard.admit(&head).is_err());
        }
    }
}
