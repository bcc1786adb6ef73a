//! The real thing, in this process or one of its own: signals, copies, walks and names.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::{Capture, raw};
use crate::scribe;

/// One in a process.
pub fn capture() -> &'static Mutex<Capture> {
    static CAPTURE: OnceLock<Mutex<Capture>> = OnceLock::new();
    CAPTURE.get_or_init(|| Mutex::new(Capture::in_memory().unwrap()))
}

#[inline(never)]
fn a_function_that_spins(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        black_box(0);
    }
}

#[inline(never)]
fn a_function_that_waits(lock: &Mutex<()>) {
    let _guard = lock.lock().unwrap();
    black_box(0);
}

#[test]
fn who_spins_and_who_waits_is_told_with_names() {
    let over = Arc::new(AtomicBool::new(false));
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let named = |name: &str| thread::Builder::new().name(name.into());
    let spinner = named("spinner").spawn({
        let over = over.clone();
        move || a_function_that_spins(&over)
    });
    let waiter = named("waiter").spawn({
        let lock = lock.clone();
        move || a_function_that_waits(&lock)
    });
    thread::sleep(Duration::from_millis(50));
    let bytes = {
        let mut capture = capture().lock().unwrap();
        capture.begin();
        let first = capture.round(1);
        thread::sleep(Duration::from_millis(250));
        capture.round(2);
        assert!(first.stacks >= 3, "{first:?}");
        capture.content().unwrap()
    };
    drop(held);
    over.store(true, Ordering::Relaxed);
    spinner.unwrap().join().unwrap();
    waiter.unwrap().join().unwrap();
    let forms = scribe::forms(&scribe::Reader::default().read(&bytes));
    let json: serde_json::Value = serde_json::from_str(&forms.json).unwrap();
    let of = |name: &str| {
        let threads = json["dump"].as_array().unwrap();
        let found = threads.iter().find(|t| t["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {}", forms.text))
            .clone()
    };
    for (name, function, pace) in [
        ("spinner", "a_function_that_spins", "spinning"),
        ("waiter", "a_function_that_waits", "blocked"),
    ] {
        let t = of(name);
        let frames = t["frames"].as_array().unwrap();
        let hit = frames
            .iter()
            .find(|f| f["function"].as_str().unwrap().ends_with(function));
        let hit = hit.unwrap_or_else(|| panic!("{function} is not in {frames:?}"));
        assert!(
            hit["file"]
                .as_str()
                .unwrap()
                .ends_with("src/capture/tests.rs"),
            "{hit}"
        );
        assert_eq!(t["truncated"], false, "{t}");
        // A machine that does other things may not let the spinner run for half of the time.
        assert!(
            t["pace"] == pace || t["pace"] == "progressing",
            "{name}: {t}"
        );
    }
    assert!(of("waiter")["waits"].as_str().unwrap().contains("futex"));
    assert!(
        forms
            .folded
            .lines()
            .any(|l| l.contains("a_function_that_spins") && l.ends_with(" 1"))
    );
}

#[test]
fn captures_disturb_nobody() {
    let over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..12)
        .map(|n| {
            let over = over.clone();
            thread::spawn(move || {
                let mut done = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    match n % 4 {
                        0 => drop(black_box(vec![0_u8; 3_000 + n])),
                        1 => panic_once(),
                        2 => thread::sleep(Duration::from_micros(50)),
                        _ => drop(thread::spawn(|| black_box(1)).join()),
                    }
                    done += 1;
                }
                done
            })
        })
        .collect();
    let began = Instant::now();
    let (mut asked, mut copied) = (0, 0);
    while began.elapsed() < Duration::from_secs(2) {
        let mut capture = capture().lock().unwrap();
        capture.begin();
        let taken = capture.round(1);
        asked += taken.threads;
        copied += taken.stacks;
    }
    over.store(true, Ordering::Relaxed);
    for thread in busy {
        assert!(thread.join().unwrap() > 0);
    }
    // Those born and gone meanwhile are the difference.
    assert!(copied > asked / 2, "{copied} of {asked}");
}

#[test]
fn every_section_is_whole() {
    let mut capture = capture().lock().unwrap();
    capture.begin();
    let taken = capture.round(1);
    let bytes = capture.content().unwrap();
    let count = |tag| raw::sections(&bytes).filter(|s| s.tag == tag).count();
    assert_eq!(count(raw::FACTS), taken.threads as usize);
    assert_eq!(count(raw::STACK), taken.stacks as usize);
    assert_eq!(
        count(raw::STACK) + count(raw::MISSING),
        taken.threads as usize
    );
    let read: usize = raw::sections(&bytes)
        .map(|s| raw::HEADER_BYTES + s.bytes.len())
        .sum();
    assert_eq!(read, bytes.len());
}

/// Whether this is a process of its own for this test; the first call starts one and sees it end well.
fn alone(test: &str) -> bool {
    const NAME: &str = "TAPEWARDEN_TEST_ALONE";
    if std::env::var_os(NAME).is_some() {
        return true;
    }
    let path = format!("capture::tests::{test}");
    let out = Command::new(std::env::current_exe().unwrap())
        .args([&path, "--exact", "--nocapture", "--include-ignored"])
        .env(NAME, "1")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&out.stdout);
    let faults = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{} {words} {faults}", out.status);
    assert!(words.contains("1 passed"), "{words}");
    print!("{words}");
    false
}

/// One round, read.
fn seen() -> (scribe::Dump, super::Taken) {
    let mut capture = capture().lock().unwrap();
    capture.begin();
    let taken = capture.round(1);
    let bytes = capture.content().unwrap();
    (scribe::Reader::default().read(&bytes), taken)
}

fn has(thread: &scribe::Thread, function: &str) -> bool {
    thread.frames.iter().any(|f| f.function.ends_with(function))
}

static LEAVE: AtomicBool = AtomicBool::new(false);

#[inline(never)]
extern "C" fn a_handler_that_stays(_: libc::c_int) {
    while !LEAVE.load(Ordering::Relaxed) {
        black_box(0);
    }
}

/// Gives the calling thread an alternate stack with nothing readable above it.
fn stand_on_an_edge() {
    const BYTES: usize = 64 * 1024;
    // SAFETY: fresh mappings of this test's own, left in place for good.
    unsafe {
        let (none, rights) = (std::ptr::null_mut(), libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let at = libc::mmap(none, BYTES + 256 * 1024, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(at, BYTES, rights), 0);
        let stack = libc::stack_t {
            ss_sp: at,
            ss_flags: 0,
            ss_size: BYTES,
        };
        assert_eq!(libc::sigaltstack(&raw const stack, none.cast()), 0);
    }
}

#[test]
fn a_handler_on_an_alternate_stack_is_copied_no_further_than_that_stack() {
    use std::os::unix::thread::JoinHandleExt;
    if !alone("a_handler_on_an_alternate_stack_is_copied_no_further_than_that_stack") {
        return;
    }
    // SAFETY: a valid action whose handler only spins.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = a_handler_that_stays as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
        let done = libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut());
        assert_eq!(done, 0);
    }
    let over = Arc::new(AtomicBool::new(false));
    let ready = Arc::new(AtomicBool::new(false));
    let is_ready = ready.clone();
    let caught = thread::spawn({
        let over = over.clone();
        move || {
            stand_on_an_edge();
            ready.store(true, Ordering::Relaxed);
            a_function_that_spins(&over);
        }
    });
    while !is_ready.load(Ordering::Relaxed) {
        thread::yield_now();
    }
    // SAFETY: the thread lives until it is joined.
    let sent = unsafe { libc::pthread_kill(caught.as_pthread_t(), libc::SIGUSR2) };
    assert_eq!(sent, 0);
    let until = Instant::now() + Duration::from_secs(20);
    let (thread, taken) = loop {
        let (dump, taken) = seen();
        let hit = dump
            .dump
            .into_iter()
            .find(|t| has(t, "a_handler_that_stays"));
        if let Some(t) = hit {
            break (t, taken);
        }
        assert!(Instant::now() < until, "the handler is on no stack");
    };
    LEAVE.store(true, Ordering::Relaxed);
    over.store(true, Ordering::Relaxed);
    caught.join().unwrap();
    assert_eq!(taken.stacks, taken.threads);
    // The interrupted stack is another, which was not copied.
    assert!(!has(&thread, "a_function_that_spins"), "{thread:?}");
}

#[test]
fn a_thread_that_no_signal_reaches_is_listed_with_its_reason() {
    if !alone("a_thread_that_no_signal_reaches_is_listed_with_its_reason") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
    let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    let parent = thread::Builder::new().name("vfork-parent".into());
    let parent = parent.spawn(move || {
        // The child's first act is to open what does not open; until its own program runs, its parent waits
        // where no signal reaches it.
        // SAFETY: all pointers are valid through the calls and end with a null.
        unsafe {
            let mut actions: libc::posix_spawn_file_actions_t = std::mem::zeroed();
            libc::posix_spawn_file_actions_init(&raw mut actions);
            let (at, flags) = (name.as_ptr(), libc::O_RDONLY);
            libc::posix_spawn_file_actions_addopen(&raw mut actions, 0, at, flags, 0);
            let (mut pid, program) = (0, c"/bin/true".as_ptr());
            let args = [program.cast_mut(), std::ptr::null_mut()];
            let (list, none) = (&raw const actions, std::ptr::null());
            let environment = [std::ptr::null_mut()];
            let (argv, envp) = (args.as_ptr(), environment.as_ptr());
            let done = libc::posix_spawn(&raw mut pid, program, list, none, argv, envp);
            assert_eq!(done, 0);
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    });
    let until = Instant::now() + Duration::from_secs(20);
    let (thread, taken, others) = loop {
        let (dump, taken) = seen();
        let (held, others): (Vec<_>, Vec<_>) = dump
            .dump
            .into_iter()
            .partition(|t| t.name == "vfork-parent");
        if let Some(t) = held.into_iter().find(|t| t.kernel_state == 'D') {
            break (t, taken, others);
        }
        assert!(Instant::now() < until, "it never was in state D");
    };
    drop(std::fs::OpenOptions::new().write(true).open(&path));
    parent.unwrap().join().unwrap();
    assert!(thread.missing.contains("state D"), "{thread:?}");
    assert!(thread.waits.contains("clone"), "{thread:?}");
    assert_eq!(taken.stacks + 1, taken.threads);
    for t in others {
        assert!(!t.frames.is_empty() && t.missing.is_empty(), "{t:?}");
    }
    println!("state D: {} -> {}; {taken:?}", thread.waits, thread.missing);
}

/// Durations in µs: median and 99th percentile.
fn percentiles(mut micros: Vec<u64>) -> (u64, u64) {
    micros.sort_unstable();
    (micros[micros.len() / 2], micros[micros.len() * 99 / 100])
}

/// `cargo test --release --lib -- --ignored --nocapture capture_storm`: prints the figures of the README.
#[test]
#[ignore = "takes a minute; prints figures"]
fn capture_storm() {
    let over = Arc::new(AtomicBool::new(false));
    for quiet in [64, 256] {
        let parked: Vec<_> = (0..quiet)
            .map(|_| {
                let over = over.clone();
                thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        thread::park_timeout(Duration::from_secs(60));
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        let mut capture = capture().lock().unwrap();
        let mut micros = Vec::new();
        let mut threads = 0;
        for _ in 0..500 {
            capture.begin();
            let taken = capture.round(1);
            threads = taken.threads;
            assert_eq!(taken.stacks, taken.threads);
            micros.push(taken.micros);
        }
        let (p50, p99) = percentiles(micros);
        println!("{threads} quiet threads: p50 {p50} us, p99 {p99} us");
        over.store(true, Ordering::Relaxed);
        for thread in parked {
            thread.thread().unpark();
            thread.join().unwrap();
        }
        over.store(false, Ordering::Relaxed);
    }
    storm("a mix", 10_000, |n| match n % 8 {
        0 => drop(black_box(vec![0_u8; 3_000 + n])),
        1..=3 => panic_once(),
        4 => thread::sleep(Duration::from_micros(50)),
        5 => drop(black_box("x".repeat(n).to_uppercase())),
        6 => drop(black_box(std::fs::read("/proc/self/stat"))),
        _ => drop(thread::spawn(|| black_box(1)).join()),
    });
    storm("panics", 3_000, |_| panic_once());
}

fn panic_once() {
    drop(std::panic::catch_unwind(|| {
        std::panic::resume_unwind(Box::new(()))
    }));
}

/// Captures of 64 threads that do nothing but `work`.
fn storm(name: &str, rounds: u32, work: fn(usize)) {
    let over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..64)
        .map(|n| {
            let over = over.clone();
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    work(n);
                    // Else each capture waits until all 64 had their turns on a core.
                    thread::sleep(Duration::from_millis(3));
                }
            })
        })
        .collect();
    let (mut stacks, mut missing, mut walked, mut truncated) = (0_u64, 0_u64, 0_u64, 0_u64);
    let began = Instant::now();
    let mut micros = Vec::new();
    for n in 0..rounds {
        let mut capture = capture().lock().unwrap();
        capture.begin();
        let taken = capture.round(1);
        micros.push(taken.micros);
        stacks += u64::from(taken.stacks);
        missing += u64::from(taken.threads - taken.stacks);
        if n % (rounds / 20) == 0 {
            let dump = scribe::Reader::default().read(&capture.content().unwrap());
            let seen = dump.dump.iter().filter(|t| !t.frames.is_empty());
            for t in seen {
                walked += 1;
                truncated += u64::from(t.truncated);
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().unwrap();
    }
    let (p50, p99) = percentiles(micros);
    println!(
        "{rounds} captures of {name} in {:.0} s, p50 {p50} us, p99 {p99} us: {stacks} stacks, {missing} without (ended meanwhile); of {walked} walked {truncated} truncated",
        began.elapsed().as_secs_f64()
    );
}
