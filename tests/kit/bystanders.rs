//! Those who must not notice a fault: a client for each route, polling, and ten streams at 1,000 quotes a
//! second. Every answer and every quote is recorded, by phase.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Quotes;
use super::routes::{CLIENTS_GIVE_UP, NEW, Part, ROUTES, Route, VERDICT_WITHIN};
use super::stream::SocketIo;

/// How one request ended.
#[derive(Clone, Debug)]
pub struct Sample {
    pub route: usize,
    pub phase: usize,
    pub began: Instant,
    pub took: Duration,
    /// The status, or what went wrong below HTTP.
    pub outcome: Result<u16, String>,
    /// An error's sentence.
    pub detail: Option<String>,
    pub stale: bool,
}

/// What one stream met.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A batch of quotes: how many, the slowest's time from the source in µs, how many came out of order.
    Quotes(usize, u64, usize),
    /// The source's state.
    Status(bool),
    /// The stream ended.
    Ended(String),
}

/// What was recorded.
#[derive(Default)]
pub struct Records {
    pub samples: Vec<Sample>,
    /// When, in which phase, by which client.
    pub heard: Vec<(Instant, usize, usize, Heard)>,
    /// Quotes that the source sent, by phase.
    pub sent: BTreeMap<usize, usize>,
    /// How long an echo within the test's own process took, by phase: what the machine itself adds.
    pub echoes: Vec<(usize, Duration)>,
}

enum Record {
    Sample(Sample),
    Heard(Instant, usize, usize, Heard),
    Sent(usize, usize),
    Echo(usize, Duration),
}

/// How much they do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Of each route's client, between an answer and the next request.
    pub pause: Duration,
    /// Streaming clients.
    pub streams: usize,
    /// From the source, over all symbols; 0 where the source has its own pace.
    pub quotes_per_second: usize,
    /// Whether routes with symbols that are new each time are polled: the embedded market has none.
    pub new_symbols: bool,
    /// What is never well: routes that need it are polled all the same.
    pub broken: &'static [Part],
}

impl Load {
    /// The routes that are polled, each with its place in the list of all.
    pub fn polled(&self) -> impl Iterator<Item = (usize, &'static Route)> + use<> {
        let new_symbols = self.new_symbols;
        ROUTES.iter().enumerate().filter(move |(_, route)| {
            route.not_polled.is_none() && (new_symbols || !route.path.contains(NEW))
        })
    }
}

impl Default for Load {
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(100),
            streams: 10,
            quotes_per_second: 1_000,
            new_symbols: true,
            broken: &[],
        }
    }
}

/// The symbols that streams want; the embedded market trades them.
pub const STREAMED: [&str; 10] = [
    "TOYO", "ELPW", "VRLK", "MQZT", "JOLV", "KZPR", "WNDQ", "GLYX", "HXTA", "NUVQ",
];

/// The running load. Dropping it ends it.
pub struct Bystanders {
    over: Arc<AtomicBool>,
    phase: Arc<Mutex<usize>>,
    records: Receiver<Record>,
    kept: Records,
    threads: Vec<JoinHandle<()>>,
}

impl Bystanders {
    /// Starts them; `source` is where quotes come from, if a test makes them.
    pub fn start(address: &str, load: Load, source: Option<SocketIo>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let phase = Arc::new(Mutex::new(0));
        let (tell, records) = channel();
        let base = Instant::now();
        let mut threads = Vec::new();
        for (route, polled) in load.polled() {
            let (over, phase, tell) = (over.clone(), phase.clone(), tell.clone());
            let address = address.parse().unwrap();
            threads.push(thread::spawn(move || {
                let mut client = Client::new(address);
                for n in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let phase_now = *phase.lock().unwrap();
                    let mut sample = client.ask(polled, n);
                    sample.route = route;
                    sample.phase = phase_now;
                    let _late = tell.send(Record::Sample(sample));
                    thread::sleep(load.pause);
                }
            }));
        }
        for client in 0..load.streams {
            let (over, phase, tell) = (over.clone(), phase.clone(), tell.clone());
            let address = address.to_owned();
            threads.push(thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    listen(&address, base, &over, |heard| {
                        let now = *phase.lock().unwrap();
                        let _late = tell.send(Record::Heard(Instant::now(), now, client, heard));
                    });
                    thread::sleep(Duration::from_millis(200));
                }
            }));
        }
        threads.push(thread::spawn({
            let (over, phase, tell) = (over.clone(), phase.clone(), tell.clone());
            move || {
                let (mut near, mut far) = echo();
                thread::spawn(move || {
                    let mut byte = [0];
                    while far
                        .read_exact(&mut byte)
                        .and_then(|()| far.write_all(&byte))
                        .is_ok()
                    {}
                });
                while !over.load(Ordering::SeqCst) {
                    let (now, began) = (*phase.lock().unwrap(), Instant::now());
                    near.write_all(&[1]).unwrap();
                    near.read_exact(&mut [0]).unwrap();
                    let _late = tell.send(Record::Echo(now, began.elapsed()));
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }));
        if let Some(source) = source.filter(|_| load.quotes_per_second > 0) {
            let (over, phase) = (over.clone(), phase.clone());
            threads.push(thread::spawn(move || {
                feed(&source, base, load.quotes_per_second, &over, |n| {
                    let _late = tell.send(Record::Sent(*phase.lock().unwrap(), n));
                });
            }));
        }
        Self {
            over,
            phase,
            records,
            kept: Records::default(),
            threads,
        }
    }

    /// Whatever begins from here on is of this phase.
    pub fn begin_phase(&self, phase: usize) {
        *self.phase.lock().unwrap() = phase;
    }

    /// Everything so far.
    pub fn records(&mut self) -> &Records {
        for record in self.records.try_iter() {
            match record {
                Record::Sample(sample) => self.kept.samples.push(sample),
                Record::Heard(at, phase, client, heard) => {
                    self.kept.heard.push((at, phase, client, heard));
                }
                Record::Echo(phase, took) => self.kept.echoes.push((phase, took)),
                Record::Sent(phase, n) => *self.kept.sent.entry(phase).or_default() += n,
            }
        }
        &self.kept
    }

    /// Forgets what was recorded.
    pub fn forget(&mut self) {
        self.records();
        self.kept = Records::default();
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

/// Both ends of a connection within this process.
fn echo() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    for end in [&near, &far] {
        end.set_nodelay(true).unwrap();
    }
    (near, far)
}

/// A client with one connection that it keeps, as browsers do.
struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    fn ask(&mut self, polled: &Route, n: usize) -> Sample {
        let path = polled.path.replace(NEW, &format!("NEW{n}"));
        let request = format!(
            "{} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            polled.method
        );
        let began = Instant::now();
        // Never asked again: none of them is idle for as long as a connection may be.
        let got = self.answer(&request);
        let took = began.elapsed();
        let (outcome, detail, stale) = match got {
            Ok((status, head, body)) => {
                let why_stale = head.lines().find_map(|l| l.strip_prefix("x-data-stale: "));
                let detail = if status == 200 {
                    why_stale.map(str::to_owned)
                } else {
                    serde_json::from_slice::<Value>(&body)
                        .ok()
                        .and_then(|v| v["detail"].as_str().map(str::to_owned))
                };
                (Ok(status), detail, head.contains("x-data-stale"))
            }
            Err(e) => {
                self.stream = None;
                (Err(e), None, false)
            }
        };
        Sample {
            route: 0,
            phase: 0,
            began,
            took,
            outcome,
            detail,
            stale,
        }
    }

    fn answer(&mut self, request: &str) -> Result<(u16, String, Vec<u8>), String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect_timeout(&self.address, CLIENTS_GIVE_UP)
                    .map_err(|e| format!("connecting: {e}"))?;
                stream.set_nodelay(true).unwrap();
                let patience = VERDICT_WITHIN + Duration::from_secs(5);
                stream.set_read_timeout(Some(patience)).unwrap();
                stream.set_write_timeout(Some(patience)).unwrap();
                BufReader::new(stream)
            }
        };
        let early = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                "no answer in time".to_owned()
            }
            _ => format!("closed before an answer: {e}"),
        };
        stream
            .get_mut()
            .write_all(request.as_bytes())
            .map_err(early)?;
        let mut head = String::new();
        loop {
            let before = head.len();
            let n = stream.read_line(&mut head).map_err(early)?;
            if n == 0 {
                return Err("closed before an answer".to_owned());
            }
            if &head[before..] == "\r\n" {
                break;
            }
        }
        // Names only: values are read by people.
        let head: String = head
            .lines()
            .map(|l| match l.split_once(": ") {
                Some((name, value)) => format!("{}: {value}\n", name.to_ascii_lowercase()),
                None => format!("{l}\n"),
            })
            .collect();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .ok_or_else(|| format!("no status in {head}"))?;
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        stream
            .read_exact(&mut body)
            .map_err(|e| format!("in the body: {e}"))?;
        if !head.contains("connection: close") {
            self.stream = Some(stream);
        }
        Ok((status, head, body))
    }
}

/// Sends so many quotes a second, numbered by symbol and stamped with the time since `base`.
fn feed(
    source: &SocketIo,
    base: Instant,
    per_second: usize,
    over: &AtomicBool,
    told: impl Fn(usize),
) {
    let batch = (per_second / 100).max(1);
    let (mut n, mut due) = (0, Instant::now());
    while !over.load(Ordering::SeqCst) {
        for _ in 0..batch {
            n += 1;
            let symbol = STREAMED[n % STREAMED.len()];
            source.quote(&json!({"symbol": symbol, "last_price": 2.5, "total_volume": n, "trade_time_ms": 1_700_000_000_000_u64 + n as u64, "n": n, "at_us": micros(base)}));
        }
        if source.clients() > 0 {
            told(batch);
        }
        due += Duration::from_millis(10);
        let now = Instant::now();
        // A source that was stopped does not make up for it.
        due = due.max(now.checked_sub(Duration::from_millis(100)).unwrap_or(now));
        thread::sleep(due.saturating_duration_since(now));
    }
}

fn micros(base: Instant) -> u64 {
    u64::try_from(base.elapsed().as_micros()).unwrap()
}

/// A number by its key, without reading all of the JSON: there are ten thousand a second.
fn number(text: &str, key: &str) -> Option<u64> {
    let at = text.find(key)? + key.len();
    let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
    text[at..at + digits].parse().ok()
}

/// One stream until it ends; batches of quotes are told twenty times a second.
fn listen(address: &str, base: Instant, over: &AtomicBool, told: impl Fn(Heard)) {
    let Ok(mut quotes) = Quotes::try_connect(address) else {
        told(Heard::Ended("it cannot connect".into()));
        return;
    };
    quotes.subscribe(&STREAMED);
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let (mut count, mut slowest, mut disorder) = (0, 0, 0);
    let mut telling = Instant::now();
    while !over.load(Ordering::SeqCst) {
        match quotes.next_text(Duration::from_millis(50)) {
            Ok(Some(text)) if text.contains("\"type\":\"quote\"") => {
                count += 1;
                if let (Some(n), Some(at)) = (number(&text, "\"n\":"), number(&text, "\"at_us\":"))
                {
                    slowest = slowest.max(micros(base).saturating_sub(at));
                    let symbol = text.split("\"symbol\":\"").nth(1).unwrap_or("");
                    let symbol = symbol.split('"').next().unwrap_or("").to_owned();
                    let before = last.insert(symbol, n);
                    disorder += usize::from(before.is_some_and(|b| b >= n));
                }
            }
            Ok(Some(text)) if text.contains("\"type\":\"status\"") => {
                told(Heard::Status(text.contains("true")));
            }
            Ok(_) => {}
            Err(e) => {
                told(Heard::Ended(e));
                return;
            }
        }
        if count > 0 && telling.elapsed() > Duration::from_millis(50) {
            told(Heard::Quotes(count, slowest, disorder));
            (count, slowest, disorder) = (0, 0, 0);
            telling = Instant::now();
        }
    }
}
