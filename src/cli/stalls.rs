//! `tapewarden stalls`: the reports that are kept beside the logs; `show N` prints one.

use std::ffi::OsString;

use crate::diag::symbolizer::ReportStore;
use crate::files::regular;

use super::{Fault, REPORT_BYTES_MAX, log_files, words};

/// Runs the command.
pub fn run(args: Vec<OsString>) -> Result<(), Fault> {
    let (named, bare) = words(args, &["log-dir", "instance"])?;
    let dir = log_files(&named)?.reports();
    let reports = ReportStore::new(dir.clone(), usize::MAX)
        .list()
        .map_err(|e| Fault::failed(format!("reading {} failed: {e}", dir.display())))?;
    match bare.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            if reports.is_empty() {
                println!("no reports in {}", dir.display());
            }
            for (n, report) in reports.iter().enumerate() {
                println!("{:>3}  {}  {}", n + 1, report.name, report.verdict);
            }
            Ok(())
        }
        ["show", n] => {
            let report = n
                .parse::<usize>()
                .ok()
                .and_then(|n| reports.get(n.checked_sub(1)?))
                .ok_or_else(|| {
                    Fault::failed(format!(
                        "there is no report {n} in {}; there are {}",
                        dir.display(),
                        reports.len()
                    ))
                })?;
            let text = regular::read_text(&report.path, REPORT_BYTES_MAX).map_err(|e| {
                Fault::failed(format!("reading {} failed: {e}", report.path.display()))
            })?;
            print!("{text}");
            Ok(())
        }
        _ => Err(Fault::usage(
            "write tapewarden stalls, or tapewarden stalls show N",
        )),
    }
}
