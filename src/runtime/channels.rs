//! Every channel between threads in one table: who sends, who receives, and what happens when it is full.
//!
//! `Supervisor::channel` takes a row of it and nothing else. The inbox of an upstream's cache and the jobs of
//! its fetchers need no row: they are made from the thread table, which says who fetches for which cache.
//! The policy is a type, so a sender has the methods that the policy allows and no others. A channel's name in `/api/threads`, what waits for a
//! stalled thread in a report, and the table in the crate's documentation are made from it.

use std::fmt;
use std::marker::PhantomData;

use super::threads::{Asks, ThreadKind, ThreadKind::*};

/// The policy of a channel whose sender learns that it is full, and may wait for room until a deadline.
#[derive(Clone, Copy, Debug)]
pub enum Queue {}

/// The policy of a channel whose sender never waits and never learns: what finds no room is lost and counted.
#[derive(Clone, Copy, Debug)]
pub enum Lossy {}

/// The policy of a channel that has room for all there is of what it holds: jobs, permits, connections.
#[derive(Clone, Copy, Debug)]
pub enum Pool {}

/// What happens to a message that finds its queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The asker is answered 503 at once.
    Shed,
    /// The message is lost and counted.
    DropAndCount,
    /// The sender waits, with a deadline: its own work is what must slow down.
    WaitWithDeadline,
    /// It cannot be full; the words say why.
    Never(&'static str),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shed => f.write_str("shed"),
            Self::DropAndCount => f.write_str("drop and count"),
            Self::WaitWithDeadline => f.write_str("wait with deadline"),
            Self::Never(why) => write!(f, "never full: {why}"),
        }
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    /// Threads of these kinds.
    Threads(&'static [ThreadKind]),
    /// Who asks the cache before an upstream, answers it, or tells it what else is known.
    AskersOf(ThreadKind),
    /// The cache for which these fetch.
    CacheOf(ThreadKind),
    /// Every thread, of whatever kind.
    AnyThread,
    /// The system, through a library.
    System,
}

/// A row of the table, without its policy's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who sends.
    pub from: Senders,
    /// Who receives. Threads of one kind share what comes.
    pub to: ThreadKind,
    /// What is sent, where its ends do not say it; empty elsewhere.
    pub what: &'static str,
    /// What happens to a message that finds it full.
    pub full: Full,
    /// Whether what lies in it waits for nobody and is there to be taken: permits, idle connections.
    pub is_stock: bool,
    /// What comes through it, in a sentence.
    pub carries: &'static str,
}

/// A row of the table, with its policy.
#[derive(Debug)]
pub struct Channel<P> {
    /// The row.
    pub ends: Ends,
    policy: PhantomData<P>,
}

impl<P> Clone for Channel<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Channel<P> {}

impl<P> Channel<P> {
    const fn new(from: Senders, to: ThreadKind, what: &'static str, full: Full) -> Self {
        Self {
            ends: Ends {
                from,
                to,
                what,
                full,
                is_stock: false,
                carries: "",
            },
            policy: PhantomData,
        }
    }

    const fn carrying(mut self, what: &'static str) -> Self {
        self.ends.carries = what;
        self
    }
}

impl Channel<Queue> {
    /// The inbox of an upstream's cache: who finds it full answers its own asker at once.
    #[must_use]
    pub const fn inbox(cache: ThreadKind) -> Self {
        Self::new(Senders::AskersOf(cache), cache, "", Full::Shed)
            .carrying("Requests, looks, fetched answers, and what others learnt of the same.")
    }

    /// Who finds it full answers its own asker at once.
    const fn shed(from: &'static [ThreadKind], to: ThreadKind) -> Self {
        Self::new(Senders::Threads(from), to, "", Full::Shed)
    }

    /// Who finds it full waits, with a deadline: its own work is what must slow down.
    const fn waited_for(from: &'static [ThreadKind], to: ThreadKind) -> Self {
        Self::new(Senders::Threads(from), to, "", Full::WaitWithDeadline)
    }
}

impl Channel<Lossy> {
    const fn lossy(from: Senders, to: ThreadKind, what: &'static str) -> Self {
        Self::new(from, to, what, Full::DropAndCount)
    }
}

impl Channel<Pool> {
    const fn pool(
        from: &'static [ThreadKind],
        to: ThreadKind,
        what: &'static str,
        why_never_full: &'static str,
    ) -> Self {
        Self::new(
            Senders::Threads(from),
            to,
            what,
            Full::Never(why_never_full),
        )
    }

    /// What the cache before an upstream hands to its fetchers of this kind.
    #[must_use]
    pub const fn jobs(fetcher: ThreadKind) -> Self {
        let why = "the cache hands out no more jobs than it has fetchers";
        Self::new(Senders::CacheOf(fetcher), fetcher, "jobs", Full::Never(why))
            .carrying("What is to be fetched.")
    }
}

impl Senders {
    /// The kinds of threads that send; none where every thread or the system does.
    #[must_use]
    pub fn kinds(self) -> Vec<ThreadKind> {
        match self {
            Self::Threads(kinds) => kinds.to_vec(),
            Self::AskersOf(cache) => askers(cache),
            Self::CacheOf(fetcher) => match fetcher.row().asks {
                Asks::For(cache) => vec![cache],
                Asks::Nobody | Asks::Cache(_) => Vec::new(),
            },
            Self::AnyThread | Self::System => Vec::new(),
        }
    }
}

fn askers(cache: ThreadKind) -> Vec<ThreadKind> {
    let all = ThreadKind::ALL.iter().copied();
    let fetchers = all.filter(|kind| kind.row().asks == Asks::For(cache));
    let others: &[ThreadKind] = match cache.row().asks {
        Asks::Cache(others) => others,
        Asks::Nobody | Asks::For(_) => &[],
    };
    let kinds = [Conn].into_iter().chain(fetchers);
    kinds.chain(others.iter().copied()).collect()
}

impl fmt::Display for Ends {
    /// `conn, control -> main: commands`, as `/api/threads` and reports name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Senders::AnyThread => f.write_str("any thread")?,
            Senders::System => f.write_str("the system")?,
            threads => {
                let names: Vec<&str> = threads.kinds().iter().map(|kind| kind.prefix()).collect();
                f.write_str(&names.join(", "))?;
            }
        }
        write!(f, " -> {}", self.to.prefix())?;
        if !self.what.is_empty() {
            write!(f, ": {}", self.what)?;
        }
        Ok(())
    }
}

/// Makes the rows and the list of all from one text.
macro_rules! table {
    ($($(#[doc = $doc:literal])+ $name:ident: $policy:ty = $make:ident($($args:expr),+);)+) => {
        $(
            $(#[doc = $doc])+
            pub const $name: Channel<$policy> =
                Channel::<$policy>::$make($($args),+).carrying(concat!($($doc),+).trim_ascii());
        )+

        /// All rows, in the order of the table.
        const ROWS: &[Ends] = &[$($name.ends),+];
    };
}

use Senders::{AnyThread, System, Threads};

#[rustfmt::skip]
table! {
    /// Looks at what snapshots say.
    SNAPSHOT_CACHE: Queue = shed(&[Conn], SnapshotCache);
    /// Questions for past stall reports.
    REPORT_READER: Queue = shed(&[Conn, ControlWorker], ReportReader);
    /// Wishes for reports and drills.
    WATCHDOG: Queue = shed(&[Conn, ControlWorker, Signals], Watchdog);
    /// Quotes, and what sessions want and have got.
    QUOTE_HUB: Queue = waited_for(&[QuoteReader, Conn, WsWriter], QuoteHub);
    /// The order to end, from a client.
    COMMANDS: Lossy = lossy(Threads(&[Conn, ControlWorker]), Main, "commands");
    /// The order to end, from the system.
    SIGNALS: Lossy = lossy(Threads(&[Signals]), Main, "signals");
    /// Lines for `backend.log`.
    LOG_WRITER: Lossy = lossy(AnyThread, LogWriter, "");
    /// Lines for the console.
    LOG_CONSOLE: Lossy = lossy(AnyThread, LogConsole, "");
    /// Lines and reports for `watchdog.log`.
    WATCHDOG_LOG: Lossy = lossy(Threads(&[Watchdog]), WatchdogLog, "");
    /// That something changed in the trader's folder.
    FILE_NOTICES: Lossy = lossy(System, FileReader, "notices");
    /// That something changed in the folder of paper trades.
    HISTORY_NOTICES: Lossy = lossy(System, HistoryReader, "notices");
    /// Connections that have ended.
    CONNS_ENDED: Pool = pool(&[Conn], Gate, "ended connections", "each connection ends once, and there are no more of them");
    /// That an idle connection is to make room for another.
    MAKE_ROOM: Lossy = lossy(Threads(&[Gate]), Conn, "make room");
    /// Connections whose threads are stuck, to be closed.
    STUCK_CONNS: Lossy = lossy(Threads(&[Watchdog]), Gate, "stuck connections");
}

/// Every channel: those of the upstreams, in the order of the thread table, and the rows.
pub fn all() -> impl Iterator<Item = Ends> {
    let kinds = ThreadKind::ALL.iter().copied();
    let of_upstreams = kinds.filter_map(|kind| match kind.row().asks {
        Asks::Cache(_) => Some(Channel::inbox(kind).ends),
        Asks::For(_) => Some(Channel::jobs(kind).ends),
        Asks::Nobody => None,
    });
    of_upstreams.chain(ROWS.iter().copied())
}

/// The table in Markdown, as the crate's documentation has it.
#[must_use]
pub fn markdown() -> String {
    let rows = all().map(|ends| format!("| {ends} | {} | {} |\n", ends.carries, ends.full));
    format!(
        "| channel | what comes through it | when it is full |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_channel_has_a_name_of_its_own() {
        let mut names = HashSet::new();
        for ends in all() {
            assert!(names.insert(ends.to_string()), "{ends} is there twice");
        }
    }

    #[test]
    fn a_name_says_who_sends_to_whom_and_what() {
        assert_eq!(
            QUOTE_HUB.ends.to_string(),
            "quote-reader, conn, ws -> quote-hub"
        );
        assert_eq!(COMMANDS.ends.to_string(), "conn, control -> main: commands");
        assert_eq!(
            Channel::inbox(CandleCache).ends.to_string(),
            "conn, candle-fetch, quote-fetch, watchlist-get, quote-reader -> candle-cache"
        );
        assert_eq!(
            Channel::jobs(VwapFetch).ends.to_string(),
            "trader-cache -> vwap-get: jobs"
        );
    }
}
