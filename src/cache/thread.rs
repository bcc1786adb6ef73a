//! The thread that owns a cache: its inbox comes in, replies go to the askers and jobs to the fetchers.
//!
//! All decisions are the [`Cache`]'s; this file waits, hands it what came, and carries out its actions.

use std::io;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, at, never, select_biased};

use crate::runtime::{Heartbeat, Stop, Supervisor, ThreadKind, Tx};

use super::action::Action;
use super::core::Cache;
use super::fetcher::{FetcherMessage, Fetchers, Peers};
use super::limits::CacheConfig;
use super::{Reply, Source, ToCache, Value};

/// Messages taken before actions are carried out, so that a flood cannot delay replies for long.
const BATCH_MAX: usize = 256;

/// A cache whose askers wait at the other end of a channel.
type CacheOf<S> = Cache<<S as Source>::Key, <S as Source>::Value, ReplyTo<S>>;

/// What such a cache has done.
type ActionOf<S> = Action<<S as Source>::Key, OutOf<S>, ReplyTo<S>>;

type ReplyTo<S> = Sender<Reply<OutOf<S>>>;

type OutOf<S> = <<S as Source>::Value as Value>::Out;

/// Starts a cache, in this thread, and its fetchers. `make` is called once in each fetcher's thread, so that each owns
/// its client.
///
/// # Errors
/// When the system refuses a thread.
pub fn start_cache<S: Source>(
    supervisor: &Supervisor,
    thread: ThreadKind,
    config: CacheConfig,
    inbox_tx: &Tx<ToCache<S::Key, S::Value>>,
    inbox: Receiver<ToCache<S::Key, S::Value>>,
    make: impl Fn() -> S + Clone + Send + 'static,
) -> io::Result<()> {
    let peers = Peers {
        cache: thread,
        upstream: config.upstream,
    };
    let fetchers = config
        .queues
        .iter()
        .map(|queue| Fetchers::start(supervisor, queue, inbox_tx, peers, make.clone()))
        .collect::<io::Result<Vec<_>>>()?;
    let owner = Owner {
        config,
        inbox,
        fetchers,
        stop: supervisor.stop().clone(),
    };
    supervisor.spawn(thread, move |heartbeat| owner.run(heartbeat))?;
    Ok(())
}

/// What the thread has at hand, also when it begins anew after a panic: then with an empty cache.
struct Owner<S: Source, M> {
    config: CacheConfig,
    inbox: Receiver<ToCache<S::Key, S::Value>>,
    /// By queue.
    fetchers: Vec<Fetchers<S, M>>,
    stop: Stop,
}

impl<S: Source, M: Fn() -> S + Clone + Send + 'static> Owner<S, M> {
    fn run(&self, heartbeat: &Heartbeat) {
        let mut cache: CacheOf<S> = Cache::new(self.config.clone());
        let mut actions = Vec::new();
        loop {
            let timer = cache.next_timeout(Instant::now()).map_or_else(never, at);
            heartbeat.idle();
            let first = select_biased! {
                recv(self.stop.receiver()) -> _ => return,
                recv(self.inbox) -> message => message.ok(),
                recv(timer) -> _ => None,
            };
            heartbeat.begin("deciding");
            let now = Instant::now();
            if let Some(first) = first {
                let more = self.inbox.try_iter().take(BATCH_MAX);
                for message in std::iter::once(first).chain(more) {
                    hand_over::<S>(&mut cache, now, message, &mut actions);
                }
            }
            if cache.next_timeout(now).is_some_and(|at| at <= now) {
                cache.tick(now, &mut actions);
            }
            for action in actions.drain(..) {
                self.perform(action);
            }
        }
    }

    fn perform(&self, action: ActionOf<S>) {
        match action {
            // An asker that left has dropped its end.
            Action::Reply { to, reply } => drop(to.try_send(reply)),
            Action::Fetch { queue, job } => {
                self.fetchers[queue].put(FetcherMessage::Run(job));
            }
            Action::Replace { queue } => {
                if let Err(e) = self.fetchers[queue].start_one() {
                    log::error!(target: self.config.tag, "starting a fetcher in a lost one's place failed: {e}");
                }
            }
            Action::Retire { queue } => self.fetchers[queue].put(FetcherMessage::Retire),
            Action::Say(words) => log::warn!(target: self.config.tag, "{words}"),
        }
    }
}

fn hand_over<S: Source>(
    cache: &mut CacheOf<S>,
    now: Instant,
    message: ToCache<S::Key, S::Value>,
    actions: &mut Vec<ActionOf<S>>,
) {
    match message {
        ToCache::Ask(ask) => {
            cache.ask(now, ask.id, &ask.key, ask.deadline, ask.reply, actions);
        }
        // A looker that left has dropped its end.
        ToCache::Look { key, reply } => drop(reply.try_send(cache.look(now, &key))),
        ToCache::Updates(updates) => {
            for (key, update) in &updates {
                cache.update(now, key, update);
            }
            cache.confirm(now, actions);
        }
        ToCache::Known(subjects) => {
            for subject in subjects {
                cache.known(now, subject);
            }
        }
        ToCache::Cancel(id) => cache.cancel(now, id, actions),
        ToCache::Fetched(fetched) => cache.done(now, fetched, actions),
    }
}
