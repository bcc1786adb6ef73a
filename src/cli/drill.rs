//! `tapewarden drill`: orders a real stall in a thread of a running server, gives that thread something
//! to do so that it meets its order, and prints what the watchdog says.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Command};

use crate::files::regular;
use crate::json;
use crate::runtime::{How, is_meant};

use super::server::{Server, pid_flag, port_flag};
use super::{Fault, REPORT_BYTES_MAX, ask, log_flags, text, value};

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

/// Its part of the command line.
pub fn command() -> Command {
    Command::new("drill")
        .about("A real stall in a running server, and what is said of it")
        .arg(
            text("stall", "THREAD")
                .required(true)
                .help("Which thread: http-3, or http-* for all"),
        )
        .arg(
            text("how", "HOW")
                .value_parser(How::ALL.map(|(_, name)| name))
                .default_value("mutex")
                .help("The kind of stall"),
        )
        .arg(
            text("for", "TIME")
                .default_value("20s")
                .help("How long it lasts"),
        )
        .args([pid_flag(), port_flag()])
        .args(log_flags())
}

/// Runs the command.
pub fn run(said: &ArgMatches) -> Result<(), Fault> {
    let stall = value(said, "stall").unwrap_or_default();
    let how: How = value(said, "how")
        .unwrap_or("mutex")
        .parse()
        .map_err(Fault::usage)?;
    let time = value(said, "for").unwrap_or("20s");
    let server = Server::of(said)?;
    let before = restarts(&server, stall);
    // Asked before anything stalls.
    let port = server.port();
    let (log, time) = order(&server, stall, how, time)?;
    println!(
        "ordered: {stall} stalls ({how}) for {} s; {log} says of it:",
        time.as_secs()
    );
    let mut tail = Tail::after_the_order(&log, stall)?;
    let (mut told, mut shown) = (String::new(), 0);
    let until = Instant::now() + time + PATIENCE;
    for round in 0.. {
        if let Some(port) = &port {
            run_errands(port, round);
        }
        told.push_str(&tail.new_text()?);
        print!("{}", &told[shown..]);
        shown = told.len();
        let outcome = outcome(&told, stall);
        if outcome == Outcome::IsBack {
            return Ok(());
        }
        let panicked = outcome == Outcome::Ended || restarts(&server, stall) > before;
        if how == How::Panic && panicked {
            println!("{stall} has panicked; [PANIC] in backend.log has its stack");
            return Ok(());
        }
        if outcome == Outcome::Expired {
            return Err(Fault::failed(format!(
                "{stall} did not stall: it did not beat in time, or not for longer than its class allows (tapewarden config --help, watchdog.busy_*)"
            )));
        }
        if Instant::now() >= until {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err(Fault::failed(match outcome(&told, stall) {
        Outcome::Stalled => format!("{stall} stalled and was not seen to come back"),
        _ => format!(
            "{stall} was not seen to stall; is --for longer than its class allows (tapewarden config --help, watchdog.busy_*), and has it something to do?"
        ),
    }))
}

/// Orders the stall; gives the log that tells of it, and how long it lasts.
fn order(server: &Server, stall: &str, how: How, time: &str) -> Result<(String, Duration), Fault> {
    let target = format!("/api/drill?stall={stall}&how={how}&for={time}");
    let (status, body) = server.ask("POST", &target, Duration::from_secs(10))?;
    if status != 200 {
        return Err(Fault::failed(format!(
            "the order was refused ({status}): {body}"
        )));
    }
    let ordered: serde_json::Value = json::own_text(&body).unwrap_or_default();
    let log = ordered["log"].as_str().unwrap_or("logs/watchdog.log");
    let time = ordered["ordered"]["for_s"].as_u64().unwrap_or(0);
    Ok((log.to_owned(), Duration::from_secs(time)))
}

/// How far a drill has come, by what the watchdog has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing is told of it.
    Nothing,
    /// It has stalled.
    Stalled,
    /// It has stalled, a verdict is there, and it is back.
    IsBack,
    /// It panicked, and does not begin anew.
    Ended,
    /// It did not meet its order. Where some of many have met it, their stall is waited for.
    Expired,
}

fn outcome(told: &str, stall: &str) -> Outcome {
    let name = stall.trim_end_matches('*');
    let has = |words: &str| told.contains(&format!("{words}{name}"));
    let says = |what: &str| {
        let words = told
            .lines()
            .filter_map(|l| l.split("[WATCHDOG] ").nth(1))
            .filter(|words| words.starts_with(name));
        words.into_iter().any(|words| words.contains(what))
    };
    if has("STALLED: ") && has("VERDICT: ") && says(" is back after ") {
        Outcome::IsBack
    } else if says(" has ended for good after a panic") {
        Outcome::Ended
    } else if has("STALLED: ") {
        Outcome::Stalled
    } else if told.contains(&format!("a drill has expired: {stall}: ")) {
        Outcome::Expired
    } else {
        Outcome::Nothing
    }
}

/// How often the threads that this means have begun anew.
fn restarts(server: &Server, stall: &str) -> u64 {
    let answer = server.ask("GET", "/api/threads", Duration::from_secs(2));
    let answer = answer.map(|(_, body)| body);
    let json: serde_json::Value = json::own_text(&answer.unwrap_or_default()).unwrap_or_default();
    let threads = json["threads"].as_array().map_or(&[][..], Vec::as_slice);
    let meant = |t: &&serde_json::Value| is_meant(stall, t["name"].as_str().unwrap_or_default());
    let of_each = threads.iter().filter(meant);
    of_each.filter_map(|t| t["restarts"].as_u64()).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_drill_has_come_is_read_from_what_is_told() {
        let line = |words: &str| format!("2026-02-04 07:49:30 [WARN] [WATCHDOG] {words}\n");
        let mut told = line("a drill was ordered: http-* stalls (mutex) for 20 s");
        assert_eq!(outcome(&told, "http-*"), Outcome::Nothing);
        let expired = told.clone() + &line("a drill has expired: http-*: it did not beat");
        assert_eq!(outcome(&expired, "http-*"), Outcome::Expired);
        told += &line("STALLED: http-3 for 5 s");
        told += &line("a drill has expired: http-*: http-4 did not beat");
        assert_eq!(outcome(&told, "http-*"), Outcome::Stalled);
        told += &line("VERDICT: http-3 waits for a lock");
        told += &line("conn-1 is back after 20 s");
        assert_eq!(outcome(&told, "http-*"), Outcome::Stalled);
        told += &line("http-3 is back after 20 s");
        assert_eq!(outcome(&told, "http-*"), Outcome::IsBack);
        let ended = line("conn-7 has ended for good after a panic");
        assert_eq!(outcome(&ended, "conn-7"), Outcome::Ended);
    }
}
