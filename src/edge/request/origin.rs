//! A page's origin, and the names of hosts. Pure.
//!
//! An origin is what a browser writes into `Origin` (RFC 6454, section 6.2): `scheme://host[:port]`, or
//! `null` where the page has none, as one that was opened from a file. Electron sends `file://` for such
//! a page. The same origin can be spelled in several ways: letters of either case, the scheme's own
//! port, a slash at the end, an IPv6 address with its zeros.

use std::net::{IpAddr, Ipv6Addr};

/// The schemes of pages that a server serves, and their ports.
const DEFAULT_PORTS: [(&str, u16); 2] = [("http", 80), ("https", 443)];

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
