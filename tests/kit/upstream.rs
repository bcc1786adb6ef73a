//! The three upstreams, well-behaved until a test gives a path a fault.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::fake::{Asked, Fake, Then, answer, hang};
use super::server::Server;
use super::stream::SocketIo;

/// What an upstream does instead of answering well.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Takes the request and never answers.
    Hang,
    /// Closes without a word.
    Drop,
    /// Promises a body and closes in the middle of it.
    Truncated,
    /// Bytes that are no HTTP.
    Garbage,
    /// 200 with a web page.
    Html,
    /// 200 with JSON that ends too early, whole as HTTP.
    HalfJson,
    /// A body of one byte a second.
    Drip,
    /// 100 MB.
    Huge,
    /// Says that it is gzip, and is not.
    BadGzip,
    /// This status, header and body.
    Status(u16, Option<(&'static str, &'static str)>, &'static str),
    /// The good answer, this much later.
    Slow(Duration),
}

/// Faults that any client of HTTP must survive, each with a name.
pub const BROKEN: [Fault; 6] = [
    Fault::Drop,
    Fault::Truncated,
    Fault::Garbage,
    Fault::Html,
    Fault::HalfJson,
    Fault::BadGzip,
];

/// Paths (by their beginning) with a fault from a request's number on.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<Vec<(String, usize, Fault)>>>);

impl Faults {
    fn of(&self, asked: &Asked) -> Option<Fault> {
        let faults = self.0.lock().unwrap();
        let is_of = |(path, nth, _): &&(String, usize, Fault)| {
            is_below(&asked.target, path) && asked.nth >= *nth
        };
        faults
            .iter()
            .rev()
            .find(is_of)
            .map(|(.., fault)| fault.clone())
    }

    /// Does what the fault says; nothing where a good answer is still due.
    fn apply(&self, asked: &Asked, stream: &mut TcpStream) -> Option<Then> {
        let then = match self.of(asked)? {
            Fault::Hang => hang(stream),
            Fault::Drop => Then::Close,
            Fault::Truncated => {
                write(
                    stream,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{\"a\":",
                );
                Then::Close
            }
            Fault::Garbage => {
                write(stream, b"\x00\xff\x13 not http at all\r\n\r\n");
                Then::Close
            }
            Fault::Html => {
                write(
                    stream,
                    &answer(
                        "200 OK",
                        &[("Content-Type", "text/html")],
                        "<html>Access Denied</html>",
                    ),
                );
                Then::KeepAlive
            }
            Fault::HalfJson => {
                write(
                    stream,
                    &answer("200 OK", &[], "{\"candles\": [{\"open\": 1."),
                );
                Then::KeepAlive
            }
            Fault::BadGzip => {
                write(
                    stream,
                    &answer(
                        "200 OK",
                        &[("Content-Encoding", "gzip")],
                        "{\"no\":\"gzip\"}",
                    ),
                );
                Then::KeepAlive
            }
            Fault::Drip => {
                write(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
                while stream.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_secs(1));
                }
                Then::Close
            }
            Fault::Huge => {
                write(
                    stream,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
                );
                let megabyte = vec![b' '; 1_000_000];
                for _ in 0..100 {
                    if stream.write_all(&megabyte).is_err() {
                        break;
                    }
                }
                Then::Close
            }
            Fault::Status(code, header, body) => {
                let headers: Vec<(&str, &str)> = header.into_iter().collect();
                write(stream, &answer(&format!("{code} Said So"), &headers, body));
                Then::KeepAlive
            }
            Fault::Slow(time) => {
                std::thread::sleep(time);
                return None;
            }
        };
        Some(then)
    }
}

/// Whether a target begins so; one for a list of quotes also where another's would.
fn is_below(target: &str, path: &str) -> bool {
    let of_list = |path: &str| {
        let asked = target.strip_prefix(LIST)?;
        let begin = path.strip_prefix(LIST)?;
        Some(asked.split("%2C").any(|name| name.starts_with(begin)))
    };
    target.starts_with(path) || of_list(path) == Some(true)
}

fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let _gone = stream.write_all(bytes);
}

fn json_answer(stream: &mut TcpStream, body: &Value) -> Then {
    write(
        stream,
        &answer(
            "200 OK",
            &[("Content-Type", "application/json")],
            body.to_string(),
        ),
    );
    Then::KeepAlive
}

/// What every upstream of the tests can do.
pub struct Upstream {
    pub fake: Fake,
    faults: Faults,
}

impl Upstream {
    /// None where the machine does not have this address.
    fn start_at(
        address: &str,
        good: impl Fn(&Asked, &mut TcpStream) -> Then + Send + Sync + 'static,
    ) -> Option<Self> {
        let faults = Faults::default();
        let mine = faults.clone();
        let fake = Fake::start_at(address, move |asked, stream| {
            mine.apply(asked, stream)
                .unwrap_or_else(|| good(asked, stream))
        })?;
        Some(Self { fake, faults })
    }

    /// Everything below this path has this fault from now on.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.faults
            .0
            .lock()
            .unwrap()
            .push((path.to_owned(), 0, fault));
    }

    /// From the `nth` request on (from 0) everything below this path has this fault.
    pub fn turn(&self, path: &str, nth: usize, fault: Fault) {
        let turn = (path.to_owned(), nth, fault);
        self.faults.0.lock().unwrap().push(turn);
    }

    /// All faults end. Requests that hang are dropped.
    pub fn heal(&self) {
        self.faults.0.lock().unwrap().clear();
    }

    /// How many requests came for paths that begin so.
    pub fn count(&self, path: &str) -> usize {
        let asked = self.fake.asked();
        asked.iter().filter(|a| is_below(&a.target, path)).count()
    }
}

/// What asks for a list of quotes begins so.
pub const LIST: &str = "/quotes?symbols=";

/// Schwab's market data: every symbol but those that begin with `NO`, which it does not know, and with
/// `EMPTY`, which nobody traded, has candles, one a minute from the start that was asked for until now. Its quotes have the price that was said last, just traded.
pub struct Schwab(pub Upstream, Arc<Mutex<f64>>, Arc<AtomicBool>);

impl Schwab {
    fn start_at(address: &str) -> Option<Self> {
        let price = Arc::new(Mutex::new(2.5));
        let said = Arc::clone(&price);
        let no_lists = Arc::new(AtomicBool::new(false));
        let one_by_one = Arc::clone(&no_lists);
        let upstream = Upstream::start_at(address, move |asked, stream| {
            let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
            let body = if path == "/pricehistory" {
                let field = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name));
                let start = field("startDate=").map_or(0, |ms| ms.parse().unwrap());
                candles(field("symbol=").unwrap_or_default(), start)
            } else if let Some(list) = asked.target.strip_prefix(LIST) {
                if one_by_one.load(Ordering::SeqCst) {
                    write(stream, &answer("404 Not Found", &[], "{}"));
                    return Then::KeepAlive;
                }
                let symbols: Vec<String> = list.split("%2C").map(decoded).collect();
                quotes(&symbols, *said.lock().unwrap())
            } else {
                let symbol = path.trim_start_matches('/').trim_end_matches("/quotes");
                quotes(&[decoded(symbol)], *said.lock().unwrap())
            };
            json_answer(stream, &body)
        })?;
        Some(Self(upstream, price, no_lists))
    }

    /// From now on it knows `/{symbol}/quotes` alone, as some stand-ins do.
    pub fn knows_no_lists(&self) {
        self.2.store(true, Ordering::SeqCst);
    }

    /// How many questions for quotes named a symbol that begins so, in either form.
    pub fn quotes_of(&self, symbol: &str) -> usize {
        self.0.count(&format!("{LIST}{symbol}")) + self.0.count(&format!("/{symbol}"))
    }

    /// The last price of every quote from now on.
    pub fn says(&self, price: f64) {
        *self.1.lock().unwrap() = price;
    }
}

/// The wall clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A symbol as it stands in a path or a query, without its escapes.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

fn candles(symbol: &str, start_ms: i64) -> Value {
    if symbol.starts_with("NO") || symbol.starts_with("EMPTY") {
        return json!({"symbol": symbol, "empty": true, "candles": []});
    }
    let zero = symbol.starts_with("ZERO");
    let list: Vec<Value> = (0..120)
        .map(|n| (n, start_ms + n * 60_000))
        .take_while(|(n, at)| *n == 0 || *at < now_ms())
        .map(|(n, at)| {
            let p = if zero { 0.0 } else { 2.0 + 0.01 * n as f64 };
            json!({"open": p, "high": p, "low": p, "close": p, "volume": 100, "datetime": at})
        })
        .collect();
    json!({"symbol": symbol, "empty": false, "candles": list})
}

fn quotes(symbols: &[String], price: f64) -> Value {
    let (unknown, known): (Vec<&String>, Vec<&String>) =
        symbols.iter().partition(|symbol| symbol.starts_with("NO"));
    let mut body = serde_json::Map::new();
    for symbol in known {
        let quote = json!({"quote": {"lastPrice": price, "bidPrice": price - 0.01, "askPrice": price + 0.01, "totalVolume": 12_000,
            "quoteTime": now_ms(), "tradeTime": now_ms()}, "reference": {}});
        body.insert(symbol.clone(), quote);
    }
    if !unknown.is_empty() {
        body.insert("errors".into(), json!({"invalidSymbols": unknown}));
    }
    Value::Object(body)
}

/// The trader app: REST and Socket.IO.
pub struct Trader {
    pub http: Upstream,
    pub stream: SocketIo,
}

impl Trader {
    fn start_at(address: &str) -> Option<Self> {
        let stream = SocketIo::default();
        let mine = stream.clone();
        let http = Upstream::start_at(address, move |asked, tcp| {
            let body = match asked.target.as_str() {
                "/api/watchlist" => {
                    json!([{"symbol": "TOYO", "gap_percent": 40.5, "odd": {"kept": 1}}, {"symbol": "ELPW"}])
                }
                "/api/vwap" => json!({"TOYO": {"symbol": "TOYO", "vwap": 2.4, "source": "stream"}}),
                path if path.starts_with("/api/vwap/") => {
                    json!({"symbol": &path[10..], "vwap": 2.4, "source": "stream"})
                }
                "/api/streaming/health" => {
                    json!({"connected": true, "last_message_seconds_ago": 0.5, "watchdog_kills": 0, "stats": {"quotes": 7}})
                }
                "/api/streaming/rotation" => {
                    json!({"enabled": true, "priority_count": 1, "priority_symbols": [{"symbol": "TOYO", "reason": "volume"}]})
                }
                "/api/signals" => json!([{"symbol": "TOYO", "pattern": "vwap_bounce"}]),
                "/api/positions" => json!([{"symbol": "TOYO", "shares": 100}]),
                path if path.starts_with("/socket.io/") => return mine.serve(asked, tcp),
                _ => {
                    write(tcp, &answer("404 Not Found", &[], "{}"));
                    return Then::KeepAlive;
                }
            };
            json_answer(tcp, &body)
        })?;
        Some(Self { http, stream })
    }
}

/// An Ollama server that says buy.
pub struct Model(pub Upstream);

impl Model {
    fn start_at(address: &str) -> Option<Self> {
        let upstream = Upstream::start_at(address, |asked, stream| {
            let body = if asked.target == "/api/tags" {
                json!({"models": [{"name": "llama3.1:latest", "model": "llama3.1:latest"}]})
            } else {
                let verdict = json!({"signal": "buy", "entry_price": 2.5, "stop_price": 2.3, "target_price": 3.1,
                    "confidence": 70, "reasoning": ["volume"], "key_concern": "spread"});
                json!({"response": verdict.to_string(), "done": true})
            };
            json_answer(stream, &body)
        });
        upstream.map(Self)
    }
}

/// All three and the files, and the server's arguments that point at them.
pub struct Upstreams {
    pub schwab: Schwab,
    pub trader: Trader,
    pub model: Model,
    /// `runners.json`, `paper_trading/trade_outcomes.jsonl` and `token.json`.
    pub files: tempfile::TempDir,
}

impl Upstreams {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0").unwrap()
    }

    /// As above, all at this address with port 0; none where the machine does not have it.
    pub fn start_at(address: &str) -> Option<Self> {
        let upstreams = Self {
            schwab: Schwab::start_at(address)?,
            trader: Trader::start_at(address)?,
            model: Model::start_at(address)?,
            files: tempfile::tempdir().unwrap(),
        };
        upstreams.write_token("first-token");
        std::fs::create_dir(upstreams.file("paper_trading")).unwrap();
        std::fs::write(upstreams.trades(), "{\"n\":1}\nnot json\n{\"n\":2}\n").unwrap();
        std::fs::write(
            upstreams.file("runners.json"),
            r#"{"version":1,"active_runners":[{"symbol":"TOYO"}]}"#,
        )
        .unwrap();
        Some(upstreams)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub fn trades(&self) -> PathBuf {
        self.file("paper_trading/trade_outcomes.jsonl")
    }

    /// Replaces the token file in one step, as login programs do.
    pub fn write_token(&self, token: &str) {
        let body = json!({"creation_timestamp": now_ms() / 1000, "token": {"access_token": token, "refresh_token": "r", "expires_in": 1800, "expires_at": now_ms() / 1000 + 1800}});
        std::fs::write(self.file("token.new"), body.to_string()).unwrap();
        std::fs::rename(self.file("token.new"), self.file("token.json")).unwrap();
    }

    /// The arguments that point a server at them.
    pub fn args(&self) -> Vec<String> {
        [
            ("--schwab-url", self.schwab.0.fake.url()),
            ("--trader-url", self.trader.http.fake.url()),
            ("--model-url", self.model.0.fake.url()),
            (
                "--token-file",
                self.file("token.json").display().to_string(),
            ),
            ("--data-dir", self.files.path().display().to_string()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// A server that is connected to them, with further `KEY=VALUE` settings.
    pub fn server(&self, settings: &[&str]) -> Server {
        let mut args = self.args();
        for setting in settings {
            args.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Server::start(&args)
    }

    /// Every upstream has this fault from now on, for everything.
    pub fn fault(&self, fault: &Fault) {
        for upstream in [&self.schwab.0, &self.trader.http, &self.model.0] {
            upstream.fault("/", fault.clone());
        }
    }

    /// All faults end, and what hangs is dropped.
    pub fn heal(&self) {
        for upstream in [&self.schwab.0, &self.trader.http, &self.model.0] {
            upstream.heal();
            upstream.fake.close_connections();
        }
    }
}
