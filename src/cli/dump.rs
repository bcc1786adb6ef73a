//! `tapewarden dump`: every thread's stack of a running server, by its control socket, by a signal (works while all that
//! answers requests is stuck), or by its port; or of a raw dump that was kept, with names.

use std::path::Path;

use clap::{ArgMatches, Command, value_parser};

use crate::diag::capture::Build;
use crate::diag::symbolizer::{DumpReader, formats};
use crate::files::regular;

#[cfg(unix)]
use super::by_pid::by_pid;
use super::server::{Server, port_flag};
use super::{Fault, REPORT_BYTES_MAX, REPORT_PATIENCE, diff, log_flags, text, value};

/// Its part of the command line.
pub fn command() -> Command {
    Command::new("dump")
        .about("Every thread's stack of a running server, now")
        .arg(
            text("pid", "PID")
                .value_parser(value_parser!(i32))
                .help("By a signal: works while all that answers requests is stuck"),
        )
        .arg(port_flag())
        .args(log_flags())
        .arg(
            text("format", "FORMAT")
                .value_parser(["text", "json", "folded"])
                .default_value("text")
                .help("How it is written"),
        )
        .arg(text("diff", "FILE").help("What changed since that report (JSON)"))
        .arg(text("resolve", "FILE.raw").help("A kept raw dump, with names"))
}

/// Runs the command.
pub fn run(said: &ArgMatches) -> Result<(), Fault> {
    let format = value(said, "format").unwrap_or("text");
    let before = value(said, "diff")
        .map(|file| {
            regular::read_text(Path::new(file), REPORT_BYTES_MAX)
                .map_err(|e| Fault::failed(format!("reading the report {file} failed: {e}")))
        })
        .transpose()?;
    let wanted = if before.is_some() { "json" } else { format };
    let got = match (value(said, "resolve"), said.get_one::<i32>("pid")) {
        (Some(file), _) => resolved(file, wanted)?,
        (None, Some(pid)) => by_pid(*pid, wanted)?,
        (None, None) => by_request(&Server::of(said)?, wanted)?,
    };
    match before {
        Some(before) => print!("{}", diff::diff(&before, &got).map_err(Fault::failed)?),
        None => print!("{got}"),
    }
    Ok(())
}

/// Names what a raw dump holds, with this binary.
fn resolved(file: &str, format: &str) -> Result<String, Fault> {
    let bytes = regular::read(Path::new(file), REPORT_BYTES_MAX)
        .map_err(|e| Fault::failed(format!("reading the raw dump {file} failed: {e}")))?;
    let dump = DumpReader::default().read_later(&bytes);
    if dump.dump.is_empty() {
        return Err(Fault::failed(format!(
            "there are no threads in {file}; a raw dump is a file NAME.raw beside the logs or in their folder reports"
        )));
    }
    let own = Build::own().id;
    if dump.build != own {
        eprintln!(
            "tapewarden: this binary is build {own}, the dump is of build {}: functions are shown as file+offset; use the binary of that build",
            dump.build
        );
    }
    let formats = formats(&dump);
    Ok(match format {
        "json" => formats.json,
        "folded" => formats.folded,
        _ => formats.text,
    })
}

fn by_request(server: &Server, format: &str) -> Result<String, Fault> {
    let target = format!("/api/threads/dump?format={format}");
    match server.ask("GET", &target, REPORT_PATIENCE)? {
        (200, body) => Ok(body),
        (status, body) => Err(Fault::failed(format!(
            "the server made no report ({status}): {body}"
        ))),
    }
}

#[cfg(not(unix))]
fn by_pid(_: i32, _: &str) -> Result<String, Fault> {
    Err(Fault::failed(
        "there are no signals on this system; use --url",
    ))
}
