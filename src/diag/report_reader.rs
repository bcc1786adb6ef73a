//! The thread `report-reader`: reads the kept stall reports for who asks. In: questions, each with its
//! reply. A report is found by its name among those that are there; no path is made of what a client
//! says. A disk that stalls costs its asker a deadline, nothing else.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, select_biased};
use serde_json::{Value, json};

use crate::diag::symbolizer::ReportStore;
use crate::runtime::{Supervisor, ThreadKind};

use crate::files::regular;

/// A longer file is not read.
const FORMAT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReport {
    /// None has this name.
    Unknown,
    /// Reading failed: why.
    Unreadable(String),
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportQuery {
    /// `[{"name","verdict"}]`, the newest first.
    List,
    /// One form of one report.
    Form {
        /// The report's name.
        name: String,
        /// "txt", "json" or "folded".
        ending: &'static str,
    },
}

/// A question.
#[derive(Debug)]
pub struct ToReports {
    /// What is wanted.
    pub wanted: ReportQuery,
    /// By when; later nobody waits.
    pub deadline: Instant,
    /// Where the bytes go.
    pub reply: Sender<Result<Arc<[u8]>, NoReport>>,
}

/// Starts the thread; `dir` is the reports' folder.
///
/// # Errors
/// When the system refuses it.
pub fn start_report_reader(
    supervisor: &Supervisor,
    dir: PathBuf,
    questions: Receiver<ToReports>,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    supervisor.spawn(ThreadKind::ReportReader, move |heartbeat| {
        loop {
            heartbeat.idle();
            let question = select_biased! {
                recv(stop.receiver()) -> _ => return,
                recv(questions) -> question => question,
            };
            let Ok(question) = question else { return };
            if Instant::now() >= question.deadline {
                continue;
            }
            heartbeat.begin("reading stall reports");
            let _left = question.reply.try_send(answer(&dir, &question.wanted));
        }
    })?;
    Ok(())
}

fn answer(dir: &Path, wanted: &ReportQuery) -> Result<Arc<[u8]>, NoReport> {
    let unreadable = |e: io::Error| {
        NoReport::Unreadable(format!("reading reports in {} failed: {e}", dir.display()))
    };
    let kept = ReportStore::new(dir.to_owned(), usize::MAX)
        .list()
        .map_err(unreadable)?;
    match wanted {
        ReportQuery::List => {
            let list: Vec<Value> = kept
                .iter()
                .rev()
                .map(|r| json!({"name": r.name, "verdict": r.verdict}))
                .collect();
            Ok(Value::from(list).to_string().into_bytes().into())
        }
        ReportQuery::Form { name, ending } => {
            let report = kept
                .iter()
                .find(|r| r.name == *name)
                .ok_or(NoReport::Unknown)?;
            read(&report.path.with_extension(ending)).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => NoReport::Unknown,
                _ => unreadable(e),
            })
        }
    }
}

fn read(path: &Path) -> io::Result<Arc<[u8]>> {
    let (file, _) = regular::open(path)?;
    let mut bytes = Vec::new();
    file.take(FORMAT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn reports_are_listed_and_found_by_name_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("reports");
        assert_eq!(&*answer(&dir, &ReportQuery::List).unwrap(), b"[]");
        fs::create_dir(&dir).unwrap();
        fs::write(folder.path().join("secret.json"), "hush").unwrap();
        for name in ["1", "2"] {
            fs::write(dir.join(format!("{name}.txt")), "VERDICT\nmore").unwrap();
            fs::write(dir.join(format!("{name}.json")), "{}").unwrap();
        }
        let list: Value =
            serde_json::from_slice(&answer(&dir, &ReportQuery::List).unwrap()).unwrap();
        assert_eq!(list[0]["name"], "2");
        assert_eq!(list[1]["verdict"], "VERDICT");
        let form = |name: &str, ending| {
            let name = name.to_owned();
            answer(&dir, &ReportQuery::Form { name, ending })
        };
        assert_eq!(&*form("1", "json").unwrap(), b"{}");
        assert_eq!(form("1", "folded"), Err(NoReport::Unknown));
        for bad in ["../secret", "3", "", "1.txt", "/etc/hosts"] {
            assert_eq!(form(bad, "json"), Err(NoReport::Unknown), "{bad}");
        }
    }
}
