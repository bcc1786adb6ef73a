//! The private connections to tiny_http, in lanes: one for each kind of work, so that work of one kind
//! that waits cannot take another's way.
//!
//! A lane is a channel that holds its idle connections. A `conn-N` thread leases one by receiving it,
//! and gives it back by sending it; one that is lost, also by a panic, is told to the `lane-keeper`
//! thread. It opens them one at a time, each confirmed by an answer: opened all at once, some would
//! never be served.

use std::io;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, select_biased};

use crate::runtime::{Peer, Pool, Stop, Supervisor, ThreadKind, Tx, channels};

use crate::edge::routes::LANE_PING_PATH;
use crate::runtime::deadline_io::{read_some_unless, write_all};

/// How long a fresh connection may take for its first answer.
const PING_DEADLINE: Duration = Duration::from_secs(2);

/// Between tries to open a connection.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// A private connection.
#[cfg(unix)]
pub type Link = std::os::unix::net::UnixStream;
/// A private connection.
#[cfg(not(unix))]
pub type Link = std::net::TcpStream;

/// Where tiny_http listens: a path in a folder that only this user may enter.
#[cfg(unix)]
pub type LinkAddress = std::path::PathBuf;
/// Where tiny_http listens.
#[cfg(not(unix))]
pub type LinkAddress = std::net::SocketAddr;

/// A kind of work.
#[derive(Clone, Debug)]
pub struct LaneSpec {
    /// As errors name it.
    pub name: &'static str,
    /// Requests that may be under way at once.
    pub slots: usize,
    /// By when one is answered, from its arrival on.
    pub deadline: Duration,
    /// How long one waits for a place: who finds all of them taken is told soon.
    pub patience: Duration,
}

/// One lane as a `conn-N` thread sees it.
#[derive(Clone, Debug)]
pub struct Lane {
    /// As errors name it.
    pub name: &'static str,
    /// How long a request waits for a place.
    pub patience: Duration,
    index: usize,
    idle: Receiver<Link>,
    back: Tx<Link, Pool>,
    lost: Tx<usize, Pool>,
}

impl Lane {
    /// Leases a connection, waiting until `by`.
    #[must_use]
    pub fn lease(&self, by: Instant) -> Option<Leased<'_>> {
        let link = self.idle.recv_deadline(by).ok()?;
        let place = Place {
            lane: self,
            is_vacant: true,
        };
        Some(Leased { link, place })
    }
}

/// A connection that one thread has for one request. Dropped, also by a panic, it is lost.
#[derive(Debug)]
pub struct Leased<'a> {
    /// The connection.
    pub link: Link,
    place: Place<'a>,
}

impl Leased<'_> {
    /// Gives it back, ready for the next request.
    pub fn give_back(self) {
        let Self { link, mut place } = self;
        place.is_vacant = false;
        place.lane.back.put(link);
    }
}

/// A connection's place in its lane. If it is vacant in the end the keeper opens another.
#[derive(Debug)]
struct Place<'a> {
    lane: &'a Lane,
    is_vacant: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_vacant {
            self.lane.lost.put(self.lane.index);
        }
    }
}

/// A connection that the keeper owes a lane. A panic over it does not forgive it.
struct Owed<'a> {
    lane: usize,
    lost: &'a Tx<usize, Pool>,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.lost.put(self.lane);
        }
    }
}

/// Makes the lanes and starts their keeper.
///
/// # Errors
/// When the system refuses the thread.
pub fn start_lanes(
    supervisor: &Supervisor,
    specs: &[LaneSpec],
    address: LinkAddress,
) -> io::Result<Vec<Lane>> {
    let slots: usize = specs.iter().map(|s| s.slots).sum();
    let (lost_tx, lost) = supervisor.channel(channels::LOST_LINKS, slots);
    let mut lanes = Vec::new();
    let mut fills = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let (back, idle) = supervisor.channel(channels::IDLE_LINKS.of(spec.name), spec.slots);
        for _ in 0..spec.slots {
            lost_tx.put(index);
        }
        fills.push(back.clone());
        lanes.push(Lane {
            name: spec.name,
            patience: spec.patience,
            index,
            idle,
            back,
            lost: lost_tx.clone(),
        });
    }
    let stop = supervisor.stop().clone();
    supervisor.spawn(ThreadKind::LaneKeeper, move |heartbeat| {
        loop {
            heartbeat.idle();
            let lane = select_biased! {
                recv(stop.receiver()) -> _ => return,
                recv(lost) -> lane => match lane { Ok(lane) => lane, Err(_) => return },
            };
            let _owed = Owed { lane, lost: &lost_tx };
            loop {
                let by = Instant::now() + PING_DEADLINE;
                heartbeat.wait(
                    Peer::Holder(ThreadKind::Http),
                    "opening a connection to the http workers",
                    by,
                );
                match open(&address, by, &stop) {
                    Ok(link) => {
                        fills[lane].put(link);
                        break;
                    }
                    Err(e) => {
                        heartbeat.idle();
                        if stop.is_set() {
                            return;
                        }
                        log::warn!(target: "GATE", "opening a connection to the http workers failed ({e}); trying again");
                        if stop.sleep(RETRY_EVERY) {
                            return;
                        }
                    }
                }
            }
        }
    })?;
    Ok(lanes)
}

fn open(address: &LinkAddress, by: Instant, stop: &Stop) -> io::Result<Link> {
    let mut link = Link::connect(address)?;
    let ping = format!("GET {LANE_PING_PATH} HTTP/1.1\r\nHost: gate\r\n\r\n");
    write_all(&mut link, ping.as_bytes(), by)?;
    let mut got = Vec::new();
    let mut buffer = [0_u8; 512];
    while !got.ends_with(b"\r\n\r\n") {
        let n = read_some_unless(&mut link, &mut buffer, by, || stop.is_set())?;
        if n == 0 || got.len() > 4_096 {
            return Err(io::Error::other("the ping was not answered in full"));
        }
        got.extend_from_slice(&buffer[..n]);
    }
    if got.starts_with(b"HTTP/1.1 204") {
        Ok(link)
    } else {
        Err(io::Error::other("the ping was not answered with 204"))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::runtime::stop;

    #[test]
    fn a_panic_over_a_leased_connection_leaves_the_lane_its_place() {
        let (_stopper, stop) = stop();
        let (supervisor, _ends) = Supervisor::new(crate::runtime::Limits::default(), stop);
        let (back, idle) = supervisor.channel(channels::IDLE_LINKS, 1);
        let (lost, told) = supervisor.channel(channels::LOST_LINKS, 1);
        let lane = Lane {
            name: "market",
            patience: Duration::from_secs(2),
            index: 3,
            idle,
            back,
            lost,
        };
        let (link, _workers) = Link::pair().unwrap();
        lane.back.put(link);
        let soon = || Instant::now() + Duration::from_secs(5);
        lane.lease(soon()).unwrap().give_back();
        assert!(told.try_recv().is_err(), "it is as it was");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _leased = lane.lease(soon()).unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(told.try_recv(), Ok(3), "the keeper opens another");
    }
}
