//! Faults that stand outside the protocol: processes that are stopped, listeners that never speak, name
//! servers that are silent, small disks, terminals and pipes that take nothing, clocks that jump, floods
//! of connections.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::server::{Server, dies_with_the_test, eventually};
use super::small_disk::run;

/// Whether this process may mount, bind name servers' port and the like. Tests that need it say a word
/// and pass where it may not.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Raises this process's own limit of open files: floods need many.
pub fn many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// A market provider and trader app in a process of its own, which can be stopped: another instance's
/// embedded market.
pub struct Provider {
    pub process: Server,
    pub schwab_url: String,
    pub trader_url: String,
    pub stream_url: String,
    pub data_dir: PathBuf,
}

impl Provider {
    /// Starts one whose stream gives so many quotes a second.
    pub fn start(quotes_per_second: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("data");
        let process = Server::start_by(home, |command| {
            command.stderr(Stdio::null()).args([
                "--set",
                &format!("sim.data_dir={}", data_dir.display()),
                "--set",
                &format!("sim.quotes_per_second={quotes_per_second}"),
            ]);
        });
        let log = process.log_has("backend.log", "stands for Schwab at");
        let after = |words: &str| {
            let rest = log.split(words).nth(1).unwrap();
            let address: String = rest.chars().take_while(|c| !" ,;".contains(*c)).collect();
            format!("http://{address}")
        };
        Self {
            schwab_url: after("stands for Schwab at ") + "/marketdata/v1",
            trader_url: after("for the trader app at "),
            stream_url: after("whose stream is at "),
            process,
            data_dir,
        }
    }

    /// Arguments of a server that uses it.
    pub fn args(&self) -> Vec<String> {
        [
            ("--schwab-url", self.schwab_url.clone()),
            ("--trader-url", self.trader_url.clone()),
            ("--set", format!("trader.stream_url={}", self.stream_url)),
            ("--data-dir", self.data_dir.display().to_string()),
            (
                "--token-file",
                self.data_dir.join("token.json").display().to_string(),
            ),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }
}

/// A listener that does this with each connection, on a thread of its own.
pub struct Listener {
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<Vec<TcpStream>>>,
}

impl Listener {
    pub fn start(at: &str, each: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        let accepting = thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                open.push(stream.try_clone().unwrap());
                let each = each.clone();
                thread::spawn(move || each(stream));
            }
            open
        });
        Self {
            address,
            over,
            accepting: Some(accepting),
        }
    }

    /// Begins a TLS handshake and goes on with it by a byte a second, for ever; with every other client
    /// it does not even begin.
    pub fn endless_tls() -> Self {
        let begins = Arc::new(AtomicBool::new(false));
        Self::start("127.0.0.1:0", move |mut stream| {
            if !begins.fetch_xor(true, Ordering::SeqCst) {
                while matches!(stream.read(&mut [0; 1024]), Ok(n) if n > 0) {}
                return;
            }
            // A handshake record of 16 kB, which is the longest there is.
            let _gone = stream.write_all(&[0x16, 0x03, 0x03, 0x40, 0x00]);
            while stream.write_all(&[0x02]).is_ok() {
                thread::sleep(Duration::from_secs(1));
            }
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(self.address);
        let open = self.accepting.take().unwrap().join().unwrap();
        for stream in open {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A listener whose queue is full: connecting to it never ends while this lives.
pub struct FullBacklog {
    _listener: OwnedFd,
    _waiting: Vec<TcpStream>,
}

impl FullBacklog {
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let listener = OwnedFd::from(listener);
        // Again, with room for nobody.
        rustix::net::listen(&listener, 0).unwrap();
        let waiting = (0..8)
            .map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok())
            .collect();
        Self {
            _listener: listener,
            _waiting: waiting,
        }
    }
}

/// A name server on an address of its own, which answers every name with 127.0.0.1 while it is not
/// silent, and the file that points a process at it. For root only.
pub struct NameServer {
    silent: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    folder: tempfile::TempDir,
}

impl NameServer {
    pub fn start() -> Self {
        let pid = std::process::id();
        let ip = format!("127.{}.{}.53", 1 + pid / 250 % 250, 1 + pid % 250);
        let socket = UdpSocket::bind(format!("{ip}:53")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("resolv.conf"),
            format!("nameserver {ip}\n"),
        )
        .unwrap();
        let (silent, over) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(false)),
        );
        let (is_silent, is_over) = (silent.clone(), over.clone());
        thread::spawn(move || {
            let mut query = [0; 512];
            while !is_over.load(Ordering::SeqCst) {
                let Ok((n, from)) = socket.recv_from(&mut query) else {
                    continue;
                };
                if !is_silent.load(Ordering::SeqCst) {
                    let _lost = socket.send_to(&named_localhost(&query[..n]), from);
                }
            }
        });
        Self {
            silent,
            over,
            folder,
        }
    }

    pub fn be_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Has this command ask this name server, in a mount namespace of its own.
    pub fn serve(&self, command: &mut Command) {
        let resolv = self.folder.path().join("resolv.conf");
        let script = format!(
            "mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"",
            resolv.display()
        );
        wrap(command, "unshare", &["-m", "sh", "-c", &script]);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// The answer to a query for an address: 127.0.0.1, or no IPv6 one (RFC 1035).
fn named_localhost(query: &[u8]) -> Vec<u8> {
    let name = query[12..].iter().position(|b| *b == 0).unwrap();
    let question = &query[12..12 + name + 5];
    let wants_ipv4 = question[name + 2] == 1;
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_ipv4), 0, 0, 0, 0]);
    answer.extend(question);
    if wants_ipv4 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

/// Puts a program before a command's own, which becomes its argument.
pub fn wrap(command: &mut Command, program: &str, args: &[&str]) {
    let mut outer = Command::new(program);
    outer
        .args(args)
        .arg(command.get_program())
        .args(command.get_args());
    outer.stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            outer.env(name, value);
        }
    }
    *command = outer;
    dies_with_the_test(command);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A FIFO that nobody opens; in place of the file that is there.
pub fn fifo(path: &Path) {
    let made = path.with_extension("fifo");
    run("mkfifo", &[text(&made)]);
    fs::rename(made, path).unwrap();
}

/// Writes to a pipe or FIFO until it takes no more.
pub fn fill(mut pipe: &fs::File) {
    rustix::io::ioctl_fionbio(pipe, true).unwrap();
    while pipe.write(&[b'x'; 4096]).is_ok() {}
}

/// What the pipe below takes, in bytes.
pub const SMALL_PIPE: usize = 4096;

/// Both ends, the reader's first, of a small pipe.
pub fn small_pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: two integers, as the call wants; each descriptor then has one owner.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        let size = libc::c_int::try_from(SMALL_PIPE).unwrap();
        assert_eq!(libc::fcntl(ends[1], libc::F_SETPIPE_SZ, size), size);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// A terminal whose output somebody stopped with ctrl-S.
pub struct Terminal {
    /// Ours; who reads here sees the screen.
    pub screen: OwnedFd,
    /// The program's.
    pub line: OwnedFd,
}

impl Terminal {
    pub fn open() -> Self {
        let (mut screen, mut line) = (0, 0);
        // SAFETY: two integers and three null pointers, which the call allows; each descriptor then
        // has one owner.
        let (screen, line) = unsafe {
            let null = std::ptr::null_mut();
            assert_eq!(
                libc::openpty(
                    &raw mut screen,
                    &raw mut line,
                    null,
                    null.cast(),
                    null.cast()
                ),
                0
            );
            (OwnedFd::from_raw_fd(screen), OwnedFd::from_raw_fd(line))
        };
        // A program that had the screen as well would keep the terminal open.
        for end in [&screen, &line] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC).unwrap();
        }
        Self { screen, line }
    }

    /// As ctrl-S and ctrl-Q do.
    pub fn stop(&self, stopped: bool) {
        let action = if stopped { libc::TCOOFF } else { libc::TCOON };
        // SAFETY: an open descriptor and a constant.
        assert_eq!(unsafe { libc::tcflow(self.line.as_raw_fd(), action) }, 0);
    }
}

/// A library that moves the wall clock of the process it is loaded into by as many seconds as a file
/// says. None where there is no C compiler.
pub struct ShiftedClock(tempfile::TempDir);

const SHIFT: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <time.h>
static volatile long *shift;
__attribute__((constructor)) static void begin(void) {
    int fd = open(getenv("SHIFT_FILE"), O_RDONLY | O_CLOEXEC);
    shift = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
}
int clock_gettime(clockid_t clock, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int r = real(clock, t);
    if (clock == CLOCK_REALTIME && shift) t->tv_sec += *shift;
    return r;
}
"#;

impl ShiftedClock {
    pub fn build() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (
            folder.path().join("shift.c"),
            folder.path().join("shift.so"),
        );
        fs::write(&source, SHIFT).unwrap();
        let built = Command::new("cc")
            .args([
                "-shared",
                "-fPIC",
                "-O1",
                "-o",
                text(&library),
                text(&source),
                "-ldl",
            ])
            .status();
        if !built.is_ok_and(|status| status.success()) {
            return None;
        }
        let clock = Self(folder);
        fs::write(clock.0.path().join("shift"), 0_i64.to_ne_bytes()).unwrap();
        Some(clock)
    }

    /// Moves the clock to so many seconds from the true time.
    pub fn shift(&self, seconds: i64) {
        let path = self.0.path().join("shift");
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all(&seconds.to_ne_bytes()).unwrap();
    }

    /// Has this command live by it.
    pub fn load(&self, command: &mut Command) {
        command.env("SHIFT_FILE", self.0.path().join("shift"));
        command.env("LD_PRELOAD", self.0.path().join("shift.so"));
    }
}

/// Connections, each with these bytes sent.
pub fn flood(address: &str, count: usize, says: impl Fn(usize) -> Vec<u8>) -> Vec<TcpStream> {
    many_files();
    (0..count)
        .filter_map(|n| {
            let mut stream = TcpStream::connect(address).ok()?;
            stream.set_nonblocking(true).unwrap();
            let _refused = stream.write(&says(n));
            Some(stream)
        })
        .collect()
}

/// Waits until a process is in this state, as /proc says: "T" is stopped.
pub fn until_state(pid: u32, state: &str) {
    eventually(&format!("process {pid} in state {state}"), || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let now = stat.rsplit(')').next().unwrap().split_whitespace().next();
        (now == Some(state)).then_some(())
    });
}
