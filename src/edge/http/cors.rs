//! Which origins' pages may use this server. Pure.
//!
//! An origin is what a browser writes into `Origin` (RFC 6454, section 6.2): `scheme://host[:port]`, or
//! `null` where the page has none, as one that was opened from a file. Electron sends `file://` for such
//! a page. The same origin can be spelled in several ways: letters of either case, the scheme's own
//! port, a slash at the end, an IPv6 address with its zeros.

use std::net::{IpAddr, Ipv6Addr};

/// The schemes of pages that a server serves, and their ports.
const DEFAULT_PORTS: [(&str, u16); 2] = [("http", 80), ("https", 443)];

/// The setting that lets pages opened from files in.
const FILES_SETTING: &str = "http.allow_null_origin = true";

/// An origin with a scheme and a host, compared by what it means.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    scheme: &'a str,
    host: Host<'a>,
    /// None where it is the scheme's own.
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl<'a> Host<'a> {
    fn of(text: &'a str) -> Self {
        match text.parse::<IpAddr>() {
            Ok(ip) => Self::Address(ip.to_canonical()),
            Err(_) => Self::Name(text.strip_suffix('.').unwrap_or(text)),
        }
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(a), Self::Address(b)) => a == b,
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        }
    }
}

impl PartialEq for Origin<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host == other.host
            && self.port == other.port
    }
}

impl<'a> Origin<'a> {
    /// From `scheme://host[:port]`, with or without slashes behind it. None where it is anything else,
    /// `null` and `file://` among them.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.trim_end_matches('/');
        let sound = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if scheme.is_empty() || !scheme.chars().all(sound) {
            return None;
        }
        if authority.contains(|c: char| c.is_whitespace() || "/?#@\\,".contains(c)) {
            return None;
        }
        let (host, port) = host_and_port(authority)?;
        Some(Self {
            scheme,
            host: Host::of(host),
            port: port.filter(|p| default_port(scheme) != Some(*p)),
        })
    }

    /// Whether a server serves its pages, and not an application of its own.
    fn is_served(&self) -> bool {
        default_port(self.scheme).is_some()
    }

    /// Whether its pages come from a server on this machine, by a name that is always this machine's or
    /// by a loopback address.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.is_served()
            && match self.host {
                Host::Address(ip) => ip.is_loopback(),
                Host::Name(name) => is_localhost(name),
            }
    }

    /// Whether its pages come from the server that a request with this `Host` names.
    #[must_use]
    pub fn is_of_host(&self, host: &str) -> bool {
        let Some((name, port)) = host_and_port(host) else {
            return false;
        };
        let port = port.filter(|p| default_port(self.scheme) != Some(*p));
        self.is_served() && self.port == port && self.host == Host::of(name)
    }
}

/// None where a server serves no pages of this scheme.
fn default_port(scheme: &str) -> Option<u16> {
    DEFAULT_PORTS
        .iter()
        .find(|(served, _)| scheme.eq_ignore_ascii_case(served))
        .map(|(_, port)| *port)
}

/// `name`, `name:80`, `[::1]:80` → the name or address alone, and the port. None where the name has
/// characters that no host's name has, or brackets stand around anything but an IPv6 address.
#[must_use]
pub fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let is_of_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        (address, port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        name.bytes().all(is_of_name).then_some((name, port))?
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    (!name.is_empty()).then_some((name, port))
}

/// Whether a name is always this machine's (RFC 6761, section 6.3).
#[must_use]
pub fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost") && name.split('.').all(|label| !label.is_empty())
}

/// A URL without what follows its host: `https://a.example/b?c` → `https://a.example`.
#[must_use]
pub fn origin_of_url(url: &str) -> &str {
    let Some(start) = url.find("://").map(|at| at + 3) else {
        return url;
    };
    let end = url[start..].find(['/', '?', '#']);
    &url[..end.map_or(url.len(), |end| start + end)]
}

/// Whether a browser says by this that its page was opened from a file.
fn is_file(origin: &str) -> bool {
    let file = "file:";
    origin.eq_ignore_ascii_case("null")
        || origin
            .get(..file.len())
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(file))
}

/// Knows the allowed origins.
#[derive(Clone, Debug)]
pub struct Cors {
    any_localhost: bool,
    listed: Vec<String>,
    files: bool,
}

impl Cors {
    /// `origins`: each an origin as a browser sends it, or `localhost` for every origin on this machine,
    /// any port; `files`: whether pages opened from files are allowed.
    #[must_use]
    pub fn new(origins: &[String], files: bool) -> Self {
        Self {
            any_localhost: origins.iter().any(|o| o == "localhost"),
            listed: origins.iter().map(|o| o.trim().to_owned()).collect(),
            files,
        }
    }

    /// Whether pages of this origin may use this server.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        let same_text = |listed: &String| listed.eq_ignore_ascii_case(origin);
        if is_file(origin) {
            return self.files || self.listed.iter().any(same_text);
        }
        match Origin::parse(origin) {
            Some(origin) => {
                (self.any_localhost && origin.is_this_machine())
                    || self
                        .listed
                        .iter()
                        .any(|l| Origin::parse(origin_of_url(l)).is_some_and(|l| l == origin))
            }
            None => self.listed.iter().any(same_text),
        }
    }

    /// Whether every page of this machine is allowed.
    #[must_use]
    pub fn allows_this_machine(&self) -> bool {
        self.any_localhost
    }

    /// The line of `tapewarden.toml`, or of `--set`, that allows this origin besides those that are.
    #[must_use]
    pub fn line_that_allows(&self, origin: &str) -> String {
        if is_file(origin) {
            return FILES_SETTING.to_owned();
        }
        let all: Vec<toml::Value> = self
            .listed
            .iter()
            .map(String::as_str)
            .chain([origin])
            .map(toml::Value::from)
            .collect();
        format!("http.origins = {}", toml::Value::from(all))
    }

    /// The headers that an answer to this origin carries.
    #[must_use]
    pub fn headers(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        let vary = ("Vary", "Origin, Accept-Encoding".to_owned());
        match origin.filter(|o| self.allows(o)) {
            Some(origin) => vec![
                ("Access-Control-Allow-Origin", origin.to_owned()),
                ("Access-Control-Allow-Credentials", "true".to_owned()),
                (
                    "Access-Control-Expose-Headers",
                    "Age, ETag, Retry-After, X-Data-Mended, X-Data-Stale, X-Lines-Left-Out, X-Total-Count".to_owned(),
                ),
                vary,
            ],
            None => vec![vary],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cors(origins: &[&str], files: bool) -> Cors {
        let origins: Vec<String> = origins.iter().map(|o| (*o).to_owned()).collect();
        Cors::new(&origins, files)
    }

    #[test]
    fn localhost_means_this_machine_on_any_port_and_nothing_that_looks_like_it() {
        let cors = cors(&["localhost"], false);
        for good in [
            "http://localhost:3000",
            "http://localhost",
            "https://localhost",
            "https://localhost:8443",
            "https://127.0.0.1:5173",
            "http://127.9.9.9",
            "http://[::1]:80",
            "http://[0:0:0:0:0:0:0:1]:5173",
            "HTTP://LOCALHOST:3000",
            "http://localhost:3000/",
            "http://charts.localhost:3000",
            "https://tauri.localhost",
        ] {
            assert!(cors.allows(good), "{good}");
        }
        for bad in [
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://localhost:3000@evil.example",
            "http://evil.example/.localhost",
            "http://evil.example?.localhost",
            "http://evil.example\\.localhost",
            "http://evil.example:80:localhost",
            "http://.localhost",
            "http://evillocalhost",
            "http://127.0.0.1.evil.example",
            "http://[::1].evil.example",
            "http://[::1",
            "http://evil.example",
            "http://localhost:+80",
            "http://localhost, http://evil.example",
            "http://localhost http://evil.example",
            "ftp://localhost",
            "capacitor://localhost",
            "app://localhost",
            "://localhost",
            "null",
            "NULL",
            "file://",
            "file://localhost",
            "file:///home/a",
            "",
        ] {
            assert!(!cors.allows(bad), "{bad}");
        }
    }

    /// What packaged apps, extensions and browsers send.
    const FOREIGN: [&str; 22] = [
        "null",
        "file://",
        "https://charts.example",
        "https://charts.example/",
        "HTTPS://Charts.Example",
        "https://charts.example:443",
        "http://charts.example:80",
        "http://charts.example:8080",
        "http://192.168.1.5:3000",
        "http://[fe80::1]:3000",
        "http://[2001:db8:0:0:0:0:0:1]",
        "app://bundle",
        "app://.",
        "app://-",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "vscode-webview://1bk2a6dkqfhp5t2mfhmeq3iqgj6f5l",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://0a1b2c3d-0000-4000-8000-000000000000",
        "safari-web-extension://0A1B2C3D-0000-4000-8000-000000000000",
        "http://one.example http://two.example",
    ];

    #[test]
    fn the_text_of_a_refused_origin_put_into_the_setting_lets_it_in_and_nobody_else() {
        for origin in FOREIGN {
            assert!(!cors(&["localhost"], false).allows(origin), "{origin}");
            let listed = cors(&["localhost", origin], false);
            assert!(listed.allows(origin), "{origin}");
            assert!(listed.allows("http://localhost:3000"));
            assert!(!listed.allows("https://evil.example"));
            assert!(!listed.allows(&format!("{origin}.evil.example")));
        }
    }

    #[test]
    fn the_line_that_is_named_is_one_of_the_settings_file_and_lets_it_in() {
        for origin in FOREIGN {
            let line = cors(&["localhost"], false).line_that_allows(origin);
            let file: toml::Table = line.parse().unwrap();
            let http = file["http"].as_table().unwrap();
            let origins = http.get("origins").and_then(toml::Value::as_array);
            let origins = origins.map_or(vec!["localhost"], |list| {
                list.iter().map(|o| o.as_str().unwrap()).collect()
            });
            let files = http.get("allow_null_origin").is_some();
            let after = cors(&origins, files);
            assert!(after.allows(origin), "{line}");
            assert!(after.allows("http://localhost:3000"), "{line}");
        }
    }

    #[test]
    fn one_setting_lets_pages_opened_from_files_in_by_either_name() {
        let files = cors(&["localhost"], true);
        for file in ["null", "file://", "FILE://", "file:///"] {
            assert!(files.allows(file), "{file}");
            let line = cors(&[], false).line_that_allows(file);
            assert_eq!(line, "http.allow_null_origin = true");
        }
        assert!(!files.allows("https://evil.example"));
        // Whoever lists Electron's alone does not let every sandboxed frame in.
        assert!(!cors(&["file://"], false).allows("null"));
    }

    #[test]
    fn spellings_of_one_origin_are_one() {
        for (setting, origin) in [
            ("https://charts.example/", "https://charts.example"),
            ("https://charts.example:443", "https://charts.example"),
            ("http://charts.example", "http://charts.example:80"),
            ("HTTPS://CHARTS.EXAMPLE", "https://charts.example"),
            ("https://charts.example/app/?a=1", "https://charts.example"),
            ("http://[0:0::1]:3000", "http://[::1]:3000"),
            ("  https://charts.example ", "https://charts.example"),
            ("CHROME-EXTENSION://abc", "chrome-extension://abc"),
            ("file:///", "file:///"),
        ] {
            assert!(cors(&[setting], false).allows(origin), "{setting} {origin}");
        }
        for (setting, origin) in [
            ("https://charts.example", "http://charts.example"),
            ("https://charts.example:80", "https://charts.example"),
            ("https://charts.example", "https://charts.example:444"),
            ("https://charts.example", "https://www.charts.example"),
            ("app://80", "app://80:80"),
        ] {
            assert!(
                !cors(&[setting], false).allows(origin),
                "{setting} {origin}"
            );
        }
    }

    #[test]
    fn a_page_of_this_server_is_known_by_the_host_that_it_asks() {
        let own =
            |origin: &str, host: &str| Origin::parse(origin).is_some_and(|o| o.is_of_host(host));
        for (origin, host) in [
            ("http://192.168.1.5:8081", "192.168.1.5:8081"),
            ("https://192.168.1.5:8081", "192.168.1.5:8081"),
            ("https://charts.example", "Charts.Example:443"),
            ("http://charts.example", "charts.example:80"),
            ("http://charts.example", "charts.example."),
            ("http://[::1]:8081", "[::1]:8081"),
        ] {
            assert!(own(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://192.168.1.5:3000", "192.168.1.5:8081"),
            ("http://192.168.1.5:8081.evil.example", "192.168.1.5:8081"),
            ("http://evil.example", "192.168.1.5:8081"),
            ("app://192.168.1.5:8081", "192.168.1.5:8081"),
            ("null", "null"),
            ("192.168.1.5:8081", "192.168.1.5:8081"),
            ("http://charts.example", ""),
        ] {
            assert!(!own(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn a_url_is_cut_to_its_origin() {
        for (url, origin) in [
            ("https://a.example/b?c#d", "https://a.example"),
            ("https://a.example?c", "https://a.example"),
            ("https://a.example", "https://a.example"),
            ("file:///home/a", "file://"),
            ("about:blank", "about:blank"),
        ] {
            assert_eq!(origin_of_url(url), origin);
        }
    }

    proptest! {
        #[test]
        fn whatever_origin_was_refused_its_text_lets_it_in(origin in "(\\PC{1,30}|[a-z+.-]{1,9}://[A-Za-z0-9.:/\\[\\]-]{0,30})") {
            let origin = origin.trim();
            prop_assume!(!origin.is_empty());
            prop_assert!(cors(&[origin], false).allows(origin));
            let line = cors(&["localhost"], false).line_that_allows(origin);
            prop_assert!(line.parse::<toml::Table>().is_ok(), "{}", line);
        }

        #[test]
        fn a_foreign_host_is_never_taken_for_this_machine(
            before in "[a-z0-9.@:/?#\\\\-]{0,12}", after in "[a-z0-9.@:/?#\\\\-]{0,12}"
        ) {
            let origin = format!("http://{before}localhost{after}.evil.example");
            prop_assert!(!cors(&["localhost"], true).allows(&origin), "{}", origin);
        }
    }
}
