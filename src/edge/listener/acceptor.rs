//! The `gate` thread: accepts connections, counts them, and starts a thread for each.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use super::connections::Connections;
use super::turn_away::{Reserve, Why, lacks_descriptor, turn_away};
use crate::edge::access::Refusals;
use crate::edge::connection::{Conn, GateConfig, Shared};
use crate::runtime::deadline_io::{SharedStream, client_waits};
use crate::runtime::log_throttle::LogThrottle;
use crate::runtime::{
    Heartbeat, Lossy, Owner, Pool, Supervisor, ThreadKind, Tx, channels, latest, one_shot,
};

/// How often the acceptor looks whether the end was told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After an accept error (no descriptors left, say) it waits this long and goes on.
const ERROR_WAIT: Duration = Duration::from_millis(100);

/// Connections admitted beyond the limit while idle ones are asked to make room.
const HEADROOM: usize = 64;

/// Clients turned away in a row before the gate beats again.
const TURNED_AWAY_MAX: usize = 16;

/// Starts the acceptor.
///
/// # Errors
/// When the system refuses the thread.
pub fn start_gate(
    supervisor: &Supervisor,
    listener: TcpListener,
    config: GateConfig,
) -> io::Result<()> {
    let most = config.connections_max + HEADROOM;
    let (ended_tx, ended) = supervisor.channel(channels::CONNS_ENDED, most + 1);
    let (evict, evictions) = supervisor.channel(channels::MAKE_ROOM, HEADROOM);
    let (stuck_tx, stuck) = supervisor.channel(channels::STUCK_CONNS, HEADROOM);
    let stop = supervisor.stop().clone();
    let shared = Arc::new(Shared {
        config,
        evictions,
        supervisor: supervisor.clone(),
        denied: Refusals::default(),
    });
    listener.set_nonblocking(true)?;
    let spawner = supervisor.clone();
    // Outlives a panic, as the connections do.
    let connections = RefCell::new(Connections::default());
    supervisor.spawn(ThreadKind::Gate, move |heartbeat| {
        let mut acceptor = Acceptor {
            spawner: &spawner,
            ended: &ended,
            ended_tx: &ended_tx,
            evict: &evict,
            stuck: &stuck,
            stuck_tx: &stuck_tx,
            shared: &shared,
            connections: &mut connections.borrow_mut(),
            troubles: LogThrottle::default(),
            reserve: Reserve::new(&listener),
        };
        while !stop.is_set() {
            heartbeat.idle();
            // Ready or not: accepting finds out.
            let _ready = client_waits(&listener, LOOK_EVERY);
            heartbeat.begin("accepting connections");
            acceptor.count_ended();
            acceptor.close_stuck();
            acceptor.accept_all(&listener, heartbeat);
        }
    })?;
    Ok(())
}

/// Tells that a connection has ended when its thread ends, however it ends.
struct Ended {
    tell: Tx<u64, Pool>,
    number: u64,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.tell.put(self.number);
    }
}

struct Acceptor<'a> {
    spawner: &'a Supervisor,
    ended: &'a Receiver<u64>,
    ended_tx: &'a Tx<u64, Pool>,
    evict: &'a Tx<(), Lossy>,
    shared: &'a Arc<Shared>,
    stuck: &'a Receiver<u64>,
    stuck_tx: &'a Tx<u64, Lossy>,
    connections: &'a mut Connections,
    troubles: LogThrottle,
    reserve: Reserve,
}

impl Acceptor<'_> {
    fn count_ended(&mut self) {
        for number in self.ended.try_iter() {
            self.connections.remove(number);
        }
    }

    /// Closes the connections whose threads the watchdog found stalled.
    fn close_stuck(&mut self) {
        for number in self.stuck.try_iter() {
            if let Some(address) = self.connections.close(number) {
                log::warn!(
                    target: "GATE",
                    "closed the connection of {address}: its thread does not go on (see watchdog.log); the client may connect again"
                );
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
                        self.connections.count()
                    ));
                }
                Err(e) => {
                    self.say(&format!(
                        "accepting a connection failed: {e}; {} are open, going on in {} ms",
                        self.connections.count(),
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
        let (open, of_address) = (self.connections.count(), self.connections.of(address));
        let crowded =
            !address.is_loopback() && of_address >= self.shared.config.connections_per_address_max;
        if crowded || open >= self.shared.config.connections_max + HEADROOM {
            turn_away(&stream, Why::Full);
            self.say(&format!(
                "refused a connection from {address}: {open} are open, {of_address} of them from there"
            ));
            return;
        }
        if open >= self.shared.config.connections_max {
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
        let (permit_tx, permit) = latest();
        let number = self.connections.add(address, permit);
        let ended = Ended {
            tell: self.ended_tx.clone(),
            number,
        };
        let mut conn = Conn::new(Arc::clone(self.shared), address, number, permit_tx);
        // Given only to a thread that is there: without one its client is told.
        let (give, given) = one_shot();
        let stuck = self.stuck_tx.clone();
        let owner = Owner::new(move || stuck.offer(number));
        let name = ThreadKind::Conn.turn(number);
        let spawned = self.spawner.spawn_owned(name, owner, move |heartbeat| {
            let _told_at_the_end = ended;
            if let Ok(stream) = given.recv() {
                conn.serve(stream, heartbeat);
            }
        });
        match spawned {
            Ok(_) => {
                let stream = SharedStream::new(stream);
                self.connections.keep(number, stream.handle());
                // It waits for it.
                drop(give.try_send(stream));
            }
            // The closure was dropped, and told the end.
            Err(e) => {
                turn_away(&stream, Why::NoThread);
                self.say(&format!(
                    "no thread for another connection ({e}): its client was told; {} are open; raise the limit (ulimit -u, or TasksMax in a unit file)",
                    self.connections.count()
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
