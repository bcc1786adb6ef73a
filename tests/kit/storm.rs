//! A storm of captures against the server under test, where `CAPTURE_STORM` is set: its test must pass
//! all the same. Not named `TAPEWARDEN_…`: the server would take that for a setting.
#![allow(unsafe_code)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between rounds of signals.
const ROUND_EVERY: Duration = Duration::from_millis(10);

/// One of so many rounds asks for a whole report, with its two captures.
const REPORT_EVERY: u32 = 10;

/// Ends when it is dropped: before the server's end is taken note of, as its number is another's then.
pub struct Storm {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Storm {
    /// Begins, if it is wanted.
    pub fn begin(pid: u32) -> Option<Self> {
        std::env::var_os("CAPTURE_STORM")?;
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = Some(thread::spawn(move || blow(pid, &is_over)));
        Some(Self { over, thread })
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let signals = self.thread.take().map(JoinHandle::join);
        if let Some(Ok(signals)) = signals {
            println!("the storm: {signals} signals");
        }
    }
}

/// Interrupts every thread of the server as a capture does, and has it capture for real; how many signals.
fn blow(pid: u32, over: &AtomicBool) -> u64 {
    let mut signals = 0;
    for round in 0_u32.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            break;
        };
        for task in tasks.flatten() {
            let tid: Option<i64> = task.file_name().to_str().and_then(|t| t.parse().ok());
            if let Some(tid) = tid {
                // The one of the captures; from another process it only interrupts.
                send(pid, tid, libc::SIGRTMAX() - 3);
                signals += 1;
            }
        }
        if round % REPORT_EVERY == 0 {
            send(pid, i64::from(pid), libc::SIGQUIT);
        }
        thread::sleep(ROUND_EVERY);
    }
    signals
}

fn send(pid: u32, tid: i64, signal: i32) {
    // SAFETY: numbers only; the process is our own child and not yet reaped.
    unsafe { libc::syscall(libc::SYS_tgkill, i64::from(pid), tid, i64::from(signal)) };
}
