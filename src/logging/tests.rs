//! The log with real files, pipes and threads.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use log::{Level, Record};

use super::*;
use crate::runtime::{Limits, Stopper, stop};

const PATIENCE: Duration = Duration::from_secs(20);

struct Setup {
    _stopper: Stopper,
    handle: LogHandle,
    ring: LatestRx<Arc<str>>,
    front: Front,
}

fn setup(dir: &Path, queue: usize) -> Setup {
    let (stopper, stop) = stop();
    let (supervisor, _ends) = Supervisor::new(Limits::default(), stop);
    let config = LogConfig {
        files: LogFiles::new(dir.to_owned(), 1),
        level: "info".into(),
        console: false,
        queue,
        file_bytes_max: 1_000_000,
        files_max: 2,
    };
    let (handle, ring, front) = start(&supervisor, &config).unwrap();
    Setup {
        _stopper: stopper,
        handle,
        ring,
        front,
    }
}

fn say(front: &Front, words: &str) {
    front.take(
        &Record::builder()
            .args(format_args!("{words}"))
            .level(Level::Info)
            .target("TEST")
            .build(),
    );
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn lines_reach_the_file_and_the_ring_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let s = setup(folder.path(), 100);
    for n in 0..10 {
        say(&s.front, &format!("line {n}"));
    }
    s.handle.drain(Instant::now() + PATIENCE);
    let text = fs::read_to_string(folder.path().join("backend.log")).unwrap();
    let tails: Vec<&str> = text
        .lines()
        .filter_map(|l| l.split("[TEST] ").nth(1))
        .collect();
    let want: Vec<String> = (0..10).map(|n| format!("line {n}")).collect();
    assert_eq!(tails, want);
    assert!(s.ring.take().unwrap().ends_with("[INFO] [TEST] line 0"));
}

#[test]
#[cfg(unix)]
fn a_log_file_that_takes_nothing_costs_lines_and_blocks_nobody_and_then_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backend.log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
    let s = setup(folder.path(), 10);
    for n in 0..5_000 {
        say(&s.front, &format!("lost {n}"));
    }
    fs::remove_file(&path).unwrap();
    eventually("the log resumes and tells of the loss", || {
        say(&s.front, "after");
        fs::read_to_string(&path)
            .is_ok_and(|t| t.contains("after") && t.contains("log lines were lost"))
    });
}

#[test]
fn a_log_folder_that_is_deleted_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("logs");
    let s = setup(&dir, 100);
    say(&s.front, "before");
    eventually("the first line", || dir.join("backend.log").exists());
    fs::remove_dir_all(&dir).unwrap();
    eventually("the log is back", || {
        say(&s.front, "after");
        fs::read_to_string(dir.join("backend.log")).is_ok_and(|t| t.contains("after"))
    });
}
