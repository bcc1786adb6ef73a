//! A report by SIGQUIT: works while every http worker is stuck.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::diag::symbolizer::ReportStore;
use crate::files::regular;
use crate::logging::LogFiles;

use super::{Fault, REPORT_BYTES_MAX, REPORT_PATIENCE};

/// Asks by SIGQUIT and waits for the next report in the folder of the log that the process has open.
pub(super) fn by_pid(pid: i32, format: &str) -> Result<String, Fault> {
    let folder = log_files(pid)?.reports();
    let store = ReportStore::new(folder.clone(), usize::MAX);
    // Names tell the wall clock's time, which can have been set back since.
    let reports = || store.list().unwrap_or_default();
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
            return regular::read_text(&file, REPORT_BYTES_MAX)
                .map_err(|e| Fault::failed(format!("reading {} failed: {e}", file.display())));
        }
        if Instant::now() >= until {
            return Err(Fault::failed(format!(
                "process {pid} wrote no report to {} within {} s; try gdb -p {pid} -batch -ex 'thread apply all bt'",
                folder.display(),
                REPORT_PATIENCE.as_secs()
            )));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Where the process writes its watchdog.log, which can have been renamed or deleted under it.
pub(super) fn log_files(pid: i32) -> Result<LogFiles, Fault> {
    let folder = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&folder)
        .map_err(|e| Fault::failed(format!("looking at process {pid} failed: {e}")))?;
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .find_map(|link| LogFiles::of_watchdog_log(&link))
        .ok_or_else(|| {
            Fault::failed(format!(
                "process {pid} has no watchdog.log open; is it a tapewarden server?"
            ))
        })
}
