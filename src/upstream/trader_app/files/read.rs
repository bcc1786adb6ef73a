//! Reading the trader's files, whatever happens to them meanwhile. Used by the `file-reader` thread.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::Crc;

use crate::json::{self, Account, Kind, Mended, Source};
use crate::payload::Body;

use super::history::Lines;
use crate::files::regular::{self, Stamp};

/// A longer file is not read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How much of the history is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A file's times may be this coarse: one that was written so recently may be written again and look the
/// same.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

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
        /// Lines left out, an unfinished last one included.
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
    account: Account,
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
            account: Account::new(Source::Runners, "runners.json"),
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
        file.by_ref()
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|e| format!("reading {} failed: {e}", self.path.display()))?;
        self.seen = Some(now);
        let document = json::pass(&bytes)
            .map_err(|e| format!("{} is not whole JSON ({e})", self.path.display()))?;
        if document.kind != Kind::Object {
            return Err(format!("{} is JSON but no object", self.path.display()));
        }
        self.account.tell("the content", &document.mended);
        self.good = Some(Runners {
            body: Body::passed(document),
        });
        self.error = None;
        Ok(())
    }
}

/// Follows `trade_outcomes.jsonl`: takes only what was appended, as long as what is before that is what it
/// was. That is seen by a checksum, for which the file is read through at each change: 16 MB (100,000
/// trades) in 1 ms, from memory.
#[derive(Debug)]
pub struct HistoryFile {
    path: PathBuf,
    seen: Option<Stamp>,
    inode: Option<u64>,
    offset: u64,
    /// Of everything before `offset`.
    checksum: Crc,
    lines: Lines,
    /// As last read.
    pub history: History,
    account: Account,
    told: Mended,
}

impl HistoryFile {
    /// Not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: None,
            inode: None,
            offset: 0,
            checksum: Crc::new(),
            lines: Lines::default(),
            history: History::Missing,
            account: Account::new(Source::History, "trade_outcomes.jsonl"),
            told: Mended::default(),
        }
    }

    /// Reads what is new. True if what is served changed.
    pub fn look(&mut self) -> bool {
        let next = match self.read() {
            Ok(changed) => {
                if !changed {
                    return false;
                }
                self.tell();
                let trades = self.lines.trades();
                History::Read {
                    body: trades.body,
                    starts: trades.starts.into(),
                    skipped: trades.left_out,
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

    /// Accounts for what was mended and left out since it was last told.
    fn tell(&mut self) {
        let mut mended = self.lines.mended();
        mended += Mended::left_out(self.lines.left_out());
        self.account.tell("lines", &mended.since(&self.told));
        self.told = mended;
    }

    fn forget(&mut self) {
        self.seen = None;
        self.inode = None;
        self.offset = 0;
        self.checksum = Crc::new();
        self.lines = Lines::default();
        self.told = Mended::default();
    }

    fn read(&mut self) -> io::Result<bool> {
        let (mut file, now) = open(&self.path)?;
        if self.seen == Some(now) {
            return Ok(false);
        }
        let before = self.inode.is_some().then_some(self.offset);
        // Another file, one that was cut, or one that was rewritten in place: everything anew.
        let is_longer = self.inode == Some(now.inode) && now.length >= self.offset;
        if !is_longer || !self.begins_as_before(&mut file)? {
            self.forget();
            file.seek(SeekFrom::Start(0))?;
        }
        each_chunk(&mut file, u64::MAX, |chunk| {
            self.lines.feed(chunk);
            self.checksum.update(chunk);
            self.offset += chunk.len() as u64;
            self.offset <= FILE_BYTES_MAX
        })?;
        if self.offset > FILE_BYTES_MAX {
            return Err(io::Error::other("it grew too long while it was read"));
        }
        let written = now.modified.map(|at| at.elapsed());
        let is_settled = !matches!(written, Some(Ok(age)) if age < SETTLED_AFTER);
        let is_same = before == Some(self.offset) && self.inode.is_some();
        self.seen = is_settled.then_some(now);
        self.inode = Some(now.inode);
        Ok(!is_same)
    }

    /// Whether what was taken stands in the file as it did; leaves the file behind it.
    fn begins_as_before(&self, file: &mut File) -> io::Result<bool> {
        let mut checksum = Crc::new();
        let mut length = 0;
        each_chunk(file, self.offset, |chunk| {
            checksum.update(chunk);
            length += chunk.len() as u64;
            true
        })?;
        Ok(length == self.offset && checksum.sum() == self.checksum.sum())
    }
}

/// Reads a file from where it stands, at most `most` bytes, as long as whoever takes them wants more.
fn each_chunk(file: &mut File, most: u64, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut chunk = vec![0_u8; CHUNK_BYTES];
    let mut file = file.take(most);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) if !take(&chunk[..n]) => return Ok(()),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
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
        assert!(
            matches!(file.history, History::Read { skipped: 1, .. }),
            "half a line"
        );
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

    #[test]
    fn a_history_that_is_rewritten_in_place_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trades.jsonl");
        fs::write(&path, "{\"a\":1}\n{\"a\":2}\n").unwrap();
        let mut file = HistoryFile::new(path.clone());
        assert!(file.look());
        let patch = |at: u64, with: &[u8]| {
            let mut file = OpenOptions::new().write(true).open(&path).unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(with).unwrap();
        };
        patch(5, b"7");
        assert!(file.look(), "of the same length");
        assert_eq!(text(&file.history), r#"[{"a":7},{"a":2}]"#);
        patch(5, b"8}\n{\"a\":3}\n{\"a\":4}\n");
        assert!(file.look(), "and longer");
        assert_eq!(text(&file.history), r#"[{"a":8},{"a":3},{"a":4}]"#);
        patch(0, b"{\"a\":8");
        assert!(!file.look(), "written again as it was");
        assert_eq!(text(&file.history), r#"[{"a":8},{"a":3},{"a":4}]"#);
    }

    #[test]
    fn files_of_windows_tools_are_read_and_what_is_mended_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = runners_path(folder.path());
        let mut file = RunnersFile::new(path.clone());
        let utf16 = |text: &str| -> Vec<u8> {
            let marked = format!("\u{feff}{text}");
            marked.encode_utf16().flat_map(u16::to_le_bytes).collect()
        };
        let good = r#"{"version":1,"x":"é"}"#;
        for bytes in [
            format!("\u{feff}{good}\r\n").into_bytes(),
            utf16(good),
            format!("{good}\0\0\0").into_bytes(),
        ] {
            fs::write(&path, &bytes).unwrap();
            file.look();
            assert_eq!(file.error, None, "{bytes:?}");
            assert_eq!(&**file.good.as_ref().unwrap().body.plain(), good.as_bytes());
        }
        fs::write(&path, utf16(&good[..12])).unwrap();
        file.look();
        let words = file.error.as_ref().unwrap();
        assert!(words.contains("read as UTF-16"), "{words}");
        fs::write(&path, r#"{"version":NaN,"x":"\ud83d"}"#).unwrap();
        file.look();
        let body = &file.good.as_ref().unwrap().body;
        assert_eq!(body.mended().header().unwrap(), "numbers=1, surrogates=1");
    }
}
