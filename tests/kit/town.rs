//! A server with its upstreams, bystanders who use all of it, and a judge: what must be true before,
//! during and after each fault.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::bystanders::{Bystanders, Heard, Load, Records, Sample};
use super::client::try_say;
use super::routes::{Part, ROUTES};
use super::server::Server;
use super::upstream::Upstreams;

/// What is promised of routes that a fault does not concern, at their 99th percentile. A debug build takes
/// several times the processor, and the tests beside it take the rest.
const PROMISED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 300 } else { 100 });

/// A machine that is busy with other things answers later also without a fault: then this many times
/// its own figure just before is allowed.
const NOISE_FACTOR: u32 = 5;

/// By when everything is back after a fault.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// By when every stream is told that the source is lost.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// For hangs only; what is not back by then is not coming back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What may be kept of a load: 64 series of some 300 kB, and what the allocator holds back after a
/// thousand connections. That it does not grow is for the soak to see.
const KEPT_KB: u64 = 120_000;

/// What may be held for a moment, the pages of a debug binary included: nine fetchers read answers of up
/// to some megabytes at once, and clients are many.
const PEAK_KB: u64 = 500_000;

/// How often a trial that was too slow is made.
const TRIES: usize = 3;

/// How long the healthy state is measured before each fault: twenty routes give some two hundred answers.
const BASELINE: Duration = Duration::from_secs(1);

/// Settings under which a fault is seen soon: what is cached is asked for anew each second, and no
/// budget of requests stands in the way of that; few series are kept.
pub const LIVELY: &[&str] = &[
    // Soon full, and from then on as large as it was.
    "schwab.cache_max=64",
    "schwab.fresh_candles=1s",
    "schwab.requests_per_minute=100000",
];

/// What streams notice of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Nothing.
    Goes,
    /// No quotes come while it lasts, and nobody can know why.
    Quiet,
    /// The source is lost, and everybody is told.
    Lost,
}

/// One fault: what it is called, what it takes away, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub name: &'static str,
    /// Routes that need one of these may answer with stale data or an error while it lasts.
    pub breaks: &'static [Part],
    /// Everything may wait while it lasts: the server itself is stopped.
    pub stops_all: bool,
    /// What streams notice.
    pub stream: Stream,
    pub lasts: Duration,
    /// Words that some error must have while it lasts.
    pub says: Option<&'static str>,
    /// The thread that stalls, and that a report must name; of no other may there be one.
    pub stalls: Option<&'static str>,
}

impl Trial {
    /// A fault that nobody but the faulty may notice.
    pub const fn harmless(name: &'static str, seconds: u64) -> Self {
        Self {
            name,
            breaks: &[],
            stops_all: false,
            stream: Stream::Goes,
            lasts: Duration::from_secs(seconds),
            says: None,
            stalls: None,
        }
    }

    pub const fn breaking(self, breaks: &'static [Part]) -> Self {
        Self { breaks, ..self }
    }

    pub const fn stopping_all(self) -> Self {
        Self {
            stops_all: true,
            ..self
        }
    }

    pub const fn with_stream(self, stream: Stream) -> Self {
        Self { stream, ..self }
    }

    pub const fn saying(self, words: &'static str) -> Self {
        Self {
            says: Some(words),
            ..self
        }
    }

    pub const fn stalling(self, thread: &'static str) -> Self {
        Self {
            stalls: Some(thread),
            ..self
        }
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    pub threads: u64,
    pub descriptors: usize,
    /// Its own memory: pages of its binary come and go as the kernel likes.
    pub kilobytes: u64,
}

impl Vitals {
    pub fn of(server: &Server) -> Self {
        Self {
            threads: server.proc_status("Threads"),
            descriptors: server.descriptors(),
            kilobytes: server.proc_status("RssAnon"),
        }
    }

    /// Once nothing more is being started.
    pub fn settled(server: &Server) -> Self {
        let mut before = Self::of(server);
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = Self::of(server);
            if (now.threads, now.descriptors) == (before.threads, before.descriptors) {
                return now;
            }
            before = now;
        }
    }

    /// Whether this is no more than was, but for what comes and goes.
    fn is_back_to(&self, before: &Self) -> bool {
        self.threads <= before.threads + 4
            // A fetcher that has worked keeps one connection.
            && self.descriptors <= before.descriptors + 28
            && self.kilobytes <= before.kilobytes + KEPT_KB
    }
}

/// Everything that a trial needs.
pub struct Town {
    // Ends first: who polls a server that is gone only fails.
    pub bystanders: Bystanders,
    pub server: Server,
    pub up: Upstreams,
    load: Load,
    phase: usize,
    empty: Vitals,
    /// How much of the watchdog's log was asked for accusations, in bytes.
    judged: usize,
}

impl Town {
    /// A server with upstreams of tests and these further settings.
    pub fn start(settings: &[&str]) -> Self {
        let up = Upstreams::start();
        let server = up.server(&[LIVELY, settings].concat());
        Self::around(up, server)
    }

    /// The same around a server that was started in another way.
    pub fn around(up: Upstreams, server: Server) -> Self {
        let source = Some(up.trader.stream.clone());
        Self::with_load(up, server, Load::default(), source.is_some())
    }

    pub fn with_load(up: Upstreams, server: Server, load: Load, fed: bool) -> Self {
        let empty = Vitals::settled(&server);
        let source = fed.then(|| up.trader.stream.clone());
        // What a test did with the server before is the test's to judge.
        let judged = server.log("watchdog.log").len();
        let bystanders = Bystanders::start(&server.address, load, source);
        Self {
            bystanders,
            server,
            up,
            load,
            phase: 0,
            empty,
            judged,
        }
    }

    fn next_phase(&mut self) -> usize {
        self.phase += 1;
        self.bystanders.begin_phase(self.phase);
        self.phase
    }

    /// Waits until all is well, measures it, has the fault, ends it, and judges.
    pub fn trial(
        &mut self,
        trial: Trial,
        mut begin: impl FnMut(&mut Self),
        mut end: impl FnMut(&mut Self),
    ) {
        for nth in 1.. {
            let slow = self.one_trial(&trial, &mut begin, &mut end);
            if slow.is_empty() {
                return;
            }
            // Others use this machine too; what is slow by itself is slow each time.
            println!("    slow, try {nth} of {TRIES}: {}", slow.join("; "));
            assert!(nth < TRIES, "{}: {}", trial.name, slow.join("\n"));
        }
    }

    fn one_trial(
        &mut self,
        trial: &Trial,
        begin: &mut dyn FnMut(&mut Self),
        end: &mut dyn FnMut(&mut Self),
    ) -> Vec<String> {
        let name = trial.name;
        self.all_is_well(Instant::now(), &format!("before {name:?}"));
        self.bystanders.forget();
        let healthy = self.next_phase();
        std::thread::sleep(BASELINE);
        let faulty = self.next_phase();
        let began = Instant::now();
        begin(self);
        std::thread::sleep((began + trial.lasts).saturating_duration_since(Instant::now()));
        end(self);
        let after = self.next_phase();
        let ended = Instant::now();
        let back = self.all_is_well(ended, &format!("after {name:?}"));
        // Who asked while it lasted is answered by now, or never.
        std::thread::sleep(Duration::from_millis(500));
        if let Some(thread) = trial.stalls {
            let words = format!("VERDICT: {thread} (");
            self.server.log_has("watchdog.log", &words);
        }
        let watchdog = self.server.log("watchdog.log");
        // It begins anew where the fault took it away.
        let told = watchdog.get(self.judged..).unwrap_or(&watchdog);
        self.judged = watchdog.len();
        let (streams, stalled) = (self.load.streams, stalled(told));
        let judge = Judge {
            trial,
            records: self.bystanders.records(),
            phases: [healthy, faulty, after],
            streams,
            stalled,
            began,
            back,
        };
        judge.decide()
    }

    /// Waits until each route has answered well, and each stream has given a quote, since then, and who
    /// comes anew is served: bystanders keep their connections, also to a gate that takes no more.
    pub fn all_is_well(&mut self, since: Instant, when: &str) -> Duration {
        let until = Instant::now() + PATIENCE;
        loop {
            let load = self.load;
            let newcomer = try_say(
                &self.server.address,
                b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            );
            let records = self.bystanders.records();
            let mut missing: Vec<String> = Vec::new();
            let mut last = since;
            let wanted = load.polled().filter(|(_, r)| !r.needs_any(load.broken));
            for (n, polled) in wanted {
                let well = |s: &&Sample| s.route == n && s.began >= since && is_well(s);
                match records.samples.iter().find(well) {
                    Some(sample) => last = last.max(sample.began + sample.took),
                    None => {
                        let latest = records.samples.iter().rfind(|s| s.route == n);
                        let what = latest.map(|s| format!("{:?} {:?}", s.outcome, s.detail));
                        missing.push(format!("{} {what:?}", polled.path));
                    }
                }
            }
            for client in 0..load.streams {
                let quotes = |(at, _, c, heard): &&(Instant, usize, usize, Heard)| {
                    *c == client && *at >= since && matches!(heard, Heard::Quotes(..))
                };
                match records.heard.iter().find(quotes) {
                    Some((at, ..)) => last = last.max(*at),
                    None => missing.push(format!("stream {client}")),
                }
            }
            match newcomer {
                Ok(got) if got.status == 200 => {}
                other => missing.push(format!("a newcomer: {other:?}")),
            }
            if missing.is_empty() {
                return last - since;
            }
            assert!(
                Instant::now() < until,
                "not well {when}: {}",
                missing.join("; ")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the load and waits until the server holds what it held before anybody came.
    pub fn empties(self) -> (Upstreams, Server) {
        let Self {
            bystanders,
            server,
            up,
            empty,
            ..
        } = self;
        drop(bystanders);
        let until = Instant::now() + PATIENCE;
        loop {
            let now = Vitals::of(&server);
            if now.is_back_to(&empty) {
                let peak = server.proc_status("VmHWM");
                println!("vitals: {empty:?} before, {now:?} at the end, at most {peak} kB");
                assert!(peak < PEAK_KB, "it held {peak} kB");
                return (up, server);
            }
            assert!(
                Instant::now() < until,
                "left behind: {empty:?} before, {now:?} at the end"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn is_well(sample: &Sample) -> bool {
    sample.outcome == Ok(200) && !sample.stale
}

/// Whether an answer is one that a client of a faulty part may get.
fn is_honest(sample: &Sample) -> bool {
    let explained = sample.detail.as_ref().is_some_and(|d| d.len() > 20);
    match sample.outcome {
        Ok(200) => true,
        // A file is no gateway.
        Ok(500) => explained && ROUTES[sample.route].needs.contains(&Part::Files),
        Ok(502..=504) => explained,
        _ => false,
    }
}

/// The threads that the watchdog's log says are stalled.
fn stalled(log: &str) -> Vec<String> {
    log.split("STALLED: ")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(" (")?.0.to_owned()))
        .collect()
}

struct Judge<'a> {
    trial: &'a Trial,
    records: &'a Records,
    /// Healthy, faulty, after.
    phases: [usize; 3],
    streams: usize,
    /// Threads that were said to be stalled.
    stalled: Vec<String>,
    began: Instant,
    back: Duration,
}

impl Judge<'_> {
    fn concerned(&self, route: usize) -> bool {
        self.trial.stops_all || ROUTES[route].needs_any(self.trial.breaks)
    }

    fn samples(&self, phase: usize) -> impl Iterator<Item = &Sample> {
        let phase = self.phases[phase];
        self.records
            .samples
            .iter()
            .filter(move |s| s.phase == phase)
    }

    /// What the machine itself added, at its 99th percentile.
    fn echo(&self, phase: usize) -> Duration {
        let phase = self.phases[phase];
        let echoes = self.records.echoes.iter();
        let mut took: Vec<Duration> = echoes
            .filter(|(p, _)| *p == phase)
            .map(|(_, t)| *t)
            .collect();
        took.sort();
        p(&took, 99)
    }

    /// Panics at what may never be; returns what was too slow.
    fn decide(&self) -> Vec<String> {
        let (mut wrong, mut slow) = (Vec::new(), Vec::new());
        self.table();
        let unconcerned = |phase| took(self.samples(phase).filter(|s| !self.concerned(s.route)));
        let before = p(&unconcerned(0), 99);
        let limit = PROMISED
            .max(before * NOISE_FACTOR)
            .max(self.echo(1) * NOISE_FACTOR);
        for phase in [1, 2] {
            let all = unconcerned(phase);
            let is_health = |s: &&Sample| ROUTES[s.route].path == "/api/health";
            let health = took(self.samples(phase).filter(is_health));
            for (who, took) in [("all unconcerned", &all), ("/api/health", &health)] {
                // Of few, the slowest is no 99th percentile.
                if took.len() >= 20 && p(took, 99) > limit {
                    slow.push(format!(
                        "{who}: p99 {:?} > {limit:?} in phase {phase} ({before:?} before)",
                        p(took, 99)
                    ));
                }
            }
        }
        for sample in [1, 2].into_iter().flat_map(|p| self.samples(p)) {
            let concerned = self.concerned(sample.route);
            let fine = if concerned {
                is_honest(sample)
            } else {
                sample.outcome == Ok(200)
            };
            if !fine || sample.took >= ROUTES[sample.route].within() {
                wrong.push(format!(
                    "{} answered {:?} {:?} after {:?}{}",
                    ROUTES[sample.route].path,
                    sample.outcome,
                    sample.detail,
                    sample.took,
                    if concerned {
                        ""
                    } else {
                        ", and the fault does not concern it"
                    }
                ));
            }
        }
        let unconcerned: Vec<bool> = self
            .samples(1)
            .filter(|s| !self.concerned(s.route))
            .map(|s| s.stale)
            .collect();
        let stale = unconcerned.iter().filter(|s| **s).count();
        if stale * 20 > unconcerned.len() {
            slow.push(format!(
                "{stale} of {} unconcerned answers are stale",
                unconcerned.len()
            ));
        }
        if let Some(words) = self.trial.says {
            let details = || self.samples(1).filter_map(|s| s.detail.as_deref());
            if !details().any(|d| d.contains(words)) {
                let said: std::collections::BTreeSet<&str> = details().collect();
                wrong.push(format!("nobody was told {words:?}, but {said:?}"));
            }
        }
        let innocent = |name: &&String| self.trial.stalls != Some(name.as_str());
        let accused: Vec<&String> = self.stalled.iter().filter(innocent).collect();
        if !accused.is_empty() {
            wrong.push(format!("{accused:?} said to be stalled"));
        }
        if self.back > BACK_WITHIN.max(before * NOISE_FACTOR) {
            slow.push(format!("back only after {:?}", self.back));
        }
        self.streams(before, &mut wrong, &mut slow);
        wrong.truncate(20);
        assert!(
            wrong.is_empty(),
            "{}:\n{}",
            self.trial.name,
            wrong.join("\n")
        );
        slow
    }

    fn streams(&self, before: Duration, wrong: &mut Vec<String>, slow: &mut Vec<String>) {
        if self.streams == 0 {
            return;
        }
        let mut lines = Vec::new();
        for phase in [1, 2] {
            let of = self.phases[phase];
            let (mut quotes, mut disorder, mut slowest) = (0, 0, Vec::new());
            for (_, p, client, heard) in &self.records.heard {
                if *p != of {
                    continue;
                }
                match heard {
                    Heard::Quotes(n, us, out_of_order) => {
                        quotes += n;
                        disorder += out_of_order;
                        slowest.push(Duration::from_micros(*us));
                    }
                    Heard::Status(connected) if self.trial.stream != Stream::Lost => {
                        if !connected {
                            wrong.push(format!("stream {client} was told that the source is lost"));
                        }
                    }
                    Heard::Ended(why) => wrong.push(format!("stream {client} ended: {why}")),
                    Heard::Status(_) => {}
                }
            }
            let sent = self.records.sent.get(&of).copied().unwrap_or(0) * self.streams;
            slowest.sort();
            lines.push(format!(
                "{quotes} of {sent} quotes, slowest of each 50 ms p50 {:?} p99 {:?}",
                p(&slowest, 50),
                p(&slowest, 99)
            ));
            if disorder > 0 {
                wrong.push(format!("{disorder} quotes out of order in phase {phase}"));
            }
            // Who cannot keep up for a moment gets the latest; on a busy machine that happens.
            if self.trial.stream == Stream::Goes && phase == 1 && quotes * 10 < sent * 7 {
                slow.push(format!("only {quotes} of {sent} quotes in phase {phase}"));
            }
        }
        println!("    streams: {}; after: {}", lines[0], lines[1]);
        if self.trial.stream == Stream::Lost {
            let told = self
                .records
                .heard
                .iter()
                .filter_map(|(at, phase, client, heard)| {
                    let lost = matches!(heard, Heard::Status(false)) && *phase >= self.phases[1];
                    lost.then_some((*client, at.saturating_duration_since(self.began)))
                });
            let mut first: BTreeMap<usize, Duration> = BTreeMap::new();
            for (client, after) in told {
                first.entry(client).or_insert(after);
            }
            let last = first.values().max().copied().unwrap_or_default();
            println!("    told of the loss after {last:?}");
            if last > TOLD_WITHIN.max(before * NOISE_FACTOR) {
                slow.push(format!("told of the loss only after {last:?}"));
            }
            if first.len() < self.streams {
                wrong.push(format!(
                    "only {} streams were told of the loss",
                    first.len()
                ));
            }
        }
    }

    fn table(&self) {
        println!(
            "{}: back after {:?} (echo p99 {:?} before, {:?} during)",
            self.trial.name,
            self.back,
            self.echo(0),
            self.echo(1)
        );
        for (group, concerned) in [("unconcerned", false), ("concerned", true)] {
            for (phase, name) in ["before", "during", "after"].iter().enumerate() {
                let some: Vec<&Sample> = self
                    .samples(phase)
                    .filter(|s| self.concerned(s.route) == concerned)
                    .collect();
                let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
                for sample in &some {
                    let stale = if sample.stale { " stale" } else { "" };
                    let outcome = match &sample.outcome {
                        Ok(status) => format!("{status}{stale}"),
                        Err(e) => e.clone(),
                    };
                    *outcomes.entry(outcome).or_default() += 1;
                }
                if !some.is_empty() {
                    let took = took(some.iter().copied());
                    println!(
                        "    {group} {name}: p50 {:?} p99 {:?} max {:?}; {outcomes:?}",
                        p(&took, 50),
                        p(&took, 99),
                        p(&took, 100)
                    );
                }
            }
        }
    }
}

/// Sorted times.
fn took<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<Duration> {
    let mut took: Vec<Duration> = samples.map(|s| s.took).collect();
    took.sort();
    took
}

/// A percentile of sorted times, in whole 10 µs so that it can be read.
pub fn p(sorted: &[Duration], percent: usize) -> Duration {
    let Some(last) = sorted.len().checked_sub(1) else {
        return Duration::ZERO;
    };
    let exact = sorted[(sorted.len() * percent / 100).min(last)];
    Duration::from_micros(u64::try_from(exact.as_micros() / 10 * 10).unwrap())
}
