//! An HTTP server for clients on this machine that are our own: `tiny_http::Server` with threads of ours that answer.
//! It is not for strangers, of whom one could hold up or end the library's threads.
//!
//! ```text
//! keeper     makes the server, asks it every two seconds whether it still accepts, makes it anew if not
//! workers    one request each: taken, answered by the answer function, written
//! (keeper)   the library's: an acceptor, and at least four that read requests; they bear the keeper's name
//! ```
//!
//! The one channel is a watch in which the keeper tells its workers the server of now. All of them end with the stop.
//!
//! What is done about the library's ways:
//! - Of connections that come at the same moment, some get a thread only when another's connection ends: so answers are
//!   HTTP/1.0, after which a client closes.
//! - Its acceptor ends when the system refuses it a descriptor or a thread: that is what the keeper looks for. It asks by
//!   a line that is no request, which the library's own threads answer: workers that are busy are not mistaken for a
//!   deaf server.
//! - The rest of a long body is read where its request is dropped: a request with more than [`BODY_BYTES_MAX`], which the
//!   library has read before it hands the request over, is left open and unanswered.
//! - A client that does not read its answer holds up a worker: on Linux until [`WRITE_DEADLINE`] (a TCP connection has the
//!   listener's timeout, one at a path is given its own before each answer), elsewhere until the watchdog starts another
//!   in its place. One that reads slowly does so until [`ANSWER_DEADLINE`].

mod accepted;
mod address;
mod client;
mod keeper;

use std::cell::Cell;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Header, Method, Request, Response, ResponseBox, Server};

pub use address::{Address, Bound, at_path, bind};
pub use client::{LocalAnswer, ask};

use super::heartbeat::Heartbeat;
use super::peer::Peer;
use super::spawn::Supervisor;
use super::stop::Stop;
use super::threads::ThreadKind;
use super::watch::{WatchRx, watch};
use keeper::ServerKeeper;

/// The longest body of a request, in bytes: as much as the library reads before it hands a request over.
pub const BODY_BYTES_MAX: usize = 1_024;

/// How long a client may leave an answer's next bytes unread.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(2);

/// No more of an answer is written after this.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(6);

/// So much is written at a time, in bytes: as much as a socket takes whole or not at all, at a path on Linux.
const PIECE_BYTES: usize = 16 * 1024;

/// An idle worker beats this often: an order (a drill, the end of its service) must not wait for a client.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// How often a worker looks for a server while there is none.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A server's threads.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Sees to it that the server accepts; it should begin anew after a panic.
    pub keeper: ThreadKind,
    /// Answer one request at a time; the watchdog should start another in a stalled one's place.
    pub worker: ThreadKind,
    /// So many of them.
    pub workers: u32,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its target as it came: path and query, escapes and all.
    pub target: String,
    /// Its headers, in their order.
    pub headers: Vec<Header>,
    /// Its body, at most [`BODY_BYTES_MAX`] long.
    pub body: Vec<u8>,
}

impl Asked {
    /// The value of the first header of that name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    let is_it = |h: &&Header| h.field.as_str().as_str().eq_ignore_ascii_case(name);
    headers.iter().find(is_it).map(|h| h.value.as_str())
}

/// A response with that body, to be given further headers. Not for 204 and 304, to which the library adds a length.
#[must_use]
pub fn response(status: u16, media_type: &str, body: Vec<u8>) -> ResponseBox {
    let mut response = Response::from_data(body).with_status_code(status);
    if let Ok(header) = Header::from_bytes("Content-Type", media_type) {
        response.add_header(header);
    }
    if let Ok(header) = Header::from_bytes("Server", "tapewarden") {
        response.add_header(header);
    }
    response.boxed()
}

/// Starts a server; gives its address, with the port that the system chose. Each worker makes an answer function by
/// `answers`, with a state of its own, and anew after a panic in it, which is answered by 500 without a body. The answer
/// function says what it does through the heartbeat.
///
/// # Errors
/// When the system refuses a thread.
pub fn start<A>(
    supervisor: &Supervisor,
    spec: Spec,
    bound: Bound,
    answers: impl Fn() -> A + Clone + Send + 'static,
) -> io::Result<Address>
where
    A: FnMut(&Asked, &Heartbeat) -> ResponseBox,
{
    let Bound { listener, address } = bound;
    let (servers_tx, servers) = watch();
    let keeper = ServerKeeper {
        name: spec.keeper.row().name,
        address: address.clone(),
        first: Cell::new(Some(listener)),
        servers: servers_tx,
        stop: supervisor.stop().clone(),
    };
    supervisor.spawn(spec.keeper, move |heartbeat| {
        keeper.run(heartbeat);
    })?;
    for number in 1..=spec.workers {
        let (servers, answers) = (servers.clone(), answers.clone());
        let (address, stop) = (address.clone(), supervisor.stop().clone());
        supervisor.spawn_replaceable(spec.worker.nth(number), move |heartbeat| {
            work(heartbeat, &stop, &address, servers.clone(), answers());
        })?;
    }
    Ok(address)
}

/// Answers requests until the stop, or until another has this thread's place.
fn work(
    heartbeat: &Heartbeat,
    stop: &Stop,
    address: &Address,
    mut servers: WatchRx<Option<Arc<Server>>>,
    mut answer: impl FnMut(&Asked, &Heartbeat) -> ResponseBox,
) {
    let mut server = None;
    while !stop.is_set() {
        heartbeat.idle();
        if heartbeat.is_retired() {
            return;
        }
        if let Some(told) = servers.changed() {
            server = told;
        }
        let Some(now) = &server else {
            if stop.sleep(LOOK_EVERY) {
                return;
            }
            continue;
        };
        match now.recv_timeout(BEAT_EVERY) {
            Ok(Some(request)) => serve(request, stop, address, heartbeat, &mut answer),
            Ok(None) => {}
            // The acceptor's last words, told to one worker; the keeper finds it deaf.
            Err(e) => log::warn!(target: "LOCAL", "accepting a connection failed: {e}"),
        }
    }
}

fn serve(
    mut request: Request,
    stop: &Stop,
    address: &Address,
    heartbeat: &Heartbeat,
    answer: &mut impl FnMut(&Asked, &Heartbeat) -> ResponseBox,
) {
    let Some(asked) = take(&mut request) else {
        log::warn!(
            target: "LOCAL",
            "{} {} has a body of more than {BODY_BYTES_MAX} bytes or of unknown length; its connection is left alone",
            request.method(),
            request.url()
        );
        // Dropped, it would wait for that body, and take as much memory as its length says.
        std::mem::forget(request);
        return;
    };
    let what = format!("{} {}", asked.method, asked.target);
    heartbeat.begin(what.clone());
    let response = answer(&asked, heartbeat);
    let status = response.status_code().0;
    debug_assert!(!matches!(status, 204 | 304), "the library adds a length");
    let by = Instant::now() + ANSWER_DEADLINE;
    heartbeat.wait(
        Peer::Client,
        what.clone() + ", writing the answer",
        by + WRITE_DEADLINE,
    );
    // Where it is refused a client that does not read costs its worker, which is replaced.
    let _ = accepted::bound_writes(address, WRITE_DEADLINE);
    let written = write(request, &asked, response, || match stop.is_set() {
        true => Err(ErrorKind::ConnectionAborted.into()),
        false if Instant::now() >= by => Err(not_taken(ANSWER_DEADLINE)),
        false => Ok(()),
    });
    match written {
        Err(e) if !is_departure(&e) => {
            log::warn!(target: "LOCAL", "writing the answer to {what} failed: {e}");
        }
        _ => {}
    }
}

/// What the request says; none if its body is longer than what the library has read of it.
fn take(request: &mut Request) -> Option<Asked> {
    let length = request.body_length().unwrap_or(0);
    let is_read = length <= BODY_BYTES_MAX
        && find(request.headers(), "Transfer-Encoding").is_none()
        && (length == 0 || find(request.headers(), "Expect").is_none());
    if !is_read {
        return None;
    }
    let mut body = vec![0; length];
    if length > 0 {
        request.as_reader().read_exact(&mut body).ok()?;
    }
    Some(Asked {
        method: request.method().clone(),
        target: request.url().to_owned(),
        headers: request.headers().to_vec(),
        body,
    })
}

/// After each piece it asks whether it may go on: the first is written even at the stop, which may be what the request
/// asked for.
fn write(
    request: Request,
    asked: &Asked,
    response: ResponseBox,
    may_go_on: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let head_only = asked.method == Method::Head;
    // Without the request's headers: by `TE` it would choose an encoding that our clients do not read.
    response.raw_print(&mut bytes, HTTPVersion(1, 0), &[], head_only, None)?;
    let mut out = request.into_writer();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        match out.write(&rest[..rest.len().min(PIECE_BYTES)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(not_taken(WRITE_DEADLINE)),
            Err(e) => return Err(e),
        }
        if !rest.is_empty() {
            may_go_on()?;
        }
    }
    out.flush()
}

fn not_taken(time: Duration) -> io::Error {
    let words = format!("the client did not take it within {} s", time.as_secs());
    io::Error::new(ErrorKind::TimedOut, words)
}

/// A client that has left needs no answer.
fn is_departure(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

#[cfg(test)]
mod tests;
