//! The symbolizer's process and the socket to it: the watchdog asks through one end, the thread `symbolizer`
//! reads the answers from it, ends the process when it must and starts the next.

use std::cell::RefCell;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::diag::symbolizer::{ReportAnswer, SymbolizerArgs};
use crate::runtime::deadline_io::{read_some, write_both};
use crate::runtime::{LatestTx, Stop, Supervisor, ThreadKind};

/// How long it is listened to before the end of everything is looked for.
const LISTEN_SLICE: Duration = Duration::from_millis(500);

/// A symbolizer that ended is replaced after this.
const BACKOFF: Duration = Duration::from_secs(1);

/// A symbolizer that was told to end has this long, and as long again once it was killed.
const END_PATIENCE: Duration = Duration::from_millis(500);

/// A question is a short line: it fits where a symbolizer that listens left room.
const ASK_DEADLINE: Duration = Duration::from_millis(100);

/// An asker's end: the watchdog has one, and the sentinel.
#[derive(Debug)]
pub struct SymbolizerLink {
    socket: UnixStream,
}

impl SymbolizerLink {
    /// Asks by this line for the report of what was captured. False if nobody is there. Allocates nothing: a thread
    /// may be stuck in the allocator.
    pub fn ask(&mut self, line: &str) -> bool {
        let by = Instant::now() + ASK_DEADLINE;
        write_both(&mut self.socket, line.as_bytes(), b"\n", by).is_ok()
    }

    /// Has the symbolizer replaced: it does not answer.
    pub fn give_up(&self) {
        let _gone_already = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// Starts the symbolizer and the thread that reads from it.
///
/// # Errors
/// When the system refuses the thread.
pub fn start_symbolizer(
    supervisor: &Supervisor,
    args: SymbolizerArgs,
    links: [LatestTx<SymbolizerLink>; 2],
    answers: LatestTx<ReportAnswer>,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    // Started here, before there is much to inherit; later ones by the thread itself.
    let first = RefCell::new(Some(start(&args)));
    supervisor.spawn(ThreadKind::Symbolizer, move |heartbeat| {
        while !stop.is_set() {
            heartbeat.begin("starting the process that names stacks");
            let started = first.borrow_mut().take().unwrap_or_else(|| start(&args));
            heartbeat.idle();
            match started {
                Ok((child, mut socket)) => {
                    for link in &links {
                        if let Ok(socket) = socket.try_clone() {
                            link.publish(SymbolizerLink { socket });
                        }
                    }
                    read_answers(&mut socket, &stop, &answers);
                    end(child, &socket);
                }
                Err(e) => log::error!(
                    target: "WATCHDOG",
                    "the process that names stacks cannot be started: {e}; reports have no call stacks until it can"
                ),
            }
            if stop.sleep(BACKOFF) {
                return;
            }
        }
    })?;
    Ok(())
}

fn start(args: &SymbolizerArgs) -> io::Result<(Child, UnixStream)> {
    let (ours, its) = UnixStream::pair()?;
    // The same binary also when it was replaced on disk meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("symbolizer")
        .args(["--fd", &args.fd.to_string()])
        .args(["--keep", &args.keep.to_string()])
        .args(["--instance", &args.files.number().to_string()])
        .arg("--log-dir")
        .arg(args.files.dir());
    if let Some(fd) = args.last_fd {
        command.args(["--last-fd", &fd.to_string()]);
    }
    let child = command
        .stdin(Stdio::from(OwnedFd::from(its.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(its)))
        .stderr(Stdio::null())
        // A Ctrl-C for the server is none for the symbolizer.
        .process_group(0)
        .arg0("tapewarden-symbolizer")
        .spawn()?;
    Ok((child, ours))
}

/// Until the symbolizer is gone, given up, or everything ends.
fn read_answers(socket: &mut UnixStream, stop: &Stop, answers: &LatestTx<ReportAnswer>) {
    let mut from = BufReader::new(Stoppable { socket, stop });
    while let Ok(answer) = ReportAnswer::read(&mut from) {
        answers.publish(answer);
    }
}

/// Its input has ended: it ends by itself, unless the disk or a debugger holds it.
fn end(mut child: Child, socket: &UnixStream) {
    let _closed_already = socket.shutdown(std::net::Shutdown::Both);
    for kill in [false, true] {
        if kill {
            let _gone_already = child.kill();
        }
        let by = Instant::now() + END_PATIENCE;
        while Instant::now() < by {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    log::warn!(target: "WATCHDOG", "the process {} that named stacks was killed and has not ended", child.id());
}

/// Reads that hear the end of everything.
struct Stoppable<'a> {
    socket: &'a mut UnixStream,
    stop: &'a Stop,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.stop.is_set() {
            match read_some(self.socket, buffer, Instant::now() + LISTEN_SLICE) {
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {}
                other => return other,
            }
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}
