//! Every kind of thread in one table: its name, what is expected of it, what it does.
//!
//! `Supervisor::spawn*` take a row of it and nothing else, so a thread that is not in the table cannot be
//! started. `/api/threads`, reports, the table in the crate's documentation and the tests that stall or
//! panic every kind are made from it.

use std::fmt;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kernel keeps 15 bytes of a thread's name; more would not show in `ps` or a dump.
pub const THREAD_NAME_CHARS_MAX: usize = 15;

/// Where a name in the table has this, a thread's name has its number.
const NUMBER: &str = "-N";

/// A thread that only forwards may be busy with one thing for this long.
const FORWARDS: Busy = Busy::Fixed(Duration::from_secs(2));

/// A thread that reads or writes the outside world may be busy for this long outside its declared waits.
const WORLD: Busy = Busy::Fixed(Duration::from_secs(10));

/// A thread that ticks beats at least every two seconds also when it has nothing to do.
const TICK_MAX: Duration = Duration::from_secs(15);

/// A thread that panics more often than this in a row has a fault that restarts do not mend.
const RESTARTS_MAX: u32 = 100;

/// What the watchdog does about a stalled thread, besides reporting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStall {
    /// Nothing more: it serves one client, or others do the same work.
    Report,
    /// `/api/health` answers 503 while it lasts; the process goes on, as a new one would be no better.
    Degraded,
    /// `/api/health` answers 503 while it lasts, and if it lasts too long the process ends.
    Fatal,
}

/// What happens when a thread panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPanic {
    /// It ends: it served one thing.
    End,
    /// It starts anew with backoff, as often as [`Limits::restarts_max`] before it has run well for ten
    /// minutes; then it ends.
    Restart,
}

/// How long a thread may be busy with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// No setting changes it.
    Fixed(Duration),
    /// `watchdog.busy_conn`
    Conn,
    /// `watchdog.busy_cache`
    Cache,
    /// `watchdog.busy_writer`
    Writer,
}

/// What the settings say of all threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `watchdog.busy_conn`
    pub busy_conn: Duration,
    /// `watchdog.busy_cache`
    pub busy_cache: Duration,
    /// `watchdog.busy_writer`
    pub busy_writer: Duration,
    /// Restarts in a row after panics.
    pub restarts_max: u32,
}

impl Default for Limits {
    /// As long as the threads that do I/O are allowed.
    fn default() -> Self {
        let long = Duration::from_secs(10);
        Self {
            busy_conn: long,
            busy_cache: long,
            busy_writer: long,
            restarts_max: RESTARTS_MAX,
        }
    }
}

impl Limits {
    /// What is expected of a thread of this kind.
    #[must_use]
    pub fn class(&self, kind: ThreadKind) -> Class {
        let row = kind.row();
        Class {
            name: row.class,
            busy_max: match row.busy {
                Busy::Fixed(time) => time,
                Busy::Conn => self.busy_conn,
                Busy::Cache => self.busy_cache,
                Busy::Writer => self.busy_writer,
            },
            idle_max: row.ticks.then_some(TICK_MAX),
            on_stall: row.on_stall,
            restarts_max: match row.on_panic {
                OnPanic::End => 0,
                OnPanic::Restart => self.restarts_max,
            },
        }
    }
}

/// What is expected of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// "http", "cache", "fetcher" …, as clients see it.
    pub name: &'static str,
    /// How long it may be busy with one thing.
    pub busy_max: Duration,
    /// For a thread that ticks: how long it may be idle without a beat.
    pub idle_max: Option<Duration>,
    /// What the watchdog does about a stall.
    pub on_stall: OnStall,
    /// How often in a row it starts anew after a panic; then it ends.
    pub restarts_max: u32,
}

/// What a thread is to an upstream that is asked. The channels between the two are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nobody,
    /// The cache before it. Connections and its fetchers send to its inbox, and these.
    Cache(&'static [ThreadKind]),
    /// A fetcher of this cache's.
    For(ThreadKind),
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name, as `ps` and `/api/threads` show it; with `-N` where there are several, each with a number.
    pub name: &'static str,
    /// Its class's name, as `/api/threads` shows it.
    pub class: &'static str,
    /// How long it may be busy with one thing.
    pub busy: Busy,
    /// Whether it beats also when it has nothing to do.
    pub ticks: bool,
    /// What the watchdog does about a stall.
    pub on_stall: OnStall,
    /// Whether the watchdog starts another in the place of a stalled one.
    pub is_replaced: bool,
    /// Whether the gate closes the connection of a stalled one.
    pub is_closed: bool,
    /// What happens after a panic.
    pub on_panic: OnPanic,
    /// Why no drill can stall it or make it panic; none where one can.
    pub no_drill: Option<&'static str>,
    /// What it is to an upstream that is asked.
    pub asks: Asks,
    /// What it does, in one sentence.
    pub does: &'static str,
}

impl Row {
    const fn ticks(self) -> Self {
        Self {
            ticks: true,
            ..self
        }
    }

    const fn replaced(self) -> Self {
        Self {
            is_replaced: true,
            ..self
        }
    }

    const fn closed(self) -> Self {
        Self {
            is_closed: true,
            ..self
        }
    }

    const fn no_drill(self, why: &'static str) -> Self {
        Self {
            no_drill: Some(why),
            ..self
        }
    }
}

const fn thread(
    name: &'static str,
    class: &'static str,
    busy: Busy,
    on_stall: OnStall,
    on_panic: OnPanic,
) -> Row {
    Row {
        name,
        class,
        busy,
        ticks: false,
        on_stall,
        is_replaced: false,
        is_closed: false,
        on_panic,
        no_drill: None,
        asks: Asks::Nobody,
        does: "",
    }
}

/// The cache before an upstream, to whose inbox `others` send besides connections and its fetchers.
const fn cache(name: &'static str, others: &'static [ThreadKind]) -> Row {
    Row {
        asks: Asks::Cache(others),
        ..thread(name, "cache", Busy::Cache, Fatal, Restart)
    }
}

/// A thread that asks an upstream on behalf of its cache.
const fn fetcher(name: &'static str, cache: ThreadKind) -> Row {
    Row {
        asks: Asks::For(cache),
        ..thread(name, "fetcher", WORLD, Report, Restart)
    }
}

/// Makes the kinds, the list of all and their rows from one text. A kind's sentence is its doc comment.
macro_rules! table {
    ($($(#[doc = $does:literal])+ $kind:ident = $row:expr;)+) => {
        /// A kind of thread.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ThreadKind {
            $($(#[doc = $does])+ $kind,)+
        }

        impl ThreadKind {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// What the table says of it.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$kind => Row { does: concat!($($does),+).trim_ascii(), ..$row },)+
                }
            }
        }
    };
}

use OnPanic::{End, Restart};
use OnStall::{Degraded, Fatal, Report};

#[rustfmt::skip]
table! {
    /// The first thread, `tapewarden` in `ps`: starts everything, joins threads that have ended, hears the order to end, watches the watchdog.
    Main = thread("main", "main", FORWARDS, Report, End)
        .no_drill("it has no beat: the service manager watches it, and the sentinel ends the process if it is stuck");
    /// Accepts connections, counts them, and starts a thread for each.
    Gate = thread("gate", "gate", FORWARDS, Fatal, Restart);
    /// Serves one client's connection: reads requests, answers them; of a stream it is the reader.
    Conn = thread("conn-N", "conn", Busy::Conn, Report, End).closed();
    /// Writes to one streaming client what the hub cannot write at once.
    WsWriter = thread("ws-N-out", "conn", Busy::Conn, Report, End);
    /// Sees to it that the control socket accepts connections; the library's threads that do bear its name.
    Control = thread("control", "control", WORLD, Report, Restart);
    /// Answers the operator's requests that come by the control socket, one at a time.
    ControlWorker = thread("control-N", "control", WORLD, Report, Restart).ticks().replaced();
    /// Answers from snapshots, each answer finished once for all connections.
    SnapshotCache = thread("snapshot-cache", "cache", Busy::Cache, Fatal, Restart);
    /// Holds candles and quotes, and decides which are asked for.
    CandleCache = cache("candle-cache", &[ThreadKind::WatchlistFetch, ThreadKind::QuoteReader]);
    /// Asks Schwab for candles.
    CandleFetch = fetcher("candle-fetch-N", ThreadKind::CandleCache);
    /// Asks Schwab for quotes.
    QuoteFetch = fetcher("quote-fetch-N", ThreadKind::CandleCache);
    /// Holds the trader app's answers, and decides which are asked for.
    TraderCache = cache("trader-cache", &[]);
    /// Asks the trader app for the watchlist.
    WatchlistFetch = fetcher("watchlist-get-N", ThreadKind::TraderCache);
    /// Asks the trader app for VWAPs.
    VwapFetch = fetcher("vwap-get-N", ThreadKind::TraderCache);
    /// Asks the trader app how its feed stands.
    FeedFetch = fetcher("feed-get-N", ThreadKind::TraderCache);
    /// Asks the trader app for signals and positions.
    ListsFetch = fetcher("lists-get-N", ThreadKind::TraderCache);
    /// Holds validations and the model's presence, and decides which are asked for.
    OllamaCache = cache("ollama-cache", &[]);
    /// Asks the model for validations.
    VerdictFetch = fetcher("verdict-get-N", ThreadKind::OllamaCache);
    /// Asks whether the model is there.
    PresenceFetch = fetcher("presence-get-N", ThreadKind::OllamaCache);
    /// Hears the trader app's stream; gives quotes to the hub and the candles made of them to the candle cache.
    QuoteReader = thread("quote-reader", "reader", WORLD, Report, Restart).ticks();
    /// Looks up the name of an upstream once.
    Lookup = thread("lookup-N", "fetcher", WORLD, Report, End)
        .no_drill("it lives for one look-up, and an address that is a number needs none");
    /// Keeps the latest quotes and writes them to the streaming clients.
    QuoteHub = thread("quote-hub", "hub", Busy::Cache, Fatal, Restart).ticks();
    /// Reads the trader's `runners.json` and when the token expires.
    FileReader = thread("file-reader", "files", WORLD, Report, Restart);
    /// Reads the trader's history of paper trades.
    HistoryReader = thread("history-reader", "files", WORLD, Report, Restart);
    /// Reads past stall reports for clients.
    ReportReader = thread("report-reader", "files", WORLD, Report, Restart);
    /// Follows the file of the clients' token, where there is one.
    TokenReader = thread("token-reader", "files", WORLD, Report, Restart);
    /// Removes once what killed processes left in the folder for temporary files.
    Leftovers = thread("leftovers", "files", WORLD, Report, End)
        .no_drill("it beats twice, soon after the start, and ends");
    /// Writes `backend.log`.
    LogWriter = thread("log-writer", "writer", Busy::Writer, Degraded, Restart);
    /// Writes to stdout and stderr.
    LogConsole = thread("log-console", "writer", Busy::Writer, Report, Restart);
    /// Reads every thread's beat, has stalls reported and stalled threads replaced.
    Watchdog = thread("watchdog", "watchdog", FORWARDS, Report, Restart);
    /// Writes `watchdog.log`.
    WatchdogLog = thread("watchdog-log", "watchdog", Busy::Writer, Degraded, Restart);
    /// Reads the reports of the process that names stacks, and starts that process.
    Symbolizer = thread("symbolizer", "watchdog", FORWARDS, Report, Restart)
        .no_drill("it beats only when it starts that process");
    /// Watches the watchdog, and has the last report made when that is silent.
    Sentinel = thread("sentinel", "watchdog", FORWARDS, Report, Restart);
    /// Asks the server's own port, as a client does, whether it answers.
    Probe = thread("probe", "watchdog", FORWARDS, Report, Restart);
    /// Hears the system's signals.
    Signals = thread("signals", "signals", FORWARDS, Report, Restart)
        .no_drill("it beats once, and then waits for signals, of which the first ends the process");
    /// Writes the embedded market's files.
    SimFiles = thread("sim-files", "sim", WORLD, Report, Restart);
    /// Sees to it that the embedded market's Schwab accepts connections; the library's threads that do bear its name.
    SimSchwab = thread("sim-schwab", "sim", WORLD, Report, Restart);
    /// Answers for the embedded market's Schwab, one request at a time.
    SimSchwabWorker = thread("sim-schwab-N", "sim", WORLD, Report, Restart).ticks().replaced();
    /// Sees to it that the embedded market's trader app accepts connections; the library's threads that do bear its name.
    SimTrader = thread("sim-trader", "sim", WORLD, Report, Restart);
    /// Answers for the embedded market's trader app, one request at a time.
    SimTraderWorker = thread("sim-trader-N", "sim", WORLD, Report, Restart).ticks().replaced();
    /// Accepts connections to the embedded market's stream.
    SimStream = thread("sim-stream", "sim", WORLD, Report, Restart);
    /// Serves one session of the embedded market's stream.
    SimSession = thread("sim-stream-N", "sim", WORLD, Report, End);
}

impl ThreadKind {
    /// The one of many that has this number.
    #[must_use]
    pub const fn nth(self, number: u32) -> ThreadName {
        ThreadName {
            kind: self,
            number: Some(number),
        }
    }

    /// The one of many that began as this number. Names count up to 100,000 and begin anew: longer ones
    /// would not fit.
    #[must_use]
    pub fn turn(self, number: u64) -> ThreadName {
        self.nth(u32::try_from(number % 100_000).unwrap_or_default())
    }

    /// What the names of its threads begin with: `quote-fetch`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        let name = self.row().name;
        name.split_once(NUMBER).map_or(name, |(before, _)| before)
    }

    /// Whether there are several, each with a number.
    #[must_use]
    pub fn is_numbered(self) -> bool {
        self.row().name.contains(NUMBER)
    }
}

impl Serialize for ThreadKind {
    /// As its name in the table.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.row().name)
    }
}

impl<'de> Deserialize<'de> for ThreadKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let kind = Self::ALL.iter().find(|kind| kind.row().name == name);
        kind.copied()
            .ok_or_else(|| D::Error::custom(format_args!("there is no kind of thread {name}")))
    }
}

/// Which thread: its kind, and its number where there are several. Displayed as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ThreadName {
    /// Its kind.
    pub kind: ThreadKind,
    /// Its number; none where there is one of its kind.
    pub number: Option<u32>,
}

impl From<ThreadKind> for ThreadName {
    fn from(kind: ThreadKind) -> Self {
        Self { kind, number: None }
    }
}

impl fmt::Display for ThreadName {
    /// Where prefix and number do not both fit the prefix is cut: the number tells them apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind.row().name;
        let Some((number, (before, after))) = self.number.zip(name.split_once(NUMBER)) else {
            return f.write_str(name);
        };
        let number = format!("-{number}");
        let room = THREAD_NAME_CHARS_MAX.saturating_sub(number.len() + after.len());
        write!(f, "{before:.room$}{number}{after}")
    }
}

/// The table in Markdown, as the crate's documentation has it.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "| thread | class | may be busy for | a stall | a panic | what it does |\n|---|---|---|---|---|---|\n",
    );
    for row in ThreadKind::ALL.iter().map(|kind| kind.row()) {
        let busy = match row.busy {
            Busy::Fixed(time) => format!("{} s", time.as_secs()),
            Busy::Conn => "`watchdog.busy_conn`".to_owned(),
            Busy::Cache => "`watchdog.busy_cache`".to_owned(),
            Busy::Writer => "`watchdog.busy_writer`".to_owned(),
        };
        let stall = match (row.on_stall, row.is_replaced) {
            _ if row.is_closed => "is reported; its connection is closed",
            (_, true) => "is reported; another takes its place",
            (Report, _) => "is reported",
            (Degraded, _) => "is reported; health 503",
            (Fatal, _) => "is reported; health 503; the end, if it lasts",
        };
        let panic = match row.on_panic {
            End => "it ends",
            Restart => "it begins anew",
        };
        out.push_str(&format!(
            "| `{}` | {} | {busy} | {stall} | {panic} | {} |\n",
            row.name, row.class, row.does
        ));
    }
    out
}

#[cfg(test)]
mod tests;
