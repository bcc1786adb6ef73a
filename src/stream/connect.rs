//! From a URL to an open WebSocket at a source of quotes, within one deadline and heeding the stop.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tungstenite::http::Uri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, WebSocket};

use crate::runtime::Stop;
use crate::runtime::deadline_io::{connect_unless, read_some};
use crate::upstream::{Lookups, Names, Roots, StreamCodec};

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
    stop: Stop,
    roots: Roots,
    names: Names,
}

impl Connector {
    /// Knows no address yet; over TLS it believes these issuers.
    #[must_use]
    pub fn new(stop: Stop, roots: Roots, lookups: &Lookups) -> Self {
        Self {
            stop,
            roots,
            // A stream connects when it has lost its source, which may be at another address now.
            names: Names::new(lookups, Duration::ZERO),
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
        // Half of the time is left for what comes after a look-up.
        let patience = Instant::now() + by.saturating_duration_since(Instant::now()) / 2;
        let addresses = self
            .names
            .addresses(host, place.port, patience)
            .map_err(|e| e.to_string())?;
        let mut last = "there was no time left to connect".to_owned();
        for (n, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = by.saturating_duration_since(now);
            let share = left / u32::try_from(addresses.len() - n).unwrap_or(1);
            if share.is_zero() {
                break;
            }
            match connect_unless(*address, now + share, || self.stop.is_set()) {
                Ok(stream) => {
                    let _slower_without = stream.set_nodelay(true);
                    let timed = Timed::new(stream, self.stop.clone(), by);
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
