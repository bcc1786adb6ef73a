//! Opening files by names that somebody else may have made, and telling whether they changed. A FIFO or a
//! device in a file's place would hold up who opens or reads it for ever, an endless one fill the memory.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use crate::json;

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Another file at the same path has another one; 0 where the system has none.
    pub inode: u64,
    /// In bytes.
    pub length: u64,
    /// When it was last written, where the system tells.
    pub modified: Option<SystemTime>,
}

/// Opens a file for reading, with its stamp.
///
/// # Errors
/// The system's, also when something else than a regular file stands there: a FIFO or a device would
/// block its reader for ever.
#[expect(clippy::disallowed_methods, reason = "made so that it never waits")]
pub fn open(path: &Path) -> io::Result<(File, Stamp)> {
    let mut options = OpenOptions::new();
    options.read(true);
    never_blocking(&mut options);
    let file = options.open(path)?;
    let meta = checked(&file)?;
    let stamp = Stamp {
        inode: inode(&meta),
        length: meta.len(),
        modified: meta.modified().ok(),
    };
    Ok((file, stamp))
}

/// Reads a whole file.
///
/// # Errors
/// As [`open`], also when it is longer than this.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?.0, bytes_max)
}

/// Reads the whole of an open file.
///
/// # Errors
/// The system's, also when it is longer than this.
pub fn read_open(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!(
            "it is longer than {bytes_max} bytes"
        )));
    }
    Ok(bytes)
}

/// Reads a whole file of text, however its editor encodes it.
///
/// # Errors
/// As [`read`], also when it is no text.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    as_text(&read(path, bytes_max)?)
}

/// A file's content as text, however its editor encodes it.
///
/// # Errors
/// When it is no text.
pub fn as_text(bytes: &[u8]) -> io::Result<String> {
    json::whole_text(bytes).ok_or_else(|| io::Error::other("it is neither UTF-8 nor UTF-16 text"))
}

/// Opens a file to append to, made where it is missing.
///
/// # Errors
/// As [`open`].
#[expect(clippy::disallowed_methods, reason = "made so that it never waits")]
pub fn append(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    never_blocking(&mut options);
    let file = options.open(path)?;
    let meta = checked(&file)?;
    Ok((file, meta))
}

/// Has the opening itself not wait for the other end of a FIFO.
fn never_blocking(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// What the system knows of an open file that must be a regular one.
///
/// # Errors
/// When it is none.
fn checked(file: &File) -> io::Result<Metadata> {
    let meta = file.metadata()?;
    if meta.is_file() {
        Ok(meta)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// A file's inode; 0 where the system has none.
#[must_use]
pub fn inode(meta: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::ino(meta)
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        0
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_is_no_file_or_endless_is_an_error_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), 0o600.into()).unwrap();
        let _listens = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zeros")).unwrap();
        std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
        std::fs::write(at("long"), "12345").unwrap();
        std::fs::write(at("file"), "1234").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        let bad = ["fifo", "socket", "zeros", "loop", "long", "."].map(at);
        for path in bad.into_iter().chain([PathBuf::from("/dev/tty")]) {
            assert!(read(&path, 4).is_err(), "{}", path.display());
            assert!(
                path.ends_with("long") || append(&path).is_err(),
                "{}",
                path.display()
            );
        }
        for good in ["file", "link"] {
            assert_eq!(read_text(&at(good), 4).unwrap(), "1234");
        }
    }
}
