//! The server's side of Socket.IO 5 over WebSocket, as the trader app speaks it, for tests that decide
//! what is said and when.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::fake::{Asked, Then};

/// One joined client.
struct Client {
    id: u64,
    stream: TcpStream,
    symbols: BTreeSet<String>,
}

/// All its clients; a handle.
#[derive(Clone, Default)]
pub struct SocketIo {
    clients: Arc<Mutex<Vec<Client>>>,
    ids: Arc<AtomicU64>,
    /// Milliseconds between pings that are announced, and, if > 0, sent.
    ping_ms: Arc<AtomicU64>,
}

impl SocketIo {
    /// Announces this ping interval, with as much time again, and never pings: a server that hangs.
    pub fn announce_pings_and_send_none(&self, interval_ms: u64) {
        self.ping_ms.store(interval_ms, Ordering::SeqCst);
    }

    /// Takes over an upgrade request until the client leaves.
    pub fn serve(&self, asked: &Asked, stream: &mut TcpStream) -> Then {
        let Some(key) = asked.header("sec-websocket-key") else {
            let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            return Then::KeepAlive;
        };
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        if stream.write_all(head.as_bytes()).is_err() {
            return Then::Close;
        }
        let id = self.ids.fetch_add(1, Ordering::SeqCst);
        let reading = stream.try_clone().unwrap();
        // A client has nothing to say for as long as its subscriptions stay.
        reading.set_read_timeout(None).unwrap();
        let mut socket = WebSocket::from_raw_socket(reading, Role::Server, None);
        let ping_ms = match self.ping_ms.load(Ordering::SeqCst) {
            0 => 25_000,
            n => n,
        };
        let open = json!({"sid": "t", "upgrades": [], "pingInterval": ping_ms, "pingTimeout": ping_ms, "maxPayload": 1_000_000});
        self.write(stream, &format!("0{open}"));
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else {
                continue;
            };
            if text.as_str() == "40" {
                let client = Client {
                    id,
                    stream: stream.try_clone().unwrap(),
                    symbols: BTreeSet::new(),
                };
                self.clients.lock().unwrap().push(client);
                self.write(stream, "40{\"sid\":\"t\"}");
            } else if let Some(event) = text.strip_prefix("42") {
                self.event(id, &serde_json::from_str(event).unwrap());
            }
        }
        self.clients.lock().unwrap().retain(|c| c.id != id);
        Then::Close
    }

    fn event(&self, id: u64, event: &Value) {
        let mut clients = self.clients.lock().unwrap();
        let Some(client) = clients.iter_mut().find(|c| c.id == id) else {
            return;
        };
        let symbols = event[1]["symbols"].as_array().into_iter().flatten();
        for symbol in symbols.filter_map(Value::as_str) {
            match event[0].as_str() {
                Some("subscribe_quotes") => client.symbols.insert(symbol.to_owned()),
                Some("unsubscribe_quotes") => client.symbols.remove(symbol),
                _ => false,
            };
        }
    }

    /// What all clients want now.
    pub fn subscribed(&self) -> BTreeSet<String> {
        let clients = self.clients.lock().unwrap();
        clients.iter().flat_map(|c| c.symbols.clone()).collect()
    }

    /// How many have joined so far and are there.
    pub fn clients(&self) -> usize {
        self.clients.lock().unwrap().len()
    }

    /// Emits an event to everybody, subscribed or not.
    pub fn emit(&self, name: &str, argument: &Value) {
        self.say(&format!("42{}", json!([name, argument])));
    }

    /// A quote update.
    pub fn quote(&self, fields: &Value) {
        self.emit("quote_update", fields);
    }

    /// A text message as it is.
    pub fn say(&self, text: &str) {
        for client in self.clients.lock().unwrap().iter_mut() {
            let mut stream = client.stream.try_clone().unwrap();
            self.write(&mut stream, text);
        }
    }

    /// Drops every client without a word.
    pub fn drop_clients(&self) {
        for client in self.clients.lock().unwrap().drain(..) {
            let _gone = client.stream.shutdown(Shutdown::Both);
        }
    }

    fn write(&self, stream: &mut TcpStream, text: &str) {
        let mut frame = vec![0x81];
        match text.len() {
            n @ 0..126 => frame.push(n as u8),
            n @ 126..65_536 => {
                frame.push(126);
                frame.extend((n as u16).to_be_bytes());
            }
            n => {
                frame.push(127);
                frame.extend((n as u64).to_be_bytes());
            }
        }
        frame.extend(text.as_bytes());
        let _gone = stream.write_all(&frame);
    }
}
