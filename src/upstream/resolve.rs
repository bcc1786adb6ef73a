//! Names to addresses for the upstream clients.
//!
//! An address needs no look-up, and `localhost` is 127.0.0.1 first, then ::1, without asking anybody.
//! For other names the last good addresses are kept: a look-up that fails or hangs does not stop a
//! client that knew the way a minute ago. ureq makes each look-up on a thread of its own, and one that
//! times out leaves its thread in the C library; so a client that met one makes no other for
//! [`FAILED_HOLD`], which bounds those threads.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{NextTimeout, time};

use crate::runtime::{LatestRx, LatestTx, latest};

/// How long looked-up addresses are used before the name is looked up again.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// How long no look-up is made after one that hung, or that failed while old addresses serve. The C
/// library gives up after some 10 s, so a fetcher has two or three such threads at most; and a name that
/// is found again is used within 10 s.
const FAILED_HOLD: Duration = Duration::from_secs(3);

/// How long a call that has old addresses waits for new ones: most of its time must be left for the
/// upstream.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
struct Known {
    authority: String,
    addresses: Vec<SocketAddr>,
    looked_up: Instant,
    /// No look-up before this.
    hold_until: Option<Instant>,
}

/// One client's resolver. What it knows lies in a cell that only its own thread takes from.
#[derive(Debug)]
pub struct Names {
    keep: LatestTx<Known>,
    kept: LatestRx<Known>,
    lookups: Box<dyn Resolver>,
}

impl Default for Names {
    fn default() -> Self {
        Self::over(DefaultResolver::default())
    }
}

impl Names {
    fn over(lookups: impl Resolver) -> Self {
        let (keep, kept) = latest();
        Self {
            keep,
            kept,
            lookups: Box::new(lookups),
        }
    }

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
        let known = self.kept.take().filter(|k| k.authority == authority);
        let (known, result) = self.with_known(uri, config, timeout, authority, known);
        self.keep.publish(known);
        result
    }
}

impl Names {
    /// The addresses, and what is to be kept for the next call.
    fn with_known(
        &self,
        uri: &Uri,
        config: &Config,
        mut timeout: NextTimeout,
        authority: String,
        known: Option<Known>,
    ) -> (Known, Result<ResolvedSocketAddrs, Error>) {
        let now = Instant::now();
        let mut known = known.unwrap_or_else(|| Known {
            authority,
            addresses: Vec::new(),
            looked_up: now,
            hold_until: None,
        });
        let held = known.hold_until.is_some_and(|until| now < until);
        let result = match known.addresses.as_slice() {
            [] if held => return (known.clone(), Err(no_answer(&known.authority))),
            [] => self.lookups.resolve(uri, config, timeout),
            old if held || now < known.looked_up + KNOWN_FOR => {
                let found = self.filled(old);
                return (known, Ok(found));
            }
            _ => {
                timeout.after = timeout.after.min(time::Duration::from(LOOKUP_PATIENCE));
                self.lookups.resolve(uri, config, timeout)
            }
        };
        match result {
            Ok(found) => {
                known.addresses = found.iter().copied().collect();
                known.looked_up = now;
                known.hold_until = None;
                (known, Ok(found))
            }
            Err(e) if known.addresses.is_empty() => {
                let hung = matches!(e, Error::Timeout(_));
                known.hold_until = hung.then(|| Instant::now() + FAILED_HOLD);
                let e = if hung { no_answer(&known.authority) } else { e };
                (known, Err(e))
            }
            Err(e) => {
                log::warn!(
                    target: "UPSTREAM",
                    "looking up {} failed ({e}); its last addresses are used for another {} s",
                    known.authority, FAILED_HOLD.as_secs()
                );
                known.hold_until = Some(Instant::now() + FAILED_HOLD);
                let found = self.filled(&known.addresses);
                (known, Ok(found))
            }
        }
    }
}

/// Not a time-out of the upstream: it was never asked.
fn no_answer(authority: &str) -> Error {
    Error::Io(io::Error::other(format!(
        "no name server answered for {authority}; check the network"
    )))
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ureq::Timeout;

    use super::*;

    /// Answers each look-up as its script says, the last word for ever.
    #[derive(Debug)]
    struct Script {
        says: Vec<fn() -> Result<SocketAddr, Error>>,
        asked: Arc<AtomicUsize>,
    }

    impl Resolver for Script {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            let n = self.asked.fetch_add(1, Ordering::SeqCst);
            let address = self.says[n.min(self.says.len() - 1)]()?;
            let mut found = self.empty();
            found.push(address);
            Ok(found)
        }
    }

    fn found() -> Result<SocketAddr, Error> {
        Ok(SocketAddr::from(([192, 0, 2, 7], 443)))
    }

    fn hung() -> Result<SocketAddr, Error> {
        Err(Error::Timeout(Timeout::Resolve))
    }

    fn no_such_name() -> Result<SocketAddr, Error> {
        Err(Error::HostNotFound)
    }

    fn names(says: &[fn() -> Result<SocketAddr, Error>]) -> (Names, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let script = Script {
            says: says.to_vec(),
            asked: asked.clone(),
        };
        (Names::over(script), asked)
    }

    fn ask(names: &Names) -> Result<Vec<SocketAddr>, String> {
        let timeout = NextTimeout {
            after: time::Duration::from(Duration::from_secs(2)),
            reason: Timeout::Resolve,
            ..NextTimeout::default()
        };
        let uri = Uri::from_static("https://market.example/x");
        names
            .resolve(&uri, &Config::default(), timeout)
            .map(|found| found.iter().copied().collect())
            .map_err(|e| e.to_string())
    }

    /// Makes what is known older than it may be.
    fn age(names: &Names) {
        let mut known = names.kept.take().unwrap();
        known.looked_up = Instant::now().checked_sub(KNOWN_FOR).unwrap();
        names.keep.publish(known);
    }

    #[test]
    fn localhost_is_ipv4_first_and_addresses_need_no_look_up() {
        let got = fixed_addresses("LocalHost", 80);
        assert_eq!(got[0], "127.0.0.1:80".parse().unwrap());
        assert_eq!(got[1], "[::1]:80".parse().unwrap());
        assert_eq!(fixed_addresses("[::1]", 7), ["[::1]:7".parse().unwrap()]);
        assert!(fixed_addresses("api.schwabapi.com", 443).is_empty());
    }

    #[test]
    fn a_name_is_looked_up_once_while_its_addresses_are_fresh() {
        let (names, asked) = names(&[found]);
        for _ in 0..5 {
            assert_eq!(ask(&names), Ok(vec![found().unwrap()]));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn old_addresses_serve_while_the_name_servers_fail_and_few_look_ups_are_made() {
        for broken in [hung, no_such_name] {
            let (names, asked) = names(&[found, broken]);
            for _ in 0..5 {
                assert_eq!(ask(&names), Ok(vec![found().unwrap()]));
                age(&names);
            }
            assert_eq!(asked.load(Ordering::SeqCst), 2);
        }
    }

    #[test]
    fn a_hung_look_up_of_an_unknown_name_is_named_and_not_repeated_at_once() {
        let (names, asked) = names(&[hung]);
        for _ in 0..5 {
            let why = ask(&names).unwrap_err();
            assert!(
                why.contains("no name server answered for market.example:443"),
                "{why}"
            );
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_name_that_does_not_exist_yet_is_looked_up_again() {
        let (names, _) = names(&[no_such_name, found]);
        assert!(ask(&names).is_err());
        assert!(ask(&names).is_ok());
    }
}
