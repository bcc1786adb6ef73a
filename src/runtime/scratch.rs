//! Folders for the time that this process lives. A process that was killed leaves its own behind; the
//! next one removes it, in a thread of its own once it serves. Who is alive holds a file lock in its
//! folder: process numbers come again, and mean nothing between containers that share `/tmp`. Anybody can
//! put things there under these names: only what this user made is looked at.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::runtime::clock::system_ms;
use crate::runtime::{Stop, Supervisor, ThreadKind};

/// All of them begin so.
const PREFIX: &str = "tapewarden-";

/// The locked file in each.
const HELD: &str = ".held";

/// Names tried for a new one.
const TRIES_MAX: i64 = 100;

/// Leftovers that one start removes.
const LEFTOVERS_MAX: usize = 1_000;

/// Names in the folder for temporary files that are looked at.
const NAMES_MAX: usize = 100_000;

/// The start has the processors to itself; then leftovers are looked for.
const AFTER: Duration = Duration::from_secs(3);

/// Why there is none.
#[derive(Debug, Error)]
#[error(
    "{source}, in {}; the variable TMPDIR chooses another folder for temporary files",
    place.display()
)]
struct NoPlace {
    place: PathBuf,
    source: io::Error,
}

/// A folder that only this user can enter, removed by [`Self::remove`] or by another's [`Self::new`].
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _held: File,
}

impl Scratch {
    /// A new one in the system's folder for temporary files, for this purpose.
    ///
    /// # Errors
    /// The system's, with the folder and the variable that chooses it.
    pub fn new(purpose: &str) -> io::Result<Self> {
        let place = std::env::temp_dir();
        Self::new_in(&place, purpose).map_err(|e| {
            let kind = e.kind();
            io::Error::new(kind, NoPlace { place, source: e })
        })
    }

    fn new_in(place: &Path, purpose: &str) -> io::Result<Self> {
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
        #[expect(clippy::disallowed_methods, reason = "made new")]
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

/// Starts the thread that removes what killed processes left behind, and then ends.
///
/// # Errors
/// When the system refuses it.
pub fn start_removal(supervisor: &Supervisor) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    supervisor.spawn_once(ThreadKind::Leftovers, move |heartbeat| {
        heartbeat.idle();
        if !stop.sleep(AFTER) {
            heartbeat
                .begin("removing what killed processes left in the folder for temporary files");
            remove_leftovers(&std::env::temp_dir(), &stop);
        }
    })?;
    Ok(())
}

/// Removes what processes of this user that are gone left behind.
fn remove_leftovers(place: &Path, stop: &Stop) {
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    let names = entries.take(NAMES_MAX).flatten();
    let ours = names.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let mut removed = 0;
    for entry in ours {
        if removed == LEFTOVERS_MAX || stop.is_set() {
            return;
        }
        let path = entry.path();
        if let Some(held) = held_by_us(&path)
            && held.try_lock().is_ok()
            && fs::remove_dir_all(&path).is_ok()
        {
            removed += 1;
            log::info!(target: "FILES", "removed {}, which a process that was killed had left", path.display());
        }
    }
}

/// The file that is locked in a folder of ours; none where the folder, or the file, is no such thing or
/// another user's.
#[cfg(unix)]
fn held_by_us(folder: &Path) -> Option<File> {
    use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};
    let us = rustix::process::geteuid().as_raw();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let folder = open(folder, flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    if fstat(&folder).ok()?.st_uid != us {
        return None;
    }
    let held = openat(&folder, HELD, flags | OFlags::WRONLY, Mode::empty()).ok()?;
    let about = fstat(&held).ok()?;
    let is_ours = about.st_uid == us && FileType::from_raw_mode(about.st_mode).is_file();
    is_ours.then(|| held.into())
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "there are no FIFOs")]
fn held_by_us(folder: &Path) -> Option<File> {
    OpenOptions::new().write(true).open(folder.join(HELD)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::stop;

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
        let (_stopper, stop) = stop();
        remove_leftovers(place.path(), &stop);
        assert!(!left.exists());
        assert!(alive.path().exists() && stranger.exists());
        alive.remove().unwrap();
        assert!(!alive.path().exists());
    }

    #[test]
    #[cfg(unix)]
    fn what_others_prepared_is_not_looked_at() {
        use std::os::unix::fs::{chown, symlink};
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = place.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&path).unwrap();
            path
        };
        let (fifo, link, theirs) = (folder("fifo"), folder("link"), folder("theirs"));
        rustix::fs::mkfifoat(rustix::fs::CWD, fifo.join(HELD), 0o600.into()).unwrap();
        let precious = place.path().join("precious");
        fs::write(&precious, "x").unwrap();
        symlink(&precious, link.join(HELD)).unwrap();
        symlink(
            &precious,
            place.path().join(format!("{PREFIX}itself-a-link")),
        )
        .unwrap();
        fs::write(theirs.join(HELD), "").unwrap();
        // Only root can give files away; for others this one is their own.
        let given_away = chown(&theirs, Some(4_711), None).is_ok();
        let (_stopper, stop) = stop();
        remove_leftovers(place.path(), &stop);
        assert!(fifo.exists() && link.exists() && precious.exists());
        assert_eq!(theirs.exists(), given_away);
    }
}
