//! The built program as a process of its own, with its own port and folder.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Got, ask};
use super::turn;

/// For hangs only.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Of each log of a server whose test failed.
const SHOWN_LINES: usize = 60;

/// Upstreams and files that are not there.
pub const NOBODY_THERE: [&str; 10] = [
    "--schwab-url",
    "http://127.0.0.1:9",
    "--trader-url",
    "http://127.0.0.1:9",
    "--model-url",
    "http://127.0.0.1:9",
    "--data-dir",
    "nowhere",
    "--token-file",
    "none.json",
];

/// Classes that would wait longer for their limit than a test should.
pub const SHORT_LIMITS: &[&str] = &[
    "--set",
    "watchdog.busy_cache=1s",
    "--set",
    "watchdog.busy_conn=2s",
    "--set",
    "watchdog.busy_writer=1s",
];

/// Asks until it holds.
pub fn eventually<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(got) = holds() {
            return got;
        }
        assert!(Instant::now() < until, "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Tries all cases at the same time, each on a thread of its own, which is part of this test's turn: most of what
/// they do is to wait.
pub fn at_once<C: Send>(cases: impl IntoIterator<Item = C>, check: impl Fn(C) + Sync) {
    turn::take();
    let check = &check;
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
}

/// The running program; killed when it is dropped.
pub struct Server {
    pub child: Child,
    pub address: String,
    /// Its working folder; the logs are in `logs`.
    pub home: tempfile::TempDir,
    // Kept open: a closed pipe would end its banner.
    _stdout: Option<BufReader<ChildStdout>>,
    #[cfg(target_os = "linux")]
    storm: Option<super::storm::Storm>,
}

/// Has the system kill what this command starts when the thread that starts it ends: a test whose process is
/// killed leaves nothing behind.
pub fn dies_with_the_test(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let set = || {
            // SAFETY: a system call with plain numbers, which is all that may be done between fork and exec.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: as said.
        unsafe { command.pre_exec(set) };
    }
}

/// The program, ready to be given arguments, in a folder of its own; waits for the test's turn.
pub fn program(home: &Path) -> Command {
    turn::take();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapewarden"));
    command
        .args(["--listen", "127.0.0.1:0", "--log-dir"])
        .arg(home.join("logs"))
        .current_dir(home)
        .stdin(Stdio::null());
    dies_with_the_test(&mut command);
    command
}

/// Starts it with these further arguments, which are wrong: it ends with code 2 and says all of these words.
pub fn is_refused(home: &Path, args: &[&str], words: &[&str]) {
    let out = program(home).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?}: no {word:?} in {said}");
    }
}

impl Server {
    /// Starts it with these arguments and waits for its address.
    pub fn start(args: &[&str]) -> Self {
        Self::start_by(tempfile::tempdir().unwrap(), |command| {
            command.args(args).stderr(Stdio::null());
        })
    }

    /// Starts it in this folder, as `prepare` says.
    pub fn start_by(home: tempfile::TempDir, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = program(home.path());
        command.stdout(Stdio::piped());
        prepare(&mut command);
        // Once more: it may be another command now.
        dies_with_the_test(&mut command);
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().map(BufReader::new);
        let line = match &mut stdout {
            Some(stdout) => {
                let mut line = String::new();
                stdout.read_line(&mut line).unwrap();
                line
            }
            // Its stdout is the test's own: its log says the same.
            None => eventually("its address in its log", || {
                let log = std::fs::read_to_string(home.path().join("logs/backend.log")).ok()?;
                let line = log.lines().find(|l| l.contains(" listening on http://"));
                line.map(str::to_owned)
            }),
        };
        let address = line
            .split_once("listening on http://")
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .1
            .split([';', ' ', '\n'])
            .next()
            .unwrap()
            .to_owned();
        Self {
            #[cfg(target_os = "linux")]
            storm: super::storm::Storm::begin(child.id()),
            child,
            address,
            home,
            _stdout: stdout,
        }
    }

    /// Status, head and body.
    pub fn ask(&self, method: &str, path: &str) -> Got {
        ask(&self.address, method, path, &[])
    }

    /// As above, with further headers.
    pub fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Got {
        ask(&self.address, method, path, headers)
    }

    /// As above.
    pub fn get(&self, path: &str) -> Got {
        self.ask("GET", path)
    }

    /// Asks until the answer is as it should be; gives its JSON.
    pub fn eventually(&self, path: &str, holds: impl Fn(&Got) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let got = self.get(path);
            if holds(&got) {
                return got.json();
            }
            assert!(
                Instant::now() < until,
                "{path} stayed {} {}",
                got.status,
                got.text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A file in its log folder, as far as it is written.
    pub fn log(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path("logs").join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until a log has these words.
    pub fn log_has(&self, name: &str, words: &str) -> String {
        eventually(&format!("{words:?} in {name}"), || {
            let log = self.log(name);
            log.contains(words).then_some(log)
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by the name that `kill` knows.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// A number from /proc/PID/status: "Threads", "VmRSS" (kB).
    pub fn proc_status(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        text.lines()
            .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))
            .and_then(|v| v.split_whitespace().next()?.parse().ok())
            .expect(field)
    }

    /// The process that names stacks: the server's only child.
    #[cfg(target_os = "linux")]
    pub fn symbolizer(&self) -> Option<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
        tasks.flatten().find_map(|task| {
            let text = std::fs::read_to_string(task.path().join("children")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        })
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    /// Ends the storm of captures, if there is one.
    fn calm(&mut self) {
        #[cfg(target_os = "linux")]
        drop(self.storm.take());
    }

    /// Waits for its end.
    pub fn exit_code(&mut self) -> i32 {
        self.calm();
        eventually("the end of the server", || self.child.try_wait().unwrap())
            .code()
            .expect("an exit code, not a signal")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.calm();
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            let log = self.log("backend.log");
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(SHOWN_LINES);
            eprintln!("--- the end of backend.log\n{}", lines[last..].join("\n"));
            let log = self.log("watchdog.log");
            let verdicts = log.lines().filter(|l| l.contains("[WATCHDOG]"));
            let lines: Vec<&str> = verdicts.take(SHOWN_LINES).collect();
            eprintln!("--- watchdog.log, without stacks\n{}", lines.join("\n"));
        }
    }
}
