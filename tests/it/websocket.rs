//! The stream as a WebSocket: pongs, closes with their codes, handshakes that will not do. Raw sockets, so that
//! nothing is smoothed over.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::kit::client::say;
use crate::kit::{Flood, Got, PATIENCE, Upstreams, eventually};
use serde_json::{Value, json};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

const QUICK: &[&str] = &["stream.backoff_min=50ms", "stream.backoff_max=200ms"];

/// A client that sees every frame.
struct Frames {
    socket: WebSocket<TcpStream>,
}

impl Frames {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{address}/api/ws/quotes");
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        Self { socket }
    }

    fn subscribe(&mut self, symbols: &[&str]) {
        let wish = json!({"action": "subscribe", "symbols": symbols});
        self.socket.send(Message::text(wish.to_string())).unwrap();
    }

    fn ping(&mut self, payload: &str) {
        let ping = Message::Ping(payload.as_bytes().to_vec().into());
        self.socket.send(ping).unwrap();
    }

    /// The next pong's payload.
    fn pong(&mut self) -> String {
        loop {
            if let Message::Pong(payload) = self.socket.read().expect("a pong") {
                return String::from_utf8(payload.to_vec()).unwrap();
            }
        }
    }

    /// Reads to the close; its code.
    fn close_code(&mut self) -> CloseCode {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.expect("a code").code,
                Ok(_) => {}
                Err(e) => panic!("ended without a close: {e}"),
            }
        }
    }
}

fn wanted(up: &Upstreams, symbol: &str) {
    eventually("the source sends it", || {
        up.trader.stream.subscribed().contains(symbol).then_some(())
    });
}

#[test]
fn a_ping_has_its_pong_in_a_silent_session() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut client = Frames::connect(&server.address);
    for n in 0..5 {
        client.ping(&format!("ping {n}"));
        assert_eq!(client.pong(), format!("ping {n}"));
    }
    // Before and after what is answered with words, or not at all.
    client.socket.send(Message::text("nonsense")).unwrap();
    client.socket.send(Message::binary(vec![1, 2])).unwrap();
    client
        .socket
        .send(Message::Pong(Vec::new().into()))
        .unwrap();
    client.ping("after");
    assert_eq!(client.pong(), "after");
    // As many at once as a client may think of: each has its own, in order.
    for n in 0..1_000 {
        client.ping(&n.to_string());
    }
    for n in 0..1_000 {
        assert_eq!(client.pong(), n.to_string());
    }
}

#[test]
fn a_ping_has_its_pong_among_a_flood_of_quotes() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut client = Frames::connect(&server.address);
    client.subscribe(&["AAAA", "BBBB"]);
    wanted(&up, "BBBB");
    let _flood = Flood::start(&up, &["AAAA", "BBBB"], 2_000);
    for n in 0..20 {
        client.ping(&n.to_string());
        assert_eq!(client.pong(), n.to_string());
    }
}

#[test]
fn a_client_that_reads_slowly_has_its_pong_and_quotes_that_are_not_old() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut client = Frames::connect(&server.address);
    client.subscribe(&["AAAA", "BBBB"]);
    wanted(&up, "BBBB");
    let _flood = Flood::start(&up, &["AAAA", "BBBB"], 1_000);
    let began = Instant::now();
    let mut pinged: Option<Instant> = None;
    // Without a bound on what is on its way, quotes are here as old as the test.
    while began.elapsed() < Duration::from_secs(16) {
        std::thread::sleep(Duration::from_millis(20));
        match client.socket.read().unwrap() {
            Message::Text(text) if began.elapsed() > Duration::from_secs(8) => {
                let quote: Value = serde_json::from_str(text.as_str()).unwrap();
                if let Some(at_ms) = quote["at_ms"].as_u64() {
                    let age = began.elapsed().saturating_sub(Duration::from_millis(at_ms));
                    assert!(age < Duration::from_secs(6), "a quote is {age:?} old");
                }
            }
            Message::Pong(_) => pinged = None,
            _ => {}
        }
        match pinged {
            Some(at) => assert!(at.elapsed() < Duration::from_secs(6), "no pong for so long"),
            None => {
                client.ping("slow");
                pinged = Some(Instant::now());
            }
        }
    }
}

#[test]
fn a_client_that_answered_pings_and_stops_reading_is_closed() {
    let up = Upstreams::start();
    let server = up.server(&["stream.backoff_min=50ms", "ws.ping_every=1s"]);
    let mut client = Frames::connect(&server.address);
    client.subscribe(&["AAAA"]);
    wanted(&up, "AAAA");
    for n in 0..5 {
        up.trader.stream.quote(&json!({"symbol": "AAAA", "n": n}));
        client.socket.read().unwrap();
    }
    client.ping("here");
    client.pong();
    let _flood = Flood::start(&up, &["AAAA"], 1_000);
    server.log_has("backend.log", "it took nothing for 10 s");
    eventually("it is gone", || {
        (server.get("/api/streaming/status").json()["clients"] == 0).then_some(())
    });
}

/// What a client does wrong, and the code of the close that it gets.
fn offences() -> Vec<(Vec<u8>, CloseCode)> {
    let mut too_long = vec![0x81, 0xff];
    too_long.extend(16_000_000_u64.to_be_bytes());
    too_long.extend([0; 4]);
    // All of it comes, as from a client that does not look before it has said everything.
    too_long.resize(too_long.len() + 16_000_000, b'x');
    vec![
        (too_long, CloseCode::Size),
        // Not masked.
        (b"\x81\x05hello".to_vec(), CloseCode::Protocol),
        // Reserved bits and opcode.
        (vec![0xff, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        // A ping in pieces.
        (vec![0x09, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        // More of a message that never began.
        (vec![0x80, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        // A close with half a code.
        (vec![0x88, 0x81, 0, 0, 0, 0, 3], CloseCode::Protocol),
        // Not UTF-8.
        (vec![0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe], CloseCode::Invalid),
    ]
}

#[test]
fn what_breaks_the_protocol_is_closed_with_its_own_code_also_after_messages() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    for round in 0..20 {
        for (bytes, code) in offences() {
            // A long message once is enough.
            if code == CloseCode::Size && round > 1 {
                continue;
            }
            let mut client = Frames::connect(&server.address);
            // As many words of ours as there are rounds may be on their way when the offence comes.
            for _ in 0..round {
                client.socket.send(Message::text("nonsense")).unwrap();
                client.ping("before");
            }
            client.socket.get_mut().write_all(&bytes).unwrap();
            assert_eq!(
                client.close_code(),
                code,
                "round {round}, {} bytes",
                bytes.len()
            );
        }
    }
}

#[test]
fn a_client_that_closes_gets_its_own_code_back_after_all_that_it_asked() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let mut client = Frames::connect(&server.address);
    for n in 0..10 {
        client.ping(&n.to_string());
    }
    let close = tungstenite::protocol::CloseFrame {
        code: CloseCode::from(3_333),
        reason: "enough".into(),
    };
    client.socket.close(Some(close)).unwrap();
    for n in 0..10 {
        assert_eq!(client.pong(), n.to_string());
    }
    assert_eq!(client.close_code(), CloseCode::from(3_333));
}

/// A handshake without the line of this name, and with these instead.
fn handshake(address: &str, without: &str, instead: &[&str]) -> Got {
    let lines = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let mut request = format!("GET /api/ws/quotes HTTP/1.1\r\nHost: {address}\r\n");
    let kept = lines.iter().filter(|line| !line.starts_with(without));
    for line in kept.chain(instead) {
        request.push_str(&format!("{line}\r\n"));
    }
    say(address, format!("{request}\r\n").as_bytes())
}

#[test]
fn a_handshake_that_will_not_do_is_told_what_would() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let address = &server.address;
    let to_upgrade = [
        ("plain GET", server.get("/api/ws/quotes")),
        ("with a slash", server.get("/api/ws/quotes/")),
        ("written otherwise", server.get("/api/ws/%71uotes")),
        ("HEAD", server.ask("HEAD", "/api/ws/quotes")),
        ("no Upgrade", handshake(address, "Upgrade", &[])),
        ("no Connection", handshake(address, "Connection", &["Connection: close"])),
        ("another protocol", handshake(address, "Upgrade", &["Upgrade: h2c"])),
        ("version 8", handshake(address, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"])),
        (
            "a proxy of HTTP/1.0",
            say(address, b"GET /api/ws/quotes HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
        ),
    ];
    for (what, got) in to_upgrade {
        assert_eq!(got.status, 426, "{what}: {}", got.head);
        assert_eq!(got.header("Upgrade"), Some("websocket"), "{what}");
        assert_eq!(got.header("Sec-WebSocket-Version"), Some("13"), "{what}");
        assert!(
            got.head.contains("\r\nConnection: Upgrade"),
            "{what}: {}",
            got.head
        );
        if what != "HEAD" && what != "version 8" {
            assert!(got.detail().contains("proxy"), "{what}: {}", got.detail());
        }
    }
}

#[test]
fn a_handshake_with_a_key_that_is_none_is_told_so() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    for key in [
        "",
        "Sec-WebSocket-Key: abc",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBtb3Jl",
    ] {
        let got = handshake(
            &server.address,
            "Sec-WebSocket-Key",
            &[key][usize::from(key.is_empty())..],
        );
        assert_eq!(got.status, 400, "{key}: {}", got.head);
        assert!(
            got.detail().contains("Sec-WebSocket-Key"),
            "{}",
            got.detail()
        );
    }
}

#[test]
fn the_stream_is_asked_for_by_get_and_says_so() {
    let up = Upstreams::start();
    let server = up.server(QUICK);
    let wrong_method = server.ask("POST", "/api/ws/quotes");
    assert_eq!(
        (wrong_method.status, wrong_method.header("Allow").is_some()),
        (405, true)
    );
    assert_eq!(server.ask("OPTIONS", "/api/ws/quotes").status, 204);
}
