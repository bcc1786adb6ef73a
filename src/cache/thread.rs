//! The threads of a cache: the owner, which decides, and its fetchers, which do the I/O.
//!
//! `<name>` (for example `candle-cache`) owns the [`Cache`]; its inbox comes in, jobs go out to each
//! lane's fetchers. A fetcher takes one job at a time and answers into the same inbox.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, never, select_biased};

use crate::runtime::{Channel, Peer, Pool, Supervisor, ThreadKind, Tx};

use super::action::Action;
use super::core::Cache;
use super::limits::CacheConfig;
use super::{Answers, Fetched, Job, Key, Reply, ToCache, Value};

/// A fetcher's answer waits this long for room in the cache's inbox before it is lost; the cache then
/// gives the flight up at its deadline.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Messages taken before actions are carried out, so that a flood cannot delay replies for long.
const BATCH_MAX: usize = 256;

/// An action whose reply goes to a thread that waits for it.
type ToDo<K, O> = Action<K, O, Sender<Reply<O>>>;

/// What a fetcher gets.
#[derive(Debug)]
pub enum FetcherMessage<K> {
    /// Fetch this.
    Run(Job<K>),
    /// There is one fetcher too many: end.
    Retire,
}

/// Which threads are a cache's.
#[derive(Clone, Debug)]
pub struct CacheThreads {
    /// The cache.
    pub kind: ThreadKind,
    /// Its fetchers, and how jobs get to them, by lane.
    pub fetchers: Vec<(ThreadKind, Channel<Pool>)>,
    /// Of its log lines.
    pub tag: &'static str,
}

/// Starts a cache and its fetchers. `make` is called once in each fetcher's thread, so that each owns
/// its client; what it returns makes one call of the upstream, by the job's deadline.
///
/// # Errors
/// When the system refuses a thread.
pub fn start_cache<K, V, M, F>(
    supervisor: &Supervisor,
    threads: CacheThreads,
    config: CacheConfig,
    inbox_tx: &Tx<ToCache<K, V>>,
    inbox: Receiver<ToCache<K, V>>,
    make: M,
) -> io::Result<()>
where
    K: Key,
    V: Value<News: Send, Out: Send> + Send + 'static,
    M: Fn() -> F + Clone + Send + 'static,
    F: Fn(&Job<K>) -> Answers<V> + 'static,
{
    let mut lanes = Vec::with_capacity(config.lanes.len());
    for (n, lane) in config.lanes.iter().enumerate() {
        // The cache never has more jobs out than fetchers, and a lost one is replaced at most once.
        let (kind, channel) = threads.fetchers[n];
        let (jobs_tx, jobs) = supervisor.channel(channel, lane.fetchers * 4);
        let pool = Fetchers {
            supervisor: supervisor.clone(),
            kind,
            cache: threads.kind,
            upstream: config.upstream,
            jobs,
            jobs_tx,
            inbox: inbox_tx.clone(),
            make: make.clone(),
            started: RefCell::new(0),
            marker: std::marker::PhantomData,
        };
        for _ in 0..lane.fetchers {
            pool.start_one()?;
        }
        lanes.push(pool);
    }
    let stop = supervisor.stop().clone();
    let tag = threads.tag;
    supervisor.spawn(threads.kind, move |heartbeat| {
        let mut cache: Cache<K, V, Sender<Reply<V::Out>>> = Cache::new(config.clone());
        let mut actions = Vec::new();
        let nothing = never::<Instant>();
        loop {
            let now = Instant::now();
            let timer = match cache.next_timeout(now) {
                Some(at) => crossbeam::channel::at(at),
                None => nothing.clone(),
            };
            heartbeat.idle();
            let first = select_biased! {
                recv(stop.receiver()) -> _ => return,
                recv(inbox) -> message => message.ok(),
                recv(timer) -> _ => None,
            };
            heartbeat.begin("deciding");
            let now = Instant::now();
            if let Some(message) = first {
                apply(&mut cache, now, message, &mut actions);
                for message in inbox.try_iter().take(BATCH_MAX) {
                    apply(&mut cache, now, message, &mut actions);
                }
            }
            if cache.next_timeout(now).is_some_and(|at| at <= now) {
                cache.tick(now, &mut actions);
            }
            for action in actions.drain(..) {
                perform(action, &lanes, tag);
            }
        }
    })?;
    Ok(())
}

fn apply<K: Key, V: Value>(
    cache: &mut Cache<K, V, Sender<Reply<V::Out>>>,
    now: Instant,
    message: ToCache<K, V>,
    actions: &mut Vec<ToDo<K, V::Out>>,
) {
    match message {
        ToCache::Ask(ask) => {
            cache.ask(now, ask.id, &ask.key, ask.deadline, ask.reply, actions);
        }
        // A looker that left has dropped its end.
        ToCache::Look { key, reply } => drop(reply.try_send(cache.look(now, &key))),
        ToCache::News(news) => {
            for (key, news) in &news {
                cache.news(now, key, news);
            }
            cache.confirm(now, actions);
        }
        ToCache::Known(subjects) => {
            for subject in subjects {
                cache.known(now, subject);
            }
        }
        ToCache::Cancel(id) => cache.cancel(now, id, actions),
        ToCache::CalledAgain(key) => cache.called_again(now, &key),
        ToCache::Fetched(fetched) => cache.done(now, fetched, actions),
    }
}

fn perform<K, V, M, F>(action: ToDo<K, V::Out>, lanes: &[Fetchers<K, V, M, F>], tag: &'static str)
where
    K: Key,
    V: Value<News: Send, Out: Send> + Send + 'static,
    M: Fn() -> F + Clone + Send + 'static,
    F: Fn(&Job<K>) -> Answers<V> + 'static,
{
    match action {
        // An asker that left has dropped its end.
        Action::Reply { to, reply } => drop(to.try_send(reply)),
        Action::Fetch { lane, job } => {
            lanes[lane].jobs_tx.put(FetcherMessage::Run(job));
        }
        Action::Replace { lane } => {
            if let Err(e) = lanes[lane].start_one() {
                log::error!(target: tag, "starting a fetcher in a lost one's place failed: {e}");
            }
        }
        Action::Retire { lane } => lanes[lane].jobs_tx.put(FetcherMessage::Retire),
        Action::Say(words) => log::warn!(target: tag, "{words}"),
    }
}

/// The fetchers of one lane.
struct Fetchers<K, V: Value, M, F> {
    supervisor: Supervisor,
    kind: ThreadKind,
    cache: ThreadKind,
    upstream: &'static str,
    jobs: Receiver<FetcherMessage<K>>,
    jobs_tx: Tx<FetcherMessage<K>, Pool>,
    inbox: Tx<ToCache<K, V>>,
    make: M,
    started: RefCell<u32>,
    marker: std::marker::PhantomData<fn() -> F>,
}

impl<K, V, M, F> Fetchers<K, V, M, F>
where
    K: Key,
    V: Value<News: Send, Out: Send> + Send + 'static,
    M: Fn() -> F + Clone + Send + 'static,
    F: Fn(&Job<K>) -> Answers<V> + 'static,
{
    fn start_one(&self) -> io::Result<()> {
        let n = *self.started.borrow() + 1;
        *self.started.borrow_mut() = n;
        let (jobs, inbox, make) = (self.jobs.clone(), self.inbox.clone(), self.make.clone());
        let stop = self.supervisor.stop().clone();
        let (kind, cache, upstream) = (self.kind, self.cache, self.upstream);
        self.supervisor
            .spawn(kind.nth(n), move |heartbeat| {
                let fetch = make();
                loop {
                    heartbeat.idle();
                    let message = select_biased! {
                        recv(stop.receiver()) -> _ => return,
                        recv(jobs) -> message => message,
                    };
                    let Ok(FetcherMessage::Run(job)) = message else {
                        return;
                    };
                    let in_hand = InHand {
                        inbox: &inbox,
                        fetcher: kind,
                        job: &job,
                    };
                    let upstream = Peer::Upstream(upstream.into());
                    heartbeat.wait(upstream, format!("fetching {}", named(&job)), job.deadline);
                    let answers = fetch(&job);
                    let by = Instant::now() + ANSWER_PATIENCE;
                    heartbeat.wait(cache, format!("handing over {}", job.key), by);
                    drop(in_hand);
                    // Lost only if the cache is stuck; the watchdog tells of that.
                    drop(inbox.send_by(ToCache::Fetched(Fetched { job, answers }), by));
                }
            })
            .map(drop)
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
/// the job's whole deadline, and the lane would have one place less.
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
        let failure = super::Failure::Panicked {
            fetcher: self.fetcher.prefix(),
        };
        // A full inbox: the deadline ends the job.
        drop(self.inbox.offer(ToCache::Fetched(Fetched {
            job: self.job.clone(),
            answers: Err(failure).into(),
        })));
    }
}
