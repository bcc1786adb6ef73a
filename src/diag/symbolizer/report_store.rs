//! Where reports are kept: `NAME.txt`, `.json`, `.folded` in one folder, the oldest given up first. Those
//! that were asked for never push out those of stalls.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::regular;

use super::ReportFormats;

/// Reports older than this are given up.
const AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// All reports together are no larger.
const BYTES_MAX: u64 = 100_000_000;

/// What the name of a report ends with that somebody asked for.
pub const ASKED: &str = "-asked";

/// Of those fewer are kept.
const ASKED_MAX: usize = 20;

/// More of a report is not looked at for its first line.
const VERDICT_BYTES_MAX: u64 = 16_384;

/// The endings of a report's files.
const ENDINGS: [&str; 4] = ["txt", "json", "folded", "raw"];

/// What the name of a file ends with that is being written.
const PART: &str = "part";

/// The folder.
#[derive(Clone, Debug)]
pub struct ReportStore {
    dir: PathBuf,
    keep: usize,
    bytes_max: u64,
}

/// One kept report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// Without an ending; begins with the time, so names sort by age.
    pub name: String,
    /// The text's path.
    pub path: PathBuf,
    /// The first line: the verdict.
    pub verdict: String,
}

impl ReportStore {
    /// Keeps at most `keep` reports in `dir`.
    #[must_use]
    pub fn new(dir: PathBuf, keep: usize) -> Self {
        Self {
            dir,
            keep,
            bytes_max: BYTES_MAX,
        }
    }

    /// Writes the captured bytes, before it is known what they mean. Stacks can hold secrets: nobody else
    /// may read them.
    ///
    /// # Errors
    /// The system's.
    pub fn put_raw(&self, name: &str, raw: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let part = self.part(name, "raw", raw)?;
        in_place(&part)
    }

    /// Writes a report's formats; gives the text's path. The captured bytes are kept only where nothing of
    /// this program could be `named`.
    ///
    /// # Errors
    /// The system's.
    pub fn put(&self, name: &str, formats: &ReportFormats, named: bool) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.dir)?;
        let path = |ending: &str| self.dir.join(format!("{name}.{ending}"));
        // The text comes last: who finds it finds it whole, and the others beside it.
        let all = [
            ("json", &formats.json),
            ("folded", &formats.folded),
            ("txt", &formats.text),
        ];
        let parts = all.map(|(ending, format)| self.part(name, ending, format.as_bytes()));
        let put = parts
            .into_iter()
            .collect::<io::Result<Vec<PathBuf>>>()
            .and_then(|parts| parts.iter().try_for_each(|part| in_place(part)));
        if let Err(e) = put {
            for (ending, _) in all {
                let _not_there = fs::remove_file(path(ending));
                let _not_there = fs::remove_file(path(&format!("{ending}.{PART}")));
            }
            return Err(e);
        }
        if named {
            let _named_so_no_longer_needed = fs::remove_file(path("raw"));
        }
        self.give_up_old();
        Ok(path("txt"))
    }

    /// Writes one format under a name that nobody looks for: whole and on the disk, or not at all.
    fn part(&self, name: &str, ending: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let part = self.dir.join(format!("{name}.{ending}.{PART}"));
        let _left_by_a_killed_one = fs::remove_file(&part);
        #[expect(clippy::disallowed_methods, reason = "made new")]
        let mut options = fs::File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if ending == "raw" {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let written = options.open(&part).and_then(|mut file| {
            file.write_all(bytes)?;
            // Some disks tell only now that they are full.
            file.sync_data()
        });
        match written {
            Ok(()) => Ok(part),
            Err(e) => {
                let _not_there = fs::remove_file(&part);
                Err(e)
            }
        }
    }

    /// The kept reports, the oldest first.
    ///
    /// # Errors
    /// The system's; a folder that is not there holds none.
    pub fn list(&self) -> io::Result<Vec<StoredReport>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut found: Vec<StoredReport> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                (path.extension()? == "txt").then_some(())?;
                Some(StoredReport {
                    name: path.file_stem()?.to_str()?.to_owned(),
                    verdict: first_line(&path),
                    path,
                })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Also what a report that was never finished left behind.
    fn give_up_old(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut reports: BTreeMap<String, Vec<(PathBuf, fs::Metadata)>> = BTreeMap::new();
        for entry in entries.flatten() {
            let path = entry.path();
            // One that is not finished is known by what it was to become.
            let whole = match path.extension() {
                Some(e) if e == PART => path.with_extension(""),
                _ => path.clone(),
            };
            let ending = whole.extension().and_then(|e| e.to_str()).unwrap_or("");
            if ENDINGS.contains(&ending)
                && let Some(name) = whole.file_stem().and_then(|n| n.to_str())
                && let Ok(about) = entry.metadata()
            {
                reports
                    .entry(name.to_owned())
                    .or_default()
                    .push((path, about));
            }
        }
        let (asked, stalls): (Vec<_>, Vec<_>) = reports
            .into_iter()
            .rev()
            .partition(|(name, _)| name.ends_with(ASKED));
        let mut bytes = 0;
        for (kind, keep) in [(stalls, self.keep), (asked, self.keep.min(ASKED_MAX))] {
            for (n, (_, files)) in kind.into_iter().enumerate() {
                bytes += files.iter().map(|(_, about)| about.len()).sum::<u64>();
                let age = |about: &fs::Metadata| about.modified().ok()?.elapsed().ok();
                let old = files
                    .iter()
                    .all(|(_, about)| age(about).is_some_and(|a| a > AGE_MAX));
                if n > 0 && (n >= keep || bytes > self.bytes_max || old) {
                    for (path, _) in &files {
                        let _gone_already = fs::remove_file(path);
                    }
                }
            }
        }
    }
}

/// Gives what was written its name.
fn in_place(part: &Path) -> io::Result<()> {
    fs::rename(part, part.with_extension(""))
}

fn first_line(path: &Path) -> String {
    let mut text = Vec::new();
    // What is not a file has no verdict.
    let _not_a_file = regular::open(path)
        .and_then(|(file, _)| file.take(VERDICT_BYTES_MAX).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_reports_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = ReportStore::new(dir.path().join("reports"), 2);
        assert!(store.list().unwrap().is_empty());
        for n in 1..=4 {
            let formats = ReportFormats {
                text: format!("verdict {n}\nmore"),
                ..ReportFormats::default()
            };
            let name = format!("2026-0{n}");
            store.put_raw(&name, b"raw").unwrap();
            store.put(&name, &formats, false).unwrap();
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let raw = dir.path().join("reports/2026-04.raw");
            let mode = fs::metadata(raw).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let kept = store.list().unwrap();
        let names: Vec<&str> = kept.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["2026-03", "2026-04"]);
        assert_eq!(kept[1].verdict, "verdict 4");
        assert_eq!(fs::read_dir(dir.path().join("reports")).unwrap().count(), 8);
    }

    #[test]
    fn whoever_asks_again_and_again_costs_no_report_of_a_stall() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ReportStore::new(dir.path().to_owned(), 30);
        let formats = ReportFormats {
            text: "v".repeat(1_000),
            ..ReportFormats::default()
        };
        let count = |store: &ReportStore| {
            let kept = store.list().unwrap();
            let asked = kept.iter().filter(|s| s.name.ends_with(ASKED)).count();
            (kept.len() - asked, asked)
        };
        store.put("1", &formats, true).unwrap();
        store.put("2", &formats, true).unwrap();
        for n in 10..50 {
            store.put(&format!("{n}{ASKED}"), &formats, true).unwrap();
        }
        assert_eq!(count(&store), (2, ASKED_MAX));
        store.bytes_max = 2_500;
        store.put(&format!("50{ASKED}"), &formats, true).unwrap();
        assert_eq!(count(&store), (2, 1));
    }

    #[test]
    fn reports_are_given_up_by_size_and_age_and_leftovers_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ReportStore::new(dir.path().to_owned(), 100);
        store.bytes_max = 2_500;
        let formats = ReportFormats {
            text: "v".repeat(1_000),
            ..ReportFormats::default()
        };
        let names = |store: &ReportStore| -> Vec<String> {
            let kept = store.list().unwrap();
            kept.into_iter().map(|s| s.name).collect()
        };
        // A symbolizer that was killed in the middle.
        store.put_raw("1", &[0; 2_000]).unwrap();
        fs::write(dir.path().join("1.txt.part"), "half").unwrap();
        fs::write(dir.path().join("notes.md"), "somebody's own").unwrap();
        for name in ["2", "3", "4"] {
            store.put(name, &formats, true).unwrap();
        }
        assert_eq!(names(&store), ["3", "4"]);
        assert!(!dir.path().join("1.raw").exists() && !dir.path().join("1.txt.part").exists());
        assert!(dir.path().join("notes.md").exists());
        let long_ago = std::time::SystemTime::now() - AGE_MAX - Duration::from_secs(60);
        for ending in ["txt", "json", "folded"] {
            let file = fs::File::options()
                .write(true)
                .open(dir.path().join(format!("3.{ending}")));
            file.unwrap().set_modified(long_ago).unwrap();
        }
        store.bytes_max = BYTES_MAX;
        store.put("5", &formats, true).unwrap();
        assert_eq!(names(&store), ["4", "5"]);
    }
}
