//! The fetchers of one queue: threads that own a client each, take one job at a time from the cache, make
//! its call, and answer into the cache's inbox.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, select_biased};

use crate::resilience::FetchError;
use crate::runtime::threads::Asks;
use crate::runtime::{Channel, Heartbeat, Peer, Pool, Stop, Supervisor, ThreadKind, Tx};

use super::limits::QueueConfig;
use super::{Fetched, Job, Key, Source, ToCache, Value};

/// A fetcher's answer waits this long for room in the cache's inbox before it is lost; the cache then
/// gives the flight up at its deadline.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// What a fetcher gets.
#[derive(Debug)]
pub(super) enum FetcherMessage<K> {
    /// Fetch this.
    Run(Job<K>),
    /// There is one fetcher too many: end.
    Retire,
}

/// Whom a fetcher waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peers {
    /// The cache that it works for.
    pub cache: ThreadKind,
    /// The upstream that it asks.
    pub upstream: &'static str,
}

/// The fetchers of one queue, as the cache's thread has them.
pub(super) struct Fetchers<S: Source, M> {
    supervisor: Supervisor,
    kind: ThreadKind,
    jobs: Receiver<FetcherMessage<S::Key>>,
    jobs_tx: Tx<FetcherMessage<S::Key>, Pool>,
    inbox: Tx<ToCache<S::Key, S::Value>>,
    make: M,
    peers: Peers,
    started: Cell<u32>,
}

impl<S: Source, M: Fn() -> S + Clone + Send + 'static> Fetchers<S, M> {
    /// Starts as many as the queue has.
    pub(super) fn start(
        supervisor: &Supervisor,
        queue: &QueueConfig,
        inbox: &Tx<ToCache<S::Key, S::Value>>,
        peers: Peers,
        make: M,
    ) -> io::Result<Self> {
        let of_this_cache = queue.fetcher.row().asks == Asks::For(peers.cache);
        debug_assert!(of_this_cache, "the table says otherwise");
        // The cache never has more jobs out than fetchers, and a lost one is replaced at most once.
        let channel = Channel::jobs(queue.fetcher);
        let (jobs_tx, jobs) = supervisor.channel(channel, queue.fetchers * 4);
        let fetchers = Self {
            supervisor: supervisor.clone(),
            kind: queue.fetcher,
            jobs,
            jobs_tx,
            inbox: inbox.clone(),
            make,
            peers,
            started: Cell::new(0),
        };
        for _ in 0..queue.fetchers {
            fetchers.start_one()?;
        }
        Ok(fetchers)
    }

    /// Starts another.
    pub(super) fn start_one(&self) -> io::Result<()> {
        let n = self.started.get() + 1;
        self.started.set(n);
        let fetcher = Fetcher::<S> {
            kind: self.kind,
            peers: self.peers,
            jobs: self.jobs.clone(),
            inbox: self.inbox.clone(),
            stop: self.supervisor.stop().clone(),
        };
        let make = self.make.clone();
        let spawned = self.supervisor.spawn(self.kind.nth(n), move |heartbeat| {
            fetcher.run(make(), heartbeat)
        });
        spawned.map(drop)
    }

    /// Hands this to one of them.
    pub(super) fn put(&self, message: FetcherMessage<S::Key>) {
        self.jobs_tx.put(message);
    }
}

/// What one thread has at hand.
struct Fetcher<S: Source> {
    kind: ThreadKind,
    peers: Peers,
    jobs: Receiver<FetcherMessage<S::Key>>,
    inbox: Tx<ToCache<S::Key, S::Value>>,
    stop: Stop,
}

impl<S: Source> Fetcher<S> {
    fn run(&self, mut client: S, heartbeat: &Heartbeat) {
        loop {
            heartbeat.idle();
            let message = select_biased! {
                recv(self.stop.receiver()) -> _ => return,
                recv(self.jobs) -> message => message,
            };
            let Ok(FetcherMessage::Run(job)) = message else {
                return;
            };
            let in_hand = InHand {
                inbox: &self.inbox,
                fetcher: self.kind,
                job: &job,
            };
            let upstream = Peer::Upstream(self.peers.upstream.into());
            heartbeat.wait(upstream, format!("fetching {}", named(&job)), job.deadline);
            let answers = client.call(&job);
            let by = Instant::now() + ANSWER_PATIENCE;
            heartbeat.wait(self.peers.cache, format!("handing over {}", job.key), by);
            drop(in_hand);
            // Lost only if the cache is stuck; the watchdog tells of that.
            drop(
                self.inbox
                    .send_by(ToCache::Fetched(Fetched { job, answers }), by),
            );
        }
    }
}

/// "quote TOYO and 3 others, attempt 1"
fn named<K: Key>(job: &Job<K>) -> String {
    let others = match job.others.len() {
        0 => String::new(),
        n => format!(" and {n} others"),
    };
    format!("{}{others}, attempt {}", job.key, job.attempt)
}

/// A job that a fetcher works on. If it panics over it, the cache is told at once: else it would wait for
/// the job's whole deadline, and the queue would have one fetcher less.
struct InHand<'a, K: Key, V: Value> {
    inbox: &'a Tx<ToCache<K, V>>,
    fetcher: ThreadKind,
    job: &'a Job<K>,
}

impl<K: Key, V: Value> Drop for InHand<'_, K, V> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let failure = FetchError::Panicked {
            fetcher: self.fetcher.prefix(),
        };
        // A full inbox: the deadline ends the job.
        drop(self.inbox.offer(ToCache::Fetched(Fetched {
            job: self.job.clone(),
            answers: Err(failure).into(),
        })));
    }
}
