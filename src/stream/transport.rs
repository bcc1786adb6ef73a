//! The bytes below the source's WebSocket, plain or over TLS, with deadlines and heeding the stop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::runtime::Stop;
use crate::runtime::deadline_io::{SLICE, read_some, write_all_unless};
use crate::upstream::{Roots, tls_words};

/// How long the source may take for what we say.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// A connection as tungstenite and rustls see it, with an absolute deadline for each phase.
#[derive(Debug)]
pub struct Timed {
    stream: TcpStream,
    stop: Stop,
    /// While set: every read ends by then, or fails. Else reads are slices.
    handshake_by: Option<Instant>,
}

impl Timed {
    /// For a handshake that ends by then.
    #[must_use]
    pub fn new(stream: TcpStream, stop: Stop, handshake_by: Instant) -> Self {
        Self {
            stream,
            stop,
            handshake_by: Some(handshake_by),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(by) = self.handshake_by else {
            return match read_some(&mut self.stream, buffer, Instant::now() + SLICE) {
                Err(e) if e.kind() == ErrorKind::TimedOut => Err(ErrorKind::WouldBlock.into()),
                other => other,
            };
        };
        loop {
            let slice = by.min(Instant::now() + SLICE);
            match read_some(&mut self.stream, buffer, slice) {
                Err(e) if e.kind() == ErrorKind::TimedOut && Instant::now() < by => {
                    if self.stop.is_set() {
                        return Err(io::Error::other("the server ends"));
                    }
                }
                other => return other,
            }
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let by = self
            .handshake_by
            .unwrap_or_else(|| Instant::now() + WRITE_DEADLINE);
        write_all_unless(&mut self.stream, bytes, by, || self.stop.is_set()).map_err(|e| {
            if e.kind() == ErrorKind::Interrupted {
                // tungstenite would try again.
                io::Error::other("the server ends")
            } else {
                e
            }
        })?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the WebSocket runs over.
#[derive(Debug)]
pub enum Transport {
    /// TCP as it is.
    Plain(Timed),
    /// TLS over TCP.
    Secure(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Transport {
    /// Agrees on TLS with the server of that name at `url`; the words of what failed.
    pub fn secured(timed: Timed, host: &str, roots: &Roots, url: &str) -> Result<Self, String> {
        agree(timed, host, roots).map_err(|e| {
            let why = match tls_words::behind(&e) {
                Some(e @ rustls::Error::InvalidCertificate(_)) => return format!("TLS with {url} failed: {}", tls_words::words(e, url)),
                _ if e.kind() == ErrorKind::TimedOut => "no word of TLS in time".to_owned(),
                _ => e.to_string(),
            };
            format!("TLS with {url} failed: {why}; check that it speaks TLS at this port, or set trader.url to http://")
        })
    }

    /// From here on reads wait for a slice of time only.
    pub fn handshake_is_over(&mut self) {
        match self {
            Self::Plain(timed) => timed.handshake_by = None,
            Self::Secure(tls) => tls.sock.handshake_by = None,
        }
    }

    /// The same socket once more, if what comes from it can be read as it is.
    #[must_use]
    pub fn plain_clone(&self) -> Option<TcpStream> {
        match self {
            Self::Plain(timed) => timed.stream.try_clone().ok(),
            Self::Secure(_) => None,
        }
    }
}

fn agree(mut timed: Timed, host: &str, roots: &Roots) -> io::Result<Transport> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(roots.for_rustls(), name).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut timed)?;
    }
    Ok(Transport::Secure(Box::new(StreamOwned::new(tls, timed))))
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Secure(tls) => tls.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(bytes),
            Self::Secure(tls) => tls.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Secure(tls) => tls.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::upstream::certificates::issuer;
    use crate::upstream::tls::serve;

    #[test]
    fn tls_is_agreed_on_with_a_known_issuer_and_every_refusal_says_why() {
        let (_stopper, stop) = crate::runtime::stop();
        let (ours, another) = (issuer("ours"), issuer("another"));
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, ours.pem()).unwrap();
        let reach = |port: u16, patience: Duration| {
            let url = format!("https://localhost:{port}");
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let timed = Timed::new(stream, stop.clone(), Instant::now() + patience);
            let roots = Roots::read(&url, &ca_file).unwrap();
            Transport::secured(timed, "localhost", &roots, &url)
        };
        let soon = Duration::from_secs(20);
        let mut line = reach(serve(&ours, "localhost", false), soon).unwrap();
        line.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        line.flush().unwrap();
        let mut answer = [0; 15];
        line.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");

        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").unwrap();
        let plain_port = plain.local_addr().unwrap().port();
        let answers = std::thread::spawn(move || {
            let (mut client, _) = plain.accept().unwrap();
            client
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
            // Until the client has gone: a close with unread bytes could take the answer away.
            let _gone = client.read_to_end(&mut Vec::new());
        });
        let short = Duration::from_millis(200);
        for (port, patience, words) in [
            (serve(&another, "localhost", false), soon, "trader.ca_file"),
            (serve(&ours, "localhost", true), soon, "has expired"),
            (
                serve(&ours, "elsewhere.example", false),
                soon,
                "is for DnsName",
            ),
            (plain_port, soon, "speaks TLS at this port"),
            (
                mute.local_addr().unwrap().port(),
                short,
                "no word of TLS in time",
            ),
        ] {
            let why = reach(port, patience).unwrap_err();
            assert!(why.contains(words), "{words}: {why}");
        }
        answers.join().unwrap();
    }
}
