//! Where reports are kept: `NAME.txt`, `.json`, `.folded` in one folder, the oldest given up first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Forms;

/// Reports older than this are given up.
const AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// All reports together are no larger.
const BYTES_MAX: u64 = 100_000_000;

/// The endings of a report's files.
const ENDINGS: [&str; 4] = ["txt", "json", "folded", "raw"];

/// The folder.
#[derive(Clone, Debug)]
pub struct Shelf {
    dir: PathBuf,
    keep: usize,
}

/// One kept report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// Without an ending; begins with the time, so names sort by age.
    pub name: String,
    /// The text's path.
    pub path: PathBuf,
    /// The first line: the verdict.
    pub verdict: String,
}

impl Shelf {
    /// Keeps at most `keep` reports in `dir`.
    #[must_use]
    pub fn new(dir: PathBuf, keep: usize) -> Self {
        Self { dir, keep }
    }

    /// Writes the captured bytes, before it is known what they mean.
    ///
    /// # Errors
    /// The system's.
    pub fn put_raw(&self, name: &str, raw: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        fs::write(self.dir.join(format!("{name}.raw")), raw)
    }

    /// Writes a report's forms; gives the text's path. The captured bytes are kept only where they could
    /// not be named.
    ///
    /// # Errors
    /// The system's.
    pub fn put(&self, name: &str, forms: &Forms) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.dir)?;
        let path = |ending: &str| self.dir.join(format!("{name}.{ending}"));
        fs::write(path("json"), &forms.json)?;
        fs::write(path("folded"), &forms.folded)?;
        // Last and in one step: who finds the text finds it whole, and the others beside it.
        fs::write(path("part"), &forms.text)?;
        fs::rename(path("part"), path("txt"))?;
        if !forms.folded.is_empty() {
            let _named_so_no_longer_needed = fs::remove_file(path("raw"));
        }
        self.give_up_old();
        Ok(path("txt"))
    }

    /// The kept reports, the oldest first.
    ///
    /// # Errors
    /// The system's; a folder that is not there holds none.
    pub fn list(&self) -> io::Result<Vec<Shelved>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut found: Vec<Shelved> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                (path.extension()? == "txt").then_some(())?;
                Some(Shelved {
                    name: path.file_stem()?.to_str()?.to_owned(),
                    verdict: first_line(&path),
                    path,
                })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn give_up_old(&self) {
        let Ok(mut reports) = self.list() else { return };
        reports.reverse();
        let mut bytes = 0;
        for (n, report) in reports.iter().enumerate() {
            let files = ENDINGS.map(|e| report.path.with_extension(e));
            let sizes = files.iter().filter_map(|f| fs::metadata(f).ok());
            bytes += sizes.map(|m| m.len()).sum::<u64>();
            let old = fs::metadata(&report.path)
                .and_then(|m| m.modified())
                .is_ok_and(|at| {
                    SystemTime::now()
                        .duration_since(at)
                        .is_ok_and(|age| age > AGE_MAX)
                });
            if n > 0 && (n >= self.keep || bytes > BYTES_MAX || old) {
                for file in &files {
                    let _not_all_are_there = fs::remove_file(file);
                }
            }
        }
    }
}

fn first_line(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_reports_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("reports"), 2);
        assert!(shelf.list().unwrap().is_empty());
        for n in 1..=4 {
            let forms = Forms {
                text: format!("verdict {n}\nmore"),
                ..Forms::default()
            };
            let name = format!("2026-0{n}");
            shelf.put_raw(&name, b"raw").unwrap();
            shelf.put(&name, &forms).unwrap();
        }
        let kept = shelf.list().unwrap();
        let names: Vec<&str> = kept.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["2026-03", "2026-04"]);
        assert_eq!(kept[1].verdict, "verdict 4");
        assert_eq!(fs::read_dir(dir.path().join("reports")).unwrap().count(), 8);
    }
}
