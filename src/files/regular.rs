//! Opening files that other programs write, and telling whether they changed.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::time::SystemTime;

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

/// Has the opening itself not wait for the other end of a FIFO.
pub fn never_blocking(options: &mut OpenOptions) {
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
pub fn checked(file: &File) -> io::Result<Metadata> {
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
