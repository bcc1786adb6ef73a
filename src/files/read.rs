//! Reading the trader's files, whatever happens to them meanwhile. Used by the `file-reader` thread.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::body::Body;

use super::history::Lines;
use super::regular::{self, Stamp};

/// A longer file is not read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How much of the history is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The trade history as last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// There is no such file.
    Missing,
    /// It is there and cannot be read: why.
    Unreadable(String),
    /// An array of its objects.
    Read {
        /// The body.
        body: Body,
        /// Where each of its objects begins in the plain form.
        starts: Arc<[usize]>,
        /// Lines left out.
        skipped: u64,
    },
}

/// `runners.json` as last read in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runners {
    /// The object.
    pub body: Body,
}

/// Opens a file of the trader's, if it is not too long.
fn open(path: &Path) -> io::Result<(File, Stamp)> {
    let (file, stamp) = regular::open(path)?;
    if stamp.length > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "it is longer than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok((file, stamp))
}

/// Follows `runners.json`.
#[derive(Debug)]
pub struct RunnersFile {
    path: PathBuf,
    seen: Option<Stamp>,
    /// The last good one.
    pub good: Option<Runners>,
    /// Why the file as it stands now is not served.
    pub error: Option<String>,
}

impl RunnersFile {
    /// Not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: None,
            good: None,
            error: None,
        }
    }

    /// Reads it again if it changed. True if what is served, or why not, did.
    pub fn look(&mut self) -> bool {
        let before = (self.good.clone(), self.error.clone());
        match self.read() {
            Ok(()) => {}
            Err(why) => self.error = Some(why),
        }
        before != (self.good.clone(), self.error.clone())
    }

    fn read(&mut self) -> Result<(), String> {
        let (mut file, now) = open(&self.path).map_err(|e| {
            self.seen = None;
            format!("reading {} failed: {e}", self.path.display())
        })?;
        if self.seen == Some(now) {
            return self.error.clone().map_or(Ok(()), Err);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| format!("reading {} failed: {e}", self.path.display()))?;
        self.seen = Some(now);
        let raw: &RawValue = serde_json::from_slice(&bytes)
            .map_err(|e| format!("{} is not whole JSON ({e})", self.path.display()))?;
        if !raw.get().starts_with('{') {
            return Err(format!("{} is JSON but no object", self.path.display()));
        }
        self.good = Some(Runners {
            body: Body::built(raw.get().as_bytes().to_vec()),
        });
        self.error = None;
        Ok(())
    }
}

/// Follows `trade_outcomes.jsonl`: reads only what was appended.
#[derive(Debug)]
pub struct HistoryFile {
    path: PathBuf,
    seen: Option<Stamp>,
    offset: u64,
    lines: Lines,
    /// As last read.
    pub history: History,
}

impl HistoryFile {
    /// Not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: None,
            offset: 0,
            lines: Lines::default(),
            history: History::Missing,
        }
    }

    /// Reads what is new. True if what is served changed.
    pub fn look(&mut self) -> bool {
        let next = match self.read() {
            Ok(changed) => {
                if !changed {
                    return false;
                }
                History::Read {
                    body: self.lines.array(),
                    starts: self.lines.starts().into(),
                    skipped: self.lines.skipped(),
                }
            }
            Err(e) => {
                self.forget();
                if e.kind() == io::ErrorKind::NotFound {
                    History::Missing
                } else {
                    History::Unreadable(format!("reading {} failed: {e}", self.path.display()))
                }
            }
        };
        let changed = next != self.history;
        self.history = next;
        changed
    }

    fn forget(&mut self) {
        self.seen = None;
        self.offset = 0;
        self.lines = Lines::default();
    }

    fn read(&mut self) -> io::Result<bool> {
        let (mut file, now) = open(&self.path)?;
        if self.seen == Some(now) {
            return Ok(false);
        }
        // Another file, or one that was cut: everything anew.
        let same = self.seen.is_some_and(|s| s.inode == now.inode);
        if !same || now.length < self.offset {
            self.forget();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0_u8; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => {
                    self.lines.feed(&chunk[..n]);
                    self.offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            if self.offset > FILE_BYTES_MAX {
                return Err(io::Error::other("it grew too long while it was read"));
            }
        }
        self.seen = Some(now);
        Ok(true)
    }
}

/// The files' places below the trader's data folder.
#[must_use]
pub fn runners_path(data_dir: &Path) -> PathBuf {
    data_dir.join("runners.json")
}

/// As above.
#[must_use]
pub fn history_path(data_dir: &Path) -> PathBuf {
    data_dir.join("paper_trading").join("trade_outcomes.jsonl")
}

/// Whether a folder is there to be watched.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn text(history: &History) -> String {
        match history {
            History::Read { body, .. } => String::from_utf8(body.plain().to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_broken_edit_keeps_the_last_good_runners_and_a_mended_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = runners_path(folder.path());
        let mut file = RunnersFile::new(path.clone());
        file.look();
        assert!(file.good.is_none() && file.error.is_some());
        fs::write(&path, r#"{"version":1}"#).unwrap();
        assert!(file.look());
        fs::write(&path, r#"{"version":2,"#).unwrap();
        assert!(file.look());
        assert_eq!(
            &**file.good.as_ref().unwrap().body.plain(),
            br#"{"version":1}"#
        );
        assert!(file.error.as_ref().unwrap().contains("not whole JSON"));
        assert!(!file.look(), "said once");
        fs::write(&path, r#"{"version":33}"#).unwrap();
        assert!(file.look());
        assert_eq!(
            &**file.good.as_ref().unwrap().body.plain(),
            br#"{"version":33}"#
        );
        assert!(file.error.is_none());
    }

    #[test]
    fn a_history_is_followed_through_appends_cuts_and_replacement() {
        let folder = tempfile::tempdir().unwrap();
        let path = history_path(folder.path());
        let mut file = HistoryFile::new(path.clone());
        file.look();
        assert_eq!(file.history, History::Missing);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "{\"a\":1}\n{\"a\":").unwrap();
        assert!(file.look());
        assert_eq!(text(&file.history), r#"[{"a":1}]"#);
        let mut more = OpenOptions::new().append(true).open(&path).unwrap();
        more.write_all(b"2}\n").unwrap();
        assert!(file.look());
        assert_eq!(text(&file.history), r#"[{"a":1},{"a":2}]"#);
        fs::write(&path, "{\"b\":1}\n").unwrap();
        assert!(file.look());
        assert_eq!(text(&file.history), r#"[{"b":1}]"#);
        fs::remove_file(&path).unwrap();
        assert!(file.look());
        assert_eq!(file.history, History::Missing);
        fs::create_dir(&path).unwrap();
        assert!(file.look());
        assert!(matches!(file.history, History::Unreadable(_)));
    }
}
