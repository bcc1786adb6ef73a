//! Tests that cannot be tried on this machine: they say so at the end of the run, below the harness's own
//! summary, which calls them passed. Where `NO_SKIPS` is set they fail.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::thread;

/// What was not tried, by the reason.
static SKIPPED: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// Notes that the test on this thread, or a part of it, is not tried.
pub fn skip(why: impl Into<String>) {
    let why = why.into();
    assert!(
        std::env::var_os("NO_SKIPS").is_none(),
        "NO_SKIPS is set, and this was not tried: {why}"
    );
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let mut skipped = SKIPPED.lock().unwrap();
    if skipped.is_empty() {
        // SAFETY: the function is there as long as the program, and unwinds for nothing.
        unsafe { libc::atexit(tell) };
    }
    skipped.entry(why).or_default().push(test);
}

/// The harness ends by `exit` or by returning from `main`: both come here.
extern "C" fn tell() {
    // A test that hangs while the others are over may hold it.
    let Ok(skipped) = SKIPPED.try_lock() else {
        return;
    };
    let words = summary(&skipped);
    // SAFETY: the bytes live until the call returns. Not by `print!`, which the harness may have redirected.
    let _nobody_reads = unsafe { libc::write(1, words.as_ptr().cast(), words.len()) };
}

/// A line for all, and one for each reason.
fn summary(skipped: &BTreeMap<String, Vec<String>>) -> String {
    let all: usize = skipped.values().map(Vec::len).sum();
    let mut words = format!("skipped: {all} of the tests above were not tried, or in part\n");
    for (why, tests) in skipped {
        let mut modules: BTreeMap<&str, usize> = BTreeMap::new();
        for test in tests {
            *modules
                .entry(test.split("::").next().unwrap_or(test))
                .or_default() += 1;
        }
        let counts: Vec<String> = modules.iter().map(|(m, n)| format!("{n} of {m}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(words, "    {}: {why}", counts.join(", "));
    }
    words.push('\n');
    words
}
