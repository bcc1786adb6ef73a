//! Names to addresses for the upstream clients.
//!
//! An address needs no look-up, and `localhost` is 127.0.0.1 first, then ::1, without asking anybody.
//! For other names the last good addresses are kept: a look-up that fails or hangs does not stop a
//! client that knew the way a minute ago. A look-up that times out leaves its thread in the C library,
//! so a client that met one makes no other for [`HUNG_HOLD`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::supervise::{LatestRx, LatestTx, latest};

/// How long looked-up addresses are used before the name is looked up again.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// How long no look-up is made after one has hung.
const HUNG_HOLD: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
struct Known {
    authority: String,
    addresses: Vec<SocketAddr>,
    at: Instant,
    hung_until: Option<Instant>,
}

/// One client's resolver. What it knows lies in a cell that only its own thread takes from.
#[derive(Debug)]
pub struct Names {
    keep: LatestTx<Known>,
    kept: LatestRx<Known>,
    lookups: DefaultResolver,
}

impl Default for Names {
    fn default() -> Self {
        let (keep, kept) = latest();
        Self {
            keep,
            kept,
            lookups: DefaultResolver::default(),
        }
    }
}

impl Names {
    fn filled(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut out = self.empty();
        for address in addresses.iter().take(16) {
            out.push(*address);
        }
        out
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or("");
        let default_port = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let fixed = fixed_addresses(host, port);
        if !fixed.is_empty() {
            return Ok(self.filled(&fixed));
        }
        let authority = format!("{host}:{port}");
        let mut known = self.kept.take().filter(|k| k.authority == authority);
        let now = Instant::now();
        let usable = |k: &Known| {
            !k.addresses.is_empty()
                && (now < k.at + KNOWN_FOR || k.hung_until.is_some_and(|until| now < until))
        };
        let result = match &mut known {
            Some(k) if usable(k) => Ok(self.filled(&k.addresses)),
            Some(k) if k.hung_until.is_some_and(|until| now < until) => Err(Error::HostNotFound),
            _ => match self.lookups.resolve(uri, config, timeout) {
                Ok(addresses) => {
                    known = Some(Known {
                        authority,
                        addresses: addresses.iter().copied().collect(),
                        at: now,
                        hung_until: None,
                    });
                    Ok(addresses)
                }
                Err(e) => {
                    let hung = matches!(e, Error::Timeout(_));
                    let old = known.get_or_insert_with(|| Known {
                        authority,
                        addresses: Vec::new(),
                        at: now,
                        hung_until: None,
                    });
                    old.hung_until = hung.then(|| now + HUNG_HOLD);
                    // Nothing is left of the time after a look-up that hung; the next call uses these.
                    if old.addresses.is_empty() || hung {
                        Err(e)
                    } else {
                        Ok(self.filled(&old.addresses))
                    }
                }
            },
        };
        if let Some(known) = known {
            self.keep.publish(known);
        }
        result
    }
}

/// The addresses of a host that needs no look-up; none for a name.
#[must_use]
pub fn fixed_addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, port)];
    }
    if bare.eq_ignore_ascii_case("localhost") {
        return vec![
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
        ];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_ipv4_first_and_addresses_need_no_look_up() {
        let got = fixed_addresses("LocalHost", 80);
        assert_eq!(got[0], "127.0.0.1:80".parse().unwrap());
        assert_eq!(got[1], "[::1]:80".parse().unwrap());
        assert_eq!(fixed_addresses("[::1]", 7), ["[::1]:7".parse().unwrap()]);
        assert!(fixed_addresses("api.schwabapi.com", 443).is_empty());
    }
}
