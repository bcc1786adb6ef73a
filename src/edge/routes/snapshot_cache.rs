//! The `board-cache` thread: what the boards say, finished once for all connections.
//!
//! In: the boards, and looks of `conn-N` threads. Out: answers, each made once and kept until a board has
//! a new word. Workers have boards of their own and do not need this thread.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, select_biased};

use crate::runtime::{Supervisor, ThreadKind};

use super::context::HttpConfig;
use super::router::Route;
use super::snapshots::Boards;
use super::sources::board_answer;
use crate::edge::answer::Answer;

/// An answer is made anew after this long even without a new word: it may tell the time, or that a
/// board has been silent.
const KEEP_FOR: Duration = Duration::from_millis(500);

/// Answers kept; there are fewer routes, but each part of the history is one.
const KEPT_MAX: usize = 64;

/// A route whose answer is wanted.
#[derive(Debug)]
pub struct BoardLook {
    /// One whose source the boards are.
    pub route: Route,
    /// A one-shot channel.
    pub reply: Sender<Answer>,
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses it.
pub fn start_board_cache(
    supervisor: &Supervisor,
    boards: Boards,
    config: HttpConfig,
    looks: Receiver<BoardLook>,
) -> io::Result<()> {
    let stop = supervisor.stop().clone();
    // Outlives a panic: a board that was read once is not told again before it changes.
    let boards = RefCell::new(boards);
    supervisor.spawn(ThreadKind::BoardCache, move |heartbeat| {
        let mut boards = boards.borrow_mut();
        let mut kept: Vec<(Route, Answer)> = Vec::new();
        let mut kept_since = Instant::now();
        loop {
            heartbeat.idle();
            let look = select_biased! {
                recv(stop.receiver()) -> _ => return,
                recv(looks) -> look => match look { Ok(look) => look, Err(_) => return },
            };
            heartbeat.begin("answering from the boards");
            let now = Instant::now();
            if boards.look(now)
                || now.duration_since(kept_since) >= KEEP_FOR
                || kept.len() >= KEPT_MAX
            {
                kept.clear();
                kept_since = now;
            }
            let answer = match kept.iter().find(|(route, _)| *route == look.route) {
                Some((_, answer)) => answer.clone(),
                None => {
                    let answer = board_answer(&look.route, &boards, &config);
                    kept.push((look.route, answer.clone()));
                    answer
                }
            };
            // A looker that did not wait has dropped its end.
            drop(look.reply.try_send(answer));
        }
    })?;
    Ok(())
}
