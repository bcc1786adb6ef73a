//! Drills: real stalls, of each kind, and panics, in any supervised thread, so that it can be seen what the watchdog
//! says of them. A thread takes its order where it beats; nothing here runs unless somebody ordered it.
//!
//! The lock and the helper threads are the stall itself: they exist while a drill lasts.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a drill is what the rules forbid"
)]

use std::fmt;
use std::hint::black_box;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::one_shot::one_shot;

/// No drill lasts longer.
pub const DRILL_MAX: Duration = Duration::from_secs(300);

/// Whether an order to `meant` is one to the thread of this name: `conn-*` is to each whose name begins so.
#[must_use]
pub fn is_meant(meant: &str, name: &str) -> bool {
    match meant.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == meant,
    }
}

/// How a thread is made to stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Waits for a lock that another thread holds.
    Mutex,
    /// Computes without end.
    Spin,
    /// Sleeps.
    Sleep,
    /// Reads from a socket to which nobody writes.
    Read,
    /// Writes to a socket from which nobody reads.
    Write,
    /// Opens a file that does not open.
    Disk,
    /// Receives from a channel to which nobody sends.
    Channel,
    /// Does not stall: it panics, and begins anew where its class allows.
    Panic,
}

impl How {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Mutex, "mutex"),
        (Self::Spin, "spin"),
        (Self::Sleep, "sleep"),
        (Self::Read, "read"),
        (Self::Write, "write"),
        (Self::Disk, "disk"),
        (Self::Channel, "channel"),
        (Self::Panic, "panic"),
    ];
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(how, _)| how == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for How {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hit = Self::ALL.iter().find(|(_, name)| *name == text);
        hit.map(|(how, _)| *how).ok_or_else(|| {
            let names = Self::ALL.map(|(_, name)| name).join(", ");
            format!("{text:?} is no kind of stall; use one of {names}")
        })
    }
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drill {
    /// The kind of stall.
    pub how: How,
    /// For how long.
    pub time: Duration,
}

impl Drill {
    /// Stalls the calling thread.
    pub(super) fn run(self) {
        let time = self.time.min(DRILL_MAX);
        let result = match self.how {
            How::Mutex => stall_on_a_mutex(time),
            How::Spin => stall_by_spinning(time),
            How::Sleep => stall_by_sleeping(time),
            How::Read => stall_in_a_read(time),
            How::Write => stall_in_a_write(time),
            How::Disk => stall_in_an_open(time),
            How::Channel => stall_on_a_channel(time),
            How::Panic => panic!("a drill: a panic that was ordered"),
        };
        if let Err(e) = result {
            log::warn!(target: "DRILL", "the drill ({}) ended early: {e}", self.how);
        }
    }
}

/// Runs `then` on a thread of its own after `time`.
fn after(time: Duration, then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name("drill-helper".into())
        .spawn(move || {
            thread::sleep(time);
            then();
        })?;
    Ok(())
}

#[inline(never)]
fn stall_on_a_mutex(time: Duration) -> io::Result<()> {
    let lock = Arc::new(Mutex::new(()));
    let (held, is_held) = one_shot();
    let theirs = Arc::clone(&lock);
    thread::Builder::new()
        .name("drill-helper".into())
        .spawn(move || {
            let _guard = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            let _told = held.send(());
            thread::sleep(time);
        })?;
    let _held = is_held.recv();
    let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    black_box(Ok(()))
}

#[inline(never)]
fn stall_by_spinning(time: Duration) -> io::Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        for n in 0..100_000_u64 {
            black_box(n);
        }
    }
    black_box(Ok(()))
}

#[inline(never)]
fn stall_by_sleeping(time: Duration) -> io::Result<()> {
    thread::sleep(time);
    black_box(Ok(()))
}

#[inline(never)]
fn stall_on_a_channel(time: Duration) -> io::Result<()> {
    let (tx, rx) = one_shot::<()>();
    after(time, move || drop(tx))?;
    let _nobody_sends = rx.recv();
    black_box(Ok(()))
}

#[cfg(unix)]
#[inline(never)]
fn stall_in_a_read(time: Duration) -> io::Result<()> {
    use std::io::Read;
    let (mut mine, theirs) = std::os::unix::net::UnixStream::pair()?;
    after(time, move || drop(theirs))?;
    let _ended = mine.read(&mut [0]);
    black_box(Ok(()))
}

#[cfg(unix)]
#[inline(never)]
fn stall_in_a_write(time: Duration) -> io::Result<()> {
    use std::io::Write;
    let (mut mine, theirs) = std::os::unix::net::UnixStream::pair()?;
    after(time, move || drop(theirs))?;
    let much = vec![0; 64 * 1024];
    while mine.write_all(&much).is_ok() {}
    black_box(Ok(()))
}

#[cfg(unix)]
#[inline(never)]
fn stall_in_an_open(time: Duration) -> io::Result<()> {
    use std::fs::OpenOptions;

    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let path = std::env::temp_dir().join(format!(
        "tapewarden-drill-{}-{:?}",
        std::process::id(),
        thread::current().id()
    ));
    let _left_by_another = std::fs::remove_file(&path);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    let same = path.clone();
    after(time, move || {
        let _opened = OpenOptions::new().write(true).open(same);
    })?;
    let opened = OpenOptions::new().read(true).open(&path);
    let _gone = std::fs::remove_file(&path);
    black_box(opened.map(drop))
}

#[cfg(not(unix))]
use {not_here as stall_in_a_read, not_here as stall_in_a_write, not_here as stall_in_an_open};

#[cfg(not(unix))]
fn not_here(_: Duration) -> io::Result<()> {
    Err(io::Error::other(
        "this stall cannot be made on this system; try sleep",
    ))
}
