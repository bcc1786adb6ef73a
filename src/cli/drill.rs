//! `tapewarden drill`: orders a real stall in a thread of a running server, gives that thread something
//! to do so that it meets its order, and prints what the watchdog says.

use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::files::regular;
use crate::runtime::{How, is_meant};

use super::{DEFAULT_URL, Fault, REPORT_BYTES_MAX, ask, value, words};

/// What wakes threads of each kind: a fetch of every sort, and a line for the log.
const ERRANDS: [&str; 7] = [
    "/api/health",
    "/api/quote/TOYO",
    "/api/signals",
    "/api/watchlist",
    "/api/vwap/TOYO",
    "/api/streaming/health",
    "/api/validate/status",
];

/// Some that have candles.
const SYMBOLS: [&str; 6] = ["TOYO", "ELPW", "AAPL", "NVDA", "SPY", "QQQ"];

/// Beyond the stall's own time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command.
pub fn run(args: Vec<OsString>) -> Result<(), Fault> {
    let (named, bare) = words(args, &["stall", "how", "for", "url"])?;
    if let Some(word) = bare.first() {
        return Err(Fault::usage(format!("drill takes no {word}")));
    }
    let stall = value(&named, "stall").ok_or_else(|| Fault::usage("drill needs --stall THREAD"))?;
    let how: How = value(&named, "how")
        .unwrap_or("mutex")
        .parse()
        .map_err(Fault::usage)?;
    let time = value(&named, "for").unwrap_or("20s");
    let base = value(&named, "url")
        .unwrap_or(DEFAULT_URL)
        .trim_end_matches('/');
    let order = format!("{base}/api/drill?stall={stall}&how={how}&for={time}");
    let before = restarts(base, stall);
    let (status, body) = ask("POST", &order, Duration::from_secs(10))?;
    if status != 200 {
        return Err(Fault::failed(format!(
            "the order was refused ({status}): {body}"
        )));
    }
    let ordered: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let log = ordered["log"].as_str().unwrap_or("logs/watchdog.log");
    let time = ordered["ordered"]["for_s"].as_u64().unwrap_or(0);
    println!("ordered: {stall} stalls ({how}) for {time} s; {log} says of it:");
    let mut tail = Tail::after_the_order(log, stall)?;
    let name = stall.trim_end_matches('*');
    let expired = format!("a drill has expired: {stall}: ");
    let (mut told, mut shown) = (String::new(), 0);
    let until = Instant::now() + Duration::from_secs(time) + PATIENCE;
    for round in 0.. {
        run_errands(base, round);
        told.push_str(&tail.new_text()?);
        print!("{}", &told[shown..]);
        shown = told.len();
        let has = |words: &str| told.contains(&format!("{words}{name}"));
        let is_back = |words: &str| words.starts_with(name) && words.contains(" is back after ");
        let is_back = told
            .lines()
            .filter_map(|l| l.split("[WATCHDOG] ").nth(1))
            .any(is_back);
        if has("STALLED: ") && has("VERDICT: ") && is_back {
            return Ok(());
        }
        if how == How::Panic && (restarts(base, stall) > before || has_ended(&told, name)) {
            println!("{stall} has panicked; [PANIC] in backend.log has its stack");
            return Ok(());
        }
        // Where some of many have met it, their stall is waited for.
        if told.contains(&expired) && !has("STALLED: ") {
            return Err(Fault::failed(format!(
                "{stall} did not stall: it did not beat in time, or not for longer than its class allows (README, watchdog.busy_*)"
            )));
        }
        if Instant::now() >= until {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    if told.contains(&format!("STALLED: {name}")) {
        return Err(Fault::failed(format!(
            "{stall} stalled and was not seen to come back"
        )));
    }
    Err(Fault::failed(format!(
        "{stall} was not seen to stall; is --for longer than its class allows (README, watchdog.busy_*), and has it something to do?"
    )))
}

/// How often the threads that this means have begun anew.
fn restarts(base: &str, stall: &str) -> u64 {
    let url = format!("{base}/api/threads");
    let answer = ask("GET", &url, Duration::from_secs(2)).map(|(_, body)| body);
    let json: serde_json::Value =
        serde_json::from_str(&answer.unwrap_or_default()).unwrap_or_default();
    let threads = json["threads"].as_array().map_or(&[][..], Vec::as_slice);
    let meant = |t: &&serde_json::Value| is_meant(stall, t["name"].as_str().unwrap_or_default());
    let of_each = threads.iter().filter(meant);
    of_each.filter_map(|t| t["restarts"].as_u64()).sum()
}

/// One of these panicked, and its class does not begin anew.
fn has_ended(told: &str, name: &str) -> bool {
    told.lines()
        .filter_map(|l| l.split("[WATCHDOG] ").nth(1))
        .any(|words| words.starts_with(name) && words.contains(" has ended for good after a panic"))
}

/// Something to do for threads of each kind, so that they meet their order. Some fail meanwhile: that is
/// the point.
fn run_errands(base: &str, round: usize) {
    let patience = Duration::from_millis(500);
    for errand in ERRANDS {
        let _stalled = ask("GET", &format!("{base}{errand}"), patience);
    }
    // Fresh ones are not fetched again, so each round asks for others.
    let timeframe = ["1m", "5m", "15m", "D"][round % 4];
    let symbol = SYMBOLS[round / 4 % SYMBOLS.len()];
    let _stalled = ask(
        "GET",
        &format!("{base}/api/candles/{symbol}?timeframe={timeframe}"),
        patience,
    );
}

/// What is appended to a file.
struct Tail {
    path: String,
    at: usize,
}

impl Tail {
    /// From the last order of this stall on.
    fn after_the_order(path: &str, stall: &str) -> Result<Self, Fault> {
        let mut tail = Self {
            path: path.to_owned(),
            at: 0,
        };
        let text = tail.new_text()?;
        let words = format!("a drill was ordered: {stall} stalls");
        // A file that was rotated since begins with what came after.
        tail.at = text
            .rfind(&words)
            .and_then(|at| text[..at].rfind('\n'))
            .map_or(0, |end| end + 1);
        Ok(tail)
    }

    /// Whole lines: one that is being written is read with the rest of it.
    fn new_text(&mut self) -> Result<String, Fault> {
        let bytes = regular::read(Path::new(&self.path), REPORT_BYTES_MAX)
            .map_err(|e| Fault::failed(format!("reading {} failed: {e}", self.path)))?;
        if bytes.len() < self.at {
            self.at = 0;
        }
        let new = &bytes[self.at..];
        let whole = new.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        self.at += whole;
        Ok(String::from_utf8_lossy(&new[..whole]).into_owned())
    }
}
