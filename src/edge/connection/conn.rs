//! A `conn-N` thread: one client's connection, one request at a time.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use super::ready::{Lookup, Ready};
use crate::cache::AskId;
use crate::edge::answer::{Answer, Wants, Written};
use crate::edge::routes::{lane_of, may_repeat, not_a_stream};
use crate::edge::ws::{Sessions, Upgrade};
use crate::runtime::{Heartbeat, Peer, Supervisor, ThreadKind};

use crate::edge::access::Guard;
use crate::edge::access::{Denied, Refusals};
use crate::edge::connection::forward::{NotForwarded, ToWorker, forward};
use crate::edge::connection::lanes::{Lane, LaneSpec};
use crate::edge::request::Refusal;
use crate::edge::request::{Framing, Intake};
use crate::edge::request::{Head, Parsed, parse_head as parse};
use crate::runtime::deadline_io::{Sparing, is_gone, read_some, write_all, write_both};

/// How often an idle connection looks whether it must end or make room.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(1);

/// After the workers' own deadline, how long the gate still waits for their answer.
const ANSWER_GRACE: Duration = Duration::from_millis(800);

/// How much is read and forwarded at a time, in bytes.
const BUFFER_BYTES: usize = 32 * 1024;

/// A number of a request is the connection's number and, in these low bits, its own.
const REQUEST_BITS: u32 = 24;

/// What a refused client may still send, in time and in bytes.
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);
/// As above.
const DRAIN_BYTES_MAX: usize = 256 * 1024;

/// Where quotes are streamed.
const QUOTES_PATH: &str = "/api/ws/quotes";

/// The gate's limits.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// Connections served at once.
    pub connections_max: usize,
    /// Of one address, this machine's own excepted.
    pub connections_per_address_max: usize,
    /// A longer head is refused.
    pub head_bytes_max: usize,
    /// A longer body is refused.
    pub body_bytes_max: usize,
    /// How long a head, and then a body, may take from its first byte on.
    pub head_deadline: Duration,
    /// How long a connection may be idle.
    pub keep_alive: Duration,
    /// How long an answer may take to be written.
    pub write_deadline: Duration,
    /// In the order of [`crate::edge::http::LANES`].
    pub lanes: Vec<LaneSpec>,
    /// Who is answered at all, and which pages may read answers.
    pub guard: Guard,
    /// Who may have an answer ready, and is told when a client left.
    pub lookup: Lookup,
    /// Who takes WebSocket clients.
    pub sessions: Sessions,
}

/// What all connections have in common. Never changes.
pub struct Shared {
    /// The limits.
    pub config: GateConfig,
    /// In the order of [`crate::edge::http::LANES`].
    pub lanes: Vec<Lane>,
    /// Each word has one idle connection make room.
    pub evictions: Receiver<()>,
    /// For the threads of streaming clients, and for the stop.
    pub supervisor: Supervisor,
    /// Requests that were denied so far.
    pub denied: Refusals,
}

/// One connection.
pub struct Conn {
    shared: Arc<Shared>,
    guard: Guard,
    address: IpAddr,
    peer: String,
    number: u64,
    ready: Ready,
    /// The last answer that was at hand.
    repeat: Option<Repeat>,
    /// The last head as it came.
    head_bytes: Vec<u8>,
    /// Bytes received and not used yet.
    pending: Vec<u8>,
    buffer: Vec<u8>,
}

/// An answer for a client that sends the very same request again: who polls does, and then neither the
/// head is read nor the answer's written anew. It was admitted with these very bytes.
struct Repeat {
    request: Vec<u8>,
    until: Instant,
    written: Written,
}

/// What comes next on a connection.
enum Next {
    /// A request.
    Head(Box<Head>),
    /// The same as before.
    Again,
    /// Nothing: the client is done, or has been idle for too long.
    Over,
}

/// A client's socket.
type Stream = Sparing<TcpStream>;

/// Why a connection ends.
enum Over {
    /// Without a word: the client left, or there is nothing to say.
    Quietly,
    /// With a last answer.
    Refused(Refusal),
}

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self::Quietly
    }
}

impl Conn {
    /// A connection of this client.
    pub fn new(shared: Arc<Shared>, peer: IpAddr, number: u64) -> Self {
        Self {
            ready: Ready::new(shared.config.lookup.clone()),
            repeat: None,
            head_bytes: Vec::new(),
            guard: shared.config.guard.clone(),
            shared,
            address: peer,
            peer: peer.to_string(),
            number,
            pending: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Serves it to its end.
    pub fn serve(&mut self, stream: TcpStream, heartbeat: &Heartbeat) {
        let mut stream = Sparing::new(stream);
        self.buffer = vec![0; BUFFER_BYTES];
        let mut requests = 0_u64;
        while !self.shared.supervisor.stop().is_set() {
            requests += 1;
            let id = (self.number << REQUEST_BITS) | (requests & ((1 << REQUEST_BITS) - 1));
            heartbeat.idle();
            match self.one_request(&mut stream, AskId(id), heartbeat) {
                Ok(true) => {}
                Ok(false) | Err(Over::Quietly) => return,
                Err(Over::Refused(refusal)) => {
                    let answer = Answer::error(refusal.status, &refusal.detail);
                    let is_head = self.pending.starts_with(b"HEAD ");
                    let written = self.own_answer(&answer, None, is_head, true);
                    self.write(&mut stream, &written, heartbeat);
                    self.drain(&mut stream, heartbeat);
                    return;
                }
            }
        }
    }

    /// True when another request may follow.
    fn one_request(
        &mut self,
        stream: &mut Stream,
        id: AskId,
        heartbeat: &Heartbeat,
    ) -> Result<bool, Over> {
        let mut head = match self.read_head(stream, heartbeat)? {
            Next::Over => return Ok(false),
            Next::Again => {
                let again = self.repeat.as_ref().map(|r| &r.written);
                return Ok(again.is_some_and(|written| self.write(stream, written, heartbeat)));
            }
            Next::Head(head) => head,
        };
        if let Err(denied) = self.guard.admit(&head, self.address) {
            self.deny(stream, &head, &denied, heartbeat);
            return Ok(false);
        }
        head.forget_own_origin();
        let is_read = matches!(head.method.as_str(), "GET" | "HEAD");
        if is_read && head.path().trim_end_matches('/') == QUOTES_PATH {
            return self.upgrade(stream, &head, heartbeat);
        }
        if let Some(more) = self.at_hand(stream, &head, heartbeat) {
            return Ok(more);
        }
        let body = self.read_body(stream, &head, heartbeat)?;
        let peer = self.sender_of(&head);
        let what = format!("{} {} for {peer}", head.method, head.path());
        let is_head = head.method == "HEAD";
        let lane = lane_of(&head.method, head.path());
        let request = |time| {
            let mut request = head.rewritten(id.0, &peer, time, body.len());
            request.extend_from_slice(&body);
            request
        };
        let deadline = Instant::now() + self.shared.config.lanes[lane.index()].deadline;
        heartbeat.serves(id.0);
        let worker = Peer::Holder(ThreadKind::Http);
        heartbeat.wait(worker, what.clone(), deadline + ANSWER_GRACE);
        let asked = ToWorker {
            client: stream,
            request: &request,
            what: &what,
            is_head,
            may_repeat: may_repeat(&head.method, head.path()),
            deadline,
            grace: ANSWER_GRACE,
        };
        let forwarded = forward(&self.shared.lanes[lane.index()], &asked, &mut self.buffer);
        let config = &self.shared.config;
        let close = head.close || self.shared.supervisor.stop().is_set();
        let written = match forwarded {
            Ok(answer) => answer.for_client(connection_header(close, head.http10)),
            Err(NotForwarded::ClientGone) => {
                config.lookup.caches.cancel(lane, id);
                return Ok(false);
            }
            Err(NotForwarded::LaneFull) => {
                let answer = Answer::error(
                    503,
                    &format!(
                        "All {} places for {} requests are busy; try again in 1 s",
                        config.lanes[lane.index()].slots,
                        lane.name()
                    ),
                )
                .with_retry_after(Some(Duration::from_secs(1)));
                self.own_answer(&answer, head.origin.as_deref(), is_head, close)
            }
            Err(NotForwarded::WorkerSilent(e)) => {
                config.lookup.caches.cancel(lane, id);
                let answer = Answer::error(
                    503,
                    &format!(
                        "The server's http worker did not answer ({e}); see /api/health and logs/watchdog.log"
                    ),
                );
                self.own_answer(&answer, head.origin.as_deref(), is_head, close)
            }
        };
        Ok(self.write(stream, &written, heartbeat) && !close)
    }

    /// Answers with what somebody has ready; none if nobody has, and a worker must. True when another
    /// request may follow.
    fn at_hand(&mut self, stream: &mut Stream, head: &Head, heartbeat: &Heartbeat) -> Option<bool> {
        let reads = matches!(head.method.as_str(), "GET" | "HEAD") && head.framing == Framing::None;
        let config = &self.shared.config;
        let origin = head.origin.as_deref();
        if !reads {
            return None;
        }
        let now = Instant::now();
        let (answer, until) = self.ready.answer(&head.target, now)?;
        let until = until.min(answer.written_until(now));
        let close = head.close || self.shared.supervisor.stop().is_set();
        let mut more = config.guard.cors().headers(origin);
        more.extend(connection_header(close, head.http10));
        let passed = |name| head.passed(name);
        let wants = Wants::new(
            &head.method,
            passed("Accept-Encoding"),
            passed("If-None-Match"),
        );
        let repeat = Repeat {
            request: std::mem::take(&mut self.head_bytes),
            until,
            written: answer.write(&wants, now, &more),
        };
        let taken = self.write(stream, &repeat.written, heartbeat);
        self.repeat = (!close).then_some(repeat);
        Some(taken && !close)
    }

    /// Who asks, for workers and the log. What a proxy sent on does not come from the address that it has.
    fn sender_of(&self, head: &Head) -> String {
        match &head.sender.forwarded {
            None => self.peer.clone(),
            Some(_) => format!("somebody behind {}", self.peer),
        }
    }

    /// Tells a client why it is not answered; the connection ends with it.
    fn deny(&mut self, stream: &mut Stream, head: &Head, denied: &Denied, heartbeat: &Heartbeat) {
        if let Some(nth) = self.shared.denied.worth_a_line(denied) {
            let (method, path) = (&head.method, head.path());
            log::warn!(target: "GATE", "refused {method} {path} of {} ({nth} so far): {denied}", self.peer);
        }
        let mut answer = Answer::error(denied.status(), &denied.to_string());
        if *denied == Denied::Token {
            answer.set("WWW-Authenticate", "Basic realm=\"tapewarden\"".to_owned());
        }
        let bytes = self.own_answer(&answer, head.origin.as_deref(), head.method == "HEAD", true);
        self.write(stream, &bytes, heartbeat);
        self.drain(stream, heartbeat);
    }

    /// What comes next, within the deadlines of idling and of a head.
    fn read_head(&mut self, stream: &mut Stream, heartbeat: &Heartbeat) -> Result<Next, Over> {
        let idle_until = Instant::now() + self.shared.config.keep_alive;
        let mut head_until: Option<Instant> = None;
        loop {
            if !self.pending.is_empty() {
                if self.guard.look() {
                    self.repeat = None;
                }
                if let Some(repeat) = &self.repeat
                    && repeat.request == self.pending
                    && Instant::now() < repeat.until
                {
                    self.pending.clear();
                    return Ok(Next::Again);
                }
                match parse(
                    &self.pending,
                    self.shared.config.head_bytes_max,
                    self.shared.config.body_bytes_max,
                ) {
                    Parsed::Whole(head, length) => {
                        self.head_bytes.clear();
                        self.head_bytes.extend(self.pending.drain(..length));
                        return Ok(Next::Head(head));
                    }
                    Parsed::Refused(refusal) => return Err(Over::Refused(refusal)),
                    Parsed::Partial => {}
                }
                if head_until.is_none() {
                    let until = Instant::now() + self.shared.config.head_deadline;
                    heartbeat.wait(Peer::Client, "reading a request's head", until);
                    head_until = Some(until);
                }
            }
            let now = Instant::now();
            let deadline = head_until.unwrap_or_else(|| idle_until.min(now + IDLE_LOOK_EVERY));
            match read_some(stream, &mut self.buffer, deadline) {
                Ok(0) => return Ok(Next::Over),
                Ok(n) => self.pending.extend_from_slice(&self.buffer[..n]),
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    if head_until.is_some() {
                        let detail = "The request's head did not arrive in time";
                        return Err(Over::Refused(Refusal::new(408, detail)));
                    }
                    let must_go = self.shared.supervisor.stop().is_set()
                        || Instant::now() >= idle_until
                        || self.shared.evictions.try_recv().is_ok();
                    if must_go {
                        return Ok(Next::Over);
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn read_body(
        &mut self,
        stream: &mut Stream,
        head: &Head,
        heartbeat: &Heartbeat,
    ) -> Result<Vec<u8>, Over> {
        let waits = head.expects_continue && self.pending.is_empty();
        let mut intake = Intake::new(head.framing, self.shared.config.body_bytes_max);
        let mut taken = intake.take(&mut self.pending).map_err(Over::Refused)?;
        if taken {
            return Ok(intake.into_body());
        }
        let until = Instant::now() + self.shared.config.head_deadline;
        heartbeat.wait(Peer::Client, "reading a request's body", until);
        if waits {
            write_all(stream, b"HTTP/1.1 100 Continue\r\n\r\n", until)?;
        }
        while !taken {
            match read_some(stream, &mut self.buffer, until) {
                Ok(0) => return Err(Over::Quietly),
                Ok(n) => self.pending.extend_from_slice(&self.buffer[..n]),
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    let detail = "The request's body did not arrive in time";
                    return Err(Over::Refused(Refusal::new(408, detail)));
                }
                Err(e) => return Err(e.into()),
            }
            taken = intake.take(&mut self.pending).map_err(Over::Refused)?;
        }
        Ok(intake.into_body())
    }

    /// Hands the connection to a WebSocket session, which lives on this thread; false when it ended.
    fn upgrade(
        &mut self,
        stream: &mut Stream,
        head: &Head,
        heartbeat: &Heartbeat,
    ) -> Result<bool, Over> {
        if let Some(answer) = not_a_stream(&head.handshake) {
            let is_head = head.method == "HEAD";
            let written = self.own_answer(&answer, head.origin.as_deref(), is_head, true);
            self.write(stream, &written, heartbeat);
            self.drain(stream, heartbeat);
            return Ok(false);
        }
        let upgrade = Upgrade {
            stream: stream.try_clone()?,
            received: std::mem::take(&mut self.pending),
            key: head.handshake.key().unwrap_or_default().to_owned(),
            peer: self.sender_of(head),
            number: self.number,
        };
        match self
            .shared
            .config
            .sessions
            .serve(&self.shared.supervisor, upgrade, heartbeat)
        {
            Ok(()) => Ok(false),
            Err(detail) => Err(Over::Refused(Refusal::new(503, detail))),
        }
    }

    /// An answer that no worker made.
    fn own_answer(
        &self,
        answer: &Answer,
        origin: Option<&str>,
        is_head: bool,
        close: bool,
    ) -> Written {
        let mut more = self.shared.config.guard.cors().headers(origin);
        more.extend(connection_header(close, false));
        let wants = Wants {
            head_only: is_head,
            ..Wants::default()
        };
        answer.write(&wants, Instant::now(), &more)
    }

    /// Takes what the client still sends, for a moment: closing on unread bytes would reset the
    /// connection, and the client would lose the answer.
    fn drain(&mut self, stream: &mut Stream, heartbeat: &Heartbeat) {
        let until = Instant::now() + DRAIN_DEADLINE;
        heartbeat.wait(Peer::Client, "letting a refused client finish", until);
        let _gone = stream.shutdown(Shutdown::Write);
        let mut taken = 0;
        while taken < DRAIN_BYTES_MAX {
            match read_some(stream, &mut self.buffer, until) {
                Ok(n) if n > 0 => taken += n,
                _ => return,
            }
        }
    }

    /// True when the client has taken it all.
    fn write(&self, stream: &mut Stream, answer: &Written, heartbeat: &Heartbeat) -> bool {
        let until = Instant::now() + self.shared.config.write_deadline;
        let body = answer.body.as_deref().unwrap_or(&[]);
        if write_both(stream, &answer.head, body, until).is_ok() {
            return true;
        }
        heartbeat.idle();
        if !is_gone(stream) {
            log::info!(
                target: "GATE",
                "closed the connection of {}: it did not take an answer of {} bytes within {} s",
                self.peer,
                answer.head.len() + body.len(),
                self.shared.config.write_deadline.as_secs()
            );
        }
        false
    }
}

/// What an answer says of its connection, where that is not what its version of HTTP implies.
fn connection_header(close: bool, http10: bool) -> Option<(&'static str, String)> {
    match (close, http10) {
        (true, _) => Some(("Connection", "close".to_owned())),
        (false, true) => Some(("Connection", "keep-alive".to_owned())),
        (false, false) => None,
    }
}
