//! From a URL to an open WebSocket at the trader app, within one deadline and heeding the stop.
//!
//! A name is looked up on a thread of its own, since the system's look-up has no deadline; while one
//! hangs no other is made, and the addresses that were last found serve.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, WebSocket};

use crate::json;
use crate::runtime::deadline_io::{SLICE, connect_unless, read_some};
use crate::runtime::{Peer, Supervisor, ThreadKind, one_shot};
use crate::upstream::Roots;
use crate::upstream::resolve::fixed_addresses;
use crate::upstream::trader_app::socketio::older_protocol;

use super::transport::{Timed, Transport};

/// A longer message ends the connection.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const NO_UPGRADE_IN_TIME: &str = "it did not answer the upgrade in time";

/// Where a URL leads.
struct Place<'a> {
    secure: bool,
    authority: &'a str,
    host: &'a str,
    port: u16,
}

impl<'a> Place<'a> {
    /// Of `http://host:port/…` or `https://host:port/…`.
    fn of(url: &'a str) -> Result<Self, String> {
        let (secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => {
                return Err(format!(
                    "{url} is neither an http:// nor an https:// address; set trader.url"
                ));
            }
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse().map_err(|_| format!("{port} is no port"))?,
            ),
            _ => (authority, if secure { 443 } else { 80 }),
        };
        Ok(Self {
            secure,
            authority,
            host,
            port,
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
    pub fn connect(&mut self, url: &str, by: Instant) -> Result<WebSocket<Transport>, String> {
        let place = Place::of(url)?;
        let host = place.host;
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
                    return upgrade(transport, place.authority, by);
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

fn upgrade(
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
    let url = format!("ws://{authority}/socket.io/?EIO=4&transport=websocket");
    match tungstenite::client::client_with_config(url, transport, Some(limits)) {
        Ok((mut socket, _)) => {
            socket.get_mut().handshake_is_over();
            Ok(socket)
        }
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => {
            let body = response.body().as_deref().unwrap_or_default();
            let said = rest.map_or_else(|| body.to_vec(), |rest| whole(body, rest, by));
            Err(refused(response.status().as_u16(), &said))
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

/// What Engine.IO servers say when they refuse. Other words are not repeated: there may be a secret in them.
const KNOWN_WORDS: [&str; 6] = [
    "The client is using an unsupported version of the Socket.IO or Engine.IO protocols",
    "Unsupported protocol version",
    "Transport unknown",
    "Invalid transport",
    "Not an accepted origin",
    "Bad Request",
];

/// What a refusal of the upgrade means, and what can be done.
fn refused(status: u16, said: &[u8]) -> String {
    let said = json::text(said).0.to_ascii_lowercase();
    let known = KNOWN_WORDS
        .into_iter()
        .find(|words| said.contains(&words.to_ascii_lowercase()));
    if let Some(words) = known.filter(|words| words.to_ascii_lowercase().contains("unsupported")) {
        return older_protocol(words);
    }
    let words = known.map_or_else(String::new, |words| format!(", {words:?}"));
    if status == 400 {
        return format!(
            "it refuses WebSocket (400{words}): most likely its Socket.IO server runs without a WebSocket backend; install simple-websocket (or eventlet, gevent-websocket) there"
        );
    }
    format!("it answered {status}{words} to the WebSocket upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words_with_a_remedy_that_helps() {
        let older = br#""The client is using an unsupported version of the Socket.IO or Engine.IO protocols""#;
        for older in [
            &older[..],
            br#"{"code":5,"message":"Unsupported protocol version"}"#,
        ] {
            let words = refused(400, older);
            assert!(
                words.contains("Engine.IO 3") && words.contains("nsupported"),
                "{words}"
            );
            assert!(!words.contains("simple-websocket"), "{words}");
        }
        let words = refused(400, b"\"Bad Request\"");
        assert!(
            words.contains("Bad Request") && words.contains("without a WebSocket backend"),
            "{words}"
        );
        let words = refused(403, b"Not an accepted origin.");
        assert_eq!(
            words,
            "it answered 403, \"Not an accepted origin\" to the WebSocket upgrade"
        );
        let words = refused(500, b"Bearer hush is no good");
        assert_eq!(words, "it answered 500 to the WebSocket upgrade");
        assert_eq!(
            refused(404, b"<html>"),
            "it answered 404 to the WebSocket upgrade"
        );
    }
}
