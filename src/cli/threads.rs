//! `tapewarden threads`: every thread of a running server, as the watchdog saw it last.

use std::fmt::Write;
use std::time::Duration;

use clap::{ArgMatches, Command};
use serde_json::Value;

use crate::json;

use super::server::{Server, pid_flag, port_flag};
use super::{Fault, log_flags};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Its part of the command line.
pub fn command() -> Command {
    Command::new("threads")
        .about("Every thread of a running server, and what it does")
        .args([pid_flag(), port_flag()])
        .args(log_flags())
}

/// Runs the command.
pub fn run(said: &ArgMatches) -> Result<(), Fault> {
    let (status, body) = Server::of(said)?.ask("GET", "/api/threads", PATIENCE)?;
    if status != 200 {
        return Err(Fault::failed(format!(
            "the server does not tell its threads ({status}): {body}"
        )));
    }
    let threads: Value =
        json::own_text(&body).map_err(|e| Fault::failed(format!("the answer is no JSON: {e}")))?;
    print!("{}", lines(&threads));
    Ok(())
}

/// A line for each thread, and what is wrong.
fn lines(told: &Value) -> String {
    let list = |name: &str| told[name].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = format!(
        "{:<15} {:<8} {:<7} {:>9} {:>8}  ACTIVITY\n",
        "THREAD", "CLASS", "STATE", "BEAT ms", "CPU ms"
    );
    for thread in list("threads") {
        let word = |name: &str| thread[name].as_str().unwrap_or("").to_owned();
        let number = |name: &str| thread[name].as_u64().map_or("-".into(), |n| n.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<15} {:<8} {:<7} {:>9} {:>8}  {}",
            word("name"),
            word("class"),
            word("state"),
            number("beat_age_ms"),
            number("cpu_ms"),
            word("activity")
        );
    }
    for ailment in list("ailments") {
        let _ = writeln!(out, "! {}", ailment.as_str().unwrap_or(""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_thread_has_its_line_and_what_is_wrong_stands_last() {
        let text = lines(&json!({
            "threads": [{"name": "gate", "class": "gate", "state": "stalled", "beat_age_ms": 2500, "cpu_ms": null, "activity": "counting"}],
            "ailments": ["gate is stalled"],
        }));
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(
            rows[1],
            "gate            gate     stalled      2500        -  counting"
        );
        assert_eq!(rows[2], "! gate is stalled");
        assert_eq!(rows.len(), 3);
    }
}
