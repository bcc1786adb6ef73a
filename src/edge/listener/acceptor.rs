//! The `gate` thread: accepts connections, counts them, and starts a thread for each.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use crate::runtime::{Heartbeat, Lossy, Pool, Supervisor, ThreadKind, Tx, channels, one_shot};

use crate::edge::access::Refusals;
use crate::edge::connection::{Conn, GateConfig, Shared};
use crate::edge::connection::{LinkAddress, start_lanes};
use crate::edge::listener::turn_away::{Reserve, Why, lacks_descriptor, turn_away};
use crate::runtime::deadline_io::client_waits;
use crate::runtime::log_throttle::LogThrottle;

/// How often the acceptor looks whether the end was told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After an accept error (no descriptors left, say) it waits this long and goes on.
const ERROR_WAIT: Duration = Duration::from_millis(100);

/// Connections admitted beyond the limit while idle ones are asked to make room.
const HEADROOM: usize = 64;

/// Clients turned away in a row before the gate beats again.
const TURNED_AWAY_MAX: usize = 16;

/// Starts the lanes, their keeper and the acceptor.
///
/// # Errors
/// When the system refuses a thread.
pub fn start_gate(
    supervisor: &Supervisor,
    listener: TcpListener,
    workers: LinkAddress,
    config: GateConfig,
) -> io::Result<()> {
    let lanes = start_lanes(supervisor, &config.lanes, workers)?;
    let most = config.connections_max + HEADROOM;
    let (ended_tx, ended) = supervisor.channel(channels::CONNS_ENDED, most + 1);
    let (evict, evictions) = supervisor.channel(channels::MAKE_ROOM, HEADROOM);
    let stop = supervisor.stop().clone();
    let shared = Arc::new(Shared {
        config,
        lanes,
        evictions,
        supervisor: supervisor.clone(),
        denied: Refusals::default(),
    });
    listener.set_nonblocking(true)?;
    let spawner = supervisor.clone();
    supervisor.spawn(ThreadKind::Gate, move |heartbeat| {
        let mut door = Door {
            spawner: &spawner,
            ended: &ended,
            ended_tx: &ended_tx,
            evict: &evict,
            shared: &shared,
            open: 0,
            by_address: HashMap::new(),
            numbers: 0,
            troubles: LogThrottle::default(),
            reserve: Reserve::new(&listener),
        };
        while !stop.is_set() {
            heartbeat.idle();
            // Ready or not: accepting finds out.
            let _ready = client_waits(&listener, LOOK_EVERY);
            heartbeat.begin("accepting connections");
            door.count_ended();
            door.accept_all(&listener, heartbeat);
        }
    })?;
    Ok(())
}

/// A connection's place: given back when its thread ends, however it ends.
pub struct Place {
    ended: Tx<IpAddr, Pool>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ended.put(self.address);
    }
}

struct Door<'a> {
    spawner: &'a Supervisor,
    ended: &'a Receiver<IpAddr>,
    ended_tx: &'a Tx<IpAddr, Pool>,
    evict: &'a Tx<(), Lossy>,
    shared: &'a Arc<Shared>,
    open: usize,
    by_address: HashMap<IpAddr, usize>,
    numbers: u64,
    troubles: LogThrottle,
    reserve: Reserve,
}

impl Door<'_> {
    fn count_ended(&mut self) {
        for address in self.ended.try_iter() {
            self.open = self.open.saturating_sub(1);
            if let Some(count) = self.by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.by_address.remove(&address);
                }
            }
        }
    }

    fn accept_all(&mut self, listener: &TcpListener, heartbeat: &Heartbeat) {
        let mut turned_away = 0;
        loop {
            match listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer.ip().to_canonical()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    ) => {}
                Err(e)
                    if lacks_descriptor(&e)
                        && turned_away < TURNED_AWAY_MAX
                        && self.reserve.turn_one_away(listener) =>
                {
                    turned_away += 1;
                    self.say(&format!(
                        "no descriptor for another connection ({e}): its client was told; {} are open; raise the limit (ulimit -n, or LimitNOFILE in a unit file)",
                        self.open
                    ));
                }
                Err(e) => {
                    self.say(&format!(
                        "accepting a connection failed: {e}; {} are open, going on in {} ms",
                        self.open,
                        ERROR_WAIT.as_millis()
                    ));
                    heartbeat.idle();
                    let _stop_is_looked_at_next = self.spawner.stop().sleep(ERROR_WAIT);
                    return;
                }
            }
            self.count_ended();
        }
    }

    fn admit(&mut self, stream: TcpStream, address: IpAddr) {
        let of_address = self.by_address.get(&address).copied().unwrap_or(0);
        let crowded =
            !address.is_loopback() && of_address >= self.shared.config.connections_per_address_max;
        if crowded || self.open >= self.shared.config.connections_max + HEADROOM {
            turn_away(&stream, Why::Full);
            self.say(&format!(
                "refused a connection from {address}: {} are open, {of_address} of them from there",
                self.open
            ));
            return;
        }
        if self.open >= self.shared.config.connections_max {
            // Full: as many were asked already.
            self.evict.offer(());
        }
        if let Err(e) = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_nodelay(true))
        {
            self.say(&format!(
                "preparing a connection from {address} failed: {e}"
            ));
            return;
        }
        self.numbers += 1;
        let number = self.numbers;
        let place = Place {
            ended: self.ended_tx.clone(),
            address,
        };
        self.open += 1;
        *self.by_address.entry(address).or_insert(0) += 1;
        let mut conn = Conn::new(Arc::clone(self.shared), address, number);
        // Given only to a thread that is there: without one its client is told.
        let (give, given) = one_shot();
        let spawned = self
            .spawner
            .spawn_once(ThreadKind::Conn.turn(number), move |heartbeat| {
                let _given_back_at_the_end = place;
                if let Ok(stream) = given.recv() {
                    conn.serve(stream, heartbeat);
                }
            });
        match spawned {
            // It waits for it.
            Ok(_) => drop(give.try_send(stream)),
            // The closure was dropped, and the place with it.
            Err(e) => {
                turn_away(&stream, Why::NoThread);
                self.say(&format!(
                    "no thread for another connection ({e}): its client was told; {} are open; raise the limit (ulimit -u, or TasksMax in a unit file)",
                    self.open
                ));
            }
        }
    }

    fn say(&mut self, words: &str) {
        if let Some(untold) = self.troubles.happened(Instant::now()) {
            log::warn!(target: "GATE", "{words}{untold}");
        }
    }
}
