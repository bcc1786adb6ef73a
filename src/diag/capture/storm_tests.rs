//! Storms of captures, while threads do all that a thread can be interrupted in.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, Sender, bounded, select};

use super::CopiesStacks;
use super::tests::capture;
use crate::diag::symbolizer;

/// Kinds of work in [`mix`].
const KINDS: usize = 14;

/// Below the most frames that are walked.
const RECURSION: u64 = 150;

/// What the names of the busy threads begin with.
const STORM: &str = "storm-";

/// Of so many walked stacks one may lack its outer end: a thread that was just born or is about to end.
const TRUNCATED_ONE_IN: u64 = 1_000;

/// Captures of the short form: more than a thousand stacks.
const SHORT_ROUNDS: u32 = 100;

/// What the threads of a storm share.
struct Shared {
    over: AtomicBool,
    channel: (Sender<usize>, Receiver<usize>),
    told: (Mutex<()>, Condvar),
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            over: AtomicBool::new(false),
            channel: bounded(2),
            told: (Mutex::new(()), Condvar::new()),
        })
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// One piece of the `n`th kind of work.
fn mix(n: usize, shared: &Shared) {
    const SHORT: Duration = Duration::from_micros(500);
    let (tx, rx) = &shared.channel;
    match n % KINDS {
        0 => drop(black_box(vec![0_u8; 3_000 + n])),
        1 => panic_once(n, shared),
        2 => thread::sleep(Duration::from_micros(50)),
        3 => drop(black_box(thread::spawn(|| 1).join())),
        4 => {
            let words = "the quick brown fox ".repeat(20 + n).to_uppercase();
            let words: Vec<_> = words.split(' ').rev().map(str::trim).collect();
            drop(black_box(words.join("-").replace("OX", "lynx")));
        }
        5 => {
            let from = black_box(vec![1_u8; 512 * 1024]);
            let mut to = vec![0; from.len()];
            to.copy_from_slice(&from);
            black_box(to);
        }
        6 => drop(black_box(deep(RECURSION))),
        7 => drop(black_box(tx.send_timeout(n, SHORT))),
        8 => drop(black_box(rx.recv_timeout(SHORT))),
        9 => drop(black_box(std::fs::read("/proc/self/stat"))),
        10 => {
            let (lock, told) = &shared.told;
            drop(told.wait_timeout(lock.lock().unwrap(), SHORT));
        }
        11 => select! {
            recv(rx) -> got => { black_box(&got); }
            default(SHORT) => {}
        },
        12 => {
            let time = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 500_000,
            };
            // Interrupted, it is a little shorter.
            let _polled = rustix::event::poll(&mut [], Some(&time));
        }
        _ => {
            for _ in 0..100 {
                black_box((Instant::now(), SystemTime::now()));
            }
        }
    }
}

fn panic_once(_: usize, _: &Shared) {
    drop(std::panic::catch_unwind(|| {
        std::panic::resume_unwind(Box::new(()))
    }));
}

#[inline(never)]
fn deep(n: u64) -> Vec<u64> {
    if n == 0 {
        return Vec::new();
    }
    let mut deeper = deep(black_box(n - 1));
    deeper.push(n);
    deeper
}

/// What captures came to.
#[derive(Debug, Default)]
struct Tally {
    threads: u64,
    stacks: u64,
    walked: u64,
    truncated: u64,
    micros: Vec<u64>,
}

impl Tally {
    /// Captures once, and walks and names what came if `walk`.
    fn capture(&mut self, reader: Option<&mut symbolizer::DumpReader>) {
        let mut capture = capture().lock().unwrap();
        capture.begin();
        let taken = capture.round(1);
        self.micros.push(taken.micros);
        self.threads += u64::from(taken.threads);
        self.stacks += u64::from(taken.stacks);
        let Some(reader) = reader else { return };
        let dump = reader.read(&capture.content().unwrap());
        for t in dump.dump.iter().filter(|t| !t.frames.is_empty()) {
            // Other tests beside this one may have deeper stacks than are copied.
            let counts = t.name.starts_with(STORM);
            self.walked += u64::from(counts);
            self.truncated += u64::from(counts && t.truncated);
            if counts && t.truncated {
                println!("truncated: {} {:?}", t.name, t.frames);
            }
        }
    }

    /// Median and 99th percentile.
    fn percentiles(&mut self) -> (u64, u64) {
        let micros = &mut self.micros;
        micros.sort_unstable();
        (micros[micros.len() / 2], micros[micros.len() * 99 / 100])
    }

    fn assert_whole(&self) {
        // Those born and gone meanwhile are the difference.
        assert!(self.stacks > self.threads / 2, "{self:?}");
        assert!(self.truncated * TRUNCATED_ONE_IN <= self.walked, "{self:?}");
    }
}

#[test]
fn captures_disturb_nobody_and_stacks_are_whole() {
    let shared = Shared::new();
    let busy: Vec<_> = (0..KINDS)
        .map(|n| {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut done = 0_u64;
                while !shared.is_over() {
                    mix(n, &shared);
                    done += 1;
                }
                done
            })
        })
        .collect();
    let (mut tally, mut reader) = (Tally::default(), symbolizer::DumpReader::default());
    for _ in 0..SHORT_ROUNDS {
        tally.capture(Some(&mut reader));
    }
    shared.over.store(true, Ordering::Relaxed);
    for thread in busy {
        assert!(thread.join().unwrap() > 0);
    }
    tally.assert_whole();
}

/// `cargo test --release --lib -- --ignored --nocapture capture_storm`: prints the figures of src/docs/figures.md.
#[test]
#[ignore = "takes a minute; prints figures"]
fn capture_storm() {
    for quiet in [64, 256] {
        let over = Arc::new(AtomicBool::new(false));
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
        let mut tally = Tally::default();
        for _ in 0..500 {
            tally.capture(None);
        }
        assert_eq!(tally.stacks, tally.threads);
        let (p50, p99) = tally.percentiles();
        let threads = tally.threads / 500;
        println!("{threads} quiet threads: p50 {p50} us, p99 {p99} us");
        over.store(true, Ordering::Relaxed);
        for thread in parked {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
    storm("a mix", 10_000, mix);
    storm("panics", 3_000, panic_once);
}

/// Captures of 64 threads that do nothing but `work`.
fn storm(name: &str, rounds: u32, work: fn(usize, &Shared)) {
    let shared = Shared::new();
    let busy: Vec<_> = (0..64)
        .map(|n| {
            let shared = shared.clone();
            let named = thread::Builder::new().name(format!("{STORM}{n}"));
            let spawned = named.spawn(move || {
                while !shared.is_over() {
                    work(n, &shared);
                    // Else each capture waits until all 64 had their turns on a core.
                    thread::sleep(Duration::from_millis(3));
                }
            });
            spawned.unwrap()
        })
        .collect();
    let (mut tally, mut reader) = (Tally::default(), symbolizer::DumpReader::default());
    let began = Instant::now();
    for n in 0..rounds {
        tally.capture((n % (rounds / 100) == 0).then_some(&mut reader));
    }
    let seconds = began.elapsed().as_secs_f64();
    shared.over.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().unwrap();
    }
    let (p50, p99) = tally.percentiles();
    println!(
        "{rounds} captures of {name} in {seconds:.0} s, p50 {p50} us, p99 {p99} us: {} stacks, {} without (ended meanwhile); of {} walked {} truncated",
        tally.stacks,
        tally.threads - tally.stacks,
        tally.walked,
        tally.truncated
    );
    tally.assert_whole();
}
