//! `tapewarden dump`: every thread's stack of a running server, by its process (works while every http
//! worker is stuck) or by its URL; or of a raw dump that was kept, with names.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::capture::Build;
use crate::scribe::{REPORTS, Reader, Shelf, forms};

use super::{DEFAULT_URL, Fault, ask, diff, value, words};

/// How long a report may take from the signal to its file.
const REPORT_PATIENCE: Duration = Duration::from_secs(15);

/// Runs the command.
pub fn run(args: Vec<OsString>) -> Result<(), Fault> {
    let (named, bare) = words(args, &["pid", "url", "format", "diff", "resolve"])?;
    if let Some(word) = bare.first() {
        return Err(Fault::usage(format!("dump takes no {word}")));
    }
    let format = value(&named, "format").unwrap_or("text");
    if !["text", "json", "folded"].contains(&format) {
        return Err(Fault::usage(format!(
            "{format} is no format: text, json or folded"
        )));
    }
    let before = value(&named, "diff")
        .map(|file| {
            fs::read_to_string(file)
                .map_err(|e| Fault::failed(format!("reading the report {file} failed: {e}")))
        })
        .transpose()?;
    let wanted = if before.is_some() { "json" } else { format };
    let got = match (value(&named, "resolve"), value(&named, "pid")) {
        (Some(file), _) => resolved(file, wanted)?,
        (None, Some(pid)) => {
            let pid = pid
                .parse()
                .map_err(|_| Fault::usage(format!("{pid} is no process number")))?;
            by_pid(pid, wanted)?
        }
        (None, None) => by_url(value(&named, "url").unwrap_or(DEFAULT_URL), wanted)?,
    };
    match before {
        Some(before) => print!("{}", diff::diff(&before, &got).map_err(Fault::failed)?),
        None => print!("{got}"),
    }
    Ok(())
}

/// Names what a raw dump holds, with this binary.
fn resolved(file: &str, format: &str) -> Result<String, Fault> {
    let bytes = fs::read(file)
        .map_err(|e| Fault::failed(format!("reading the raw dump {file} failed: {e}")))?;
    let dump = Reader::default().read_later(&bytes);
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
    let forms = forms(&dump);
    Ok(match format {
        "json" => forms.json,
        "folded" => forms.folded,
        _ => forms.text,
    })
}

fn by_url(url: &str, format: &str) -> Result<String, Fault> {
    let url = format!(
        "{}/api/threads/dump?format={format}",
        url.trim_end_matches('/')
    );
    match ask("GET", &url, REPORT_PATIENCE)? {
        (200, body) => Ok(body),
        (status, body) => Err(Fault::failed(format!("{url} answered {status}: {body}"))),
    }
}

/// Asks by SIGQUIT and waits for the next report in the folder of the log that the process has open.
#[cfg(unix)]
fn by_pid(pid: i32, format: &str) -> Result<String, Fault> {
    let logs = log_folder(pid)?;
    let shelf = Shelf::new(logs.join(REPORTS), usize::MAX);
    // Names tell the wall clock's time, which can have been set back since.
    let reports = || shelf.list().unwrap_or_default();
    let before: BTreeSet<String> = reports().into_iter().map(|r| r.name).collect();
    let to = rustix::process::Pid::from_raw(pid)
        .ok_or_else(|| Fault::usage(format!("{pid} is no process number")))?;
    rustix::process::kill_process(to, rustix::process::Signal::QUIT)
        .map_err(|e| Fault::failed(format!("signalling process {pid} failed: {e}")))?;
    let until = Instant::now() + REPORT_PATIENCE;
    loop {
        if let Some(new) = reports().iter().find(|r| !before.contains(&r.name)) {
            let ending = if format == "text" { "txt" } else { format };
            let file = new.path.with_extension(ending);
            // The text is written last of the three.
            return fs::read_to_string(&file)
                .map_err(|e| Fault::failed(format!("reading {} failed: {e}", file.display())));
        }
        if Instant::now() >= until {
            return Err(Fault::failed(format!(
                "process {pid} wrote no report to {} within {} s; try gdb -p {pid} -batch -ex 'thread apply all bt'",
                logs.join(REPORTS).display(),
                REPORT_PATIENCE.as_secs()
            )));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(not(unix))]
fn by_pid(_: i32, _: &str) -> Result<String, Fault> {
    Err(Fault::failed(
        "there are no signals on this system; use --url",
    ))
}

/// Where the process writes its watchdog.log, which can have been renamed or deleted under it.
#[cfg(unix)]
fn log_folder(pid: i32) -> Result<PathBuf, Fault> {
    let folder = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&folder)
        .map_err(|e| Fault::failed(format!("looking at process {pid} failed: {e}")))?;
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .find(|link| {
            let name = link.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("watchdog.log")
        })
        .and_then(|link| link.parent().map(PathBuf::from))
        .ok_or_else(|| {
            Fault::failed(format!(
                "process {pid} has no watchdog.log open; is it a tapewarden server?"
            ))
        })
}
