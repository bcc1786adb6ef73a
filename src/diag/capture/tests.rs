//! The real thing, in this process or one of its own: signals, copies, walks and names.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use super::{Capture, CopiesStacks, raw};
use crate::diag::symbolizer;

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

#[inline(never)]
fn a_function_that_rests(work: &Receiver<()>) {
    let _ended = work.recv();
    black_box(0);
}

/// Uses a sixth of a processor at most.
#[inline(never)]
fn a_function_that_moves(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
        let until = Instant::now() + Duration::from_millis(1);
        while Instant::now() < until {
            black_box(0);
        }
    }
}

#[test]
fn who_spins_who_waits_who_rests_and_who_moves_is_told_with_names() {
    let over = Arc::new(AtomicBool::new(false));
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let (nothing_to_do, work) = crossbeam::channel::bounded(1);
    let named = |name: &str| thread::Builder::new().name(name.into());
    let (spins, moves, waits) = (over.clone(), over.clone(), lock.clone());
    let threads = [
        named("spinner").spawn(move || a_function_that_spins(&spins)),
        named("waiter").spawn(move || a_function_that_waits(&waits)),
        named("rester").spawn(move || a_function_that_rests(&work)),
        named("mover").spawn(move || a_function_that_moves(&moves)),
    ];
    thread::sleep(Duration::from_millis(50));
    let idle = symbolizer::ThreadReport {
        name: "rester".into(),
        state: "idle".into(),
        ..symbolizer::ThreadReport::default()
    };
    let context = symbolizer::ReportContext {
        threads: vec![idle],
        ..symbolizer::ReportContext::default()
    };
    let bytes = {
        let mut capture = capture().lock().unwrap();
        capture.begin();
        let first = capture.round(1);
        thread::sleep(super::BETWEEN_ROUNDS);
        capture.round(2);
        capture.add(raw::CONTEXT, &serde_json::to_vec(&context).unwrap());
        assert!(first.stacks >= 5, "{first:?}");
        capture.content().unwrap()
    };
    drop((held, nothing_to_do));
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.unwrap().join().unwrap();
    }
    let formats = symbolizer::formats(&symbolizer::DumpReader::default().read(&bytes));
    let json: serde_json::Value = serde_json::from_str(&formats.json).unwrap();
    let of = |name: &str| {
        let threads = json["dump"].as_array().unwrap();
        let found = threads.iter().find(|t| t["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {}", formats.text))
            .clone()
    };
    for (name, function, pace) in [
        ("spinner", "a_function_that_spins", "spinning"),
        ("waiter", "a_function_that_waits", "blocked"),
        ("rester", "a_function_that_rests", "idle"),
        ("mover", "a_function_that_moves", "progressing"),
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
                .ends_with("src/diag/capture/tests.rs"),
            "{hit}"
        );
        assert_eq!(t["truncated"], false, "{t}");
        assert_eq!(t["pace"], pace, "{name}: {t}");
    }
    assert!(of("waiter")["waits"].as_str().unwrap().contains("futex"));
    assert!(
        formats
            .folded
            .lines()
            .any(|l| l.contains("a_function_that_spins") && l.ends_with(" 1"))
    );
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
    let path = format!("diag::capture::tests::{test}");
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
fn seen() -> (symbolizer::Dump, super::Taken) {
    let mut capture = capture().lock().unwrap();
    capture.begin();
    let taken = capture.round(1);
    let bytes = capture.content().unwrap();
    (symbolizer::DumpReader::default().read(&bytes), taken)
}

fn has(thread: &symbolizer::ThreadDump, function: &str) -> bool {
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
    // What ends at the trampoline of a signal is not whole.
    assert!(thread.truncated, "{thread:?}");
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
