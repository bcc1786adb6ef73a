//! `tapewarden stalls`: the reports that are kept beside the logs; `show N` prints one. A running server is asked for
//! them; where none answers on this machine they are read from the folder.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::Deserialize;

use crate::diag::symbolizer::ReportStore;
use crate::files::regular;
use crate::json;

use super::server::{Server, pid_flag, port_flag};
use super::{Fault, REPORT_BYTES_MAX, log_files, log_flags};

/// How long a server may take to read its disk.
const PATIENCE: Duration = Duration::from_secs(6);

/// A kept report, as `GET /api/stalls` lists it.
#[derive(Deserialize)]
struct Kept {
    name: String,
    verdict: String,
}

/// Its part of the command line.
pub fn command() -> Command {
    let [dir, instance] = log_flags();
    Command::new("stalls")
        .about("The reports that are kept beside the logs")
        .args([
            dir,
            instance,
            pid_flag().global(true),
            port_flag().global(true),
        ])
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
    let server = Server::named(said)?.unwrap_or_else(|| Server::Control(log_files(said)));
    let source = Source::of(server);
    let reports = source.list()?;
    let Some(("show", said)) = said.subcommand() else {
        if reports.is_empty() {
            println!("no reports in {}", source.place());
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
            source.place(),
            reports.len()
        ))
    })?;
    print!("{}", source.text(&report.name)?);
    Ok(())
}

/// Who has the reports.
enum Source {
    /// A server that answers.
    Server(Server),
    /// The folder of one that does not.
    Folder(ReportStore, PathBuf),
}

impl Source {
    fn of(server: Server) -> Self {
        let Server::Control(files) = &server else {
            return Self::Server(server);
        };
        match server.ask("GET", "/api/stalls", PATIENCE) {
            Ok((200, _)) => Self::Server(server),
            _ => Self::Folder(
                ReportStore::new(files.reports(), usize::MAX),
                files.reports(),
            ),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Server(Server::Port(url)) => url.clone(),
            Self::Server(Server::Control(files)) => files.reports().display().to_string(),
            Self::Folder(_, dir) => dir.display().to_string(),
        }
    }

    /// The newest first.
    fn list(&self) -> Result<Vec<Kept>, Fault> {
        match self {
            Self::Server(server) => json::own_text(&answered(server, "/api/stalls")?)
                .map_err(|e| Fault::failed(format!("the list of reports is unusable: {e}"))),
            Self::Folder(store, dir) => {
                let reports = store
                    .list()
                    .map_err(|e| Fault::failed(format!("reading {} failed: {e}", dir.display())))?;
                let kept = reports.into_iter().map(|r| Kept {
                    name: r.name,
                    verdict: r.verdict,
                });
                Ok(kept.collect())
            }
        }
    }

    fn text(&self, name: &str) -> Result<String, Fault> {
        match self {
            Self::Server(server) => answered(server, &format!("/api/stalls/{name}?format=text")),
            Self::Folder(_, dir) => {
                let path = dir.join(name).with_extension("txt");
                regular::read_text(&path, REPORT_BYTES_MAX)
                    .map_err(|e| Fault::failed(format!("reading {} failed: {e}", path.display())))
            }
        }
    }
}

fn answered(server: &Server, target: &str) -> Result<String, Fault> {
    match server.ask("GET", target, PATIENCE)? {
        (200, body) => Ok(body),
        (status, body) => Err(Fault::failed(format!(
            "the server does not tell its reports ({status}): {body}"
        ))),
    }
}
