//! What the product asks: a provider with an exact number of candles, a trader app with an exact number
//! of quotes a second, and the trader's files. All of it can be made to hang.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::kit::fake::{Asked, Fake, Then, answer, hang};
use super::kit::stream::SocketIo;
use super::process::Process;

/// The world around a product.
pub struct World {
    schwab: Fake,
    trader: Fake,
    /// The trader app's stream.
    pub stream: SocketIo,
    hung: Arc<AtomicBool>,
    files: tempfile::TempDir,
}

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis())
}

fn say(stream: &mut TcpStream, body: &Value) -> Then {
    let json = [("Content-Type", "application/json")];
    match stream.write_all(&answer("200 OK", &json, body.to_string())) {
        Ok(()) => Then::KeepAlive,
        Err(_) => Then::Close,
    }
}

/// A symbol `C390` has 390 candles, one a minute from the start that was asked for.
fn history(target: &str) -> Value {
    let field = |name: &str| target.split(['?', '&']).find_map(|p| p.strip_prefix(name));
    let symbol = field("symbol=").unwrap_or("");
    let start: i64 = field("startDate=")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    let count = symbol.trim_start_matches(|c: char| !c.is_ascii_digit());
    let count: i64 = count.parse().unwrap_or(10);
    let candles: Vec<Value> = (0..count)
        .map(|n| {
            // Hundredths, and now and then a half of one, as prints below a dollar are.
            let base = 200 + n * 7 % 63;
            let price = |more: i64| (base + more) as f64 / 100.0;
            json!({"open": price(0), "high": price(4), "low": price(-3) - 0.005, "close": price(2),
                "volume": 1_000 + n * 37 % 9_000, "datetime": start + n * 60_000})
        })
        .collect();
    json!({"symbol": symbol, "empty": false, "candles": candles})
}

fn trader_answer(target: &str) -> Value {
    match target {
        "/api/watchlist" => (0..25)
            .map(|n| json!({"symbol": format!("W{n:02}"), "gap_percent": n, "float_millions": 4.5}))
            .collect(),
        "/api/vwap" => json!({"TOYO": {"vwap": 2.4}}),
        "/api/streaming/health" => json!({"connected": true}),
        "/api/streaming/rotation" => json!({"enabled": true}),
        "/api/signals" | "/api/positions" => json!([{"symbol": "TOYO"}]),
        _ => json!({"symbol": "TOYO", "vwap": 2.4, "source": "trader"}),
    }
}

impl World {
    pub fn start() -> Self {
        let hung = Arc::new(AtomicBool::new(false));
        let stream = SocketIo::default();
        let schwab_hung = Arc::clone(&hung);
        let schwab = Fake::start(move |asked: &Asked, tcp: &mut TcpStream| {
            if schwab_hung.load(Ordering::SeqCst) {
                return hang(tcp);
            }
            say(tcp, &history(&asked.target))
        });
        let (trader_hung, mine) = (Arc::clone(&hung), stream.clone());
        let trader = Fake::start(move |asked: &Asked, tcp: &mut TcpStream| {
            if asked.target.starts_with("/socket.io/") {
                return mine.serve(asked, tcp);
            }
            if trader_hung.load(Ordering::SeqCst) {
                return hang(tcp);
            }
            say(tcp, &trader_answer(&asked.target))
        });
        let files = tempfile::tempdir().expect("a folder");
        let world = Self {
            schwab,
            trader,
            stream,
            hung,
            files,
        };
        let path = |name: &str| world.files.path().join(name);
        let token = json!({"creation_timestamp": now_ms() / 1000, "token": {"access_token": "t", "refresh_token": "r", "expires_in": 86_400, "expires_at": now_ms() / 1000 + 86_400}});
        std::fs::write(path("token.json"), token.to_string()).expect("a token file");
        std::fs::create_dir(path("paper_trading")).expect("a folder");
        let runners = json!({"version": 1, "active_runners": [{"symbol": "TOYO"}]});
        std::fs::write(path("runners.json"), runners.to_string()).expect("runners");
        world.write_history(1_000);
        world
    }

    /// Requests get no answer from now on; the stream goes on.
    pub fn hang(&self) {
        self.hung.store(true, Ordering::SeqCst);
    }

    /// Replaces the trade history by one of so many lines.
    pub fn write_history(&self, lines: usize) {
        let text = trades(lines).join("\n") + "\n";
        let path = self.files.path().join("paper_trading/trade_outcomes.jsonl");
        let new = path.with_extension("new");
        std::fs::write(&new, text).expect("a trade history");
        std::fs::rename(new, path).expect("its place");
    }

    /// `host:port` of the trader app.
    pub fn trader(&self) -> String {
        self.trader.url().trim_start_matches("http://").to_owned()
    }

    /// A product that is connected to it.
    pub fn product(&self, program: &Path, settings: &[&str]) -> Process {
        let mut command = self.command(program);
        for setting in settings {
            command.args(["--set", setting]);
        }
        Process::start(&mut command)
    }

    /// Ready to be started.
    pub fn command(&self, program: &Path) -> Command {
        let path = |name: &str| self.files.path().join(name);
        let mut command = Command::new(program);
        command
            .args(["--listen", "127.0.0.1:0", "--log-dir"])
            .arg(path("logs"))
            .args(["--schwab-url", &self.schwab.url()])
            .args(["--trader-url", &self.trader.url()])
            // Nobody listens there: verdicts are not measured.
            .args(["--model-url", "http://127.0.0.1:9"])
            .arg("--token-file")
            .arg(path("token.json"))
            .arg("--data-dir")
            .arg(self.files.path())
            .current_dir(self.files.path())
            .stderr(Stdio::null());
        command
    }
}

/// Lines of a trade history.
pub fn trades(lines: usize) -> Vec<String> {
    (0..lines)
        .map(|n| {
            let entry = 2.0 + (n % 300) as f64 / 100.0;
            json!({"trade_id": format!("T{n:06}"), "symbol": format!("S{:02}", n % 100), "side": "long",
                "entry_price": entry, "exit_price": entry + 0.07, "shares": 100 + n % 900,
                "pnl": (n % 71) as f64 - 30.5, "reason": "target", "closed_at": 1_770_000_000 + n})
            .to_string()
        })
        .collect()
}
