//! `tapewarden drill`: orders a real stall in a thread of a running server, gives that thread something
//! to do so that it meets its order, and prints what the watchdog says.

use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use crate::supervise::How;

use super::{DEFAULT_URL, Fault, ask, value, words};

/// What wakes threads of each kind: a fetch of every sort, and a line for the log.
const ERRANDS: [&str; 7] = [
    "/api/health",
    "/api/candles/TOYO",
    "/api/quote/TOYO",
    "/api/watchlist",
    "/api/vwap/TOYO",
    "/api/streaming/health",
    "/api/validate/status",
];

/// For a report, beyond what the class of the thread allows.
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
    let (status, body) = ask("POST", &order, Duration::from_secs(10))?;
    if status != 200 {
        return Err(Fault::failed(format!(
            "the order was refused ({status}): {body}"
        )));
    }
    println!("ordered: {stall} stalls ({how}) for {time}; waiting for the watchdog");
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        for errand in ERRANDS {
            // Some of them fail while the thread stalls: that is the point.
            let _stalled = ask(
                "GET",
                &format!("{base}{errand}"),
                Duration::from_millis(500),
            );
        }
        let threads = ask(
            "GET",
            &format!("{base}/api/threads"),
            Duration::from_secs(5),
        )?
        .1;
        let threads: serde_json::Value = serde_json::from_str(&threads).unwrap_or_default();
        let stalled = threads["threads"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|t| {
                let name = t["name"].as_str().unwrap_or_default();
                let meant = match stall.strip_suffix('*') {
                    Some(begin) => name.starts_with(begin),
                    None => name == stall,
                };
                meant && t["state"] == "stalled"
            });
        if stalled {
            let url = format!("{base}/api/threads/dump");
            let (_, report) = ask("GET", &url, Duration::from_secs(15))?;
            print!("{report}");
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err(Fault::failed(format!(
        "{stall} was not seen to stall within {} s; is --for longer than its class allows (README, watchdog.busy_*)?",
        PATIENCE.as_secs()
    )))
}
