//! The names of one process's files in the folder of the logs. Who comes while another process writes there
//! uses names of its own: two writers of one file would rotate it away from each other.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::files::regular;

/// More processes than this do not write to one folder.
const PROCESSES_MAX: u32 = 64;

/// The folder, and which of the processes that write there this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFiles {
    dir: PathBuf,
    number: u32,
}

impl LogFiles {
    /// Those of the first process, 1, or of a later one.
    #[must_use]
    pub fn new(dir: PathBuf, number: u32) -> Self {
        Self { dir, number }
    }

    /// The names that no living process uses; they are this one's as long as the file is kept open.
    /// Where the folder can hold no such file, they are the first's.
    #[must_use]
    pub fn take(dir: &Path) -> (Self, Option<File>) {
        for number in 1..=PROCESSES_MAX {
            let files = Self::new(dir.to_owned(), number);
            match files.lock() {
                Ok(Some(lock)) => return (files, Some(lock)),
                Ok(None) => {}
                // What cannot be written is told by who writes.
                Err(_) => break,
            }
        }
        (Self::new(dir.to_owned(), 1), None)
    }

    fn lock(&self) -> io::Result<Option<File>> {
        fs::create_dir_all(&self.dir)?;
        let (file, _) = regular::append(&self.named(".tapewarden", ".lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// 1, or more where others came first.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// `backend.log`, or `backend-2.log` …
    #[must_use]
    pub fn backend(&self) -> PathBuf {
        self.named("backend", ".log")
    }

    /// `watchdog.log`
    #[must_use]
    pub fn watchdog(&self) -> PathBuf {
        self.named("watchdog", ".log")
    }

    /// `control.sock`: where operators reach the process.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.named("control", ".sock")
    }

    /// The folder of reports.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        self.named("reports", "")
    }

    /// What the sentinel captures when the watchdog is silent.
    #[must_use]
    pub fn silent_raw(&self) -> PathBuf {
        self.named("watchdog-silent", ".raw")
    }

    /// The same of the process before.
    #[must_use]
    pub fn silent_before_raw(&self) -> PathBuf {
        self.named("watchdog-silent", ".before.raw")
    }

    /// Whose `watchdog.log` this is, also one that was rotated or deleted; none where it is another file.
    #[must_use]
    pub fn of_watchdog_log(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix("watchdog")?;
        let number = match name.strip_prefix('-') {
            Some(rest) => rest.split_once(".log")?.0.parse().ok()?,
            None => name.starts_with(".log").then_some(1)?,
        };
        Some(Self::new(path.parent()?.to_owned(), number))
    }

    fn named(&self, name: &str, ending: &str) -> PathBuf {
        self.dir.join(match self.number {
            1 => format!("{name}{ending}"),
            number => format!("{name}-{number}{ending}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_living_process_has_names_of_its_own_and_the_first_free_ones() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("logs");
        let (first, lock) = LogFiles::take(&dir);
        let (second, _lock) = LogFiles::take(&dir);
        assert_eq!(first.backend(), dir.join("backend.log"));
        assert_eq!(second.backend(), dir.join("backend-2.log"));
        assert_eq!(second.reports(), dir.join("reports-2"));
        drop(lock);
        assert_eq!(LogFiles::take(&dir).0, first);
        for files in [first, second] {
            let mut name = files.watchdog().into_os_string();
            assert_eq!(
                LogFiles::of_watchdog_log(Path::new(&name)),
                Some(files.clone())
            );
            name.push(".1 (deleted)");
            assert_eq!(LogFiles::of_watchdog_log(Path::new(&name)), Some(files));
        }
        assert_eq!(
            LogFiles::of_watchdog_log(Path::new("/x/watchdog-silent.raw")),
            None
        );
    }
}
