//! The `quote-hub` thread: its inbox in; batches to the sessions' clients, the wanted symbols to the reader
//! and its status to the snapshots out.
//!
//! It never waits for a client: a batch goes straight into the socket as far as that has room, which is
//! all of it for a client that keeps up and spares waking a thread for each. What is left goes with
//! the pen to the session's writer.

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, at, never, select_biased};

use super::frame::{numbered_ping, text_frame};
use crate::runtime::clock::{Clock, Now};
use crate::runtime::deadline_io::write_now;
use crate::runtime::{LatestTx, Supervisor, ThreadKind, WatchTx};

use super::hub::{Encode, Hub};
use super::messages::{Pen, SessionId, StreamStatus, ToHub, Wanted};

/// Snapshots are published no more often than this, but for what a client must see at once.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Messages taken before batches are sent, so that several quotes go out in one write.
const MESSAGES_MAX: usize = 512;

/// While spikes are active, it is looked this often whether they still are.
const SPIKE_LOOK_EVERY: Duration = Duration::from_secs(1);

/// To write a batch costs some 7 µs of CPU however many quotes are in it. After batches went out the hub
/// collects for so long for each of them, so that with many clients batches grow instead of queues: 0.2 ms
/// with 100 clients, nothing with few. Measured with 200,000 messages a second to 100 clients: 0, 2, 5 and
/// 10 µs gave a median of 0.45, 0.47, 0.80 and 1.45 ms, a p99 of 2.4, 2.3, 2.8 and 2.8 ms, and 3.3, 3.3, 2.9
/// and 2.1 µs of CPU for each message.
const COLLECT_PER_BATCH: Duration = Duration::from_micros(2);

/// A shorter sleep than this is not to be had from the system.
const COLLECT_MIN: Duration = Duration::from_micros(100);

/// It never collects for longer.
const COLLECT_MAX: Duration = Duration::from_millis(2);

/// While a client takes less than there is for it, it is looked this often whether it takes anything.
const HELD_LOOK_EVERY: Duration = Duration::from_millis(250);

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
    pub snapshots: Vec<WatchTx<Arc<StreamStatus>>>,
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
    let window_ms = i64::try_from(bounds.spike_window.as_millis()).unwrap_or(i64::MAX);
    supervisor.spawn(ThreadKind::QuoteHub, move |heartbeat| {
        let mut state = State {
            hub: Hub::new(FRAMES, window_ms, bounds.symbols_max),
            stuck_after: bounds.stuck_after,
            clients: HashMap::new(),
            published: Wanted::default(),
            source_spoke: false,
        };
        // A hub that starts anew after a panic has no sessions: nobody wants anything.
        outputs.wanted.publish(Wanted::default());
        let mut tell_at = Some(Instant::now());
        let mut collect = Duration::ZERO;
        loop {
            // Nobody wakes the hub meanwhile; its inbox has room for all that comes in that time.
            if collect >= COLLECT_MIN && stop.sleep(collect) {
                return;
            }
            let held_at = state
                .hub
                .holds_some()
                .then(|| Instant::now() + HELD_LOOK_EVERY);
            let timer = tell_at
                .into_iter()
                .chain(held_at)
                .min()
                .map_or_else(never, at);
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
            let batches = u32::try_from(state.send_batches(now.mono)).unwrap_or(u32::MAX);
            collect = COLLECT_MAX.min(COLLECT_PER_BATCH.saturating_mul(batches));
            // LastUpdates again whenever the source speaks: a reader that began anew knows nothing.
            if *state.hub.wanted() != state.published || state.source_spoke {
                state.source_spoke = false;
                state.published = Arc::clone(state.hub.wanted());
                outputs.wanted.publish(Arc::clone(&state.published));
            }
            let due = tell_at.is_some_and(|at| at <= now.mono);
            if (urgent || due)
                && let Some(status) = state.hub.status(now.wall_ms)
            {
                let status = Arc::new(status);
                for snapshot in &outputs.snapshots {
                    snapshot.publish(Arc::clone(&status));
                }
                tell_at = (!status.spikes.is_empty()).then(|| now.mono + SPIKE_LOOK_EVERY);
            } else if due {
                tell_at = None;
            }
            if state.hub.status_changed() {
                let soon = now.mono + TELL_EVERY;
                tell_at = Some(
                    tell_at
                        .filter(|at| *at > now.mono)
                        .map_or(soon, |at| at.min(soon)),
                );
            }
        }
    })?;
    Ok(())
}

/// A session's client as the hub sees it.
struct Client {
    socket: TcpStream,
    writer: Sender<Pen>,
}

struct State {
    hub: Hub,
    clients: HashMap<SessionId, Client>,
    published: Wanted,
    source_spoke: bool,
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
                self.source_spoke = true;
                self.hub.source(connected, why);
                self.hub.skew(skew_seconds);
            }
            ToHub::Quote(quote) => {
                self.hub.quote(&quote);
                return false;
            }
            ToHub::Spike(spike) => self.hub.spike(now.wall_ms, spike),
            ToHub::Join { id, socket, out } => {
                let writer = out;
                self.clients.insert(id, Client { socket, writer });
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
            ToHub::AsksForPen { id } => {
                // Not ready: the pen is on its way there already.
                if self.hub.occupy(id) {
                    self.hand_over(id, Pen::default());
                }
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
                let Some(client) = self.clients.get(&id) else {
                    continue;
                };
                let bytes = frames.concat();
                // What is wrong with a socket its writer finds out as well, and ends the session.
                let written = write_now(&client.socket, &bytes).unwrap_or(0);
                if written == bytes.len() {
                    self.hub.ready(id);
                } else {
                    self.hand_over(id, Pen::of_rest(&frames, written));
                }
            }
        }
    }

    /// A client that takes nothing is told so by its writer, and its session ends.
    fn look_at_held(&mut self, now: Instant) {
        for id in self.hub.look(now, self.stuck_after) {
            let pen = Pen {
                too_slow: Some(self.stuck_after),
                ..Pen::default()
            };
            self.hand_over(id, pen);
        }
    }

    /// Gives the pen to the session's writer.
    fn hand_over(&mut self, id: SessionId, pen: Pen) {
        let taken = self
            .clients
            .get(&id)
            .is_some_and(|client| client.writer.try_send(pen).is_ok());
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
