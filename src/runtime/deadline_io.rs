//! Reading and writing sockets against absolute deadlines.
//!
//! A signal may interrupt any call, and a call that is merely repeated would start its timeout anew:
//! here the time left is computed for every try.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, Socket as RawSocket, Type};

use crate::runtime::clock::millis;

/// A socket with timeouts.
pub trait Socket: Read + Write {
    /// Bounds each later read.
    ///
    /// # Errors
    /// The system's.
    fn bound_reads(&self, by: Duration) -> io::Result<()>;
    /// Bounds each later write.
    ///
    /// # Errors
    /// The system's.
    fn bound_writes(&self, by: Duration) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn bound_reads(&self, by: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(by))
    }
    fn bound_writes(&self, by: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(by))
    }
}

#[cfg(unix)]
impl Socket for UnixStream {
    fn bound_reads(&self, by: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(by))
    }
    fn bound_writes(&self, by: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(by))
    }
}

/// A connection's socket, which somebody else may close by a [`StreamHandle`].
#[derive(Debug)]
pub struct SharedStream(Arc<TcpStream>);

/// A second handle of a socket. It does not keep the socket open.
#[derive(Clone, Debug)]
pub struct StreamHandle(Weak<TcpStream>);

impl SharedStream {
    /// The one that keeps it open.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// A second handle.
    #[must_use]
    pub fn handle(&self) -> StreamHandle {
        StreamHandle(Arc::downgrade(&self.0))
    }
}

impl StreamHandle {
    /// Ends reading and writing on both sides. Nothing happens if the socket is closed already.
    pub fn close(&self) {
        if let Some(stream) = self.0.upgrade() {
            let _gone_already = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Deref for SharedStream {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

impl Socket for SharedStream {
    fn bound_reads(&self, by: Duration) -> io::Result<()> {
        self.0.bound_reads(by)
    }
    fn bound_writes(&self, by: Duration) -> io::Result<()> {
        self.0.bound_writes(by)
    }
}

impl Read for SharedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for SharedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }
    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

/// A socket that tells the system of a timeout only when it is another than before: on a connection that
/// is polled all day this saves two calls of the system in four.
#[derive(Debug)]
pub struct Sparing<S> {
    socket: S,
    reads: Cell<Duration>,
    writes: Cell<Duration>,
}

impl<S> Sparing<S> {
    /// Of a socket whose timeouts nobody else sets from here on.
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            reads: Cell::default(),
            writes: Cell::default(),
        }
    }
}

impl<S> Deref for Sparing<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.socket
    }
}

impl<S: Socket> Socket for Sparing<S> {
    fn bound_reads(&self, by: Duration) -> io::Result<()> {
        if self.reads.replace(by) == by {
            return Ok(());
        }
        self.socket.bound_reads(by)
    }
    fn bound_writes(&self, by: Duration) -> io::Result<()> {
        if self.writes.replace(by) == by {
            return Ok(());
        }
        self.socket.bound_writes(by)
    }
}

impl<S: Read> Read for Sparing<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl<S: Write> Write for Sparing<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }
    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// How long a wait goes on before its caller is asked whether to give it up.
pub const SLICE: Duration = Duration::from_millis(100);

/// A timeout in whole milliseconds, rounded up: sockets take none that is zero, and equal waits become
/// equal timeouts.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(millis(time) + u64::from(!time.subsec_nanos().is_multiple_of(1_000_000)))
}

/// Reads something. `TimedOut` once the deadline has passed, `Ok(0)` at the end.
///
/// # Errors
/// The socket's.
pub fn read_some<S: Socket>(
    socket: &mut S,
    buffer: &mut [u8],
    deadline: Instant,
) -> io::Result<usize> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.bound_reads(whole_millis(left))?;
        match socket.read(buffer) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            other => return other,
        }
    }
}

/// As [`read_some`], and asks every [`SLICE`] whether to give up: then the error is `Interrupted`.
///
/// # Errors
/// The socket's.
pub fn read_some_unless<S: Socket>(
    socket: &mut S,
    buffer: &mut [u8],
    deadline: Instant,
    give_up: impl Fn() -> bool,
) -> io::Result<usize> {
    loop {
        if give_up() {
            return Err(ErrorKind::Interrupted.into());
        }
        let by = deadline.min(Instant::now() + SLICE);
        match read_some(socket, buffer, by) {
            Err(e) if e.kind() == ErrorKind::TimedOut && by < deadline => {}
            other => return other,
        }
    }
}

/// Writes everything. `TimedOut` once the deadline has passed.
///
/// # Errors
/// The socket's.
pub fn write_all<S: Socket>(socket: &mut S, bytes: &[u8], deadline: Instant) -> io::Result<()> {
    write_all_unless(socket, bytes, deadline, || false)
}

/// As [`write_all`], for two buffers that are one message: in one call of the system where they fit.
///
/// # Errors
/// The socket's.
pub fn write_both<S: Socket>(
    socket: &mut S,
    first: &[u8],
    second: &[u8],
    deadline: Instant,
) -> io::Result<()> {
    socket.bound_writes(SLICE)?;
    let both = [IoSlice::new(first), IoSlice::new(second)];
    let written = match socket.write_vectored(&both) {
        Ok(n) => n,
        Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => 0,
        Err(e) => return Err(e),
    };
    if written < first.len() {
        write_all(socket, &first[written..], deadline)?;
    }
    let of_second = written.saturating_sub(first.len());
    write_all(socket, &second[of_second..], deadline)
}

/// As [`write_all`], and asks every [`SLICE`] whether to give up: then the error is `Interrupted`.
///
/// # Errors
/// The socket's.
pub fn write_all_unless<S: Socket>(
    socket: &mut S,
    mut bytes: &[u8],
    deadline: Instant,
    give_up: impl Fn() -> bool,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        if give_up() {
            return Err(ErrorKind::Interrupted.into());
        }
        socket.bound_writes(whole_millis(left).min(SLICE))?;
        match socket.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Writes what the socket takes at once and gives how many bytes that were; never waits.
///
/// # Errors
/// The socket's.
#[cfg(unix)]
pub fn write_now(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    use rustix::io::Errno;
    use rustix::net::{SendFlags, send};
    match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        other => Ok(other?),
    }
}

/// Elsewhere it is left to who may wait.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn write_now(_: &TcpStream, _: &[u8]) -> io::Result<usize> {
    Ok(0)
}

/// Connects, and asks every [`SLICE`] whether to give up: then the error is `Interrupted`.
///
/// # Errors
/// The system's; `TimedOut` once the deadline has passed.
pub fn connect_unless(
    address: SocketAddr,
    deadline: Instant,
    give_up: impl Fn() -> bool,
) -> io::Result<TcpStream> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => {}
        Err(e) if under_way(&e) => loop {
            if give_up() {
                return Err(ErrorKind::Interrupted.into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            let mut fds = [PollFd::new(&socket, PollFlags::OUT)];
            match poll(&mut fds, Some(&timespec(left.min(SLICE)))) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => match socket.take_error()? {
                    Some(e) => return Err(e),
                    None => break,
                },
                Err(e) => return Err(e.into()),
            }
        },
        Err(e) => return Err(e),
    }
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

/// What a non-blocking connect says when it goes on without its caller.
fn under_way(e: &io::Error) -> bool {
    e.kind() == ErrorKind::WouldBlock
        || e.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

/// Whether the other side has closed, looked at without waiting and without taking bytes.
pub fn is_gone(socket: &TcpStream) -> bool {
    let mut byte = [0_u8; 1];
    if socket.set_nonblocking(true).is_err() {
        return true;
    }
    let gone = match socket.peek(&mut byte) {
        Ok(0) => true,
        Ok(_) => false,
        Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    };
    socket.set_nonblocking(false).is_err() || gone
}

/// Whether a client waits to be accepted, within `time`. Errors are left to accepting, which words them
/// better.
pub fn client_waits(listener: &TcpListener, time: Duration) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut fds, Some(&timespec(time))).is_ok_and(|ready| ready > 0)
}

/// A time that is too long for the system does not occur: every caller's is below a minute.
fn timespec(time: Duration) -> Timespec {
    Timespec::try_from(time).unwrap_or(Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    })
}
