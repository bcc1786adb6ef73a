//! Captures while what a capture must not need is held: the allocator, the lock of who names addresses.
//! And of code that lies in no file.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::os::unix::thread::JoinHandleExt;
use std::path::Path;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Capture, CopiesStacks, ROUND_DEADLINE, raw};
use crate::diag::symbolizer;

/// Set in the process in which the allocator is held: the raw dump's path.
const INSIDE: &str = "TAPEWARDEN_TEST_ALLOCATOR_HELD";

/// A thread is stopped inside the allocator only by chance.
const TRIES_MAX: u32 = 20_000;

static HOLD: AtomicBool = AtomicBool::new(false);
static IS_HELD: AtomicBool = AtomicBool::new(false);
static RESOLVING: AtomicBool = AtomicBool::new(false);
static OVER: AtomicBool = AtomicBool::new(false);
static WANTED: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

extern "C" fn stop_here(_: c_int) {
    IS_HELD.store(true, Ordering::SeqCst);
    while HOLD.load(Ordering::SeqCst) {
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 100_000,
        };
        // SAFETY: nanosleep is async-signal-safe and `time` lives.
        unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
    }
    IS_HELD.store(false, Ordering::SeqCst);
}

/// Waits without allocating.
fn within(time: Duration, holds: impl Fn() -> bool) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_micros(50));
    }
    holds()
}

#[inline(never)]
fn allocates_without_end() {
    while !OVER.load(Ordering::SeqCst) {
        drop(black_box(Vec::<u8>::with_capacity(black_box(3_000))));
    }
}

/// In a process with one arena and no caches: holds a thread inside the allocator, and one inside the
/// resolver, and captures meanwhile.
fn capture_with_everything_held(file: &Path) {
    let mut capture = Capture::on_disk(file).unwrap();
    // SAFETY: the handler is async-signal-safe.
    unsafe {
        libc::signal(
            libc::SIGUSR2,
            stop_here as extern "C" fn(c_int) as libc::sighandler_t,
        );
    }
    let named = |name: &str| thread::Builder::new().name(name.into());
    let resolver = named("resolver").spawn(|| {
        let here = (allocates_without_end as fn() as *mut std::ffi::c_void).wrapping_byte_add(8);
        backtrace::resolve(here, |_| {
            RESOLVING.store(true, Ordering::SeqCst);
            while !OVER.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        });
    });
    assert!(within(Duration::from_secs(30), || RESOLVING.load(Ordering::SeqCst)));
    let victim = named("allocator").spawn(allocates_without_end).unwrap();
    let prober = named("prober").spawn(|| {
        while !OVER.load(Ordering::SeqCst) {
            let wanted = WANTED.load(Ordering::SeqCst);
            if ALLOCATED.load(Ordering::SeqCst) < wanted {
                drop(black_box(Vec::<u8>::with_capacity(black_box(3_000))));
                ALLOCATED.store(wanted, Ordering::SeqCst);
            }
            thread::sleep(Duration::from_micros(50));
        }
    });
    let mut took = None;
    for n in 1..=u64::from(TRIES_MAX) {
        HOLD.store(true, Ordering::SeqCst);
        // SAFETY: the thread lives until OVER is set.
        unsafe { libc::pthread_kill(victim.as_pthread_t(), libc::SIGUSR2) };
        assert!(within(Duration::from_secs(30), || IS_HELD.load(Ordering::SeqCst)));
        WANTED.store(n, Ordering::SeqCst);
        let free = within(Duration::from_millis(30), || {
            ALLOCATED.load(Ordering::SeqCst) == n
        });
        if !free {
            let began = Instant::now();
            capture.begin();
            let taken = capture.round(1);
            let time = began.elapsed();
            let still_held = ALLOCATED.load(Ordering::SeqCst) != n;
            took = Some((taken, time, still_held, n));
        }
        HOLD.store(false, Ordering::SeqCst);
        assert!(within(Duration::from_secs(30), || !IS_HELD.load(Ordering::SeqCst)));
        if took.is_some() {
            break;
        }
    }
    OVER.store(true, Ordering::SeqCst);
    victim.join().unwrap();
    prober.unwrap().join().unwrap();
    resolver.unwrap().join().unwrap();
    let (taken, time, still_held, tries) = took.expect("the allocator could not be held");
    assert!(still_held);
    println!("allocator held at try {tries}: {taken:?}, on disk after {time:.2?}");
    // Twice the promise of its deadline and 100 ms, for a machine that does other things.
    assert!(
        time < 2 * (ROUND_DEADLINE + Duration::from_millis(100)),
        "{time:?}"
    );
    assert_eq!(taken.stacks, taken.threads);
}

#[cfg(target_env = "gnu")]
#[test]
fn a_raw_dump_is_on_disk_in_time_while_allocator_and_resolver_are_held() {
    if let Some(file) = std::env::var_os(INSIDE) {
        return capture_with_everything_held(file.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("held.raw");
    let name = "diag::capture::stuck_tests::a_raw_dump_is_on_disk_in_time_while_allocator_and_resolver_are_held";
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, &file)
        .env("MALLOC_ARENA_MAX", "1")
        .env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    for line in said.lines().filter(|l| l.contains("held at try")) {
        println!("{line}");
    }
    let dump = symbolizer::DumpReader::default().read_later(&std::fs::read(&file).unwrap());
    for (name, function) in [
        // What a signal interrupted lies beyond what can be walked.
        ("allocator", "stop_here"),
        ("resolver", "capture_with_everything_held"),
    ] {
        let thread = dump.dump.iter().find(|t| t.name == name).expect(name);
        assert!(
            thread.frames.iter().any(|f| f.function.contains(function)),
            "{thread:#?}"
        );
    }
}

#[inline(never)]
fn reads_the_clock(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        black_box(Instant::now());
    }
}

/// As who names addresses in this process does, to read it: a second mapping, which must not mislead.
fn map_the_c_library_whole() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|l| l.contains("/libc.so")).unwrap();
    let file = std::fs::File::open(&line[line.find('/').unwrap()..]).unwrap();
    let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
    // SAFETY: a new mapping, that nobody reads and that stays.
    let at = unsafe { libc::mmap(ptr::null_mut(), len, read, private, file.as_raw_fd(), 0) };
    assert_ne!(at, libc::MAP_FAILED);
}

#[test]
fn a_thread_that_reads_the_clock_is_walked_through_the_kernels_own_code() {
    let over = std::sync::Arc::new(AtomicBool::new(false));
    let theirs = over.clone();
    let reader = thread::Builder::new()
        .name("clock-reader".into())
        .spawn(move || reads_the_clock(&theirs))
        .unwrap();
    map_the_c_library_whole();
    let until = Instant::now() + Duration::from_secs(30);
    let mut found = None;
    while found.is_none() && Instant::now() < until {
        let bytes = {
            let mut capture = super::tests::capture().lock().unwrap();
            capture.begin();
            capture.round(1);
            capture.content().unwrap()
        };
        let maps: String = raw::sections(&bytes)
            .filter(|s| s.tag == raw::MAPS)
            .map(|s| String::from_utf8_lossy(s.bytes))
            .collect();
        let vdso = maps.lines().find(|l| l.ends_with("[vdso]")).unwrap();
        let (start, end) = vdso
            .split(' ')
            .next()
            .and_then(|r| r.split_once('-'))
            .unwrap();
        let range = u64::from_str_radix(start, 16).unwrap()..u64::from_str_radix(end, 16).unwrap();
        let tid = raw::sections(&bytes)
            .find(|s| {
                s.tag == raw::FACTS && raw::ThreadFacts::parse(s.bytes).name == "clock-reader"
            })
            .map(|s| s.tid);
        let inside = raw::sections(&bytes).any(|s| {
            s.tag == raw::STACK
                && Some(s.tid) == tid
                && range.contains(&u64::from_le_bytes(s.bytes[..8].try_into().unwrap()))
        });
        found = inside.then_some(bytes);
    }
    over.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    let Some(bytes) = found else {
        crate::skip::skip("this machine reads its clock elsewhere");
        return;
    };
    let dump = symbolizer::DumpReader::default().read(&bytes);
    let thread = dump.dump.iter().find(|t| t.name == "clock-reader").unwrap();
    let at = |words: &str| thread.frames.iter().any(|f| f.function.contains(words));
    assert!(
        at("[vdso]+") && at("reads_the_clock") && !thread.truncated,
        "{thread:#?}"
    );
}
