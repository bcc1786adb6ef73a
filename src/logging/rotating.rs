//! A log file that is appended to, rotated by size, and found again whatever happens to it. Owned by one
//! thread: the `log-writer`'s and the watchdog's each have their own.
//!
//! flexi_logger's file writer is not used: it swallows write errors (lines lost on a full disk could not
//! be counted) and cannot rotate by size under the plain name that old scripts read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::files::regular::{self, inode};

use super::lossy::Sink;

/// How often it is looked whether the file is still what stands at its path.
const PATH_CHECKED_EVERY: Duration = Duration::from_secs(1);

/// The file.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    bytes_max: u64,
    files_max: usize,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: u64,
    bytes: u64,
    looked: Instant,
}

impl RotatingFile {
    /// Nothing is opened before the first append. `files_max` counts the rotated files kept:
    /// `backend.log.1` is the newest.
    #[must_use]
    pub fn new(path: PathBuf, bytes_max: u64, files_max: usize) -> Self {
        Self {
            path,
            bytes_max,
            files_max,
            open: None,
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        if self.files_max == 0 {
            return fs::remove_file(&self.path);
        }
        for n in (1..self.files_max).rev() {
            let older = self.numbered(n + 1);
            match fs::rename(self.numbered(n), older) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, n: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }
}

impl Sink for RotatingFile {
    /// Opens the file if it is not open or was moved away or deleted. Creates its folder.
    ///
    /// # Errors
    /// The system's, also when something else than a regular file stands there: a FIFO would block.
    fn ready(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if let Some(open) = &mut self.open {
            if now.duration_since(open.looked) < PATH_CHECKED_EVERY {
                return Ok(());
            }
            open.looked = now;
            if fs::metadata(&self.path).is_ok_and(|m| inode(&m) == open.inode) {
                return Ok(());
            }
            self.open = None;
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (file, meta) = regular::append(&self.path)?;
        self.open = Some(Open {
            inode: inode(&meta),
            bytes: meta.len(),
            file,
            looked: now,
        });
        Ok(())
    }

    /// Appends, after rotating where it must. What was not written wholly is taken back, so that no half
    /// line stands before the next; the next append begins with opening the file anew.
    ///
    /// # Errors
    /// The system's.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.ready()?;
        let full = |o: &Open| o.bytes > 0 && o.bytes + bytes.len() as u64 > self.bytes_max;
        if self.open.as_ref().is_some_and(full) {
            self.rotate()?;
            self.ready()?;
        }
        let Some(open) = &mut self.open else {
            return Err(io::Error::other("it is not open"));
        };
        let before = open.file.metadata().map_or(open.bytes, |m| m.len());
        let result = open.file.write_all(bytes);
        open.bytes += bytes.len() as u64;
        if result.is_err() {
            let _nothing_more_can_be_done = open.file.set_len(before);
            self.open = None;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_rotated_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut file = RotatingFile::new(path.clone(), 10, 2);
        for n in 0..5 {
            file.append(format!("line-{n}\n").as_bytes()).unwrap();
        }
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x.log", "x.log.1", "x.log.2"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "line-4\n");
        assert_eq!(
            fs::read_to_string(path.with_extension("log.1")).unwrap(),
            "line-3\n"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn on_a_full_disk_a_line_is_whole_or_absent() {
        if !rustix::process::geteuid().is_root() {
            crate::skip::skip("only root can mount a small disk");
            return;
        }
        let disk = super::super::small_disk::SmallDisk::mount(16);
        let path = disk.path().join("x.log");
        let mut file = RotatingFile::new(path.clone(), 1_000_000, 2);
        let line = format!("{}\n", "x".repeat(2_999));
        let written = (0..10)
            .filter(|_| file.append(line.as_bytes()).is_ok())
            .count();
        let text = fs::read_to_string(&path).unwrap();
        assert!((1..10).contains(&written), "{written}");
        assert_eq!(text, line.repeat(written));
    }

    #[test]
    fn a_deleted_file_or_folder_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs").join("x.log");
        let mut file = RotatingFile::new(path.clone(), 1_000, 2);
        file.append(b"one\n").unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        if let Some(open) = &mut file.open {
            open.looked -= PATH_CHECKED_EVERY;
        }
        file.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    #[cfg(unix)]
    fn a_fifo_in_its_place_is_an_error_and_blocks_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        let mut file = RotatingFile::new(path, 1_000, 2);
        assert!(file.append(b"one\n").is_err());
    }
}
