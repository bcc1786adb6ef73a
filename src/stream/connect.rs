//! From a URL to an open WebSocket at a source of quotes, within one deadline and heeding the stop.
//!
//! A name is looked up on a thread of its own, since the system's look-up has no deadline; while one
//! hangs no other is made, and the addresses that were last found serve.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use tungstenite::http::Uri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, WebSocket};

use crate::runtime::deadline_io::{SLICE, connect_unless, read_some};
use crate::runtime::{Peer, Supervisor, ThreadKind, one_shot};
use crate::upstream::resolve::fixed_addresses;
use crate::upstream::{Roots, StreamCodec};

use super::transport::{Timed, Transport};

/// A longer message ends the connection.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const NO_UPGRADE_IN_TIME: &str = "it did not answer the upgrade in time";

/// Where a URL leads.
struct Destination {
    secure: bool,
    authority: String,
    host: String,
    port: u16,
}

impl Destination {
    /// Of `http://host:port/…` or `https://host:port/…`.
    fn of(url: &str) -> Result<Self, String> {
        let uri: Option<Uri> = url.parse().ok();
        let parts = uri.as_ref().and_then(|uri| {
            let secure = match uri.scheme_str()? {
                "http" => false,
                "https" => true,
                _ => return None,
            };
            Some((secure, uri.authority()?))
        });
        let Some((secure, authority)) = parts else {
            return Err(format!(
                "{url} is neither an http:// nor an https:// address; set trader.url"
            ));
        };
        Ok(Self {
            secure,
            authority: authority.to_string(),
            host: authority.host().to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 }),
        })
    }
}

/// Connects as often as it is asked; remembers addresses and a look-up that hangs.
#[derive(Debug)]
pub struct Connector {
    supervisor: Supervisor,
    roots: Roots,
    known: Vec<SocketAddr>,
    lookup: Option<Receiver<io::Result<Vec<SocketAddr>>>>,
}

impl Connector {
    /// Knows no address yet; over TLS it believes these issuers.
    #[must_use]
    pub fn new(supervisor: Supervisor, roots: Roots) -> Self {
        Self {
            supervisor,
            roots,
            known: Vec::new(),
            lookup: None,
        }
    }

    /// Resolves, connects and upgrades, all before `by`; the words of what failed.
    pub fn connect<C: StreamCodec>(
        &mut self,
        url: &str,
        by: Instant,
    ) -> Result<WebSocket<Transport>, String> {
        let place = Destination::of(url)?;
        let host = place.host.as_str();
        let mut addresses = fixed_addresses(host, place.port);
        if addresses.is_empty() {
            addresses = self.look_up(host, place.port, by)?;
        }
        let stop = self.supervisor.stop().clone();
        let mut last = format!("the name {host} has no address");
        for (n, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = by.saturating_duration_since(now);
            let share = left / u32::try_from(addresses.len() - n).unwrap_or(1);
            if share.is_zero() {
                break;
            }
            match connect_unless(*address, now + share, || stop.is_set()) {
                Ok(stream) => {
                    let _slower_without = stream.set_nodelay(true);
                    let timed = Timed::new(stream, stop, by);
                    let transport = if place.secure {
                        Transport::secured(timed, host, &self.roots, url)?
                    } else {
                        Transport::Plain(timed)
                    };
                    return upgrade::<C>(transport, &place.authority, by);
                }
                Err(e) => last = format!("connecting to {address} failed: {e}"),
            }
        }
        Err(last)
    }

    /// The addresses of a name, newly found if that goes in half of the time left.
    fn look_up(&mut self, host: &str, port: u16, by: Instant) -> Result<Vec<SocketAddr>, String> {
        let patience = Instant::now() + by.saturating_duration_since(Instant::now()) / 2;
        let answer = match self.lookup.take() {
            Some(answer) => answer,
            None => {
                let (reply, answer) = one_shot();
                let name = host.to_owned();
                let spawned =
                    self.supervisor
                        .spawn_once(ThreadKind::QuoteLookup, move |heartbeat| {
                            heartbeat.wait(Peer::NameServer, format!("looking up {name}"), by);
                            let found = (name.as_str(), port).to_socket_addrs();
                            let _asker_left = reply.send(found.map(Iterator::collect));
                        });
                if let Err(e) = spawned {
                    return Err(format!("no thread to look up {host}: {e}"));
                }
                answer
            }
        };
        let stop = self.supervisor.stop().clone();
        loop {
            let slice = patience.min(Instant::now() + SLICE);
            match answer.recv_deadline(slice) {
                Ok(Ok(found)) => {
                    self.known.clone_from(&found);
                    return Ok(found);
                }
                Ok(Err(e)) if self.known.is_empty() => {
                    return Err(format!("the name {host} is not found: {e}"));
                }
                Err(e) if e.is_timeout() && Instant::now() < patience && !stop.is_set() => {}
                Err(e) => {
                    if e.is_timeout() {
                        self.lookup = Some(answer);
                    }
                    if self.known.is_empty() {
                        return Err(format!(
                            "no name server answered for {host}; check the network"
                        ));
                    }
                    return Ok(self.known.clone());
                }
                Ok(Err(_)) => return Ok(self.known.clone()),
            }
        }
    }
}

fn upgrade<C: StreamCodec>(
    transport: Transport,
    authority: &str,
    by: Instant,
) -> Result<WebSocket<Transport>, String> {
    // For the rest of a refusal, of which tungstenite keeps what came with the head.
    let rest = transport.plain_clone();
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    // Of TLS tungstenite need not know.
    let url = format!("ws://{authority}{}", C::PATH);
    match tungstenite::client::client_with_config(url, transport, Some(limits)) {
        Ok((mut socket, _)) => {
            socket.get_mut().handshake_is_over();
            Ok(socket)
        }
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => {
            let body = response.body().as_deref().unwrap_or_default();
            let said = rest.map_or_else(|| body.to_vec(), |rest| whole(body, rest, by));
            Err(C::refused(response.status().as_u16(), &said))
        }
        Err(tungstenite::HandshakeError::Failure(Error::Io(e)))
            if e.kind() == ErrorKind::TimedOut =>
        {
            Err(NO_UPGRADE_IN_TIME.to_owned())
        }
        Err(tungstenite::HandshakeError::Failure(e)) => Err(format!("the upgrade failed: {e}")),
        Err(tungstenite::HandshakeError::Interrupted(_)) => Err(NO_UPGRADE_IN_TIME.to_owned()),
    }
}

/// A refusal's words may come behind its head, but soon.
const WORDS_WITHIN: Duration = Duration::from_millis(300);

/// What was refused with: what came with the head, or else what follows it.
fn whole(body: &[u8], mut rest: TcpStream, by: Instant) -> Vec<u8> {
    if !body.is_empty() {
        return body.to_vec();
    }
    let by = by.min(Instant::now() + WORDS_WITHIN);
    let mut words = [0; 1_024];
    let length = read_some(&mut rest, &mut words, by).unwrap_or(0);
    words[..length].to_vec()
}
