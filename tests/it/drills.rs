//! A drill of each kind of thread in the table: the verdict names all that wait for it and what waits in each of
//! its inboxes, no more and no less. Who waits is known because this test makes them wait; what waits is
//! held against the report's own list of channels and the table that says who receives.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use tapewarden::edge::routes::{ROUTES, Row, Source};
use tapewarden::runtime::channels::{self, Ends};
use tapewarden::runtime::threads::Busy;
use tapewarden::runtime::{ThreadKind, ThreadName};

use crate::kit::{self, Quotes, SHORT_LIMITS, Server, eventually};

/// A fetch of every sort, by clients that do not wait for the answer: of every route that a cache answers; and
/// one of no route. `%` is a number.
fn errands() -> Vec<String> {
    let cached = cached("S%", |_| true);
    cached.chain(["/api/nowhere".to_owned()]).collect()
}

/// The paths of the routes that such caches answer, for this symbol.
fn cached(symbol: &str, by: impl Fn(ThreadKind) -> bool) -> impl Iterator<Item = String> {
    let is_it = move |row: &&Row| matches!(row.source, Source::Cached(from) if by(from.cache()));
    let rows = ROUTES.iter().filter(is_it);
    rows.map(move |row| row.path.replace("{symbol}", symbol))
}

/// A drill in the first round lasts this long, in seconds: the limits there are one or two.
const SHORT_S: u32 = 12;

/// As above, where ten seconds are allowed, or a beat comes every five.
const LONG_S: u32 = 26;

/// When a kind is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// With all that are seen to stall soon.
    Short,
    /// With those that are allowed ten seconds.
    Long,
    /// Alone: while the gate is stuck nobody else can connect.
    Gate,
    /// In a test of its own, as this says.
    Elsewhere(&'static str),
}

fn round(kind: ThreadKind) -> Round {
    match kind {
        ThreadKind::Gate => Round::Gate,
        ThreadKind::Watchdog => Round::Elsewhere(
            "the report of a silent watchdog knows nothing of others (stalls::a_silent_watchdog_is_reported_by_another_and_its_raw_dump_can_be_named_later)",
        ),
        ThreadKind::TokenReader => Round::Elsewhere("it needs a token file"),
        ThreadKind::Sentinel | ThreadKind::Probe => Round::Long,
        _ => match kind.row().busy {
            Busy::Fixed(limit) if limit > Duration::from_secs(2) => Round::Long,
            _ => Round::Short,
        },
    }
}

/// Requests that wait for a thread of this kind while it stalls.
fn requests(kind: ThreadKind) -> Vec<String> {
    let more: &[&str] = match kind {
        ThreadKind::OllamaCache => &["/api/validate/status"],
        ThreadKind::ReportReader => &["/api/stalls", "/api/stalls/none?format=text"],
        _ => &[],
    };
    let more = more.iter().map(|path| (*path).to_owned());
    cached("AAPL", |cache| cache == kind).chain(more).collect()
}

fn of_round(wanted: Round) -> Vec<ThreadKind> {
    let kinds = ThreadKind::ALL.iter().copied();
    kinds
        .filter(|kind| kind.row().no_drill.is_none() && round(*kind) == wanted)
        .collect()
}

/// Which thread is ordered to stall.
fn target(kind: ThreadKind) -> String {
    match kind {
        // One session, whose number is not known.
        ThreadKind::WsWriter | ThreadKind::SimSession => format!("{}-*", kind.prefix()),
        _ if kind.is_numbered() => kind.nth(1).to_string(),
        _ => ThreadName::from(kind).to_string(),
    }
}

/// The kind that has this name.
fn kind_of(name: &str) -> ThreadKind {
    let is = |kind: &&ThreadKind| match kind.is_numbered() {
        true => name
            .strip_prefix(kind.prefix())
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())),
        false => kind.row().name == name,
    };
    let hits: Vec<&ThreadKind> = ThreadKind::ALL.iter().filter(is).collect();
    assert_eq!(hits.len(), 1, "{name}: {hits:?}");
    *hits[0]
}

fn order(server: &Server, thread: &str, seconds: u32) {
    let path = format!("/api/drill?stall={thread}&how=mutex&for={seconds}s");
    let got = server.ask("POST", &path);
    assert_eq!(got.status, 200, "{thread}: {}", got.text());
}

/// Asks and leaves.
fn poke(server: &Server, path: &str) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(10));
}

/// A request that waits for its answer, on a thread of its own.
struct Waiting {
    method: &'static str,
    path: String,
    ended: Receiver<()>,
}

fn ask_beside(server: &Server, method: &'static str, path: &str) -> Waiting {
    let (address, request) = (server.address.clone(), request(method, path));
    let (ends, ended) = channel();
    std::thread::spawn(move || {
        let _may_fail = kit::client::try_say(&address, request.as_bytes());
        let _nobody_looks = ends.send(());
    });
    Waiting {
        method,
        path: path.to_owned(),
        ended,
    }
}

impl Waiting {
    fn has_ended(&self) -> bool {
        self.ended.try_recv() != Err(TryRecvError::Empty)
    }
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// One line of a verdict.
#[derive(Debug)]
struct Line {
    name: String,
    /// The number that is told, and the names.
    waiters: (usize, Vec<String>),
    inboxes: BTreeSet<(usize, String)>,
}

/// The lines of the stalled threads in a report's text.
fn verdicts(report: &str) -> Vec<Line> {
    // Among the last log lines, which are indented, older verdicts are told again.
    let own = |l: &&str| l.contains(" FROZEN for ") && !l.starts_with(' ');
    let lines = report.lines().filter(own);
    lines
        .filter_map(|l| l.split_once("VERDICT: "))
        .map(|(_, line)| {
            let mut read = Line {
                name: line.split(" (").next().unwrap().to_owned(),
                waiters: (0, Vec::new()),
                inboxes: BTreeSet::new(),
            };
            for part in line.split("; ") {
                if let Some((n, names)) = part.split_once(" wait for it: ") {
                    let names = names.split(' ').map(str::to_owned).collect();
                    read.waiters = (n.parse().unwrap(), names);
                } else if let Some((n, name)) = part.split_once(" wait in \"") {
                    let name = name.split('"').next().unwrap().to_owned();
                    read.inboxes.insert((n.parse().unwrap(), name));
                }
            }
            read
        })
        .collect()
}

/// How many messages wait in each channel, by the report's own list.
fn depths(report: &str) -> BTreeMap<String, usize> {
    let (_, list) = report.split_once("\nChannels (").unwrap();
    let lines = list.lines().skip(1);
    lines
        .take_while(|l| !l.contains(" at rest, nothing refused: "))
        .filter_map(|line| {
            let words = line.split_whitespace();
            let fraction = words.clone().find(|w| {
                w.split_once('/')
                    .is_some_and(|(a, b)| a.parse::<usize>().is_ok() && b.parse::<usize>().is_ok())
            })?;
            let name: Vec<&str> = words.take_while(|w| *w != fraction).collect();
            let depth = fraction.split_once('/').unwrap().0.parse().unwrap();
            Some((name.join(" "), depth))
        })
        .collect()
}

/// The channels of the table from which a kind takes what others want of it.
fn inboxes(kind: ThreadKind) -> impl Iterator<Item = Ends> {
    channels::all().filter(move |ends| !ends.is_stock && ends.to == kind)
}

/// Holds each stalled thread's line against what this test knows. `kinds` are all there, and no others.
fn check(report: &str, kinds: &[ThreadKind]) {
    let depths = depths(report);
    let lines = verdicts(report);
    let seen: BTreeSet<ThreadKind> = lines.iter().map(|line| kind_of(&line.name)).collect();
    let meant: BTreeSet<ThreadKind> = kinds.iter().copied().collect();
    assert_eq!(seen, meant, "{report}");
    for line in lines {
        let kind = kind_of(&line.name);
        let (number, names) = &line.waiters;
        assert_eq!(*number, names.len(), "{line:?}");
        let expected = requests(kind).len();
        assert_eq!(*number, expected, "{line:?}");
        for name in names {
            let who = kind_of(name);
            assert_eq!(who, ThreadKind::Conn, "{name} has no client: {line:?}");
        }
        let waiting: BTreeSet<(usize, String)> = inboxes(kind)
            .filter_map(|ends| depths.get_key_value(&ends.to_string()))
            .filter(|(_, depth)| **depth > 0)
            .map(|(name, depth)| (*depth, name.clone()))
            .collect();
        assert_eq!(line.inboxes, waiting, "{line:?}");
        if expected > 0 {
            let inbox: usize = line.inboxes.iter().map(|(depth, _)| depth).sum();
            // The first of them is in hand.
            assert!(inbox + 1 >= expected, "{line:?}");
        }
        println!("{line:?}");
    }
}

/// What the watchdog publishes of each thread: costs next to nothing, unlike a report.
fn threads(server: &Server) -> Vec<serde_json::Value> {
    let threads = server.get("/api/threads").json()["threads"].clone();
    threads.as_array().unwrap().clone()
}

/// Waits until all these are seen to stall; none if they were not before their drills ended.
fn until_stalled(server: &Server, kinds: &[ThreadKind], drilled_until: Instant) -> Option<()> {
    let mut fewest = kinds.to_vec();
    loop {
        let threads = threads(server);
        let stalled = threads.iter().filter(|t| t["state"] == "stalled");
        let seen: BTreeSet<ThreadKind> = stalled
            .map(|t| kind_of(t["name"].as_str().unwrap()))
            .collect();
        let missing = kinds.iter().copied().filter(|k| !seen.contains(k));
        let missing: Vec<ThreadKind> = missing.collect();
        if missing.is_empty() {
            return Some(());
        }
        if missing.len() < fewest.len() {
            fewest = missing;
        }
        if Instant::now() > drilled_until {
            println!("not seen to stall with the others: {fewest:?}");
            return None;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until each request has come to the thread that it waits for, or has ended.
fn until_all_wait(server: &Server, waiting: &[Waiting]) {
    eventually("requests that wait for a stalled thread", || {
        let threads = threads(server);
        let arrived = |waiting: &Waiting| {
            let path = waiting.path.split('?').next().unwrap();
            let begins = format!("{} {path} ", waiting.method);
            let is_there = threads.iter().any(|t| {
                let activity = t["activity"].as_str().unwrap();
                activity.starts_with(&begins) && activity.contains(", waiting for ")
            });
            is_there || waiting.has_ended()
        };
        waiting.iter().all(arrived).then_some(())
    });
}

/// A report that was begun when it was asked for: who asks while another is being made is given that.
fn new_report(server: &Server) -> String {
    eventually("a report begun when it was asked for", || {
        let report = server.get("/api/threads/dump").text();
        let is_ours = report.contains("=== THREAD STACK DUMP === asked for by ");
        is_ours.then_some(report)
    })
}

/// A report during which each of these requests was waiting from before it to its end. Where one was not, because
/// the machine is slow or the request is given up early, it is made again and so is the report. None if the drills
/// ended before there was one.
fn report_while_they_wait(
    server: &Server,
    waiting: &mut [Waiting],
    drilled_until: Instant,
) -> Option<String> {
    loop {
        until_all_wait(server, waiting);
        let begun = Instant::now();
        let report = new_report(server);
        let ended: Vec<&mut Waiting> = waiting.iter_mut().filter(|w| w.has_ended()).collect();
        if ended.is_empty() {
            return Some(report);
        }
        let took = begun.elapsed();
        if Instant::now() > drilled_until {
            println!("a report takes {took:?}: the drills ended before there was one");
            return None;
        }
        for waiting in ended {
            println!("{} waited less than a report: {took:?}", waiting.path);
            *waiting = ask_beside(server, waiting.method, &waiting.path);
        }
    }
}

fn all_is_well(server: &Server) {
    server.eventually("/api/threads", |got| {
        let threads = got.json()["threads"].clone();
        let well = |t: &serde_json::Value| t["state"] == "idle" || t["state"] == "busy";
        got.status == 200 && threads.as_array().is_some_and(|all| all.iter().all(well))
    });
    server.eventually("/api/health", |got| got.status == 200);
}

/// The names of the connections' threads.
fn connections(server: &Server) -> BTreeSet<String> {
    let threads = server.get("/api/threads").json();
    let all = threads["threads"].as_array().unwrap().iter();
    let names = all.map(|t| t["name"].as_str().unwrap().to_owned());
    names.filter(|n| n.starts_with("conn-")).collect()
}

/// A connection that is kept and asks nothing yet, and its thread's name.
fn kept(server: &Server) -> (TcpStream, String) {
    eventually("a connection's own thread", || {
        let before = connections(server);
        let stream = TcpStream::connect(&server.address).unwrap();
        std::thread::sleep(Duration::from_millis(600));
        // The one that asks is newer, and the one that asked before has ended.
        let after: Vec<String> = connections(server).difference(&before).cloned().collect();
        let name = after.into_iter().min_by_key(|n| n.len() * 1_000)?;
        Some((stream, name))
    })
}

fn short(server: &Server, seconds: u32) -> Option<()> {
    let mut quotes = Quotes::connect(&server.address);
    quotes.subscribe(&["TOYO"]);
    quotes.until("quotes", |m| m["type"] == "quote");
    let (mut client, name) = kept(server);
    let kinds = of_round(Round::Short);
    // The two that are allowed more come first, so that the requests below still wait when all are seen.
    let of_clients = |kind: &ThreadKind| matches!(kind, ThreadKind::Conn | ThreadKind::WsWriter);
    let until = Instant::now() + Duration::from_secs(seconds.into());
    order(server, &name, seconds);
    order(server, &target(ThreadKind::WsWriter), seconds);
    client
        .write_all(request("GET", "/api/runners").as_bytes())
        .unwrap();
    std::thread::sleep(Duration::from_secs(2));
    for kind in kinds.iter().filter(|kind| !of_clients(kind)) {
        order(server, &target(*kind), seconds);
    }
    let paths = kinds.iter().flat_map(|kind| requests(*kind));
    let mut waiting: Vec<Waiting> = paths.map(|path| ask_beside(server, "GET", &path)).collect();
    for _ in 0..4 {
        poke(server, "/api/nowhere");
        poke(server, "/api/runners");
    }
    until_stalled(server, &kinds, until)?;
    let report = report_while_they_wait(server, &mut waiting, until)?;
    check(&report, &kinds);
    Some(())
}

fn long(server: &Server, seconds: u32) -> Option<()> {
    let kinds = of_round(Round::Long);
    // A validation needs what others fetch, before they are stuck too.
    let (first, others): (Vec<ThreadKind>, Vec<ThreadKind>) = kinds
        .iter()
        .partition(|kind| **kind == ThreadKind::VerdictFetch);
    let drilled_until = Instant::now() + Duration::from_secs(seconds.into());
    for kind in first.iter().chain(&others) {
        order(server, &target(*kind), seconds);
        if first.contains(kind) {
            let _ends_by_itself = ask_beside(server, "POST", "/api/validate/TOYO");
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    poke(server, "/api/stalls");
    let until = Instant::now() + Duration::from_secs(4);
    let errands = errands();
    for n in 0_usize.. {
        if Instant::now() >= until {
            break;
        }
        for errand in &errands {
            poke(server, &errand.replace('%', &n.to_string()));
        }
        poke(server, "/api/validate/status");
    }
    until_stalled(server, &kinds, drilled_until)?;
    let paths = requests(ThreadKind::ReportReader).into_iter();
    let mut waiting: Vec<Waiting> = paths.map(|path| ask_beside(server, "GET", &path)).collect();
    let report = report_while_they_wait(server, &mut waiting, drilled_until)?;
    check(&report, &kinds);
    Some(())
}

/// Drills for so many seconds; none if they ended before there was a report of them.
type Drilled = fn(&Server, u32) -> Option<()>;

/// While the gate is stuck a connection from before is served.
fn gate(server: &Server) {
    let mut client = TcpStream::connect(&server.address).unwrap();
    client.set_read_timeout(Some(kit::PATIENCE)).unwrap();
    order(server, "gate", 6);
    // It beats twice a second, and may be busy for two.
    std::thread::sleep(Duration::from_millis(3_500));
    let request = request("GET", "/api/threads/dump");
    client.write_all(request.as_bytes()).unwrap();
    let mut report = String::new();
    client.read_to_string(&mut report).unwrap();
    check(&report, &of_round(Round::Gate));
}

#[test]
fn a_drill_of_each_kind_names_all_that_wait_for_it_and_what_waits_in_its_inboxes() {
    for kind in ThreadKind::ALL {
        let why = match round(*kind) {
            Round::Elsewhere(why) => Some(why),
            _ => kind.row().no_drill,
        };
        if let Some(why) = why {
            println!("not tried here: {}, because {why}", kind.row().name);
        }
    }
    let mut args = SHORT_LIMITS.to_vec();
    for setting in [
        // One of each: it takes the next job.
        "schwab.candle_fetchers=1",
        "schwab.quote_fetchers=1",
        "trader.fetchers=1",
        "trader.fresh_watchlist=1s",
        "trader.fresh_feed=1s",
        "model.fetchers=1",
        // The console has a line to write each second.
        "watchdog.heartbeat_every=1s",
        // Nobody behind it.
        "model.url=http://127.0.0.1:9",
    ] {
        args.extend(["--set", setting]);
    }
    let server = Server::start(&args);
    server.eventually("/api/candles/TOYO", |got| got.status == 200);
    server.eventually("/api/vwap/TOYO", |got| got.status == 200);
    gate(&server);
    all_is_well(&server);
    for (round, seconds) in [(short as Drilled, SHORT_S), (long, LONG_S)] {
        // On a busy machine the drills may end before there is a report of them.
        let tried = [seconds, 2 * seconds, 4 * seconds]
            .into_iter()
            .find_map(|seconds| {
                let seen = round(&server, seconds);
                all_is_well(&server);
                seen
            });
        assert_eq!(tried, Some(()), "no report of a drill of {} s", 4 * seconds);
    }
}

#[test]
fn a_drill_of_the_token_reader_is_named_too() {
    const TOKEN: &str = "a-token-of-these-tests-0123456789";
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("clients-token");
    std::fs::write(&file, TOKEN).unwrap();
    let server = Server::start_by(home, |command| {
        command.args(["--set", &format!("http.token_file={}", file.display())]);
        command.stderr(Stdio::null());
    });
    let bearer = format!("Bearer {TOKEN}");
    let shown = [("Authorization", bearer.as_str())];
    let path = "/api/drill?stall=token-reader&how=mutex&for=20s";
    assert_eq!(server.ask_with("POST", path, &shown).status, 200);
    let report = eventually("a report of the token reader", || {
        let text = server.ask_with("GET", "/api/threads/dump", &shown).text();
        std::thread::sleep(Duration::from_millis(200));
        (!verdicts(&text).is_empty()).then_some(text)
    });
    check(&report, &[ThreadKind::TokenReader]);
}
