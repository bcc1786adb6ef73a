//! Servers as processes of their own, and what the kernel counts of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// A running server; ended when it is dropped.
pub struct Process {
    child: Child,
    /// "127.0.0.1:port"
    pub address: String,
    // Kept open: a closed pipe would end its banner.
    _stdout: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a program that prints its address, behind `http://`, in its first line.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("starting {command:?} failed: {e}"));
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its first line");
        let (_, address) = line
            .trim()
            .rsplit_once("http://")
            .unwrap_or_else(|| panic!("{command:?} gave no address but {line:?}"));
        Self {
            address: address.to_owned(),
            child,
            _stdout: Some(stdout),
        }
    }

    /// A program that was told where to listen.
    pub fn at(address: String, command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("starting {command:?} failed: {e}"));
        Self {
            child,
            address,
            _stdout: None,
        }
    }

    /// It and its children.
    fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let mut looked = 0;
        while let Some(pid) = pids.get(looked).copied() {
            looked += 1;
            for task in tasks(pid) {
                let path = format!("/proc/{pid}/task/{task}/children");
                let children = fs::read_to_string(path).unwrap_or_default();
                pids.extend(
                    children
                        .split_whitespace()
                        .filter_map(|c| c.parse::<u32>().ok()),
                );
            }
        }
        pids
    }

    /// CPU time so far, of all its threads and children, ended threads included, in ticks of 10 ms.
    pub fn cpu(&self) -> Duration {
        let ticks: u64 = self.pids().into_iter().map(cpu_ticks).sum();
        Duration::from_millis(10 * ticks)
    }

    /// As above, to the nanosecond, but only of threads that are there.
    pub fn cpu_of_living(&self) -> Duration {
        let mut ns = 0;
        for pid in self.pids() {
            for task in tasks(pid) {
                let path = format!("/proc/{pid}/task/{task}/schedstat");
                let text = fs::read_to_string(path).unwrap_or_default();
                ns += text
                    .split(' ')
                    .next()
                    .and_then(|n| n.parse::<u64>().ok())
                    .unwrap_or(0);
            }
        }
        Duration::from_nanos(ns)
    }

    /// Resident memory in MB: of itself, and of its children.
    pub fn rss(&self) -> (f64, f64) {
        let of = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
            let kb = line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
            kb.unwrap_or(0.0) / 1024.0
        };
        let pids = self.pids();
        (of(&pids[0]), pids[1..].iter().map(of).sum())
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        tasks(self.child.id()).len()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not the other signal: nginx's master must have its workers end.
        let pid = Pid::from_child(&self.child);
        let _gone = kill_process(pid, Signal::TERM);
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn tasks(pid: u32) -> Vec<String> {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(Vec::new(), |tasks| {
        tasks
            .flatten()
            .map(|t| t.file_name().to_string_lossy().into_owned())
            .collect()
    })
}

/// Fields 14 and 15 of /proc/PID/stat; field 2, the name, may have blanks.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or("");
    after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum()
}

/// CPU time of the thread that asks.
pub fn my_cpu() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        t.tv_sec.unsigned_abs(),
        u32::try_from(t.tv_nsec).unwrap_or(0),
    )
}

/// The machine and the day, in a line.
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split(':').nth(1))
        .unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let today = jiff::Timestamp::try_from(SystemTime::now())
        .map(|t| t.strftime("%Y-%m-%d").to_string())
        .unwrap_or_default();
    format!(
        "{}, {cores} cores, Linux {}, {today}",
        model.trim(),
        kernel.trim()
    )
}

/// A program's size in MB.
pub fn size(path: &Path) -> f64 {
    fs::metadata(path).map_or(0.0, |m| m.len() as f64 / 1e6)
}
