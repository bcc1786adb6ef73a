//! HTTP/1.1 as it is written down (RFC 9110, RFC 9112), on the wire: bytes and the statuses that they get.
//!
//! The rows of `tests/http11/rows.txt` are each sent on a connection of their own, with a plain `GET` of the
//! stream's status and `Connection: close` behind them. All statuses are compared: so a request that was
//! hidden in another's body or head is seen (its path is `/smuggled`, a 404), and also a connection that goes
//! on where it must not, or ends where it must go on.
//!
//! The cases of h1spec, the payloads of the HTTP Garden's list of trophies and the cases of Http11Probe are
//! there, in other words and with this server's names and paths, but for those that do not apply:
//!
//! - h1spec and Http11Probe want bodies echoed and `POST /` answered 2xx; no route here echoes, and the page
//!   takes no `POST`: 405 is the answer to a sound one, and what follows it shows where its body ended.
//! - h1spec and the Garden ask `example.com` or `a`, which are none of this server's names (421).
//! - Http11Probe wants 400 for a method of 100,000 letters; it is an unknown one (501, RFC 9112, section 3).
//!   It wants 2xx or 400 for a target at another host; that is another server's (421, RFC 9110, 7.4).
//! - The Garden's trophies about what a proxy sends on, HTTP/2 behind a proxy and memory errors: nothing goes
//!   on from here but what was written anew. Their payloads are rows as requests.
//! - Http11Probe's cases of caches, cookies, dates and media types: the last three mean nothing in a request
//!   here, caches are tried in `tests/it/polls.rs` and below.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::kit::{Fault, PATIENCE, Server, Upstreams, eventually};
use serde_json::json;

/// What comes behind every row.
const NEXT: &str =
    "GET /api/streaming/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What rows have in short.
const SHORT: [(&str, &str); 5] = [
    ("{P}", "POST /api/health HTTP/1.1\r\nHost: localhost\r\n"),
    ("{G}", "GET /api/health HTTP/1.1\r\nHost: localhost\r\n"),
    ("{T}", "Transfer-Encoding: chunked\r\n"),
    ("{S}", "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    (
        "{W}",
        "/api/ws/quotes HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    ),
];

/// What is sent, and the statuses of all answers, interim ones left out.
type Row = (Vec<u8>, Vec<u16>);

fn rows() -> Vec<Row> {
    let lines = include_str!("../http11/rows.txt").lines();
    let lines = lines.filter(|l| !l.is_empty() && !l.starts_with('#'));
    let written = lines.map(|line| {
        let (want, text) = line.split_once(" | ").unwrap();
        (unescaped(text), want.to_owned())
    });
    let lines = |lines: &str, n: usize| format!("{{G}}{}\r\n", lines.repeat(n));
    let line = |name: &str, value: String| format!("{{G}}{name}: {value}\r\n\r\n");
    let target = |path: String| format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let chunk = format!("1000\r\n{}\r\n", "b".repeat(4_096));
    let long = [
        (target("a".repeat(7_900)), "404 200"),
        (target("a".repeat(8_100)), "414"),
        (target("a".repeat(100_000)), "414"),
        ("A".repeat(100_000) + " / HTTP/1.1\r\n\r\n", "501"),
        (line("X-Big", "b".repeat(100_000)), "431"),
        (line(&"B".repeat(100_000), "b".into()), "431"),
        (line("Cookie", "c".repeat(16_000)), "200 200"),
        (line("Cookie", "c".repeat(65_536)), "431"),
        (lines("X-H: value\r\n", 99), "200 200"),
        (lines("X-H: value\r\n", 100), "431"),
        (lines("X-H: value\r\n", 10_000), "431"),
        (format!("{{P}}{{T}}\r\n5;e={}", "a".repeat(65_536)), "400"),
        (
            format!("{{P}}{{T}}\r\n0\r\n{}", "X: y\r\n".repeat(3_000)),
            "431",
        ),
        (
            format!("{{P}}Content-Length: 0200\r\n\r\n{}", "b".repeat(200)),
            "405 200",
        ),
        (
            format!("{{P}}Content-Length: 65536\r\n\r\n{}", "b".repeat(65_536)),
            "405 200",
        ),
        (
            format!("{{P}}{{T}}\r\n{}0\r\n\r\n", chunk.repeat(16)),
            "405 200",
        ),
        (
            format!("{{P}}{{T}}\r\n{}1\r\nb\r\n0\r\n\r\n", chunk.repeat(16)),
            "413",
        ),
    ];
    let long = long.map(|(text, want)| (text, want.to_owned()));
    let all = written.chain(long);
    all.map(|(text, want)| {
        let want = want.split(' ').filter(|w| *w != "-");
        (bytes(&text), want.map(|w| w.parse().unwrap()).collect())
    })
    .collect()
}

/// Each character is a byte.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next().unwrap() {
                'r' => '\r',
                'n' => '\n',
                't' => '\t',
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    char::from(u8::from_str_radix(&digits, 16).unwrap())
                }
                other => other,
            },
            other => other,
        });
    }
    out
}

fn bytes(row: &str) -> Vec<u8> {
    let mut text = row.to_owned();
    for (short, long) in SHORT {
        text = text.replace(short, long);
    }
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let text = text.replace("{LEN}", &body.chars().count().to_string());
    let byte = |c| u8::try_from(u32::from(c)).unwrap();
    text.chars().map(byte).collect()
}

/// Sends these pieces, and gives the statuses of all answers until the server closes. It may close before it
/// has taken all.
fn statuses(server: &Server, pieces: &[&[u8]], is_all: bool) -> Vec<u16> {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _taken = pieces.iter().try_for_each(|p| stream.write_all(p));
    if is_all {
        let _closed = stream.shutdown(Shutdown::Write);
    }
    let mut all = Vec::new();
    let _reset = stream.read_to_end(&mut all);
    told(&all)
}

/// The statuses of these answers, interim ones left out. What follows another protocol's is not read.
fn told(mut all: &[u8]) -> Vec<u16> {
    let mut told = Vec::new();
    while let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        all = &all[end + 4..];
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        told.push(status);
        if status == 101 {
            break;
        }
        let length = |l: &str| l.strip_prefix("Content-Length: ")?.parse::<usize>().ok();
        // The answer to a HEAD tells the length of a body that does not come.
        if !all.is_empty() && !all.starts_with(b"HTTP/1.1 ") {
            all = &all[head.lines().find_map(length).unwrap()..];
        }
    }
    told.retain(|status| *status == 101 || *status >= 200);
    told
}

/// Sends every row in pieces of the size that `cut` says.
fn try_all(server: &Server, mut cut: impl FnMut(&[u8]) -> usize) {
    let rows = rows();
    assert!(rows.len() > 300, "{}", rows.len());
    let mut wrong = Vec::new();
    for (row, want) in rows {
        let all = [row.as_slice(), NEXT.as_bytes()].concat();
        let pieces: Vec<&[u8]> = all.chunks(cut(&all)).collect();
        let got = statuses(server, &pieces, want.is_empty());
        if got != want {
            let text = String::from_utf8_lossy(&row[..row.len().min(200)]).into_owned();
            wrong.push(format!("{text:?} gave {got:?}, not {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_gets_its_statuses_and_hides_no_request() {
    try_all(&Server::start(&[]), <[u8]>::len);
}

#[test]
fn in_pieces_and_with_every_upstream_hung_they_are_the_same() {
    let up = Upstreams::start();
    up.fault(&Fault::Hang);
    let server = up.server(&[]);
    let mut n = 0;
    try_all(&server, |all| {
        n += 1;
        1 + n % 7 + all.len() / 200
    });
}

/// h1spec's fragments, and every other.
#[test]
fn a_request_may_come_in_two_parts_cut_anywhere() {
    let server = Server::start(&[]);
    for cut in 1..NEXT.len() {
        let (first, second) = NEXT.as_bytes().split_at(cut);
        assert_eq!(statuses(&server, &[first, second], false), [200], "{cut}");
    }
}

/// A connection that is spoken on in turns.
struct Talk(TcpStream);

impl Talk {
    fn with(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(&bytes(text)).unwrap();
    }

    /// The next answer's head and body.
    fn hear(&mut self) -> (String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = |l: &str| l.strip_prefix("Content-Length: ")?.parse().ok();
        let mut body = vec![0; head.lines().find_map(length).unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8_lossy(&body).into_owned())
    }
}

#[test]
fn the_routes_that_take_a_body_take_it_in_chunks() {
    let mut server = Server::start(&[]);
    server.eventually("/api/watchlist", |got| got.json() != json!([]));
    let mut talk = Talk::with(&server);
    let mut verdict = |body: &str| {
        talk.say(&format!(
            "POST /api/validate/NOPE HTTP/1.1\r\nHost: localhost\r\n{body}"
        ));
        talk.hear()
    };
    let (by_length, detail) = verdict("Content-Length: 2\r\n\r\n{}");
    assert!(by_length.starts_with("HTTP/1.1 400 "), "{by_length}");
    assert!(
        detail.contains("NOPE"),
        "the route itself says so: {detail}"
    );
    for chunked in [
        "{T}\r\n2\r\n{}\r\n0\r\n\r\n",
        "{T}\r\n1;a=b\r\n{\r\n01\r\n}\r\n0\r\nX-Sum: 1\r\n\r\n",
        "{T}\r\n0\r\n\r\n",
    ] {
        assert_eq!(verdict(chunked).1, detail, "{chunked}");
    }
    talk.say("POST /api/shutdown HTTP/1.1\r\nHost: localhost\r\n{T}\r\n2\r\n{}\r\n0\r\n\r\n");
    assert_eq!(talk.hear().1, r#"{"status":"shutting_down"}"#);
    assert_eq!(server.exit_code(), 0);
}

#[test]
fn who_waits_to_be_told_that_its_body_is_wanted_is_told_once() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    for (framing, body) in [
        ("Content-Length: 2\r\n", "{}"),
        ("{T}", "2\r\n{}\r\n0\r\n\r\n"),
    ] {
        talk.say(&format!("{{P}}{framing}Expect: 100-continue\r\n\r\n"));
        assert_eq!(talk.hear().0, "HTTP/1.1 100 Continue\r\n\r\n");
        talk.say(body);
        assert!(talk.hear().0.starts_with("HTTP/1.1 405 "));
    }
    // No body, nothing to wait for.
    talk.say("{G}Expect: 100-continue\r\n\r\n");
    assert!(talk.hear().0.starts_with("HTTP/1.1 200 "));
    talk.say(
        "POST /api/health HTTP/1.0\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    );
    assert!(
        talk.hear().0.starts_with("HTTP/1.1 405 "),
        "HTTP/1.0 has none"
    );
}

/// Answers that somebody has at hand, and one that a worker makes.
const READ: [&str; 4] = ["/api/health", "/api/trade-history", "/", "/api/stalls"];

#[test]
fn each_client_gets_a_form_that_it_takes() {
    let server = Server::start(&[]);
    server.eventually("/api/trade-history", |got| got.body.len() > 2_000);
    for (field, status, gzip) in [
        ("gzip, deflate, br, zstd", 200, None),
        ("gzip;q=0", 200, Some(false)),
        ("gzip;q=0.1, identity", 200, Some(false)),
        ("gzip, identity;q=0", 200, Some(true)),
        ("*;q=0, gzip", 200, Some(true)),
        ("identity, *;q=0", 200, Some(false)),
        ("", 200, Some(false)),
        ("identity;q=0", 406, Some(false)),
        ("*;q=0", 406, Some(false)),
        ("br, *;q=0", 406, Some(false)),
    ] {
        for path in READ {
            let got = server.ask_with("GET", path, &[("Accept-Encoding", field)]);
            let packed = got.header("Content-Encoding") == Some("gzip");
            assert_eq!(got.status, status, "{path} {field}");
            assert!(gzip.is_none_or(|g| g == packed), "{path} {field}");
            assert_eq!(
                got.body.starts_with(&[0x1f, 0x8b]),
                packed,
                "{path} {field}"
            );
        }
    }
}

#[test]
fn what_a_client_has_is_a_list_of_tags_on_any_number_of_lines() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let path = "/api/trade-history";
    let known = eventually("the history", || {
        let got = server.get(path);
        (got.status == 200).then_some(got)
    });
    let tag = known.header("ETag").unwrap().to_owned();
    let weak = format!("W/{tag}");
    let (bare, upper) = (tag.replace('"', ""), tag.replacen('"', "\"+", 1));
    for (lines, status) in [
        (vec![tag.as_str()], 304),
        (vec!["\"a\"", &tag], 304),
        (vec![&weak, "\"b\""], 304),
        (vec!["\"a,b\"", "W/\"c\"", &weak], 304),
        (vec!["\"\u{e9}\"", &tag], 304),
        (vec!["*"], 304),
        (vec![&bare], 200),
        (vec![&upper], 200),
        (vec!["\"a\"", "W/\"b\""], 200),
    ] {
        let lines: Vec<_> = lines.iter().map(|l| ("If-None-Match", *l)).collect();
        let got = server.ask_with("GET", path, &lines);
        assert_eq!(got.status, status, "{lines:?}");
    }
    // Who writes an answer anew is not lost to a byte beyond ASCII.
    for header in [
        "If-None-Match",
        "Accept-Encoding",
        "Access-Control-Request-Headers",
    ] {
        for path in READ {
            let got = server.ask_with("GET", path, &[(header, "\"\u{e9}\"")]);
            assert_eq!(got.status, 200, "{path} {header}");
        }
    }
}
