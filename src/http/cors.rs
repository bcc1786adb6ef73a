//! Who may read our answers from a browser. Pure.

/// Knows the allowed origins. An origin is `scheme://host[:port]`, or `null` for a page opened from a
/// file.
#[derive(Clone, Debug)]
pub struct Cors {
    any_localhost: bool,
    listed: Vec<String>,
    null: bool,
}

/// What is to be done about an `Origin` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// There is none: not a browser, or the same origin.
    None,
    /// Allowed: to be echoed.
    Allowed(&'a str),
    /// Not allowed.
    Refused(&'a str),
}

impl Cors {
    /// `origins`: each an origin, or `localhost` for every origin on this machine, any port.
    #[must_use]
    pub fn new(origins: &[String], allow_null: bool) -> Self {
        Self {
            any_localhost: origins.iter().any(|o| o == "localhost"),
            listed: origins
                .iter()
                .map(|o| o.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            null: allow_null,
        }
    }

    /// Whether this origin may read our answers.
    #[must_use]
    pub fn verdict<'a>(&self, origin: Option<&'a str>) -> Verdict<'a> {
        let Some(origin) = origin else {
            return Verdict::None;
        };
        let allowed = if origin == "null" {
            self.null
        } else {
            let lower = origin.to_ascii_lowercase();
            self.listed.contains(&lower) || (self.any_localhost && is_localhost(&lower))
        };
        if allowed {
            Verdict::Allowed(origin)
        } else {
            Verdict::Refused(origin)
        }
    }

    /// Whether a WebSocket with this `Origin` may be opened.
    #[must_use]
    pub fn allows(&self, origin: Option<&str>) -> bool {
        !matches!(self.verdict(origin), Verdict::Refused(_))
    }

    /// The headers that an answer to this origin carries.
    #[must_use]
    pub fn headers(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        match self.verdict(origin) {
            Verdict::Allowed(origin) => vec![
                ("Access-Control-Allow-Origin", origin.to_owned()),
                ("Access-Control-Allow-Credentials", "true".to_owned()),
                (
                    "Access-Control-Expose-Headers",
                    "Age, ETag, Retry-After, Warning, X-Data-Stale, X-Total-Count".to_owned(),
                ),
                ("Vary", "Origin, Accept-Encoding".to_owned()),
            ],
            Verdict::None | Verdict::Refused(_) => {
                vec![("Vary", "Origin, Accept-Encoding".to_owned())]
            }
        }
    }
}

/// Whether a lower-case origin's host is this machine by name or loopback address.
fn is_localhost(origin: &str) -> bool {
    let Some(host_port) = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        host_port.strip_prefix(host).is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix(':')
                    .is_some_and(|port| port.parse::<u16>().is_ok())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_means_this_machine_on_any_port_and_nothing_that_looks_like_it() {
        let cors = Cors::new(&["localhost".into()], false);
        for good in [
            "http://localhost:3000",
            "http://localhost",
            "https://127.0.0.1:5173",
            "http://[::1]:80",
            "HTTP://LOCALHOST:3000",
        ] {
            assert!(cors.allows(Some(good)), "{good}");
        }
        for bad in [
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://127.0.0.1.evil.example",
            "http://evil.example",
            "ftp://localhost",
            "null",
            "",
        ] {
            assert!(!cors.allows(Some(bad)), "{bad}");
        }
        assert!(cors.allows(None));
    }

    #[test]
    fn null_and_listed_origins_are_allowed_by_setting() {
        let cors = Cors::new(&["https://charts.example/".into()], true);
        assert!(cors.allows(Some("null")));
        assert!(cors.allows(Some("https://charts.example")));
        assert!(!cors.allows(Some("http://localhost:3000")));
    }
}
