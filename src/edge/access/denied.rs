//! Why a request is not answered: the status and the words for its sender, and how often the log has them.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::runtime::Counter;
use crate::runtime::log_throttle::is_worth_a_line;

/// How much of a refused name or origin is repeated: more than any that a browser sends.
const ECHO_CHARS_MAX: usize = 400;

/// Kinds of refusals that are counted apart.
const KINDS: usize = 64;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Denied {
    /// Its `Host` is no name of this server.
    Host(String),
    /// It shows no token, or a wrong one.
    Token,
    /// A proxy sent it on, by this header, and there is no token to know its sender by.
    Forwarded(String),
    /// A page of this origin sent it.
    Origin {
        /// As it came.
        origin: String,
        /// The line of the settings that would let it in.
        line: String,
    },
    /// A page that does not say its origin sent it, and it is not this server's.
    ForeignPage,
    /// It would change something, and comes from another machine without any sign of who sent it.
    Remote,
}

impl Denied {
    /// A refused `Host`, cut.
    #[must_use]
    pub fn host(host: &str) -> Self {
        Self::Host(cut(host))
    }

    /// The status that its sender gets.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Host(_) => 421,
            Self::Token => 401,
            Self::Forwarded(_) | Self::Origin { .. } | Self::ForeignPage | Self::Remote => 403,
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
            Self::Forwarded(header) => write!(
                f,
                "A proxy sent this request on ({}), so it may be anybody's: this server answers it only with a token, and its owner has set none; set http.token_file",
                cut(header)
            ),
            Self::Origin { origin, line } => write!(
                f,
                "Pages of the origin {} may not use this server; if it is yours, put this line into tapewarden.toml or behind --set: {}",
                cut(origin),
                cut(line)
            ),
            Self::ForeignPage => f.write_str(
                "A page that is not this server's may not load this (image, script, frame, link or fetch without CORS); open the address yourself, or fetch it from a page whose origin is in http.origins",
            ),
            Self::Remote => f.write_str(
                "What changes something is for this machine, for pages of allowed origins (http.origins), and for who shows the token; set http.token_file and send \"Authorization: Bearer TOKEN\"",
            ),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

/// Counts refusals, each kind with its like. Two kinds may share a count.
pub struct Refusals([Counter; KINDS]);

impl Default for Refusals {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Refusals {
    /// How many there were with this one, where the log is to have it: of the first, the second, the
    /// fourth … of a kind, so that a flood of one neither fills the log nor hides another.
    #[must_use]
    pub fn worth_a_line(&self, denied: &Denied) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        denied.hash(&mut hasher);
        // The remainder is smaller than the number of counters.
        let kind = usize::try_from(hasher.finish() % KINDS as u64).unwrap_or(0);
        let nth = self.0[kind].next() + 1;
        is_worth_a_line(nth).then_some(nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_a_few_lines_and_hides_no_other() {
        let refusals = Refusals::default();
        let lines = (0..100_000)
            .filter_map(|_| refusals.worth_a_line(&Denied::ForeignPage))
            .count();
        assert_eq!(lines, 17);
        let app = Denied::Origin {
            origin: "file://".into(),
            line: "http.allow_null_origin = true".into(),
        };
        assert_eq!(refusals.worth_a_line(&app), Some(1));
        // Names that are new each time.
        let lines = (0..100_000)
            .filter_map(|n| refusals.worth_a_line(&Denied::Host(n.to_string())))
            .count();
        assert!(lines < 64 * 13, "{lines}");
    }
}
