//! Linux: threads from /proc/self/task, what the kernel says of each, and their copies by signal.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, MemfdFlags, Mode, OFlags, RawDir, SeekFrom};
use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

use crate::files::proc;

use super::build::Build;
use super::raw::{self, HEADER_BYTES};
use super::slots::{self, Answer, Ask, SLOTS, Turn};
use super::{CopiesStacks, ROUND_DEADLINE, Taken};

/// Threads beyond this are not looked at.
const THREADS_MAX: usize = 8_192;

/// Between looks at what was asked.
const SLOTS_POLLED_EVERY: Duration = Duration::from_micros(20);

/// One of so many looks also looks whether the asked threads still live.
const LIFE_EVERY: u32 = 16;

/// How long threads are waited for that the kernel held already before they were asked, or that did not
/// answer in the round before.
const HELD_PATIENCE: Duration = Duration::from_millis(100);

/// More silent threads than this are not remembered from one round to the next.
const SILENT_MAX: usize = 256;

/// Why a thread in state D has no stack.
const HELD: &[u8] = b"no signal reaches it: the kernel holds it (state D: a disk, mostly, or a child that has not begun its own program)";

/// Why a thread that is gone has no stack.
const ENDED: &[u8] = b"it ended meanwhile";

/// Why one that was asked has none.
const SILENT: &[u8] =
    b"it did not answer the signal: the kernel holds it (see its state), or it blocks all signals";

/// Why one that was not asked has none.
const NOT_ASKED: &[u8] = b"it was not asked: too many before it did not answer";

/// Why one that could not be asked has none.
const REFUSED: &[u8] =
    b"the system refused the signal (rt_tgsigqueueinfo, tgkill): a filter of system calls, probably";

/// Why nobody has one.
const NOT_OUR_TURN: &[u8] = b"it was not asked: a capture by another thread was under way";

/// Files of /proc/self/task/N whose text is kept. Read before the thread is asked, or a sleeper would
/// look running.
const FACTS: [&CStr; 5] = [c"comm", STAT, c"wchan", c"syscall", c"schedstat"];

/// The one of them with the thread's state.
const STAT: &CStr = c"stat";

/// The file and what is needed to fill it, all made beforehand.
#[derive(Debug)]
pub struct Linux {
    file: OwnedFd,
    pid: u32,
    build: Vec<u8>,
    threads: Vec<Listed>,
    silent: Vec<u32>,
    text: Vec<u8>,
    entries: Vec<MaybeUninit<u8>>,
}

/// A thread of the process.
#[derive(Clone, Copy, Debug)]
struct Listed {
    tid: u32,
    /// The kernel's letter.
    state: u8,
    /// Whether it will hardly answer.
    held: bool,
}

impl CopiesStacks for Linux {
    fn in_memory() -> io::Result<Self> {
        // Inherited by the symbolizer, which is started next.
        let file =
            rustix::fs::memfd_create("tapewarden-stacks", MemfdFlags::empty()).or_else(|e| {
                // Memory as well, without a name.
                let flags = OFlags::RDWR | OFlags::TMPFILE;
                rustix::fs::open(c"/dev/shm", flags, Mode::RUSR | Mode::WUSR).map_err(|other| {
                    let why = format!(
                        "memfd_create is refused ({e}), and a file in /dev/shm as well ({other})"
                    );
                    io::Error::new(e.kind(), why)
                })
            })?;
        let capture = Self::into_file(file)?;
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        if let Some(refused) = slots::try_out(capture.pid, tid.cast_unsigned())? {
            log::warn!(target: "WATCHDOG", "{refused}: threads are asked for their stacks by SIGURG and tgkill instead");
        }
        Ok(capture)
    }

    fn on_disk(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK;
        // As above.
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        if !FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        rustix::fs::ftruncate(&file, 0)?;
        Self::into_file(file)
    }

    fn fd(&self) -> u32 {
        self.file.as_raw_fd().cast_unsigned()
    }

    fn begin(&mut self) {
        self.silent.clear();
        let _cannot_fail = rustix::fs::ftruncate(&self.file, 0);
        let _cannot_fail = rustix::fs::seek(&self.file, SeekFrom::Start(0));
        put(&self.file, raw::BUILD, 0, 0, &[&self.build]);
        self.copy_file(c"/proc/self/maps", raw::MAPS, 0, 0);
    }

    fn round(&mut self, number: u32) -> Taken {
        let began = Instant::now();
        let deadline = began + ROUND_DEADLINE;
        let mut taken = Taken::default();
        self.add(raw::TIME, &now_ns().to_le_bytes());
        self.list_threads();
        taken.threads = u32::try_from(self.threads.len()).unwrap_or(u32::MAX);
        for i in 0..self.threads.len() {
            let tid = self.threads[i].tid;
            let state = self.facts(tid, number);
            let held = state == b'D' || self.silent.contains(&tid);
            self.threads[i] = Listed { tid, state, held };
        }
        // Those that will hardly answer come last: the places are few.
        self.threads.sort_unstable_by_key(|t| (t.held, t.tid));
        self.silent.clear();
        let asked_at = Instant::now();
        match Turn::take() {
            Some(turn) => self.ask_all(&turn, number, deadline, &mut taken),
            None => self.without(0, number, NOT_OUR_TURN),
        }
        taken.micros = u64::try_from(asked_at.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.add(raw::TOOK, &taken.micros.to_le_bytes());
        taken
    }

    fn add(&mut self, tag: [u8; 4], bytes: &[u8]) {
        put(&self.file, tag, 0, 0, &[bytes]);
    }

    fn content(&self) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let file = File::from(self.file.try_clone()?);
        let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

impl Linux {
    fn into_file(file: OwnedFd) -> io::Result<Self> {
        let maps = proc::read("self/maps")?;
        let main_stack_end = maps
            .lines()
            .find(|line| line.ends_with("[stack]"))
            .and_then(|line| u64::from_str_radix(line.split(['-', ' ']).nth(1)?, 16).ok())
            .unwrap_or(0);
        slots::install(main_stack_end)?;
        Ok(Self {
            file,
            pid: std::process::id(),
            build: Build::own().to_string().into_bytes(),
            threads: Vec::with_capacity(THREADS_MAX),
            silent: Vec::with_capacity(SILENT_MAX),
            text: vec![0; 64 * 1024],
            entries: vec![MaybeUninit::uninit(); 32 * 1024],
        })
    }

    /// Asks every listed thread for its stack and takes what comes until `deadline`.
    fn ask_all(&mut self, turn: &Turn, number: u32, deadline: Instant, taken: &mut Taken) {
        slots::sweep(turn);
        let held_until = (Instant::now() + HELD_PATIENCE).min(deadline);
        let mut asked: [Option<(Listed, Ask)>; SLOTS] = [None; SLOTS];
        let mut next = 0;
        for look in 0_u32.. {
            let look_for_life = look % LIFE_EVERY == LIFE_EVERY - 1;
            for place in &mut asked {
                self.take_answer(place, number, look_for_life, taken);
                self.ask_next(place, turn, number, &mut next);
            }
            let mut waiting = asked.iter().flatten();
            let all_asked = next == self.threads.len();
            if all_asked && waiting.clone().next().is_none() {
                break;
            }
            let only_held = waiting.all(|(thread, _)| thread.held);
            let until = if only_held && all_asked {
                held_until
            } else {
                deadline
            };
            if Instant::now() >= until {
                break;
            }
            pause(SLOTS_POLLED_EVERY);
        }
        for (thread, ask) in asked.into_iter().flatten() {
            slots::release(ask);
            let why = if thread.state == b'D' { HELD } else { SILENT };
            put(&self.file, raw::MISSING, thread.tid, number, &[why]);
            if self.silent.len() < SILENT_MAX {
                self.silent.push(thread.tid);
            }
        }
        self.without(next, number, NOT_ASKED);
    }

    /// Takes what the thread that was asked in this place has copied, or gives it up if it has ended.
    fn take_answer(
        &self,
        place: &mut Option<(Listed, Ask)>,
        number: u32,
        look_for_life: bool,
        taken: &mut Taken,
    ) {
        let Some((Listed { tid, .. }, ask)) = *place else {
            return;
        };
        if let Answer::Copied(regs, stack) = slots::look(ask) {
            put_stack(&self.file, tid, number, regs, stack);
            taken.stacks += 1;
        } else if look_for_life && !slots::lives(self.pid, tid) {
            put(&self.file, raw::MISSING, tid, number, &[ENDED]);
        } else {
            return;
        }
        slots::release(ask);
        *place = None;
    }

    /// Asks the next thread that takes the signal in this place, if it is free.
    fn ask_next(
        &self,
        place: &mut Option<(Listed, Ask)>,
        turn: &Turn,
        number: u32,
        next: &mut usize,
    ) {
        while place.is_none()
            && let Some(thread) = self.threads.get(*next).copied()
            && let Some(ask) = slots::reserve(turn, thread.tid)
        {
            *next += 1;
            match slots::send(ask, self.pid, thread.tid) {
                Ok(()) => *place = Some((thread, ask)),
                Err(e) => {
                    slots::release(ask);
                    let why = match e.raw_os_error() {
                        Some(libc::ESRCH) => ENDED,
                        _ => REFUSED,
                    };
                    put(&self.file, raw::MISSING, thread.tid, number, &[why]);
                }
            }
        }
    }

    /// Says why the threads from this one on have no stack.
    fn without(&self, from: usize, number: u32, why: &[u8]) {
        for thread in self.threads.iter().skip(from) {
            put(&self.file, raw::MISSING, thread.tid, number, &[why]);
        }
    }

    fn list_threads(&mut self) {
        self.threads.clear();
        let Ok(folder) = rustix::fs::open(
            c"/proc/self/task",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        ) else {
            return;
        };
        let mut entries = RawDir::new(folder.as_fd(), &mut self.entries);
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name().to_bytes();
            if let Some(tid) = std::str::from_utf8(name).ok().and_then(|n| n.parse().ok())
                && self.threads.len() < THREADS_MAX
            {
                let (state, held) = (b'?', false);
                self.threads.push(Listed { tid, state, held });
            }
        }
    }

    /// What the kernel says of a thread, one section. Gives its state's letter.
    fn facts(&mut self, tid: u32, number: u32) -> u8 {
        let (mut used, mut state) = (0, b'?');
        for name in FACTS {
            let mut path = [0_u8; 64];
            let mut rest = &mut path[..63];
            // Both fit; the last byte stays zero.
            let _ = write!(rest, "/proc/self/task/{tid}/");
            let _ = rest.write_all(name.to_bytes());
            let Ok(path) = CStr::from_bytes_until_nul(&path) else {
                continue;
            };
            if let Some(room) = self.text.get_mut(used..used + 1_024) {
                let n = read_small(path, room);
                if name == STAT {
                    state = state_letter(&room[..n]);
                }
                used += n;
            }
            if let Some(end) = self.text.get_mut(used) {
                *end = 0;
                used += 1;
            }
        }
        put(&self.file, raw::FACTS, tid, number, &[&self.text[..used]]);
        state
    }

    /// A file of any length, in sections of at most the buffer's.
    fn copy_file(&mut self, path: &CStr, tag: [u8; 4], tid: u32, number: u32) {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else {
            return;
        };
        loop {
            match rustix::io::read(&file, &mut self.text) {
                Ok(0) => return,
                Ok(n) => put(&self.file, tag, tid, number, &[&self.text[..n]]),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Reads as much of a small file as fits; how much that was.
fn read_small(path: &CStr, room: &mut [u8]) -> usize {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .and_then(|file| rustix::io::read(&file, room))
        .unwrap_or(0)
}

fn put_stack(file: &OwnedFd, tid: u32, number: u32, regs: slots::Registers, stack: &[u8]) {
    let mut bytes = [0_u8; 32];
    for (place, register) in bytes.chunks_exact_mut(8).zip(regs) {
        place.copy_from_slice(&register.to_le_bytes());
    }
    put(file, raw::STACK, tid, number, &[&bytes, stack]);
}

fn put(file: &OwnedFd, tag: [u8; 4], tid: u32, number: u32, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    let mut header = [0_u8; HEADER_BYTES];
    header[..4].copy_from_slice(&tag);
    header[4..8].copy_from_slice(&tid.to_le_bytes());
    header[8..12].copy_from_slice(&u32::try_from(len).unwrap_or(0).to_le_bytes());
    header[12..].copy_from_slice(&number.to_le_bytes());
    for mut part in std::iter::once(&header[..]).chain(parts.iter().copied()) {
        while !part.is_empty() {
            match rustix::io::write(file, part) {
                Ok(n) if n > 0 => part = &part[n..],
                Err(rustix::io::Errno::INTR) => {}
                // Out of memory: what is missing shows when it is read.
                _ => return,
            }
        }
    }
}

/// The letter after the name, which stands in brackets and may hold anything.
fn state_letter(stat: &[u8]) -> u8 {
    let close = stat.iter().rposition(|b| *b == b')').unwrap_or(0);
    stat.get(close + 2).copied().unwrap_or(b'?')
}

fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

fn pause(time: Duration) {
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // Interrupted by the own signal, it is a little shorter.
    let _: NanosleepRelativeResult = nanosleep(&time);
}
