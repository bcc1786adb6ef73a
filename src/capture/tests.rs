//! The real thing, in this process: signals, copies, walks and names.

use std::hint::black_box;
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
