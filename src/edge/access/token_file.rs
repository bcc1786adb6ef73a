//! The file of the clients' token, and the token as it stands now for who compares it. The thread
//! `token-reader` follows the file; a content that is no token, or a file that others can write, leaves the
//! token that was read before in force, and the log says so.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::files::regular::{self, Stamp};
use crate::runtime::{Counter, Supervisor, ThreadKind, WatchRx, WatchTx, watch};

use crate::edge::request::{Secret, TOKEN_FILE_BYTES_MAX};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The token in force, where there is one. A clone sees later changes as well.
#[derive(Clone, Debug)]
pub struct Token {
    current: Option<Secret>,
    newer: WatchRx<Secret>,
    /// So that each request needs to look at nothing else.
    changes: Counter,
    seen: u64,
}

impl Token {
    /// One that nobody changes.
    #[must_use]
    pub fn fixed(current: Option<Secret>) -> Self {
        Self {
            current,
            newer: watch().1,
            changes: Counter::default(),
            seen: 0,
        }
    }

    /// Takes a newer one. True if there was one.
    pub fn look(&mut self) -> bool {
        let changes = self.changes.get();
        if changes == self.seen {
            return false;
        }
        // None only while another reader has it in hand: then the next look finds it.
        let Some(newer) = self.newer.changed() else {
            return false;
        };
        self.seen = changes;
        self.current = Some(newer);
        true
    }

    /// As of the last look.
    #[must_use]
    pub fn current(&self) -> Option<&Secret> {
        self.current.as_ref()
    }
}

/// Reads the file, and again when it changes.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    seen: Option<Stamp>,
    secret: Secret,
    newer: WatchTx<Secret>,
    changes: Counter,
    error: Option<String>,
}

impl TokenFile {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// When it cannot be read, holds no token, or can be written by others.
    pub fn begin(path: PathBuf) -> io::Result<(Self, Token)> {
        let (secret, stamp) = read(&path, None)?;
        let secret = secret.ok_or_else(|| io::Error::other("it was not read"))?;
        let (newer, seen) = watch();
        let changes = Counter::default();
        let token = Token {
            current: Some(secret.clone()),
            newer: seen,
            changes: changes.clone(),
            seen: 0,
        };
        let file = Self {
            path,
            seen: Some(stamp),
            secret,
            newer,
            changes,
            error: None,
        };
        Ok((file, token))
    }

    /// Looks whether it changed; a line for the log where that is worth one.
    fn look(&mut self) -> Option<(log::Level, String)> {
        let path = self.path.display();
        let error = match read(&self.path, self.seen) {
            Ok((secret, stamp)) => {
                self.seen = Some(stamp);
                let was_bad = self.error.take().is_some();
                let changed = secret.filter(|secret| *secret != self.secret);
                let Some(secret) = changed else {
                    return was_bad.then(|| {
                        (
                            log::Level::Info,
                            format!("the clients' token in {path} (http.token_file) is well again"),
                        )
                    });
                };
                self.secret = secret.clone();
                self.newer.publish(secret);
                self.changes.add(1);
                return Some((
                    log::Level::Info,
                    format!(
                        "the clients' token in {path} (http.token_file) has changed: requests need the new one from here on; open streams go on"
                    ),
                ));
            }
            Err(e) => e.to_string(),
        };
        // What is mended is read whatever its stamp.
        self.seen = None;
        if self.error.as_ref() == Some(&error) {
            return None;
        }
        let line = format!(
            "reading the clients' token in {path} (http.token_file) failed: {error}; the one that was read before stays in force"
        );
        self.error = Some(error);
        Some((log::Level::Warn, line))
    }
}

/// Starts the thread that follows the file.
///
/// # Errors
/// When the system refuses it.
pub fn start_token_reader(supervisor: &Supervisor, file: TokenFile) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    let file = std::cell::RefCell::new(file);
    supervisor.spawn(ThreadKind::TokenReader, move |heartbeat| {
        loop {
            heartbeat.idle();
            if stop.sleep(LOOK_EVERY) {
                return;
            }
            heartbeat.begin("looking at http.token_file");
            if let Some((level, line)) = file.borrow_mut().look() {
                log::log!(target: "GATE", level, "{line}");
            }
        }
    })?;
    Ok(())
}

/// The token, unless the file is the one that was `seen`.
fn read(path: &std::path::Path, seen: Option<Stamp>) -> io::Result<(Option<Secret>, Stamp)> {
    let (file, stamp) = regular::open(path)?;
    written_by_nobody_else(&file)?;
    if seen == Some(stamp) {
        return Ok((None, stamp));
    }
    let text = regular::as_text(&regular::read_open(file, TOKEN_FILE_BYTES_MAX)?)?;
    let secret = Secret::token(&text).map_err(io::Error::other)?;
    Ok((Some(secret), stamp))
}

/// Who can write the file can let himself in.
#[cfg(unix)]
fn written_by_nobody_else(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let about = file.metadata()?;
    let (owner, mode) = (about.uid(), about.mode() & 0o7777);
    let us = rustix::process::geteuid().as_raw();
    if owner != us && owner != 0 {
        return Err(io::Error::other(format!(
            "it belongs to user {owner}, who could put a token of his own there: it must belong to this server's user ({us}) or to root"
        )));
    }
    if mode & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others than its owner can write it (mode {mode:04o}) and put a token of their own there: chmod 600 it"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn written_by_nobody_else(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const FIRST: &str = "first-token-0123456789";
    const SECOND: &str = "second-token-0123456789";

    #[test]
    fn a_new_token_is_taken_and_a_bad_one_leaves_the_old_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let put = |text: &str, mode: u32| {
            let part = folder.path().join("part");
            fs::write(&part, text).unwrap();
            fs::set_permissions(&part, Permissions::from_mode(mode)).unwrap();
            fs::rename(part, &path).unwrap();
        };
        put(FIRST, 0o600);
        let (mut file, mut token) = TokenFile::begin(path.clone()).unwrap();
        let mut look = || file.look().map(|(_, line)| line).unwrap_or_default();
        let is = |token: &mut Token, word| {
            token.look();
            token.current().unwrap().is(word)
        };
        assert_eq!(look(), "");
        for (text, mode, words) in [
            ("", 0o600, "16 to 1024"),
            (SECOND, 0o666, "mode 0666"),
            (SECOND, 0o620, "mode 0620"),
        ] {
            put(text, mode);
            let said = look();
            assert!(
                said.contains(words) && said.contains("stays in force"),
                "{said}"
            );
            assert_eq!(look(), "", "said once");
            assert!(is(&mut token, FIRST));
        }
        let mut another = token.clone();
        put(SECOND, 0o600);
        assert!(look().contains("has changed"));
        assert!(is(&mut token, SECOND) && is(&mut another, SECOND));
        // Its rights alone change.
        fs::set_permissions(&path, Permissions::from_mode(0o602)).unwrap();
        assert!(look().contains("mode 0602"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(look().contains("well again"));
        fs::remove_file(&path).unwrap();
        assert!(look().contains("stays in force"));
        assert!(is(&mut token, SECOND));
    }

    #[test]
    fn a_file_that_others_can_write_or_own_is_refused_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, FIRST).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o646)).unwrap();
        let why = TokenFile::begin(path.clone()).unwrap_err().to_string();
        assert!(why.contains("mode 0646"), "{why}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        // Only root can give it away.
        if std::os::unix::fs::chown(&path, Some(4_711), None).is_ok() {
            let why = TokenFile::begin(path).unwrap_err().to_string();
            assert!(why.contains("belongs to user 4711"), "{why}");
        }
    }
}
