//! Names to addresses, for what is asked and for what streams.
//!
//! An address needs no look-up, and `localhost` is 127.0.0.1 first, then ::1, without asking anybody.
//! For other names the last good addresses are kept: a look-up that fails or hangs does not stop a
//! client that knew the way a minute ago. Each look-up has a thread of its own (`lookup-N`), since the
//! system's has no deadline; while one hangs its client makes no other, and takes its answer when it comes.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, select};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::runtime::{
    Counter, LatestRx, LatestTx, Peer, Stop, Supervisor, ThreadKind, latest, one_shot,
};

/// How long a client that connects again and again uses addresses before it looks the name up again.
pub const FRESH_FOR: Duration = Duration::from_secs(60);

/// How long none waits for a look-up after one that hung, and none is made after one that failed while old
/// addresses serve. A name that is found again is used within 10 s.
const FAILED_HOLD: Duration = Duration::from_secs(3);

/// How long a call that has old addresses waits for new ones: most of its time must be left for the
/// upstream.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(1);

/// The C library asks up to three name servers twice, and waits 5 s for each; a look-up of more is stuck.
const LOOKUP_MAX: Duration = Duration::from_secs(30);

/// What a look-up finds.
type Found = io::Result<Vec<SocketAddr>>;

/// Makes look-ups, each on a thread of its own. A plain handle: every client has a clone.
#[derive(Clone, Debug)]
pub struct Lookups {
    supervisor: Supervisor,
    made: Counter,
}

impl Lookups {
    /// None is made yet.
    #[must_use]
    pub fn new(supervisor: &Supervisor) -> Self {
        Self {
            supervisor: supervisor.clone(),
            made: Counter::default(),
        }
    }
}

/// Whom names are asked of.
trait LookUp: fmt::Debug + Send {
    /// Begins a look-up.
    fn begin(&self, host: &str, port: u16) -> io::Result<Receiver<Found>>;
}

impl LookUp for Lookups {
    fn begin(&self, host: &str, port: u16) -> io::Result<Receiver<Found>> {
        let (reply, answer) = one_shot();
        let host = host.to_owned();
        let name = ThreadKind::Lookup.turn(self.made.next());
        self.supervisor.spawn_once(name, move |heartbeat| {
            let by = Instant::now() + LOOKUP_MAX;
            heartbeat.wait(Peer::NameServer, format!("looking up {host}"), by);
            let found = (host.as_str(), port).to_socket_addrs();
            let _asker_left = reply.send(found.map(Iterator::collect));
        })?;
        Ok(answer)
    }
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum NoAddress {
    /// No answer in time.
    #[error("no name server answered for {0}; check the network")]
    Unanswered(String),
    /// The answer is that there is none.
    #[error("the name {0} has no address")]
    None(String),
    /// The system's.
    #[error("the name {0} is not found: {1}")]
    Failed(String, #[source] io::Error),
}

impl From<NoAddress> for Error {
    fn from(why: NoAddress) -> Self {
        match why {
            // Not a time-out of the upstream: it was never asked.
            NoAddress::Unanswered(_) => Self::Io(io::Error::other(why)),
            NoAddress::None(_) => Self::HostNotFound,
            NoAddress::Failed(_, e) => Self::Io(e),
        }
    }
}

/// One client's way from names to addresses.
#[derive(Debug)]
pub struct Names {
    lookups: Box<dyn LookUp>,
    stop: Stop,
    fresh_for: Duration,
    about: About,
}

/// What is known of one name.
#[derive(Debug, Default)]
struct About {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
    /// When the addresses were found.
    found: Option<Instant>,
    /// Of a look-up that has not come back.
    answer: Option<Receiver<Found>>,
    /// Nobody waits for a look-up before this.
    hold_until: Option<Instant>,
}

impl Names {
    /// Knows no address yet; uses those that it finds for so long without looking again.
    #[must_use]
    pub fn new(lookups: &Lookups, fresh_for: Duration) -> Self {
        let stop = lookups.supervisor.stop().clone();
        Self::by(lookups.clone(), stop, fresh_for)
    }

    fn by(lookups: impl LookUp + 'static, stop: Stop, fresh_for: Duration) -> Self {
        Self {
            lookups: Box::new(lookups),
            stop,
            fresh_for,
            about: About::default(),
        }
    }

    /// The addresses of a host, at least one; waits for them until `by` at most, or the stop.
    ///
    /// # Errors
    /// When none is known and none is found.
    pub fn addresses(
        &mut self,
        host: &str,
        port: u16,
        by: Instant,
    ) -> Result<Vec<SocketAddr>, NoAddress> {
        let fixed = fixed_addresses(host, port);
        if !fixed.is_empty() {
            return Ok(fixed);
        }
        if self.about.host != host || self.about.port != port {
            self.about = About {
                host: host.to_owned(),
                port,
                ..About::default()
            };
        }
        let now = Instant::now();
        let is_fresh = |found| now < found + self.fresh_for;
        if self.about.found.is_some_and(is_fresh) {
            return Ok(self.about.addresses.clone());
        }
        let is_held = self.about.hold_until.is_some_and(|until| now < until);
        let patience = match (is_held, self.about.addresses.is_empty()) {
            (true, _) => now,
            (false, true) => by,
            (false, false) => by.min(now + LOOKUP_PATIENCE),
        };
        match self.look_up(is_held, patience) {
            Ok(found) => {
                self.about.addresses.clone_from(&found);
                self.about.found = Some(now);
                self.about.hold_until = None;
                Ok(found)
            }
            Err(why) => self.without(why, is_held),
        }
    }

    /// What serves where a look-up gave nothing.
    fn without(&mut self, why: NoAddress, is_held: bool) -> Result<Vec<SocketAddr>, NoAddress> {
        let has_old = !self.about.addresses.is_empty();
        let hung = matches!(why, NoAddress::Unanswered(_));
        if !is_held && (hung || has_old) {
            self.about.hold_until = Some(Instant::now() + FAILED_HOLD);
        }
        if !has_old {
            return Err(why);
        }
        if !is_held {
            log::warn!(
                target: "UPSTREAM",
                "{why}; the last addresses of {} are used for another {} s",
                self.about.host, FAILED_HOLD.as_secs()
            );
        }
        Ok(self.about.addresses.clone())
    }

    /// Takes a look-up's answer: of the one that has not come back, or of another, if one may be made.
    fn look_up(&mut self, is_held: bool, patience: Instant) -> Result<Vec<SocketAddr>, NoAddress> {
        let About {
            host, port, answer, ..
        } = &mut self.about;
        let name = || format!("{host}:{port}");
        let pending = match answer.take() {
            Some(pending) => pending,
            None if is_held => return Err(NoAddress::Unanswered(name())),
            None => self
                .lookups
                .begin(host, *port)
                .map_err(|e| NoAddress::Failed(name(), e))?,
        };
        select! {
            recv(pending) -> found => match found {
                Ok(Ok(found)) if found.is_empty() => Err(NoAddress::None(name())),
                Ok(Ok(found)) => Ok(found),
                Ok(Err(e)) => Err(NoAddress::Failed(name(), e)),
                // Its thread panicked.
                Err(_) => Err(NoAddress::Unanswered(name())),
            },
            recv(self.stop.receiver()) -> _ => Err(NoAddress::Unanswered(name())),
            default(patience.saturating_duration_since(Instant::now())) => {
                *answer = Some(pending);
                Err(NoAddress::Unanswered(name()))
            }
        }
    }
}

/// [`Names`] as ureq asks for them. They lie in a cell that only the client's own thread takes from.
#[derive(Debug)]
pub(super) struct NamesForUreq {
    keep: LatestTx<Names>,
    kept: LatestRx<Names>,
}

impl NamesForUreq {
    pub(super) fn new(names: Names) -> Self {
        let (keep, kept) = latest();
        keep.publish(names);
        Self { keep, kept }
    }
}

impl Resolver for NamesForUreq {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or("");
        let default_port = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let Some(mut names) = self.kept.take() else {
            return Err(NoAddress::Unanswered(host.to_owned()).into());
        };
        let by = Instant::now() + (*timeout.after).min(LOOKUP_MAX);
        let found = names.addresses(host, port, by);
        self.keep.publish(names);
        let mut out = self.empty();
        for address in found?.into_iter().take(16) {
            out.push(address);
        }
        Ok(out)
    }
}

/// The addresses of a host that needs no look-up; none for a name.
fn fixed_addresses(host: &str, port: u16) -> Vec<SocketAddr> {
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

/// For clients of a test.
#[cfg(test)]
pub(super) fn lookups() -> Lookups {
    let (_stopper, stop) = crate::runtime::stop();
    Lookups::new(&Supervisor::new(crate::runtime::Limits::default(), stop).0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crossbeam::channel::Sender;

    use super::*;
    use crate::runtime::{Limits, Stopper, stop};

    /// Answers each look-up as its script says, the last word for ever.
    #[derive(Debug)]
    struct Script {
        says: Vec<fn() -> Option<Found>>,
        asked: Arc<AtomicUsize>,
        /// Those that hang.
        hung: Sender<Sender<Found>>,
    }

    impl LookUp for Script {
        fn begin(&self, _: &str, _: u16) -> io::Result<Receiver<Found>> {
            let n = self.asked.fetch_add(1, Ordering::SeqCst);
            let (reply, answer) = one_shot();
            match self.says[n.min(self.says.len() - 1)]() {
                Some(found) => reply.send(found).unwrap(),
                None => self.hung.send(reply).unwrap(),
            }
            Ok(answer)
        }
    }

    const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 443);

    fn found() -> Option<Found> {
        Some(Ok(vec![ADDRESS]))
    }

    fn hung() -> Option<Found> {
        None
    }

    fn no_such_name() -> Option<Found> {
        Some(Err(io::Error::other("Name or service not known")))
    }

    fn nothing() -> Option<Found> {
        Some(Ok(Vec::new()))
    }

    struct World {
        names: Names,
        asked: Arc<AtomicUsize>,
        hung: Receiver<Sender<Found>>,
        stopper: Option<Stopper>,
    }

    fn world(says: &[fn() -> Option<Found>]) -> World {
        let (stopper, stop) = stop();
        let asked = Arc::new(AtomicUsize::new(0));
        let (hung_tx, hung) = crossbeam::channel::bounded(says.len());
        let script = Script {
            says: says.to_vec(),
            asked: asked.clone(),
            hung: hung_tx,
        };
        World {
            names: Names::by(script, stop, FRESH_FOR),
            asked,
            hung,
            stopper: Some(stopper),
        }
    }

    impl World {
        fn ask(&mut self) -> Result<Vec<SocketAddr>, String> {
            let by = Instant::now() + Duration::from_millis(300);
            let found = self.names.addresses("market.example", 443, by);
            found.map_err(|e| e.to_string())
        }

        /// Lets so much time pass for what is known.
        fn age(&mut self, time: Duration) {
            let about = &mut self.names.about;
            for moment in [&mut about.found, &mut about.hold_until] {
                *moment = moment.and_then(|m| m.checked_sub(time));
            }
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
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
        let mut w = world(&[found]);
        for _ in 0..5 {
            assert_eq!(w.ask(), Ok(vec![ADDRESS]));
        }
        assert_eq!(w.asked(), 1);
        w.age(FRESH_FOR);
        assert_eq!(w.ask(), Ok(vec![ADDRESS]));
        assert_eq!(w.asked(), 2);
    }

    #[test]
    fn old_addresses_serve_while_the_name_servers_fail_and_few_look_ups_are_made() {
        for broken in [hung, no_such_name, nothing] {
            let mut w = world(&[found, broken]);
            for _ in 0..5 {
                assert_eq!(w.ask(), Ok(vec![ADDRESS]));
                w.names.about.found = Instant::now().checked_sub(FRESH_FOR);
            }
            assert_eq!(w.asked(), 2);
        }
    }

    #[test]
    fn a_hung_look_up_of_an_unknown_name_is_named_and_not_repeated_and_its_answer_is_used() {
        let mut w = world(&[hung]);
        for held in [false, true, true, false, true] {
            if !held {
                w.age(FAILED_HOLD);
            }
            let asked = Instant::now();
            let why = w.ask().unwrap_err();
            assert!(
                why.contains("no name server answered for market.example:443"),
                "{why}"
            );
            assert_eq!(asked.elapsed() >= Duration::from_millis(300), !held);
        }
        assert_eq!(w.asked(), 1);
        let late = w.hung.try_recv().unwrap();
        late.send(Ok(vec![ADDRESS])).unwrap();
        assert_eq!(w.ask(), Ok(vec![ADDRESS]));
        assert_eq!(w.asked(), 1);
    }

    #[test]
    fn a_name_that_does_not_exist_yet_is_looked_up_again() {
        let mut w = world(&[no_such_name, nothing, found]);
        assert!(w.ask().unwrap_err().contains("Name or service not known"));
        assert!(w.ask().unwrap_err().contains("has no address"));
        assert!(w.ask().is_ok());
    }

    #[test]
    fn the_stop_ends_the_wait() {
        let mut w = world(&[hung]);
        w.stopper = None;
        let asked = Instant::now();
        assert!(w.ask().is_err());
        assert!(asked.elapsed() < Duration::from_millis(300));
    }

    #[test]
    fn a_look_up_has_a_thread_of_its_own() {
        let (_stopper, stop) = stop();
        let (supervisor, ends) = Supervisor::new(Limits::default(), stop);
        let mut names = Names::new(&Lookups::new(&supervisor), FRESH_FOR);
        // Whatever the machine's name servers say of it.
        drop(names.addresses("tapewarden.invalid", 80, Instant::now()));
        let birth = ends.births.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(birth.life.name.to_string(), "lookup-0");
    }
}
