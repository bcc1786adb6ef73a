//! What REDbot (PyPI `redbot`) says of every route's answers: nothing bad and no warning, but for
//! [`EXCUSED`]. `tests/redbot/install.sh` installs it; without `TAPEWARDEN_REDBOT=1` the test only says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kit::routes::of_the_api;
use crate::kit::server::dies_with_the_test;
use crate::kit::{Fault, NOBODY_THERE, Server, Upstreams, eventually, skip};
use serde_json::{Value, json};
use tapewarden::edge::answer::page::ASSETS;

/// A note that is right of REDbot and right of the server.
struct Excused {
    /// Method and path of the requests.
    asked: &'static [(&'static str, &'static str)],
    note: &'static str,
    reason: &'static str,
}

/// Each of these is found, and nothing else.
const EXCUSED: &[Excused] = &[Excused {
    asked: &[
        ("GET", BAD_TIMEFRAME),
        ("HEAD", BAD_TIMEFRAME),
        ("POST", "/api/drill"),
    ],
    note: "STATUS_BAD_REQUEST",
    reason: "a warning of every 400: these are asked for on purpose, and the contract answers so",
}];

const BAD_TIMEFRAME: &str = "/api/candles/TOYO?timeframe=2m";

/// A page that may read answers.
const PAGE: (&str, &str) = ("Origin", "http://localhost:3000");

/// A page that may not.
const FOREIGN_PAGE: (&str, &str) = ("Origin", "https://evil.example");

/// Method, path and headers.
type Asked<'a> = (&'static str, &'a str, &'a [(&'a str, &'a str)]);

/// REDbot's view of all answers.
#[derive(Default)]
struct Findings {
    /// By method and path: how many notes of each level.
    counts: BTreeMap<String, BTreeMap<String, usize>>,
    /// Bad notes and warnings by method, path and name: of which of REDbot's requests, and their words.
    serious: BTreeMap<(String, String, String), String>,
    /// Statuses of the requests as they were asked.
    statuses: BTreeMap<(String, String), BTreeSet<u64>>,
    /// Statuses that probes and the pages' files got.
    others: BTreeSet<(String, u64)>,
}

impl Findings {
    fn take(&mut self, line: &str) {
        let told: Value = serde_json::from_str(line).unwrap();
        let word = |key: &str| told[key].as_str().unwrap().to_owned();
        let (method, path, of) = (word("method"), word("path"), word("of"));
        let status = told["status"].as_u64().unwrap_or(0);
        if of == "default" {
            let statuses = self.statuses.entry((method.clone(), path.clone()));
            statuses.or_default().insert(status);
        } else {
            self.others.insert((of.clone(), status));
        }
        let counts = self.counts.entry(format!("{method} {path}")).or_default();
        for note in told["notes"].as_array().unwrap() {
            let level = note["level"].as_str().unwrap();
            *counts.entry(level.to_owned()).or_default() += 1;
            if matches!(level, "bad" | "warning") {
                let name = note["note"].as_str().unwrap().to_owned();
                let key = (method.clone(), path.clone(), name);
                self.serious
                    .insert(key, format!("{level}, {of}: {}", note["says"]));
            }
        }
    }

    /// REDbot's, of the answers to these requests.
    fn of<'a>(server: &Server, requests: impl IntoIterator<Item = Asked<'a>>) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut python = Command::new(root.join("target/redbot/venv/bin/python"));
        dies_with_the_test(&mut python);
        let mut judge = python
            .arg(root.join("tests/redbot/judge.py"))
            .arg(format!("http://{}", server.address))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = judge.stdin.take().unwrap();
        for (method, path, headers) in requests {
            let request = json!({"method": method, "path": path, "headers": headers});
            writeln!(stdin, "{request}").unwrap();
        }
        drop(stdin);
        let out = judge.wait_with_output().unwrap();
        assert!(out.status.success(), "REDbot ended early");
        let mut found = Self::default();
        let told = String::from_utf8(out.stdout).unwrap();
        told.lines().for_each(|line| found.take(line));
        found
    }

    /// The statuses that a request got.
    fn status(&self, method: &str, path: &str) -> Vec<u64> {
        let key = (method.to_owned(), path.to_owned());
        let statuses = self.statuses.get(&key).into_iter().flatten();
        statuses.copied().collect()
    }
}

/// As a program, as a page of another origin, by its head, and what a browser asks before.
fn in_every_way(path: &str) -> [Asked<'_>; 4] {
    const METHOD: (&str, &str) = ("Access-Control-Request-Method", "GET");
    [
        ("GET", path, &[]),
        ("GET", path, &[PAGE]),
        ("HEAD", path, &[]),
        ("OPTIONS", path, &[PAGE, METHOD]),
    ]
}

/// The routes that read.
fn routes<'a>() -> impl Iterator<Item = &'a str> {
    let reads = of_the_api().filter(|(method, _)| *method == "GET");
    reads.map(|(_, path)| path)
}

/// All routes of the embedded market that read, a report included, and the pages with their files.
fn all_is_well() -> Findings {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    server.signal("QUIT");
    let report = eventually("a report in the list", || {
        let list = server.get("/api/stalls").json();
        Some(format!("/api/stalls/{}", list[0]["name"].as_str()?))
    });
    let forms = [
        format!("{report}?format=text"),
        format!("{report}?format=folded"),
        report.clone(),
        "/api/threads/dump?format=json".into(),
        "/api/threads/dump?format=folded".into(),
        "/api/candles/TOYO?timeframe=D".into(),
        "/api/trade-history?limit=5".into(),
    ];
    let paths: Vec<&str> = routes()
        .chain(ASSETS.iter().map(|asset| asset.path))
        .chain(forms.iter().map(String::as_str))
        .collect();
    for path in &paths {
        // What waits for a file or the first quotes has them.
        server.eventually(path, |got| got.status != 503);
    }
    let found = Findings::of(&server, paths.iter().flat_map(|path| in_every_way(path)));
    let is_no_report = |path: &str| path.starts_with("/api/stalls/") && !path.starts_with(&report);
    for path in paths {
        let want = match path {
            // No such report, no such symbol, no upgrade.
            "/api/candles/NEW1?timeframe=5m" => 404,
            path if is_no_report(path) => 404,
            "/api/ws/quotes" => 426,
            _ => 200,
        };
        for (method, want) in [("GET", want), ("HEAD", want), ("OPTIONS", 204)] {
            assert_eq!(found.status(method, path), [want], "{method} {path}");
        }
    }
    for probed in [("conneg", 200), ("etag_validate", 304), ("linked", 200)] {
        let (of, status) = probed;
        let others = &found.others;
        assert!(others.contains(&(of.into(), status)), "{of} in {others:?}");
    }
    found
}

/// Stale data, of upstreams that were there before.
fn data_are_stale() -> Findings {
    let up = Upstreams::start();
    let server = up.server(&[
        "schwab.fresh_candles=1ms",
        "schwab.stale_patience=500ms",
        "trader.fresh_watchlist=1ms",
    ]);
    let paths = ["/api/candles/TOYO", "/api/watchlist"];
    for path in paths {
        server.eventually(path, |got| got.status == 200);
    }
    up.fault(&Fault::Drop);
    for path in paths {
        server.eventually(path, |got| got.header("x-data-stale").is_some());
    }
    let found = Findings::of(&server, paths.iter().flat_map(|path| in_every_way(path)));
    for path in paths {
        assert_eq!(found.status("GET", path), [200], "{path}");
        let still = server.get(path);
        assert!(still.header("x-data-stale").is_some(), "{}", still.head);
    }
    found
}

/// Errors, of upstreams that are not there, and refusals.
fn answers_are_errors() -> Findings {
    let server = Server::start(&NOBODY_THERE);
    let refused: [Asked<'_>; 7] = [
        ("GET", "/api/shutdown", &[]),
        ("HEAD", "/api/shutdown", &[]),
        ("DELETE", "/api/health", &[]),
        ("OPTIONS", "/api/health", &[]),
        ("GET", "/api/health", &[FOREIGN_PAGE]),
        ("POST", "/api/validate/TOYO", &[PAGE]),
        ("POST", "/api/drill", &[]),
    ];
    let requests = routes()
        .chain([BAD_TIMEFRAME, "/nothing"])
        .flat_map(in_every_way)
        .chain(refused);
    let found = Findings::of(&server, requests);
    for (path, want) in [
        ("/api/candles/TOYO", 503),
        ("/api/quote/TOYO", 503),
        ("/api/watchlist", 503),
        (BAD_TIMEFRAME, 400),
        ("/nothing", 404),
        ("/api/shutdown", 405),
        ("/api/health", 403),
    ] {
        let got = found.status("GET", path);
        assert!(got.contains(&want), "{path}: {got:?}");
    }
    found
}

/// Who has no token.
fn clients_are_strangers() -> Findings {
    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("clients-token");
    std::fs::write(&secret, "a-token-of-these-tests-0123456789\n").unwrap();
    let setting = format!("http.token_file={}", secret.display());
    let server = Server::start(&["--set", &setting]);
    let found = Findings::of(&server, in_every_way("/api/health"));
    assert_eq!(found.status("GET", "/api/health"), [401]);
    found
}

#[test]
fn redbot_finds_nothing_bad_and_warns_of_nothing() {
    if std::env::var_os("TAPEWARDEN_REDBOT").is_none() {
        skip("run tests/redbot/install.sh and set TAPEWARDEN_REDBOT=1");
        return;
    }
    let mut serious = BTreeMap::new();
    for found in [
        all_is_well(),
        data_are_stale(),
        answers_are_errors(),
        clients_are_strangers(),
    ] {
        for (of, counts) in &found.counts {
            println!("{of}: {counts:?}");
        }
        serious.extend(found.serious);
    }
    for excused in EXCUSED {
        for (method, path) in excused.asked {
            let key = (
                (*method).to_owned(),
                (*path).to_owned(),
                excused.note.to_owned(),
            );
            let hit = serious.remove(&key).is_some();
            assert!(hit, "{key:?} is excused ({}) and not found", excused.reason);
        }
    }
    assert!(serious.is_empty(), "{serious:#?}");
}
