//! Every setting, once: its key, type, default and meaning. All else (the file, the environment, the
//! flags, `tapewarden config`, the documentation's table) comes from here.

use std::path::PathBuf;
use std::time::Duration;

use super::values::{
    Auto, Bytes, Limit, Listen, Market, MaybeUrl, Raw, Setting, SimTime, Temperature, Url,
};

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As in the file: `gate.head_deadline`.
    pub key: &'static str,
    /// As text.
    pub default: &'static str,
    /// What is accepted.
    pub accepts: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// A value that a setting does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which setting.
    pub key: &'static str,
    /// What it takes.
    pub accepts: &'static str,
}

macro_rules! settings {
    ($($(#[doc = $group_doc:literal])* $group:ident: $Group:ident $prefix:literal {
        $(#[doc = $doc:literal] $name:ident: $type:ty = $default:literal,)*
    })*) => {
        $($(#[doc = $group_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Group { $(#[doc = $doc] pub $name: $type,)* })*

        /// The effective settings.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings { $($(#[doc = $group_doc])* pub $group: $Group,)* }

        /// Every setting there is.
        pub const ROWS: &[Row] = &[$($(Row {
            key: concat!($prefix, stringify!($name)),
            default: $default,
            accepts: <$type as Setting>::ACCEPTS,
            doc: $doc,
        },)*)*];

        impl Settings {
            /// The settings as `value` gives them by key.
            ///
            /// # Errors
            /// Every value that its setting does not take.
            pub fn build(value: impl Fn(&str) -> Raw) -> Result<Self, Vec<Refused>> {
                let mut refused = Vec::new();
                $(let $group = ($({
                    let key = concat!($prefix, stringify!($name));
                    let read = <$type as Setting>::read(&value(key));
                    if read.is_none() {
                        refused.push(Refused { key, accepts: <$type as Setting>::ACCEPTS });
                    }
                    read
                },)*);)*
                if !refused.is_empty() {
                    return Err(refused);
                }
                let nothing = || Err(Vec::new());
                Ok(Self { $($group: {
                    let ($($name,)*) = $group;
                    $Group { $($name: match $name { Some(v) => v, None => return nothing() },)* }
                },)* })
            }

            /// Every setting as TOML, by key, in the table's order.
            #[must_use]
            pub fn shown(&self) -> Vec<(&'static str, String)> {
                vec![$($((concat!($prefix, stringify!($name)), self.$group.$name.show()),)*)*]
            }
        }
    };
}

settings! {
    /// The server itself.
    server: ServerSettings "" {
        /// Address and port of the server; anything but loopback is open to everybody there
        listen: Listen = "127.0.0.1:8081",
        /// Folder of `backend.log` and `watchdog.log`
        log_dir: PathBuf = "logs",
        /// Where market data come from: the embedded market, or Schwab and the trader app
        market: Market = "sim",
    }
    /// Schwab's market data.
    schwab: SchwabSettings "schwab." {
        /// Market data API, up to and including its version
        base_url: Url = "https://api.schwabapi.com/marketdata/v1",
        /// Token file that your login program writes; only read
        token_file: PathBuf = "token.json",
        /// A file of issuers' certificates (PEM) that are believed besides the system's; empty is none
        ca_file: PathBuf = "",
        /// For one answer, retries included
        deadline: Duration = "7s",
        /// Requests a minute, over all kinds
        requests_per_minute: usize = "120",
        /// Threads that fetch candles
        candle_fetchers: usize = "6",
        /// Threads that fetch quotes
        quote_fetchers: usize = "3",
        /// Candles are served this long without asking again
        fresh_candles: Duration = "60s",
        /// A quote is served this long without asking again
        fresh_quote: Duration = "1s",
        /// An older quote is not served in place of an error
        stale_quote: Duration = "60s",
        /// "No data" is served this long without asking again
        nodata_hold: Duration = "15s",
        /// A series or quote that failed is asked for again after this; doubles, up to breaker_open
        failure_hold: Duration = "2s",
        /// How long a client waits for a refresh when there is an old value
        stale_patience: Duration = "1500ms",
        /// Tries after 429 and 5xx
        attempts_max: usize = "3",
        /// First wait between tries; doubles
        backoff_min: Duration = "250ms",
        /// Longest wait between tries
        backoff_max: Duration = "4s",
        /// Different series (or quotes) that fail, with no success between, before their kind is left alone
        breaker_failures: usize = "3",
        /// How often what is left alone is tried
        breaker_open: Duration = "2s",
        /// Series and quotes that may wait for a fetcher; the oldest is shed
        pending_max: usize = "128",
        /// Series and quotes kept
        cache_max: usize = "512",
        /// One that nobody asked for in this long is dropped
        cache_idle: Duration = "15m",
    }
    /// The trader app.
    trader: TraderSettings "trader." {
        /// REST and Socket.IO of the trader app
        url: Url = "http://127.0.0.1:8080",
        /// Where its stream is, if that is at another address; empty is `trader.url`
        stream_url: MaybeUrl = "",
        /// Its folder with `runners.json` and `paper_trading/`
        data_dir: PathBuf = "data",
        /// A file of issuers' certificates (PEM) that are believed besides the system's; empty is none
        ca_file: PathBuf = "",
        /// For one answer
        deadline: Duration = "2s",
        /// Threads for each kind of question
        fetchers: usize = "2",
        /// The watchlist is served this long without asking again
        fresh_watchlist: Duration = "5s",
        /// A VWAP is served this long without asking again
        fresh_vwap: Duration = "1s",
        /// Stream health and rotation are served this long
        fresh_feed: Duration = "2s",
        /// Signals and positions are served this long
        fresh_lists: Duration = "1s",
        /// An older VWAP, signals and positions are not served when the trader app is away
        stale_max: Duration = "15s",
        /// What failed is asked for again after this; doubles, up to breaker_open
        failure_hold: Duration = "1s",
        /// How long a client waits for a refresh when there is an old value
        stale_patience: Duration = "500ms",
        /// Different questions that fail, with no success between, before their kind is left alone
        breaker_failures: usize = "3",
        /// How often what is left alone is tried
        breaker_open: Duration = "5s",
        /// Questions that may wait for a fetcher
        pending_max: usize = "256",
        /// Answers kept
        cache_max: usize = "1024",
        /// One that nobody asked for in this long is dropped
        cache_idle: Duration = "15m",
    }
    /// The quote stream.
    stream: StreamSettings "stream." {
        /// For connecting and both handshakes
        connect_deadline: Duration = "5s",
        /// First wait before a reconnect; doubles, half more or less by chance
        backoff_min: Duration = "1s",
        /// Longest wait before a reconnect
        backoff_max: Duration = "3s",
        /// How long a volume spike is active
        spike_window: Duration = "30s",
        /// Symbols that all streaming clients together may have
        symbols_max: usize = "2000",
    }
    /// The model behind validations.
    model: ModelSettings "model." {
        /// Ollama server
        url: Url = "http://127.0.0.1:11434",
        /// The model's name there
        name: String = "llama3.1",
        /// The prompt instead of the built-in one: a template, or YAML with `system_prompt` and `user_prompt_template`
        prompt_file: PathBuf = "",
        /// For one verdict, all tries together; who asks for it waits as long
        deadline: Duration = "60s",
        /// Verdicts made at once
        fetchers: usize = "2",
        /// A verdict is served this long without asking again
        cache_ttl: Duration = "60s",
        /// Tries until the model's answer is well-formed
        attempts_max: usize = "3",
        /// How freely the model chooses its words
        temperature: Temperature = "0.3",
        /// Tokens that the model may use for one answer, its thinking included
        tokens_max: usize = "2000",
        /// For the question whether the model is there
        status_deadline: Duration = "3s",
        /// Its answer is served this long
        status_ttl: Duration = "10s",
        /// Verdicts that may wait
        pending_max: usize = "32",
    }
    /// Answers.
    http: HttpSettings "http." {
        /// Every request but a validation is answered within this; clients give up at 10 s
        answer_deadline: Duration = "9s",
        /// For candles
        slots_market: usize = "16",
        /// For quotes
        slots_quotes: usize = "8",
        /// For each kind of question to the trader app
        slots_trader: usize = "4",
        /// For validations, each of which may take `model.deadline`
        slots_model: usize = "6",
        /// For each kind of diagnosis: dumps and drills, past reports
        slots_diagnosis: usize = "2",
        /// Origins whose pages may use this server; "localhost" is every page of this machine
        origins: Vec<String> = "localhost",
        /// Whether pages opened from files may (origin `null` or `file://`), as a packaged app is; other pages can pass for such
        allow_null_origin: bool = "false",
        /// Names of this server in clients' URLs, besides localhost and its address
        hosts: Vec<String> = "",
        /// A file with a token that every request must carry; empty is none
        token_file: PathBuf = "",
    }
    /// The port.
    gate: GateSettings "gate." {
        /// Connections served at once
        connections_max: usize = "1024",
        /// Of one address, this machine's own excepted
        connections_per_address_max: usize = "512",
        /// A longer request head is refused
        head_bytes_max: Bytes = "16384",
        /// How long a head, and then a body, may take
        head_deadline: Duration = "5s",
        /// How long a connection may be idle
        keep_alive: Duration = "30s",
        /// How long a client may take for an answer
        write_deadline: Duration = "5s",
        /// A longer request body is refused
        body_bytes_max: Bytes = "65536",
    }
    /// Streaming clients.
    ws: WsSettings "ws." {
        /// Streams at once
        sessions_max: usize = "256",
        /// Symbols of one stream
        symbols_max: usize = "1000",
        /// A longer message ends the stream
        message_bytes_max: Bytes = "65536",
        /// How often a client is pinged
        ping_every: Duration = "20s",
        /// A client silent for this long is gone
        silence_max: Duration = "60s",
        /// How long a client may take for a batch of quotes
        write_deadline: Duration = "10s",
    }
    /// The watchdog.
    watchdog: WatchdogSettings "watchdog." {
        /// How often it looks
        tick: Duration = "250ms",
        /// A cache or the hub
        busy_cache: Duration = "2s",
        /// A connection's thread
        busy_conn: Duration = "5s",
        /// A log writer
        busy_writer: Duration = "10s",
        /// How often `[HEARTBEAT]` is logged
        heartbeat_every: Duration = "30s",
        /// A stalled cache or hub ends the process with code 70 after this; or "never"
        exit_after: Limit = "120s",
        /// Stall reports kept in the folder `reports` beside the logs
        reports_max: usize = "20",
        /// Whether drills (real stalls) may be ordered; "auto": with the embedded market
        allow_drills: Auto = "auto",
        /// `watchdog.log` is rotated at this size
        file_bytes_max: Bytes = "10 MB",
        /// Rotated files kept
        files_max: usize = "5",
    }
    /// The log.
    log: LogSettings "log." {
        /// error, warn, info, debug or trace, or by module: "info, ureq=warn"
        level: String = "info, notify=error",
        /// Whether lines also go to stderr
        console: bool = "true",
        /// Lines that can wait for a writer
        queue: usize = "8192",
        /// `backend.log` is rotated at this size
        file_bytes_max: Bytes = "10 MB",
        /// Rotated files kept
        files_max: usize = "5",
    }
    /// The embedded market.
    sim: SimSettings "sim." {
        /// The same seed and time give the same prices
        seed: u64 = "1",
        /// "open" shifts its clock so that there is always a session
        clock: SimTime = "open",
        /// Over all symbols of one stream
        quotes_per_second: usize = "40",
        /// Its files; empty is a temporary folder
        data_dir: PathBuf = "",
    }
    /// The end.
    shutdown: ShutdownSettings "shutdown." {
        /// How long threads may take to end; then they are left behind
        deadline: Duration = "4s",
    }
}

impl Settings {
    /// What cannot be true together.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut needs = |holds: bool, words: &str| {
            if !holds {
                found.push(words.to_owned());
            }
        };
        needs(
            self.http.answer_deadline <= Duration::from_secs(9),
            "http.answer_deadline must be at most \"9s\": clients give up at 10 s",
        );
        needs(
            self.model.status_deadline <= Duration::from_secs(4),
            "model.status_deadline must be at most \"4s\": whether the model is there is told within 5 s",
        );
        needs(
            self.schwab.backoff_min <= self.schwab.backoff_max,
            "schwab.backoff_min must not be longer than schwab.backoff_max",
        );
        needs(
            self.stream.backoff_min <= self.stream.backoff_max,
            "stream.backoff_min must not be longer than stream.backoff_max",
        );
        needs(
            self.ws.ping_every < self.ws.silence_max,
            "ws.ping_every must be shorter than ws.silence_max",
        );
        needs(
            self.watchdog.tick <= Duration::from_secs(1),
            "watchdog.tick must be at most \"1s\", or stalls are seen too late",
        );
        needs(
            self.shutdown.deadline <= Duration::from_millis(4_500),
            "shutdown.deadline must be at most \"4500ms\": the process ends within 5 s",
        );
        found
    }
}
