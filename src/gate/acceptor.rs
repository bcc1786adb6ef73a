//! The `gate` thread: accepts connections, counts them, and starts a thread for each.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use crate::supervise::{Class, Full, Pulse, Supervisor, Tx};

use super::conn::{Conn, GateConfig, Shared};
use super::denied::Refusals;
use super::lanes::{LinkAddress, start_lanes};
use crate::deadline_io::client_waits;

/// How often the acceptor looks whether the end was told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After an accept error (no descriptors left, say) it waits this long and goes on.
const ERROR_WAIT: Duration = Duration::from_millis(100);

/// Such errors are logged no more often than this.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Connections admitted beyond the limit while idle ones are asked to make room.
const HEADROOM: usize = 64;

/// Names of connection threads count up to here and begin anew: names have 15 characters.
const CONN_NAMES_MAX: u64 = 100_000;

/// What a connection beyond every limit gets.
const FULL_ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 74\r\n\r\n{\"detail\":\"Too many connections; close some, or raise the server's limit\"}";

/// Starts the lanes, their keeper and the acceptor.
///
/// # Errors
/// When the system refuses a thread.
pub fn start_gate(
    supervisor: &Supervisor,
    gate_class: Class,
    conn_class: Class,
    listener: TcpListener,
    workers: LinkAddress,
    config: GateConfig,
) -> io::Result<()> {
    let lanes = start_lanes(supervisor, gate_class, &config.lanes, workers)?;
    let most = config.connections_max + HEADROOM;
    let (ended_tx, ended) = supervisor.channel(
        "conns -> gate: ended",
        most + 1,
        Full::Never("each connection ends once, and there are no more of them"),
    );
    let (evict, evictions) =
        supervisor.channel("gate -> conns: make room", HEADROOM, Full::DropAndCount);
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
    supervisor.spawn("gate", gate_class, move |pulse| {
        let mut door = Door {
            spawner: &spawner,
            class: conn_class,
            ended: &ended,
            ended_tx: &ended_tx,
            evict: &evict,
            shared: &shared,
            open: 0,
            by_address: HashMap::new(),
            numbers: 0,
            said: None,
        };
        while !stop.is_set() {
            pulse.idle();
            // Ready or not: accepting finds out.
            let _ready = client_waits(&listener, LOOK_EVERY);
            pulse.begin("accepting connections");
            door.count_ended();
            door.accept_all(&listener, pulse);
        }
    })?;
    Ok(())
}

/// A connection's place: given back when its thread ends, however it ends.
pub struct Place {
    ended: Tx<IpAddr>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        // There is room for every connection.
        let _ = self.ended.offer(self.address);
    }
}

struct Door<'a> {
    spawner: &'a Supervisor,
    class: Class,
    ended: &'a Receiver<IpAddr>,
    ended_tx: &'a Tx<IpAddr>,
    evict: &'a Tx<()>,
    shared: &'a Arc<Shared>,
    open: usize,
    by_address: HashMap<IpAddr, usize>,
    numbers: u64,
    said: Option<Instant>,
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

    fn accept_all(&mut self, listener: &TcpListener, pulse: &Pulse) {
        loop {
            match listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer.ip().to_canonical()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    ) => {}
                Err(e) => {
                    self.say(&format!(
                        "accepting a connection failed: {e}; {} are open, going on in {} ms",
                        self.open,
                        ERROR_WAIT.as_millis()
                    ));
                    pulse.idle();
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
            refuse(&stream);
            self.say(&format!(
                "refused a connection from {address}: {} are open, {of_address} of them from there",
                self.open
            ));
            return;
        }
        if self.open >= self.shared.config.connections_max {
            // Full: as many were asked already.
            let _ = self.evict.offer(());
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
        let spawned = self.spawner.spawn_once(
            format!("conn-{}", number % CONN_NAMES_MAX),
            self.class,
            move |pulse| {
                let _given_back_at_the_end = place;
                conn.serve(stream, pulse);
            },
        );
        // On failure the closure was dropped, and the place with it.
        if let Err(e) = spawned {
            self.say(&format!("starting a thread for a connection failed: {e}"));
        }
    }

    fn say(&mut self, words: &str) {
        let now = Instant::now();
        if self
            .said
            .is_none_or(|at| now.duration_since(at) >= SAY_EVERY)
        {
            self.said = Some(now);
            log::warn!(target: "GATE", "{words}");
        }
    }
}

/// Tells a client without waiting, and closes.
fn refuse(stream: &TcpStream) {
    let mut out = stream;
    if stream.set_nonblocking(true).is_ok() {
        let _gone = out.write(FULL_ANSWER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_a_whole_answer() {
        let text = std::str::from_utf8(FULL_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["detail"].is_string());
    }
}
