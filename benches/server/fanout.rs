//! The quote stream: from the trader app's stamp on a quote to a client's receipt of it.
//!
//! The source sends in bursts each millisecond, every quote with its own time; the receiver is one
//! thread with epoll that reads frames and looks at the stamp, nothing more.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;

use super::kit::stream::SocketIo;
use super::load::quantile;
use super::options::Options;
use super::peers;
use super::process::{Process, my_cpu};
use super::upstream::World;

/// Symbols that every client follows; three characters each.
const SYMBOLS: usize = 100;

/// After the last quote, how long is waited for those under way.
const DRAIN: Duration = Duration::from_millis(500);

const PATIENCE: Duration = Duration::from_secs(20);

const STAMP: &[u8] = b"\"sent_ns\":";

/// What a point gave.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Quotes a second that the source really sent.
    pub rate: f64,
    pub expected: u64,
    pub received: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
    /// CPU of the server for each message to a client.
    pub server_us: f64,
    /// CPU of the receiver for each message.
    pub client_us: f64,
}

struct Client {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Client {
    fn connect(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let head = format!(
            "GET /api/ws/quotes HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("a handshake");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).expect("its answer"), 1);
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        let mut client = Self {
            stream,
            got: Vec::with_capacity(1 << 17),
        };
        let symbols: Vec<String> = (0..SYMBOLS).map(symbol).collect();
        let wish = serde_json::json!({"action": "subscribe", "symbols": symbols}).to_string();
        client.say(TEXT, wish.as_bytes());
        client.stream.set_nonblocking(true).expect("non-blocking");
        client
    }

    /// A masked frame with a mask of zeros. The socket's buffer has room for the few that a client sends.
    fn say(&mut self, first: u8, payload: &[u8]) {
        let length = u16::try_from(payload.len()).expect("a short payload");
        let mut frame = vec![first, 0x80 | 126];
        if length < 126 {
            frame[1] = 0x80 | payload.len() as u8;
        } else {
            frame.extend(length.to_be_bytes());
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).expect("the server takes it");
    }

    /// Hands every whole message's text to `see`, and answers pings as every client does.
    fn take(&mut self, buffer: &mut [u8], mut see: impl FnMut(&[u8])) {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => panic!("the server closed a stream"),
                Ok(n) => self.got.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("reading a stream failed: {e}"),
            }
            let mut at = 0;
            let mut pings: Vec<Vec<u8>> = Vec::new();
            while let Some((payload, end)) = frame(&self.got[at..]) {
                let text = &self.got[at + payload..at + end];
                match self.got[at] {
                    PING => pings.push(text.to_vec()),
                    _ => see(text),
                }
                at += end;
            }
            self.got.drain(..at);
            for ping in pings {
                self.say(PONG, &ping);
            }
        }
    }
}

/// The first bytes of whole frames.
const TEXT: u8 = 0x81;
/// As above.
const PING: u8 = 0x89;
/// As above.
const PONG: u8 = 0x8A;

/// Where the payload of the first frame begins and ends, if it is whole.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let length = *bytes.get(1)?;
    let (begin, length) = match length {
        126 => {
            let l = bytes.get(2..4)?.try_into().ok()?;
            (4, usize::from(u16::from_be_bytes(l)))
        }
        127 => {
            let l = bytes.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(l)).ok()?)
        }
        short => (2, usize::from(short)),
    };
    (bytes.len() >= begin + length).then_some((begin, begin + length))
}

/// The stamp in a quote's text.
fn stamp(text: &[u8]) -> Option<u64> {
    // Where it stands when fields keep their order, else wherever it is.
    let usual = br#"{"type":"quote","symbol":"S00","#.len();
    let at = if text.get(usual..)?.starts_with(STAMP) {
        usual
    } else {
        text.windows(STAMP.len()).position(|w| w == STAMP)?
    };
    let digits = &text[at + STAMP.len()..];
    let mut value = 0;
    for digit in digits.iter().take_while(|b| b.is_ascii_digit()) {
        value = value * 10 + u64::from(digit - b'0');
    }
    Some(value)
}

fn symbol(n: usize) -> String {
    format!("S{n:02}")
}

/// Sends `rate` quotes a second for `time`; gives how many.
fn send(stream: &SocketIo, epoch: Instant, rate: u64, time: Duration) -> u64 {
    let began = Instant::now();
    let mut sent = 0_u64;
    loop {
        let elapsed = began.elapsed();
        let due = (elapsed.min(time).as_micros() * u128::from(rate) / 1_000_000) as u64;
        while sent < due {
            let n = sent as usize % SYMBOLS;
            let stamp = epoch.elapsed().as_nanos();
            let cents = 200 + sent % 300;
            let price = cents as f64 / 100.0;
            stream.say(&format!(
                "42[\"quote_update\",{{\"symbol\":\"{}\",\"sent_ns\":{stamp},\"last_price\":{price},\"bid_price\":{:.2},\"ask_price\":{:.2},\"total_volume\":{},\"last_size\":100,\"high_price\":5.5,\"low_price\":1.9,\"open_price\":2.1,\"net_change\":0.4,\"quote_time_ms\":1770000000000,\"trade_time_ms\":1770000000000}}]",
                symbol(n), price - 0.01, price + 0.01, 100_000 + sent * 100
            ));
            sent += 1;
        }
        if elapsed >= time {
            return sent;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts a server that streams a world's quotes.
type Start<'a> = Box<dyn Fn(&World) -> Process + 'a>;

/// Streams to this many clients.
pub fn measure(
    world: &World,
    server: &Process,
    clients: usize,
    rate: u64,
    time: Duration,
) -> Point {
    let epoch = Instant::now();
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll");
    let mut all: Vec<Client> = (0..clients)
        .map(|n| {
            let client = Client::connect(&server.address);
            let data = EventData::new_u64(n as u64);
            epoll::add(&epoll, &client.stream, data, EventFlags::IN).expect("room");
            client
        })
        .collect();
    let by = Instant::now() + PATIENCE;
    while world.stream.subscribed().len() < SYMBOLS {
        assert!(Instant::now() < by, "the server did not subscribe upstream");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Every session's wish has reached the hub.
    std::thread::sleep(Duration::from_millis(300));
    let warm_up = time / 5;
    let counted = Arc::new(AtomicU64::new(u64::MAX));
    let from_ns = Arc::new(AtomicU64::new(u64::MAX));
    let source = std::thread::spawn({
        let stream = world.stream.clone();
        let (counted, from_ns) = (Arc::clone(&counted), Arc::clone(&from_ns));
        move || {
            send(&stream, epoch, rate, warm_up);
            from_ns.store(epoch.elapsed().as_nanos() as u64, Ordering::SeqCst);
            let sent = send(&stream, epoch, rate, time);
            counted.store(sent, Ordering::SeqCst);
        }
    });
    let mut times: Vec<u32> = Vec::with_capacity(1 << 20);
    let mut buffer = vec![0; 1 << 16];
    let mut events = Vec::with_capacity(clients);
    let mut cpu: Option<(Duration, Duration)> = None;
    let mut last = Instant::now();
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    loop {
        events.clear();
        match epoll::wait(
            &epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&tick),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => panic!("epoll failed: {e}"),
        }
        let from = from_ns.load(Ordering::SeqCst);
        if from != u64::MAX && cpu.is_none() {
            cpu = Some((server.cpu(), my_cpu()));
        }
        for event in &events {
            let client = &mut all[usize::try_from(event.data.u64()).expect("an index")];
            client.take(&mut buffer, |text| {
                let Some(sent) = stamp(text) else { return };
                if sent >= from {
                    let now = epoch.elapsed().as_nanos() as u64;
                    times.push(u32::try_from(now - sent).unwrap_or(u32::MAX));
                }
            });
            last = Instant::now();
        }
        if counted.load(Ordering::SeqCst) != u64::MAX && last.elapsed() > DRAIN {
            break;
        }
    }
    source.join().expect("the source");
    assert!(!times.is_empty(), "{} clients got no quote", clients);
    let (server_cpu, client_cpu) = cpu.expect("it was counted");
    let (server_cpu, client_cpu) = (server.cpu() - server_cpu, my_cpu() - client_cpu);
    times.sort_unstable();
    let sent = counted.load(Ordering::SeqCst);
    let messages = times.len() as f64;
    Point {
        rate: sent as f64 / time.as_secs_f64(),
        expected: sent * clients as u64,
        received: times.len() as u64,
        p50_us: quantile(&times, 0.5),
        p99_us: quantile(&times, 0.99),
        max_us: quantile(&times, 1.0),
        server_us: server_cpu.as_secs_f64() * 1e6 / messages,
        client_us: client_cpu.as_secs_f64() * 1e6 / messages,
    }
}

/// The row of a point's medians.
pub fn row(points: &[Point], options: &Options) -> String {
    let of = |f: fn(&Point) -> f64| options.median(points.iter().map(f).collect());
    format!(
        "{:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2}",
        of(|p| p.rate),
        of(|p| p.received as f64),
        of(|p| p.expected.saturating_sub(p.received) as f64),
        of(|p| p.p50_us),
        of(|p| p.p99_us),
        of(|p| p.max_us),
        of(|p| p.server_us),
        of(|p| p.client_us),
    )
}

pub const COLUMNS: &str = "sent/s | delivered | conflated | p50 µs | p99 µs | max µs | server CPU µs each | client CPU µs each";

/// The section. The async peer hands every quote on as it came; the product merges it into the symbol's
/// whole state, builds candles from it, and conflates for who does not keep up.
pub fn run(options: &Options) {
    println!(
        "Fan-out: {SYMBOLS} symbols, every client follows all; from the source's stamp to the client's receipt.\n"
    );
    println!("| server | clients | quotes/s | {COLUMNS} |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let clients: &[usize] = if options.quick { &[20] } else { &[1, 20, 100] };
    let rates: &[u64] = if options.quick {
        &[2_000]
    } else {
        &[1_000, 2_000, 5_000]
    };
    let time = options.point * 2;
    let mut servers: Vec<(&str, Start)> = Vec::new();
    for (name, program) in &options.products {
        let start = Box::new(|world: &World| world.product(program, &[]));
        servers.push((name.as_str(), start));
    }
    if !options.alone {
        let peer = peers::build();
        let start = Box::new(move |world: &World| peers::broadcast(&peer, &world.trader()));
        servers.push(("axum, broadcast", start));
    }
    for clients in clients {
        for rate in rates {
            if !options.has_case(&format!("{clients} x {rate}")) {
                continue;
            }
            let mut points: Vec<Vec<Point>> = servers.iter().map(|_| Vec::new()).collect();
            for _round in 0..options.rounds {
                for ((_, start), points) in servers.iter().zip(&mut points) {
                    let world = World::start();
                    let server = start(&world);
                    points.push(measure(&world, &server, *clients, *rate, time));
                }
            }
            for ((name, _), points) in servers.iter().zip(&points) {
                println!("| {name} | {clients} | {rate} | {} |", row(points, options));
            }
        }
    }
    println!();
}
