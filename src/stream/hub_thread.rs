//! The `quote-hub` thread: its inbox in; batches to the sessions' clients, the wanted symbols to the reader
//! and its status to the snapshots out.
//!
//! What each client gets is decided by [`Hub`], when the rest is done by [`Schedule`].
//!
//! It never waits for a client: a batch goes straight into the socket as far as that has room, which is
//! all of it for a client that keeps up and spares waking a thread for each. What is left goes to the
//! session's writer; who of the two may write is decided by [`super::write_grant`].

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, at, never, select_biased};

use super::frame::{numbered_ping, text_frame};
use crate::runtime::clock::{Clock, Now};
use crate::runtime::deadline_io::write_now;
use crate::runtime::{Heartbeat, LatestTx, Stop, Supervisor, ThreadKind, WatchTx};

use super::frame::Frame;
use super::grant_slot::GrantSlot;
use super::hub::{Encode, Hub};
use super::messages::{SessionId, StreamStatus, ToHub, Wanted};
use super::schedule::Schedule;
use super::write_grant::{Attempt, Handover};

/// Messages taken before batches are sent, so that several quotes go out in one write.
const MESSAGES_MAX: usize = 512;

/// Encoded once for all clients.
const FRAMES: Encode = Encode {
    text: text_frame,
    ping: numbered_ping,
};

/// Where the hub's words go.
#[derive(Clone, Debug)]
pub struct HubOutputs {
    /// To the reader: every symbol that somebody wants.
    pub wanted: LatestTx<Wanted>,
    /// To the workers.
    pub status: WatchTx<Arc<StreamStatus>>,
}

/// What the hub holds at most.
#[derive(Clone, Copy, Debug)]
pub struct HubBounds {
    /// How long a spike is active.
    pub spike_window: Duration,
    /// Symbols that all clients together may have.
    pub symbols_max: usize,
    /// A client that has taken nothing for so long is closed. Longer than its session's writer waits for a
    /// reader that is stuck, which hears no pongs either.
    pub stuck_after: Duration,
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses it.
pub fn start_hub(
    supervisor: &Supervisor,
    inbox: Receiver<ToHub>,
    outputs: HubOutputs,
    clock: Clock,
    bounds: HubBounds,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    supervisor.spawn(ThreadKind::QuoteHub, move |heartbeat| {
        let window_ms = i64::try_from(bounds.spike_window.as_millis()).unwrap_or(i64::MAX);
        let state = State {
            hub: Hub::new(FRAMES, window_ms, bounds.symbols_max),
            schedule: Schedule::new(Instant::now()),
            stuck_after: bounds.stuck_after,
            clients: HashMap::new(),
        };
        // A hub that starts anew after a panic has no sessions: nobody wants anything.
        outputs.wanted.publish(Wanted::default());
        run(state, &inbox, &outputs, clock, &stop, heartbeat);
    })?;
    Ok(())
}

fn run(
    mut state: State,
    inbox: &Receiver<ToHub>,
    outputs: &HubOutputs,
    clock: Clock,
    stop: &Stop,
    heartbeat: &Heartbeat,
) {
    loop {
        // Nobody wakes the hub meanwhile; its inbox has room for all that comes in that time.
        if let Some(time) = state.schedule.collect_for()
            && stop.sleep(time)
        {
            return;
        }
        let wake_at = state.schedule.wake_at(Instant::now(), &state.hub);
        let timer = wake_at.map_or_else(never, at);
        heartbeat.idle();
        let first = select_biased! {
            recv(stop.receiver()) -> _ => return,
            recv(inbox) -> message => match message {
                Ok(message) => Some(message),
                // Nobody is left who could say anything.
                Err(_) => return,
            },
            recv(timer) -> _ => None,
        };
        heartbeat.begin("relaying quotes");
        let now = clock.now();
        let urgent = first
            .into_iter()
            .chain(inbox.try_iter().take(MESSAGES_MAX))
            .fold(false, |urgent, message| state.apply(message, now) | urgent);
        // A hub that is behind may have the pongs that it misses in its inbox.
        if inbox.is_empty() {
            state.look_at_held(now.mono);
        }
        let batches = state.send_batches(now.mono);
        state.schedule.sent(batches);
        if let Some(wanted) = state.schedule.wanted(&state.hub) {
            outputs.wanted.publish(wanted);
        }
        if let Some(status) = state.schedule.status(now, urgent, &mut state.hub) {
            outputs.status.publish(Arc::new(status));
        }
    }
}

/// A session's client as the hub sees it.
struct Client {
    socket: TcpStream,
    slot: GrantSlot,
    writer: Sender<Handover>,
}

struct State {
    hub: Hub,
    clients: HashMap<SessionId, Client>,
    schedule: Schedule,
    stuck_after: Duration,
}

impl State {
    /// True when the snapshots must show it at once.
    fn apply(&mut self, message: ToHub, now: Now) -> bool {
        match message {
            ToHub::Source {
                connected,
                why,
                skew_seconds,
            } => {
                self.schedule.source_spoke();
                self.hub.source(connected, why);
                self.hub.skew(skew_seconds);
            }
            ToHub::Quote(quote) => {
                self.hub.quote(&quote);
                return false;
            }
            ToHub::Spike(spike) => self.hub.spike(now.wall_ms, spike),
            ToHub::Join {
                id,
                socket,
                slot,
                writer,
            } => {
                let client = Client {
                    socket,
                    slot,
                    writer,
                };
                self.clients.insert(id, client);
                self.hub.join(now.mono, id);
            }
            ToHub::Want { id, symbols } => self.hub.want(id, symbols),
            ToHub::Ready { id } => {
                self.hub.ready(id);
                return false;
            }
            ToHub::Pong { id, number, at } => {
                self.hub.ponged(at, id, number);
                return false;
            }
            ToHub::Leave { id } => self.forget(id),
        }
        true
    }

    /// Returns how many there were.
    fn send_batches(&mut self, now: Instant) -> usize {
        let mut count = 0;
        loop {
            let batches = self.hub.batches(now);
            if batches.is_empty() {
                return count;
            }
            count += batches.len();
            for (id, frames) in batches {
                self.send(id, frames);
            }
        }
    }

    /// Sends a batch as far as the client's socket takes it at once; its writer has the rest.
    fn send(&mut self, id: SessionId, frames: Vec<Frame>) {
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        let sent = Attempt::begin(frames, client.slot.take()).and_then(|attempt| {
            // What is wrong with a socket its writer finds out as well, and ends the session.
            let written = write_now(&client.socket, &attempt.bytes()).unwrap_or(0);
            attempt.wrote(written)
        });
        match sent {
            Ok(grant) => {
                client.slot.give_back(grant);
                self.hub.ready(id);
            }
            Err(rest) => self.hand_over(id, rest),
        }
    }

    /// A client that takes nothing is told so by its writer, and its session ends.
    fn look_at_held(&mut self, now: Instant) {
        for id in self.hub.look(now, self.stuck_after) {
            let grant = self.clients.get(&id).and_then(|client| client.slot.take());
            self.hand_over(id, Handover::too_slow(self.stuck_after, grant));
        }
    }

    /// Leaves something to the session's writer.
    fn hand_over(&mut self, id: SessionId, handover: Handover) {
        let taken = self
            .clients
            .get(&id)
            .is_some_and(|client| client.writer.try_send(handover).is_ok());
        if !taken {
            // Its writer has ended; its reader is about to say so.
            self.forget(id);
        }
    }

    fn forget(&mut self, id: SessionId) {
        self.clients.remove(&id);
        self.hub.leave(id);
    }
}
