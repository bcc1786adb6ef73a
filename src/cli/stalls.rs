//! `tapewarden stalls`: the reports that are kept beside the logs; `show N` prints one.

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::diag::symbolizer::ReportStore;
use crate::files::regular;

use super::{Fault, REPORT_BYTES_MAX, log_files, log_flags};

/// Its part of the command line.
pub fn command() -> Command {
    Command::new("stalls")
        .about("The reports that are kept beside the logs")
        .args(log_flags())
        .subcommand(
            Command::new("show").about("Print one of them").arg(
                Arg::new("number")
                    .value_name("N")
                    .value_parser(value_parser!(usize))
                    .required(true)
                    .help("Its number in the list"),
            ),
        )
}

/// Runs the command.
pub fn run(said: &ArgMatches) -> Result<(), Fault> {
    let dir = log_files(said).reports();
    let reports = ReportStore::new(dir.clone(), usize::MAX)
        .list()
        .map_err(|e| Fault::failed(format!("reading {} failed: {e}", dir.display())))?;
    let Some(("show", said)) = said.subcommand() else {
        if reports.is_empty() {
            println!("no reports in {}", dir.display());
        }
        for (n, report) in reports.iter().enumerate() {
            println!("{:>3}  {}  {}", n + 1, report.name, report.verdict);
        }
        return Ok(());
    };
    let n = said.get_one::<usize>("number").copied().unwrap_or(0);
    let report = n.checked_sub(1).and_then(|n| reports.get(n));
    let report = report.ok_or_else(|| {
        Fault::failed(format!(
            "there is no report {n} in {}; there are {}",
            dir.display(),
            reports.len()
        ))
    })?;
    let text = regular::read_text(&report.path, REPORT_BYTES_MAX)
        .map_err(|e| Fault::failed(format!("reading {} failed: {e}", report.path.display())))?;
    print!("{text}");
    Ok(())
}
