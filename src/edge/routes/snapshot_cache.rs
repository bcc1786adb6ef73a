//! The `snapshot-cache` thread: answers from snapshots, each finished once for all connections.
//!
//! In: the snapshots, and looks of `conn-N` threads. Out: answers, each made once and kept until there is a newer
//! snapshot. A connection that gets none from here in time makes its own: it has the snapshots too.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, select_biased};

use crate::runtime::{Supervisor, ThreadKind};

use super::answers::from_snapshots;
use super::call::Call;
use super::context::HttpConfig;
use super::snapshots::Snapshots;
use crate::edge::answer::Answer;

/// An answer is made anew after this long even without a newer snapshot: it may tell the time, or that a
/// publisher has been silent.
const KEEP_FOR: Duration = Duration::from_millis(500);

/// Answers kept; there are fewer routes, but each part of the history is one.
const KEPT_MAX: usize = 64;

/// A route whose answer is wanted.
#[derive(Debug)]
pub struct SnapshotLook {
    /// One whose source is a snapshot.
    pub call: Call,
    /// A one-shot channel.
    pub reply: Sender<Answer>,
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses it.
pub fn start_snapshot_cache(
    supervisor: &Supervisor,
    snapshots: Snapshots,
    config: HttpConfig,
    looks: Receiver<SnapshotLook>,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    // Outlives a panic: a snapshot that was read once is not told again before it changes.
    let snapshots = RefCell::new(snapshots);
    supervisor.spawn(ThreadKind::SnapshotCache, move |heartbeat| {
        let mut snapshots = snapshots.borrow_mut();
        let mut kept: Vec<(Call, Answer)> = Vec::new();
        let mut kept_since = Instant::now();
        loop {
            heartbeat.idle();
            let look = select_biased! {
                recv(stop.receiver()) -> _ => return,
                recv(looks) -> look => match look { Ok(look) => look, Err(_) => return },
            };
            heartbeat.begin("answering from the snapshots");
            let now = Instant::now();
            if snapshots.look(now)
                || now.duration_since(kept_since) >= KEEP_FOR
                || kept.len() >= KEPT_MAX
            {
                kept.clear();
                kept_since = now;
            }
            let known = kept.iter().find(|(call, _)| *call == look.call);
            let answer = match known.map(|(_, answer)| answer.clone()) {
                Some(answer) => answer,
                None => match from_snapshots(&look.call, &snapshots, &config) {
                    Some(answer) => {
                        kept.push((look.call, answer.clone()));
                        answer
                    }
                    None => continue,
                },
            };
            // A looker that did not wait has dropped its end.
            drop(look.reply.try_send(answer));
        }
    })?;
    Ok(())
}
