//! A `conn-N` thread: one client's connection, one request at a time: head, access, route, permit, answer.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asker::Asker;
use super::config::Shared;
use super::ready::AtHand;
use super::repeat::Repeat;
use super::wire::{Close, Wire};
use crate::cache::AskId;
use crate::edge::access::{Denied, Guard};
use crate::edge::answer::{Answer, Wants};
use crate::edge::request::{Framing, Head, Parsed, Refusal, parse_head};
use crate::edge::routes::{
    Asked, Call, Context, Permits, Snapshots, Source, answer, call, not_a_stream, options,
    preflight,
};
use crate::edge::ws::Upgrade;
use crate::runtime::deadline_io::{SharedStream, is_gone, write_now};
use crate::runtime::{Heartbeat, LatestTx, Peer, Permit, Recall};

/// How often an idle connection looks whether it must end or make room.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a request that waits for a permit looks whether its client is still there.
const CLIENT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// A number of a request is the connection's number and, in these low bits, its own.
const REQUEST_BITS: u32 = 24;

/// One connection.
pub struct Conn {
    shared: Arc<Shared>,
    guard: Guard,
    address: IpAddr,
    peer: String,
    number: u64,
    asker: Asker,
    snapshots: Snapshots,
    /// The last answer that was at hand.
    repeat: Repeat,
    /// For the gate: how to take back the permit of the request in hand.
    permit: LatestTx<Recall>,
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

/// Tells a client whose answer panicked; the connection ends with it.
struct Unanswered<'a>(&'a TcpStream);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let answer = Answer::error(
                500,
                "The thread that made this answer panicked; see the [PANIC] lines in logs/backend.log",
            );
            let more = [("Connection", "close".to_owned())];
            let written = answer.write(&Wants::default(), Instant::now(), &more);
            // What it does not take at once is lost with the connection.
            let _ = write_now(self.0, &written.into_bytes());
        }
    }
}

impl Conn {
    /// A connection of this client.
    pub fn new(shared: Arc<Shared>, peer: IpAddr, number: u64, permit: LatestTx<Recall>) -> Self {
        Self {
            asker: Asker::new(shared.config.lookup.clone()),
            snapshots: shared.config.snapshots.clone(),
            repeat: Repeat::default(),
            guard: shared.config.guard.clone(),
            shared,
            address: peer,
            peer: peer.to_string(),
            number,
            permit,
        }
    }

    /// Serves it to its end.
    pub fn serve(&mut self, stream: SharedStream, heartbeat: &Heartbeat) {
        let write_deadline = self.shared.config.write_deadline;
        let mut wire = Wire::new(stream, self.peer.clone(), write_deadline);
        let mut requests = 0_u64;
        while !self.shared.supervisor.stop().is_set() {
            requests += 1;
            let id = (self.number << REQUEST_BITS) | (requests & ((1 << REQUEST_BITS) - 1));
            heartbeat.idle();
            match self.one_request(&mut wire, AskId(id), heartbeat) {
                Ok(true) => {}
                Ok(false) | Err(Close::Quietly) => return,
                Err(Close::Refused(refusal)) => {
                    let answer = Answer::error(refusal.status, &refusal.detail);
                    let is_head = wire.pending.starts_with(b"HEAD ");
                    let written = self.shared.last_answer(&answer, None, is_head);
                    wire.write(&written, heartbeat);
                    wire.drain(heartbeat);
                    return;
                }
            }
        }
    }

    /// True when another request may follow.
    fn one_request(
        &mut self,
        wire: &mut Wire,
        id: AskId,
        heartbeat: &Heartbeat,
    ) -> Result<bool, Close> {
        let mut head = match self.read_head(wire, heartbeat)? {
            Next::Over => return Ok(false),
            Next::Again => {
                let again = self.repeat.written();
                return Ok(again.is_some_and(|written| wire.write(written, heartbeat)));
            }
            Next::Head(head) => head,
        };
        if let Err(denied) = self.guard.admit(&head, self.address) {
            self.deny(wire, &head, &denied, heartbeat);
            return Ok(false);
        }
        head.forget_own_origin();
        let reads = matches!(head.method.as_str(), "GET" | "HEAD") && head.framing == Framing::None;
        if reads && let Some(more) = self.repeat_kept(wire, &head, heartbeat) {
            return Ok(more);
        }
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let asked = call(&head.method, path, query);
        if let Ok(Asked::Call(call)) = &asked {
            if matches!(call.row.source, Source::Stream) {
                return self.upgrade(wire, &head, heartbeat);
            }
            if reads && let Some(more) = self.ask_owner(wire, &head, call, heartbeat) {
                return Ok(more);
            }
        }
        let config = &self.shared.config;
        // No route has a body to be read; but one that was sent must be taken from the connection.
        wire.read_body(
            head.framing,
            config.body_bytes_max,
            head.expects_continue,
            config.head_deadline,
            heartbeat,
        )?;
        let answer = {
            let _told = Unanswered(wire.socket());
            match &asked {
                Ok(Asked::Call(call)) => self.answer(call, &head, wire.socket(), id, heartbeat),
                Ok(Asked::Options { allow }) => Some(for_options(allow, &head)),
                Err(e) => Some(e.answer()),
            }
        };
        let Some(answer) = answer else {
            return Ok(false);
        };
        let close = self.shared.must_close(&head);
        let now = Instant::now();
        let written = self.shared.written(&answer, &head, close, now);
        let by = now + self.shared.config.write_deadline;
        heartbeat.wait(Peer::Client, "writing an answer", by);
        Ok(wire.write(&written, heartbeat) && !close)
    }

    /// The answer of a route's function, with a permit of its bulkhead; none when the client left.
    fn answer(
        &mut self,
        call: &Call,
        head: &Head,
        client: &TcpStream,
        id: AskId,
        heartbeat: &Heartbeat,
    ) -> Option<Answer> {
        let peer = self.sender_of(head);
        let what = format!("{} {} for {peer}", head.method, head.path());
        let arrived = Instant::now();
        heartbeat.serves(id.0);
        self.snapshots.look(arrived);
        let config = &self.shared.config;
        let mut deadline = config.answer_deadline;
        let mut permit = None;
        let bulkhead = call.row.bulkhead;
        if let Some(permits) = bulkhead.and_then(|kind| config.bulkheads.of(kind)) {
            deadline = permits.limits.deadline;
            match self.permit(permits, &what, client, heartbeat) {
                Ok(given) => permit = Some(given),
                Err(PermitDenied::ClientGone) => return None,
                Err(PermitDenied::AllTaken) => return Some(all_taken(permits)),
            }
        }
        heartbeat.begin(what.clone());
        let context = Context {
            heartbeat,
            caches: &config.lookup.caches,
            snapshots: &self.snapshots,
            config: &config.routes,
            commands: &config.commands,
            id,
            what: &what,
            peer: &peer,
            is_local: head.sender.forwarded.is_none() && self.address.to_canonical().is_loopback(),
            deadline: arrived + deadline,
            stop: self.shared.supervisor.stop(),
            client: Some(client),
            left: Cell::new(false),
        };
        let answer = answer(call, head.path(), &context);
        let left = context.left.get();
        drop(permit);
        if left {
            config.lookup.caches.cancel(id);
        }
        (!left).then_some(answer)
    }

    /// A permit, waited for within the bulkhead's patience.
    fn permit(
        &self,
        permits: &Permits,
        what: &str,
        client: &TcpStream,
        heartbeat: &Heartbeat,
    ) -> Result<Permit, PermitDenied> {
        let limits = permits.limits;
        let by = Instant::now() + limits.patience.min(limits.deadline);
        let mut told = false;
        loop {
            let look = by.min(Instant::now() + CLIENT_LOOK_EVERY);
            // The first try is for now: as a rule one is free.
            let until = if told { look } else { Instant::now() };
            if let Some(permit) = permits.acquire(until) {
                self.permit.publish(permit.recall());
                return Ok(permit);
            }
            if !told {
                heartbeat.wait(Peer::Permit, what.to_owned(), by);
                told = true;
            } else if is_gone(client) {
                return Err(PermitDenied::ClientGone);
            } else if Instant::now() >= by {
                return Err(PermitDenied::AllTaken);
            }
        }
    }

    /// Answers with what is kept of the same target; none if nothing is. True when another request may follow.
    fn repeat_kept(&mut self, wire: &mut Wire, head: &Head, heartbeat: &Heartbeat) -> Option<bool> {
        let now = Instant::now();
        let kept = self.asker.kept(now, &head.target)?;
        let repeat = &mut self.repeat;
        Some(hand_over(&self.shared, repeat, kept, wire, head, heartbeat))
    }

    /// Answers with what the cache that owns the call's answer has ready; none if it has not. True when another
    /// request may follow.
    fn ask_owner(
        &mut self,
        wire: &mut Wire,
        head: &Head,
        call: &Call,
        heartbeat: &Heartbeat,
    ) -> Option<bool> {
        let found = self.asker.ask(Instant::now(), &head.target, call)?;
        let repeat = &mut self.repeat;
        Some(hand_over(
            &self.shared,
            repeat,
            found,
            wire,
            head,
            heartbeat,
        ))
    }

    /// Who asks, for routes and the log. What a proxy sent on does not come from the address that it has.
    fn sender_of(&self, head: &Head) -> String {
        match &head.sender.forwarded {
            None => self.peer.clone(),
            Some(_) => format!("somebody behind {}", self.peer),
        }
    }

    /// Tells a client why it is not answered; the connection ends with it.
    fn deny(&mut self, wire: &mut Wire, head: &Head, denied: &Denied, heartbeat: &Heartbeat) {
        if let Some(nth) = self.shared.denied.worth_a_line(denied) {
            let (method, path) = (&head.method, head.path());
            log::warn!(target: "GATE", "refused {method} {path} of {} ({nth} so far): {denied}", self.peer);
        }
        let mut answer = Answer::error(denied.status(), &denied.to_string());
        if *denied == Denied::Token {
            answer.set("WWW-Authenticate", "Basic realm=\"tapewarden\"".to_owned());
        }
        let written =
            self.shared
                .last_answer(&answer, head.origin.as_deref(), head.method == "HEAD");
        wire.write(&written, heartbeat);
        wire.drain(heartbeat);
    }

    /// What comes next, within the deadlines of idling and of a head.
    fn read_head(&mut self, wire: &mut Wire, heartbeat: &Heartbeat) -> Result<Next, Close> {
        let shared = Arc::clone(&self.shared);
        let config = &shared.config;
        let idle_until = Instant::now() + config.keep_alive;
        let mut head_until: Option<Instant> = None;
        loop {
            if !wire.pending.is_empty() {
                if let Some(next) = self.begun(wire)? {
                    return Ok(next);
                }
                if head_until.is_none() {
                    let until = Instant::now() + config.head_deadline;
                    heartbeat.wait(Peer::Client, "reading a request's head", until);
                    head_until = Some(until);
                }
            }
            let now = Instant::now();
            let deadline = head_until.unwrap_or_else(|| idle_until.min(now + IDLE_LOOK_EVERY));
            match wire.read(deadline) {
                Ok(true) => {}
                Ok(false) => return Ok(Next::Over),
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    if head_until.is_some() {
                        let detail = "The request's head did not arrive in time";
                        return Err(Close::Refused(Refusal::new(408, detail)));
                    }
                    let must_go = shared.supervisor.stop().is_set()
                        || Instant::now() >= idle_until
                        || shared.evictions.try_recv().is_ok();
                    if must_go {
                        return Ok(Next::Over);
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// What the bytes that came are; none while they are the beginning of a head.
    fn begun(&mut self, wire: &mut Wire) -> Result<Option<Next>, Close> {
        if self.guard.look() {
            self.repeat.forget();
        }
        if self.repeat.is_again(Instant::now(), &wire.pending) {
            wire.pending.clear();
            return Ok(Some(Next::Again));
        }
        let config = &self.shared.config;
        match parse_head(&wire.pending, config.head_bytes_max, config.body_bytes_max) {
            Parsed::Whole(head, length) => {
                self.repeat.take_head(&mut wire.pending, length);
                Ok(Some(Next::Head(head)))
            }
            Parsed::Refused(refusal) => Err(Close::Refused(refusal)),
            Parsed::Partial => Ok(None),
        }
    }

    /// Hands the connection to a WebSocket session, which lives on this thread; false when it ended.
    fn upgrade(
        &mut self,
        wire: &mut Wire,
        head: &Head,
        heartbeat: &Heartbeat,
    ) -> Result<bool, Close> {
        if let Some(answer) = not_a_stream(&head.handshake) {
            let is_head = head.method == "HEAD";
            let written = self
                .shared
                .last_answer(&answer, head.origin.as_deref(), is_head);
            wire.write(&written, heartbeat);
            wire.drain(heartbeat);
            return Ok(false);
        }
        let upgrade = Upgrade {
            stream: wire.socket().try_clone()?,
            received: std::mem::take(&mut wire.pending),
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
            Err(detail) => Err(Close::Refused(Refusal::new(503, detail))),
        }
    }
}

/// Writes an answer that is at hand, and keeps what was written for the same request. True when another
/// request may follow.
fn hand_over(
    shared: &Shared,
    repeat: &mut Repeat,
    at_hand: AtHand<'_>,
    wire: &mut Wire,
    head: &Head,
    heartbeat: &Heartbeat,
) -> bool {
    let now = Instant::now();
    let close = shared.must_close(head);
    let until = at_hand.until.min(at_hand.answer.written_until(now));
    let written = shared.written(at_hand.answer, head, close, now);
    wire.write(repeat.keep(until, written), heartbeat) && !close
}

/// Why a request has no permit.
enum PermitDenied {
    /// The client left.
    ClientGone,
    /// All were taken for as long as it may wait for one.
    AllTaken,
}

fn all_taken(permits: &Permits) -> Answer {
    let (number, kind) = (permits.limits.permits, permits.name);
    let detail = format!("All {number} places for {kind} requests are busy; try again in 1 s");
    Answer::error(503, &detail).with_retry_after(Some(Duration::from_secs(1)))
}

fn for_options(allow: &str, head: &Head) -> Answer {
    let asks_for = |name| head.passed(name);
    if head.origin.is_some() && asks_for("Access-Control-Request-Method").is_some() {
        preflight(allow, asks_for("Access-Control-Request-Headers"))
    } else {
        options(allow)
    }
}
