//! Every parser that meets bytes from outside, fed with what nobody should send: good examples broken in
//! random ways. None may panic, take long, or keep much. `FUZZ_CASES` sets how many cases there are in
//! all, `FUZZ_SEED` which.

mod broken;

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::broken::{Dice, broken};

use crate::config;
use crate::edge::access::{Cors, Guard, Token};
use crate::edge::request::{Framing, Intake, Secret, head, path, query_value};
use crate::edge::routes::call;
use crate::edge::ws::session::Session;
use crate::json;
use crate::market::Symbol;
use crate::payload::Accepts;
use crate::stream::merge::Merge;
use crate::upstream::ollama::verdict;
use crate::upstream::schwab::{parse, quotes, token_form};
use crate::upstream::trader_app::files::{history::Lines, read::RunnersFile};
use crate::upstream::trader_app::socketio;
use crate::upstream::trader_app::{answers, watchlist_entry};

/// Cases without a wish: a share of the million that a release is tried with.
const CASES: usize = 60_000;

/// Of processor time, which other work on the machine does not add to. For hangs only: the longest input
/// takes milliseconds.
const CASE_MAX: Duration = Duration::from_secs(2);

/// Calls a parser with these bytes, and checks what can be said of any outcome.
type Run = Box<dyn Fn(&[u8])>;

/// A parser's name, examples that it takes, and how it is called.
struct Target {
    name: &'static str,
    examples: &'static [&'static str],
    run: Run,
}

fn target(
    name: &'static str,
    examples: &'static [&'static str],
    run: impl Fn(&[u8]) + 'static,
) -> Target {
    Target {
        name,
        examples,
        run: Box::new(run),
    }
}

fn toyo() -> Symbol {
    "TOYO".parse().expect("a symbol")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn targets(folder: PathBuf) -> Vec<Target> {
    let token = Secret::token("a-token-that-no-example-has").expect("a token");
    let guard = Guard::new(
        Ipv4Addr::LOCALHOST.into(),
        &[],
        Token::fixed(Some(token)),
        Cors::new(&[], true),
    );
    vec![
        target(
            "HTTP heads",
            &[
                "GET /api/candles/BRK%2FB?timeframe=5m HTTP/1.1\r\nHost: localhost:8081\r\nOrigin: http://localhost:3000\r\nAccept-Encoding: gzip\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                "POST /api/validate/TOYO HTTP/1.0\r\nContent-Length: 12\r\nAuthorization: Basic OnRva2Vu\r\nExpect: 100-continue\r\n\r\n{\"a\":\"body\"}",
            ],
            move |bytes| {
                if let head::Parsed::Whole(head, length) = head::parse(bytes, 16_384, 65_536) {
                    assert!(length <= bytes.len());
                    assert!(
                        guard.admit(&head, Ipv4Addr::LOCALHOST.into()).is_err(),
                        "nobody has the token: {head:?}"
                    );
                }
            },
        ),
        target(
            "chunked bodies",
            &[
                "5\r\nhello\r\n6;a=b;c=\"d\\\"\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\n",
                "00a\r\n0123456789\r\nFFFF\r\n",
            ],
            |bytes| {
                let [mut at_once, mut slowly] =
                    [(); 2].map(|()| Intake::new(Framing::Chunked, 65_536));
                let mut received = bytes.to_vec();
                let whole = at_once.take(&mut received);
                let mut piecewise = Vec::new();
                let mut last = Ok(false);
                for byte in bytes {
                    piecewise.push(*byte);
                    last = match last {
                        Ok(false) => slowly.take(&mut piecewise),
                        other => other,
                    };
                }
                assert_eq!(whole, last, "by how it came");
                if last == Ok(true) {
                    assert_eq!(received, piecewise, "what is left for the next request");
                }
                assert!(at_once.into_body().len() <= bytes.len());
            },
        ),
        target(
            "paths and queries",
            &[
                "GET /api/candles/BRK%2FB?timeframe=5m&x=%41+b",
                "POST /api/drill?stall=candle-cache&how=mutex&for=20s",
                "GET /api/trade-history?limit=10&since=5",
                "OPTIONS /api/threads/dump?format=json",
            ],
            |bytes| {
                let all = text(bytes);
                let (method, target) = all.split_once(' ').unwrap_or(("GET", &all));
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let _ = call(method, path, query);
                let _ = (path::segments(path), query_value(query, "timeframe"));
                let _ = Accepts::read(target);
            },
        ),
        target(
            "WebSocket messages",
            &[
                r#"{"action":"subscribe","symbols":["TOYO","brk/b",7,null]}"#,
                r#"{"action":"unsubscribe","symbols":["TOYO"]}"#,
            ],
            |bytes| {
                let mut session = Session::new(100);
                let message = text(bytes);
                for _ in 0..2 {
                    let _ = session.hear(&message);
                }
            },
        ),
        target(
            "Socket.IO",
            &[
                r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
                r#"40{"sid":"y"}"#,
                r#"42["quote_update",{"symbol":"TOYO","last_price":2.5,"total_volume":100}]"#,
                r#"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
                "42/ns,13[\"x\"]",
                "2",
            ],
            |bytes| {
                let now = Instant::now();
                let mut session = socketio::Session::new(now);
                let mut merge = Merge::default();
                merge.keep(&std::sync::Arc::new([toyo()].into()));
                for message in ["0{}", "40{\"sid\":\"a\"}", &text(bytes)] {
                    let output = session.text(now, message);
                    let _ = session.binary(now);
                    if let Some(socketio::Event::Emitted { args, .. }) = output.event {
                        args.into_iter().for_each(|arg| drop(merge.update(arg)));
                    }
                }
                let _ = session.dead_at();
            },
        ),
        target(
            "quote updates",
            &[
                r#"{"symbol":"TOYO","last_price":2.5,"bid_price":null}"#,
                r#"{"quotes":[{"symbol":"TOYO","n":1},{"symbol":7}]}"#,
            ],
            |bytes| {
                let mut merge = Merge::default();
                merge.keep(&std::sync::Arc::new([toyo()].into()));
                if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
                    for quote in merge.update(value) {
                        let frame = quote.to_frame_json();
                        assert!(serde_json::from_str::<Value>(&frame).is_ok(), "{frame}");
                    }
                }
            },
        ),
        target(
            "Schwab's candles",
            &[
                r#"{"symbol":"X","empty":false,"candles":[{"open":1.5,"high":2,"low":1,"close":1.7,"volume":100,"datetime":1700000000000},{"open":0,"high":0,"low":0,"close":0,"volume":0,"datetime":1700000060000}]}"#,
                r#"{"empty":true,"candles":[]}"#,
            ],
            |bytes| {
                if let Ok((Some(candles), _)) = parse::candles(bytes, &"X".parse().unwrap()) {
                    assert!(candles.len() <= bytes.len());
                }
            },
        ),
        target(
            "Schwab's quotes and errors",
            &[
                r#"{"TOYO":{"quote":{"lastPrice":2.5,"totalVolume":100},"reference":{}}}"#,
                r#"{"errors":{"invalidSymbols":["TOYO"]}}"#,
                r#"{"/ESZ26":{"quote":{"lastPrice":2.5},"reference":{"product":"/ES","futureActiveSymbol":"/ESZ26"}}}"#,
                r#"{"errors":[{"id":"x","status":"404","title":"no","detail":"nothing"}]}"#,
                r#"{"fault":{"faultstring":"x"}}"#,
            ],
            |bytes| {
                for symbols in [&[toyo()][..], &[toyo(), "/ES".parse().unwrap()]] {
                    if let Ok((said, _)) = quotes::quotes(bytes, symbols) {
                        assert_eq!(said.len(), symbols.len());
                    }
                }
                assert!(parse::detail(bytes).len() < 4_096);
            },
        ),
        target(
            "token files",
            &[
                r#"{"creation_timestamp":1,"token":{"access_token":"abc","refresh_token":"r","expires_in":1800,"expires_at":2}}"#,
                r#"{"access_token_issued":"2036-11-27T20:00:00.5","token_dictionary":{"access_token":"abc","expires_in":1800}}"#,
                r#"{"access":"abc","access_expires_in":"2036-11-27 20:00:00+00:00"}"#,
            ],
            |bytes| {
                if let Ok(held) = token_form::read(bytes) {
                    assert!(!held.token.bearer().contains(['\r', '\n']));
                }
            },
        ),
        target(
            "JSON of others",
            &[
                "\u{feff}{\"a\":NaN,\"b\":[-Infinity,1e400,123456789012345678901234567890],\"c\":\"\\ud83d x \\ud83d\\ude00\",\"d\":\"C:\\x\"}\0\0",
                "{'signal': 'it\\'s', a: 1,234.50, /* x */ \"b\": [1,],} // y",
                "{\0\"\0a\0\"\0:\0[\x001\0,\x002\0]\0}\0\r\0\n\0",
            ],
            |bytes| {
                for rules in [json::Rules::Programs, json::Rules::Models] {
                    let _ = json::read_by::<Value>(rules, bytes);
                    let _ = json::mend(&json::text(bytes).0, rules);
                }
                if let Ok(passed) = json::pass(bytes) {
                    let again = json::pass(&passed.json).expect("sound by now");
                    assert!(again.mended.is_none(), "{again:?}");
                    assert!(serde_json::from_slice::<Value>(&passed.json).is_ok());
                }
            },
        ),
        target(
            "the trader app's answers",
            &[
                r#"[{"symbol":"TOYO","gap_percent":40.5},"ELPW"]"#,
                r#"{"symbol":"TOYO","vwap":2.4,"source":"x"}"#,
            ],
            |bytes| {
                let _ = watchlist_entry(bytes, &toyo());
                let _ = answers::stale_vwap(bytes);
            },
        ),
        target(
            "the model's verdicts",
            &[
                "Sure! ```json\n{\"signal\":\"buy\",\"entry_price\":2.5,\"stop_price\":2.3,\"target_price\":3.1,\"confidence\":70,\"reasoning\":[\"a\"],\"key_concern\":\"b\"}\n``` done",
                r#"{"signal":"wait","confidence":"80%","reasoning":"text"}"#,
                "<think>{x}</think>[{'TOYO': {'signal': 'BUY', entry_price: 1,234.50, 'stop_price': '$1,2', 'target_price': 9e3, 'confidence': '0.85',}}]",
            ],
            |bytes| {
                if let Ok(found) = verdict::parse(&text(bytes), &toyo(), 0) {
                    assert!(found["signal"] != "buy" || found["confidence"].as_f64() > Some(0.0));
                    let answer = verdict::answer(found, false);
                    assert!(serde_json::from_slice::<Value>(&answer).is_ok());
                }
            },
        ),
        target(
            "trade histories",
            &[
                "{\"n\":1}\nnot json\n\n{\"n\":2}\r\n[1]\n{\"half\":",
                "[\n  {\n    \"n\": {\"m\": NaN}\n  },\n{\"n\":2}{\"n\":3},\n]\n",
                "{\"n\":1}\n{\0\"\0n\0\"\0:\x002\0}\0\r\0\n\0{\"n\":3}",
            ],
            |bytes| {
                let mut lines = Lines::default();
                let cut = bytes.len() / 3;
                lines.feed(&bytes[..cut]);
                lines.feed(&bytes[cut..]);
                lines.feed(b"\n");
                let array = lines.trades().body;
                assert!(serde_json::from_slice::<Vec<Value>>(array.plain()).is_ok());
            },
        ),
        {
            let path = folder.join("runners.json");
            target(
                "runners",
                &[
                    r#"{"version":1,"last_updated":"x","active_runners":[{"symbol":"TOYO"}],"statistics":{}}"#,
                ],
                move |bytes| {
                    std::fs::write(&path, bytes).expect("a temporary file");
                    let mut file = RunnersFile::new(path.clone());
                    let _ = file.look();
                    if let Some(good) = file.good {
                        assert!(serde_json::from_slice::<Value>(good.body.plain()).is_ok());
                    }
                },
            )
        },
        target(
            "settings",
            &[
                "listen = \"127.0.0.1:8081\"\n[gate]\nkeep_alive = \"7s\"\nhead_bytes_max = \"8 kB\"\n[http]\norigins = [\"localhost\"]\n[trader]\nurl = \"http://127.0.0.1:8080\"\n",
            ],
            |bytes| {
                let nothing = std::iter::empty::<(OsString, OsString)>();
                let _ = config::parse(std::iter::empty(), nothing, |_| Ok(bytes.to_vec()));
                let all = text(bytes);
                let env = all.lines().filter_map(|l| l.split_once(" = "));
                let env: Vec<(OsString, OsString)> = env
                    .map(|(k, v)| (config::env_name(k).into(), v.into()))
                    .collect();
                let none = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
                let _ = config::parse(std::iter::empty(), env, none);
                let words = all.split_whitespace().map(OsString::from);
                let _ = config::parse(words, std::iter::empty::<(OsString, OsString)>(), none);
            },
        ),
    ]
}

/// The processor time of this thread.
fn busy_so_far() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// Of this process, in kB.
fn memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    field
        .and_then(|v| v.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn wish(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |v| v.parse().expect("a whole number"))
}

/// Set in the process that tries the parsers.
const ALONE: &str = "FUZZ_ALONE";

/// In a process of its own: its memory is that of the parsers, not of the tests beside it.
#[test]
fn nothing_from_outside_makes_a_parser_panic_or_hang_or_swell() {
    if std::env::var_os(ALONE).is_some() {
        return fuzz();
    }
    let name = "fuzz_tests::nothing_from_outside_makes_a_parser_panic_or_hang_or_swell";
    let status = std::process::Command::new(std::env::current_exe().expect("this binary"))
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .status()
        .expect("a process");
    assert!(status.success(), "{status}: see above");
}

fn fuzz() {
    let cases = usize::try_from(wish("FUZZ_CASES", CASES as u64)).expect("that many");
    let seed = wish(
        "FUZZ_SEED",
        crate::runtime::clock::system_ms().unsigned_abs(),
    )
    .max(1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let targets = targets(folder.path().to_owned());
    let mut dice = Dice(seed);
    let before_kb = memory_kb();
    let mut slowest = (Duration::ZERO, "");
    for case in 0..cases {
        let target = &targets[case % targets.len()];
        let example = target.examples[dice.below(target.examples.len())];
        let input = broken(example.as_bytes(), target.examples, &mut dice);
        let began = busy_so_far();
        let result = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        let took = busy_so_far().saturating_sub(began);
        assert!(
            result.is_ok() && took < CASE_MAX,
            "{} after {took:?}, FUZZ_SEED={seed}, case {case}: {:?}",
            target.name,
            String::from_utf8_lossy(&input)
        );
        if took > slowest.0 {
            slowest = (took, target.name);
        }
    }
    let grown_kb = memory_kb().saturating_sub(before_kb);
    println!(
        "{cases} cases over {} parsers (FUZZ_SEED={seed}), the slowest {:?} ({}), memory grew by {grown_kb} kB",
        targets.len(),
        slowest.0,
        slowest.1
    );
    assert!(grown_kb < 100_000, "{grown_kb} kB");
}
