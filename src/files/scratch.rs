//! Folders for the time that this process lives. A process that was killed leaves its own behind; the
//! next one removes it. Who is alive holds a file lock in its folder: process numbers come again, and
//! mean nothing between containers that share `/tmp`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::system_ms;

/// All of them begin so.
const PREFIX: &str = "tapewarden-";

/// The locked file in each.
const HELD: &str = ".held";

/// Names tried for a new one.
const TRIES_MAX: i64 = 100;

/// Leftovers that one start looks at.
const LEFTOVERS_MAX: usize = 1_000;

/// A folder that only this user can enter, removed by [`Self::remove`] or by another's [`Self::new`].
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _held: File,
}

impl Scratch {
    /// A new one in the system's folder for temporary files, for this purpose. Those that killed
    /// processes left behind are removed.
    ///
    /// # Errors
    /// The system's.
    pub fn new(purpose: &str) -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir(), purpose)
    }

    fn new_in(place: &Path, purpose: &str) -> io::Result<Self> {
        remove_leftovers(place);
        let (pid, now_ms) = (std::process::id(), system_ms());
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let mut last = io::Error::other("no try");
        for n in 0..TRIES_MAX {
            let path = place.join(format!("{PREFIX}{purpose}-{pid}-{:x}", now_ms + n));
            // One that was there before somebody else may have prepared.
            match builder.create(&path) {
                Ok(()) => return Self::hold(path),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn hold(path: PathBuf) -> io::Result<Self> {
        // Locked before it has its name: nobody sees it free.
        let early = path.join(".holding");
        let held = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&early)?;
        held.try_lock()?;
        fs::rename(early, path.join(HELD))?;
        Ok(Self { path, _held: held })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it and what is in it.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

/// Removes what processes that are gone left behind. What cannot be looked at or removed stays: it is
/// somebody else's.
fn remove_leftovers(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    let ours = entries.flatten().filter(|entry| {
        entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|t| t.is_dir())
    });
    for entry in ours.take(LEFTOVERS_MAX) {
        let path = entry.path();
        let Ok(file) = OpenOptions::new().write(true).open(path.join(HELD)) else {
            continue;
        };
        if file.try_lock().is_ok() && fs::remove_dir_all(&path).is_ok() {
            log::info!(target: "FILES", "removed {}, which a process that was killed had left", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not() {
        let place = tempfile::tempdir().unwrap();
        let alive = Scratch::new_in(place.path(), "a").unwrap();
        let killed = Scratch::new_in(place.path(), "b").unwrap();
        fs::write(killed.path().join("x"), "x").unwrap();
        let left = killed.path().to_owned();
        // The lock goes with the process, the folder does not.
        drop(killed);
        let stranger = place.path().join("tapewarden-not-ours");
        fs::create_dir(&stranger).unwrap();
        let third = Scratch::new_in(place.path(), "a").unwrap();
        assert!(!left.exists());
        assert!(alive.path().exists() && third.path().exists() && stranger.exists());
        third.remove().unwrap();
        assert!(!third.path().exists());
    }
}
