//! The `probe` thread: a client of our own port. An edge that accepts and never serves leaves every
//! thread idle and "healthy"; only a client can see it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::runtime::deadline_io::{read_some, write_all};
use crate::runtime::{LatestRx, Peer, Supervisor, ThreadKind, latest};

/// Between probes.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// For one probe.
const PROBE_DEADLINE: Duration = Duration::from_secs(3);

/// Failures in a row that count.
const FAILURES: u32 = 2;

/// What the probe says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The port answers.
    Answers,
    /// It did not, several times in a row: the last error.
    Silent(String),
}

/// Starts the thread. `request`: the head of what is asked each time, as the port wants it then.
///
/// # Errors
/// When the system refuses it.
pub fn start_probe(
    supervisor: &Supervisor,
    address: SocketAddr,
    request: impl FnMut() -> String + Clone + Send + 'static,
) -> io::Result<LatestRx<Probed>> {
    let (tell, told) = latest();
    let stop = supervisor.stop().clone();
    supervisor.spawn(ThreadKind::Probe, move |heartbeat| {
        let (mut failures, mut request) = (0, request.clone());
        loop {
            heartbeat.idle();
            if stop.sleep(PROBE_EVERY) {
                return;
            }
            let head = request();
            let by = Instant::now() + PROBE_DEADLINE;
            heartbeat.wait(Peer::OwnPort, "probing the server's own port", by);
            match probe(address, &head, by) {
                Ok(()) => {
                    failures = 0;
                    tell.publish(Probed::Answers);
                }
                Err(e) => {
                    failures += 1;
                    if failures >= FAILURES {
                        tell.publish(Probed::Silent(e.to_string()));
                    }
                }
            }
        }
    })?;
    Ok(told)
}

fn probe(address: SocketAddr, head: &str, by: Instant) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_DEADLINE)?;
    write_all(&mut stream, head.as_bytes(), by)?;
    let mut got = Vec::new();
    let mut buffer = [0_u8; 4_096];
    loop {
        let n = read_some(&mut stream, &mut buffer, by)?;
        if n == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..n]);
        if got.len() > 1_000_000 {
            break;
        }
    }
    if !got.starts_with(b"HTTP/1.1 ") {
        return Err(io::Error::other(
            "the connection was closed without an answer",
        ));
    }
    Ok(())
}
