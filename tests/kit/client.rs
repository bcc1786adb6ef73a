//! Clients: plain HTTP by hand, so that nothing is smoothed over, and the quote stream.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::server::PATIENCE;

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The sentence of an error.
    pub fn detail(&self) -> String {
        let json = self.json();
        json["detail"]
            .as_str()
            .unwrap_or_else(|| panic!("no detail in {} {}", self.status, self.text()))
            .to_owned()
    }
}

/// One request on a connection of its own.
pub fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Got {
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    say(address, request.as_bytes())
}

pub fn get(address: &str, path: &str) -> Got {
    ask(address, "GET", path, &[])
}

/// Sends bytes as they are, and reads until the server closes.
pub fn say(address: &str, bytes: &[u8]) -> Got {
    try_say(address, bytes).unwrap()
}

/// As above, where it may be refused; what went wrong then.
pub fn try_say(address: &str, bytes: &[u8]) -> Result<Got, String> {
    try_say_within(address, bytes, PATIENCE)
}

/// As above, with so much patience for what comes next.
pub fn try_say_within(address: &str, bytes: &[u8], patience: Duration) -> Result<Got, String> {
    let words = |e: std::io::Error| e.to_string();
    let mut stream = TcpStream::connect(address).map_err(words)?;
    stream.set_read_timeout(Some(patience)).map_err(words)?;
    stream.write_all(bytes).map_err(words)?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).map_err(words)?;
    let split = all
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or_else(|| format!("no whole head in {:?}", String::from_utf8_lossy(&all)))?;
    let head = String::from_utf8(all[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Got {
        status,
        head,
        body: all[split + 4..].to_vec(),
    })
}

/// This machine's address on its network; none where it has only loopback ones.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only says which address it would send from.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// A client of the quote stream.
pub struct Quotes {
    socket: WebSocket<TcpStream>,
}

impl Quotes {
    pub fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap()
    }

    /// As above, where it may be refused.
    pub fn try_connect(address: &str) -> Result<Self, String> {
        Self::try_connect_to(address, "/api/ws/quotes")
    }

    /// As above, by a path of one's own.
    pub fn try_connect_to(address: &str, path: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{address}{path}");
        let (socket, _) = tungstenite::client(url, stream).map_err(|e| e.to_string())?;
        Ok(Self { socket })
    }

    /// The next text as it came, if there is one within the time.
    pub fn next_text(&mut self, within: Duration) -> Result<Option<String>, String> {
        self.socket
            .get_ref()
            .set_read_timeout(Some(within))
            .unwrap();
        match self.socket.read() {
            Ok(Message::Text(text)) => Ok(Some(text.as_str().to_owned())),
            Ok(Message::Close(frame)) => {
                Err(frame.map(|f| f.reason.to_string()).unwrap_or_default())
            }
            Ok(_) => Ok(None),
            Err(tungstenite::Error::Io(e))
                if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(e) => Err(e.to_string()),
        }
    }

    /// Sends text as it is.
    pub fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn subscribe(&mut self, symbols: &[&str]) {
        self.say(&json!({"action": "subscribe", "symbols": symbols}).to_string());
    }

    pub fn unsubscribe(&mut self, symbols: &[&str]) {
        self.say(&json!({"action": "unsubscribe", "symbols": symbols}).to_string());
    }

    /// The next message; the close frame's reason once the server closes.
    pub fn next(&mut self) -> Result<Value, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(text.as_str()).unwrap()),
                Ok(Message::Close(frame)) => {
                    return Err(frame.map(|f| f.reason.to_string()).unwrap_or_default());
                }
                Ok(_) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
    }

    /// Reads until a message is as it should be.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let by = Instant::now() + PATIENCE;
        loop {
            let message = self.next().unwrap_or_else(|e| panic!("{what}: {e}"));
            if holds(&message) {
                return message;
            }
            assert!(Instant::now() < by, "never came: {what}");
        }
    }

    /// Reads until the source's state is told as this.
    pub fn until_status(&mut self, connected: bool) {
        self.until(&format!("status {connected}"), |m| {
            m["type"] == "status" && m["connected"] == connected
        });
    }

    /// The socket below.
    pub fn raw(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }
}
