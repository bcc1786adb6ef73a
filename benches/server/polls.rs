//! Polls of cached answers, side by side.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::load::{self, Answer, Point, Poll, ask};
use super::options::Options;
use super::peers;
use super::process::Process;
use super::upstream::{World, trades};

/// How the body is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Plain,
    Gzip,
    NotModified,
}

/// Who answers.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Product,
    Peer,
    /// A peer that makes each body anew.
    Serializing,
    Fixed,
}

struct Server {
    name: String,
    kind: Kind,
    process: Process,
}

impl Server {
    fn new(name: &str, kind: Kind, process: Process) -> Self {
        let name = name.to_owned();
        Self {
            name,
            kind,
            process,
        }
    }
}

struct Case {
    name: &'static str,
    file: &'static str,
    /// The product's own path.
    path: &'static str,
    form: Form,
    /// The history file must have so many lines.
    lines: usize,
    /// The peers have it too.
    shared: bool,
}

const fn case(
    name: &'static str,
    file: &'static str,
    path: &'static str,
    form: Form,
    lines: usize,
) -> Case {
    Case {
        name,
        file,
        path,
        form,
        lines,
        shared: true,
    }
}

const HEALTH: &str = "/api/health";
const C390: &str = "/api/candles/C390?timeframe=1m";
const C960: &str = "/api/candles/C960?timeframe=1m";
const TRADES: &str = "/api/trade-history";

const CASES: [Case; 14] = [
    case("health", "health.json", HEALTH, Form::Plain, 1_000),
    case("390 candles", "c390.json", C390, Form::Plain, 1_000),
    case("390 candles, gzip", "c390.json", C390, Form::Gzip, 1_000),
    case(
        "390 candles, 304",
        "c390.json",
        C390,
        Form::NotModified,
        1_000,
    ),
    case("960 candles", "c960.json", C960, Form::Plain, 1_000),
    case("960 candles, gzip", "c960.json", C960, Form::Gzip, 1_000),
    case(
        "960 candles, 304",
        "c960.json",
        C960,
        Form::NotModified,
        1_000,
    ),
    case("1,000 trades", "t1000.json", TRADES, Form::Plain, 1_000),
    case(
        "1,000 trades, gzip",
        "t1000.json",
        TRADES,
        Form::Gzip,
        1_000,
    ),
    case(
        "1,000 trades, 304",
        "t1000.json",
        TRADES,
        Form::NotModified,
        1_000,
    ),
    case(
        "100,000 trades",
        "t100000.json",
        TRADES,
        Form::Plain,
        100_000,
    ),
    case(
        "100,000 trades, gzip",
        "t100000.json",
        TRADES,
        Form::Gzip,
        100_000,
    ),
    case(
        "100,000 trades, 304",
        "t100000.json",
        TRADES,
        Form::NotModified,
        100_000,
    ),
    Case {
        name: "100,000 trades, the last 100",
        file: "",
        path: "/api/trade-history?limit=100",
        form: Form::Plain,
        lines: 100_000,
        shared: false,
    },
];

/// How long a server may take to have a new file's answer.
const PATIENCE: Duration = Duration::from_secs(30);

fn run_case(
    servers: &[Server],
    case: &Case,
    connections: usize,
    options: &Options,
) -> Vec<Option<Point>> {
    let polls: Vec<Option<Poll>> = servers.iter().map(|s| checked(s, case)).collect();
    let each = servers.iter().map(|s| &s.process).zip(polls);
    load::side_by_side(each, connections, options)
}

/// The poll of a case at a server, tried once; none where the server has no such form.
fn checked(server: &Server, case: &Case) -> Option<Poll> {
    let path = match (server.kind, case.form) {
        (Kind::Product, _) => case.path.to_owned(),
        _ if !case.shared => return None,
        // A body takes it a tenth of a second and more: what one point leaves behind would still be at
        // work in the next.
        (Kind::Serializing, _) if case.lines > 1_000 => return None,
        (Kind::Fixed, Form::Gzip) => format!("/{}.gz", case.file),
        (Kind::Fixed, Form::NotModified) => "/none".to_owned(),
        _ => format!("/{}", case.file),
    };
    let mut poll = Poll::get(path);
    if server.kind == Kind::Fixed {
        if case.form == Form::NotModified {
            poll.status = 304;
        }
        return Some(poll);
    }
    if case.form != Form::Plain {
        poll = poll.with("Accept-Encoding", "gzip");
    }
    let got = first(server, &poll);
    assert_eq!(got.status, 200, "{poll:?} {}", got.head);
    got.header("Content-Length")?;
    match case.form {
        Form::Plain => assert!(got.header("Content-Encoding").is_none()),
        Form::Gzip if got.header("Content-Encoding") != Some("gzip") => return None,
        Form::Gzip => {}
        Form::NotModified => {
            poll = poll.with("If-None-Match", got.header("ETag")?);
            poll.status = 304;
            let again = first(server, &poll);
            if again.status != 304 {
                return None;
            }
        }
    }
    Some(poll)
}

fn first(server: &Server, poll: &Poll) -> Answer {
    ask(&server.process.address, poll)
        .unwrap_or_else(|e| panic!("{} did not answer {poll:?}: {e}", server.name))
}

/// Asks until the answer is of this many bytes.
fn until_length(server: &Server, path: &str, bytes: usize) {
    let by = Instant::now() + PATIENCE;
    loop {
        let got = first(server, &Poll::get(path));
        if got.body.len() == bytes {
            return;
        }
        assert!(
            Instant::now() < by,
            "{}: {path} stays at {} bytes instead of {bytes}",
            server.name,
            got.body.len()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn array(lines: usize) -> Vec<u8> {
    format!("[{}]", trades(lines).join(",")).into_bytes()
}

/// The product's answers as files, for the peers.
fn take_bodies(product: &Server, www: &Path) {
    for (path, file, candles) in [
        (HEALTH, "health.json", 0),
        (C390, "c390.json", 390),
        (C960, "c960.json", 960),
    ] {
        let got = first(product, &Poll::get(path));
        assert_eq!(
            got.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&got.body)
        );
        if candles > 0 {
            let list: Vec<serde_json::Value> = serde_json::from_slice(&got.body).expect("candles");
            assert_eq!(list.len(), candles, "{path}");
        }
        fs::write(www.join(file), got.body).expect("a body");
    }
    for (file, lines) in [("t1000.json", 1_000), ("t100000.json", 100_000)] {
        fs::write(www.join(file), array(lines)).expect("a body");
    }
}

fn compressed_files(axum: &Server, www: &Path) {
    for file in ["c390.json", "c960.json", "t1000.json", "t100000.json"] {
        let poll = Poll::get(format!("/{file}")).with("Accept-Encoding", "gzip");
        let got = first(axum, &poll);
        assert_eq!(got.header("Content-Encoding"), Some("gzip"));
        fs::write(www.join(format!("{file}.gz")), got.body).expect("a body");
    }
}

/// Starts the peers, axum with pre-built bodies first, with what the first product answers as their files.
fn start_peers(servers: &mut Vec<Server>, www: &Path, scratch: &Path) {
    let program = peers::build();
    take_bodies(&servers[0], www);
    let prebuilt = peers::axum(&program, "prebuilt", www);
    let prebuilt = Server::new("axum, pre-built", Kind::Peer, prebuilt);
    compressed_files(&prebuilt, www);
    servers.push(prebuilt);
    let serializing = peers::axum(&program, "serializing", www);
    servers.push(Server::new(
        "axum, serializing",
        Kind::Serializing,
        serializing,
    ));
    if let Some(nginx) = peers::nginx(www, scratch) {
        servers.push(Server::new("nginx", Kind::Peer, nginx));
    }
    servers.push(Server::new("fixed", Kind::Fixed, peers::fixed(www)));
}

/// Measures and prints.
fn run_all(options: &Options, world: &World, scratch: &Path) {
    let www = scratch.join("www");
    fs::create_dir_all(&www).expect("a folder");
    let mut servers: Vec<Server> = options
        .products
        .iter()
        .map(|(name, program)| Server::new(name, Kind::Product, world.product(program, &[])))
        .collect();
    if !options.alone {
        start_peers(&mut servers, &www, scratch);
    }
    let rate_of = |kind, points: &[Option<Point>]| {
        let at = servers.iter().position(|s| s.kind == kind)?;
        points[at].map(|p| p.rate)
    };

    println!(
        "Polls: answers/s · p50 / p99 in µs · server CPU in µs for each. The last columns are the first server's"
    );
    println!(
        "rate against axum's with pre-built bodies, the client's CPU in µs for each answer of it, and the client's"
    );
    println!("ceiling: its rate against a responder that does nothing but send.\n");
    let names: Vec<&str> = servers
        .iter()
        .map(|s| &*s.name)
        .filter(|n| *n != "fixed")
        .collect();
    println!(
        "| what | connections | {} | × axum | client µs | ceiling/s |",
        names.join(" | ")
    );
    println!("|---|---|{}---|---|---|", "---|".repeat(names.len()));
    let connections = match options.connections {
        Some(number) => vec![number],
        None if options.quick => vec![8],
        None => vec![1, 8, 64],
    };
    let mut lines = 1_000;
    for case in CASES.iter().filter(|c| options.has_case(c.name)) {
        if case.lines != lines {
            lines = case.lines;
            world.write_history(lines);
        }
        if case.path == TRADES {
            for product in servers.iter().filter(|s| s.kind == Kind::Product) {
                until_length(product, case.path, array(lines).len());
            }
        }
        for connections in &connections {
            let points = run_case(&servers, case, *connections, options);
            let cells: Vec<String> = servers
                .iter()
                .zip(&points)
                .filter(|(s, _)| s.kind != Kind::Fixed)
                .map(|(_, p)| p.map_or("–".to_owned(), |p| p.to_string()))
                .collect();
            let product = points[0].as_ref();
            let ratio = product
                .zip(rate_of(Kind::Peer, &points))
                .map_or("–".to_owned(), |(p, axum)| {
                    format!("{:.2}", p.rate / axum)
                });
            let client = product.map_or("–".to_owned(), |p| format!("{:.1}", p.client_us));
            let ceiling =
                rate_of(Kind::Fixed, &points).map_or("–".to_owned(), |rate| format!("{rate:.0}"));
            println!(
                "| {} | {connections} | {} | {ratio} | {client} | {ceiling} |",
                case.name,
                cells.join(" | ")
            );
        }
    }
    println!();
}

/// The section.
pub fn run(options: &Options) {
    let world = World::start();
    let scratch = tempfile::tempdir().expect("a folder");
    run_all(options, &world, scratch.path());
}
