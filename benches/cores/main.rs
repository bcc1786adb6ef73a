//! The pure cores by themselves: `cargo bench --bench cores`, or `-- hub` for those with that in their
//! names. Short runs; a figure is good to a few per cent on a quiet machine. Those in the modules' docs are
//! of November 2026, on two shared cores of an AMD EPYC.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark waits and prints as it likes"
)]

use std::hint::black_box;
use std::io::{Read, Seek, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use flate2::{Compress, Compression, FlushCompress};
use serde_json::json;
use tapewarden::cache::{AskId, Cache, CacheConfig, QueueConfig};
use tapewarden::diag::watchdog::ledger::Ledger;
use tapewarden::edge::{access::Cors, routes::call};
use tapewarden::edge::{
    access::{Guard, Token},
    request::{Parsed, parse_head},
};
use tapewarden::json;
use tapewarden::market::{Candle, Quote, Symbol, Timeframe};
use tapewarden::resilience::Backoff;
use tapewarden::runtime::{Beat, Class, Doing, Life, OnStall, ThreadId, ThreadKind};
use tapewarden::stream::frame::{numbered_ping, text_frame};
use tapewarden::stream::{CandleBuilder, Encode, Hub, Merge, Outbox, SessionId, Wanted};
use tapewarden::upstream::schwab::candles::{MarketData, MarketKey, Series};
use tapewarden::upstream::schwab::parse;
use tapewarden::upstream::trader_app::files::Lines;
use tapewarden::upstream::trader_app::socketio;

/// A quote as the trader app sends it.
const UPDATE: &str = r#"42["quote_update",{"symbol":"S00","last_price":2.51,"bid_price":2.5,"ask_price":2.52,"total_volume":120000,"last_size":100,"high_price":3.1,"low_price":1.9,"open_price":2.1,"net_change":0.41,"quote_time_ms":1770000000000,"trade_time_ms":1770000000000}]"#;

const SYMBOLS: usize = 100;

const FRAMES: Encode = Encode {
    text: text_frame,
    ping: numbered_ping,
};

fn symbol(n: usize) -> Symbol {
    format!("S{:02}", n % SYMBOLS).parse().expect("a symbol")
}

fn wanted() -> Wanted {
    Arc::new((0..SYMBOLS).map(symbol).collect())
}

fn quotes() -> Vec<Quote> {
    let update: serde_json::Value = serde_json::from_str(&UPDATE[2..]).expect("JSON");
    let mut fields = update[1].as_object().expect("an object").clone();
    fields.remove("symbol");
    (0..SYMBOLS)
        .map(|n| Quote {
            symbol: symbol(n),
            fields: fields.clone(),
        })
        .collect()
}

fn candles(count: i64) -> Vec<Candle> {
    (0..count)
        .map(|n| Candle {
            at_ms: 1_770_000_000_000 + n * 60_000,
            open: 2.0 + 0.01 * (n % 63) as f64,
            high: 2.1,
            low: 1.955,
            close: 2.02,
            volume: 1_000 + (n * 37 % 9_000).unsigned_abs(),
        })
        .collect()
}

fn cache(c: &mut Criterion) {
    let queue = QueueConfig {
        name: "candles",
        fetcher: ThreadKind::CandleFetch,
        fetchers: 6,
        pending_max: 128,
        fresh_for: Duration::from_secs(3_600),
        unread_for: Duration::ZERO,
        nodata_hold: Duration::from_secs(15),
        failure_hold: Duration::from_secs(2),
        stale_max: None,
        stale_patience: Duration::from_secs(1),
        deadline: Duration::from_secs(10),
        together_max: 1,
        gather_for: Duration::ZERO,
        attempts_max: 3,
        backoff: Backoff {
            min: Duration::from_millis(250),
            max: Duration::from_secs(4),
        },
    };
    let config = CacheConfig {
        upstream: "the provider",
        tag: "CANDLES",
        queues: vec![queue.clone(), queue],
        entries_max: 512,
        idle_max: Duration::from_secs(900),
        waiters_max: 256,
        patient_max: 0,
        breaker: None,
        per_minute: None,
        seed: 1,
    };
    let now = Instant::now();
    let deadline = now + Duration::from_secs(9);
    let mut cache: Cache<MarketKey, MarketData, u64> = Cache::new(config);
    let mut out = Vec::new();
    for n in 0..SYMBOLS {
        let key = MarketKey::Candles(symbol(n), Timeframe::M1);
        cache.ask(now, AskId(1), &key, deadline, 1, &mut out);
        let series = Series::new(Timeframe::M1, candles(390), 1_770_000_000_000);
        let flight = n as u64 + 1;
        cache.fetched(
            now,
            &key,
            flight,
            Ok(MarketData::Series(Box::new(series))),
            &mut out,
        );
    }
    let key = MarketKey::Candles(symbol(7), Timeframe::M1);
    c.bench_function("cache: a fresh value of 100 series", |b| {
        b.iter(|| {
            out.clear();
            cache.ask(now, AskId(2), black_box(&key), deadline, 2, &mut out);
            assert_eq!(out.len(), 1);
        });
    });
}

/// What compression of messages (RFC 7692) would save of quotes that differ as they do in a session, and cost:
/// each message by itself, so that one frame serves all clients, and each client with its own history.
fn deflate(c: &mut Criterion) {
    let quotes: Vec<String> = (0..1_000_i64)
        .map(|n| {
            json!({
                "type": "quote", "symbol": symbol(n as usize * 7).as_str(),
                "last_price": (25_100 + n * 37 % 900) as f64 / 1e4, "bid_price": (25_000 + n * 37 % 900) as f64 / 1e4,
                "ask_price": (25_200 + n * 41 % 900) as f64 / 1e4, "total_volume": 120_000 + n * 317,
                "last_size": 1 + n * 13 % 900, "high_price": 3.1, "low_price": 1.9, "open_price": 2.1,
                "net_change": (4_100 + n * 37 % 900) as f64 / 1e4, "quote_time_ms": 1_770_000_000_000 + n * 13,
                "trade_time_ms": 1_770_000_000_000 + n * 13
            })
            .to_string()
        })
        .collect();
    let plain: usize = quotes.iter().map(String::len).sum();
    let mut out = Vec::with_capacity(64 * 1024);
    for (name, level, alone) in [
        ("by itself, level 1", 1, true),
        ("by itself, level 6", 6, true),
        ("with a history for each client, level 1", 1, false),
        ("with a history for each client, level 6", 6, false),
    ] {
        let mut compress = Compress::new(Compression::new(level), false);
        let mut one = |text: &str| {
            if alone {
                compress.reset();
            }
            out.clear();
            let taken = compress.compress_vec(text.as_bytes(), &mut out, FlushCompress::Sync);
            taken.expect("there is room");
            // The four bytes of an empty block are left out on the wire.
            out.len() - 4
        };
        let packed: usize = quotes.iter().map(|q| one(q)).sum();
        println!(
            "deflate: a quote {name}: {} of {} bytes",
            packed / 1_000,
            plain / 1_000
        );
        let mut n = 0;
        c.bench_function(&format!("deflate: a quote {name}"), |b| {
            b.iter(|| {
                n += 1;
                black_box(one(&quotes[n % quotes.len()]))
            });
        });
    }
}

fn hub(c: &mut Criterion) {
    let quotes = quotes();
    for (name, ready) in [("that keep up", true), ("that are behind", false)] {
        let mut hub = Hub::new(FRAMES, 30_000, 1_000);
        for n in 0..100 {
            hub.join(Instant::now(), SessionId(n));
            hub.ready(SessionId(n));
            hub.want(SessionId(n), wanted());
        }
        // What a session gets at its beginning.
        drop(hub.batches(Instant::now()));
        if ready {
            for n in 0..100 {
                hub.ready(SessionId(n));
            }
        }
        let mut group = c.benchmark_group("hub");
        group.throughput(Throughput::Elements(100 * SYMBOLS as u64));
        group.bench_function(format!("100 quotes to 100 clients {name}"), |b| {
            b.iter(|| {
                for quote in &quotes {
                    hub.quote(black_box(quote));
                }
                if ready {
                    for (id, frames) in hub.batches(Instant::now()) {
                        black_box(frames);
                        hub.ready(id);
                    }
                }
            });
        });
    }
}

fn outbox(c: &mut Criterion) {
    let symbols: Vec<Symbol> = (0..SYMBOLS).map(symbol).collect();
    c.bench_function("outbox: 1,000 items of 100 symbols, then out", |b| {
        b.iter_batched(
            Outbox::default,
            |mut outbox| {
                for n in 0..1_000 {
                    outbox.push(symbols[n % SYMBOLS].clone(), n);
                }
                assert_eq!(std::iter::from_fn(|| outbox.pop()).count(), SYMBOLS);
            },
            BatchSize::SmallInput,
        );
    });
}

fn heads(c: &mut Criterion) {
    let head = b"GET /api/candles/TOYO?timeframe=1m HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.5\r\nOrigin: http://localhost:3000\r\nReferer: http://localhost:3000/\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\nIf-None-Match: \"0123456789abcdef\"\r\nConnection: keep-alive\r\n\r\n";
    c.bench_function("head: a browser's", |b| {
        b.iter(|| {
            assert!(matches!(
                parse_head(black_box(head), 16_384, 65_536),
                Parsed::Whole(..)
            ))
        });
    });
    let Parsed::Whole(admitted, _) = parse_head(head, 8_192, 65_536) else {
        panic!("a whole head");
    };
    let here = Ipv4Addr::LOCALHOST.into();
    let guard = Guard::new(
        here,
        &[],
        Token::fixed(None),
        Cors::new(&["localhost".to_owned()], false),
    );
    c.bench_function("guard: a browser's head", |b| {
        b.iter(|| assert!(guard.admit(black_box(&admitted), here).is_ok()));
    });
    c.bench_function("router: candles", |b| {
        b.iter(|| call("GET", black_box("/api/candles/TOYO"), "timeframe=5m").is_ok());
    });
    c.bench_function("symbol: BRK/B", |b| {
        b.iter(|| black_box("brk/b").parse::<Symbol>().is_ok());
    });
}

fn stream(c: &mut Criterion) {
    let now = Instant::now();
    let mut session = socketio::Session::new(now);
    session.text(
        now,
        r#"0{"sid":"t","pingInterval":25000,"pingTimeout":20000}"#,
    );
    session.text(now, r#"40{"sid":"t"}"#);
    c.bench_function("socket.io: a quote_update", |b| {
        b.iter(|| assert!(session.text(now, black_box(UPDATE)).event.is_some()));
    });
    let update: serde_json::Value = serde_json::from_str(&UPDATE[2..]).expect("JSON");
    let (whole, part) = (
        update[1].clone(),
        json!({"symbol": "S00", "last_price": 2.52, "total_volume": 120_100}),
    );
    let mut merge = Merge::default();
    merge.keep(&wanted());
    assert_eq!(merge.update(whole.clone()).len(), 1);
    c.bench_function("merge: a whole quote", |b| {
        b.iter_batched(|| whole.clone(), |v| merge.update(v), BatchSize::SmallInput);
    });
    c.bench_function("merge: two changed fields", |b| {
        b.iter_batched(|| part.clone(), |v| merge.update(v), BatchSize::SmallInput);
    });
    let quote = &quotes()[0];
    c.bench_function("quote: its frame", |b| {
        b.iter(|| text_frame(&black_box(quote).to_frame_json()));
    });
    let mut build = CandleBuilder::default();
    build.keep(&wanted());
    c.bench_function("candles: a quote into its minute", |b| {
        b.iter(|| build.quote(black_box(quote), 1_770_000_000_000));
    });
}

fn bodies(c: &mut Criterion) {
    for count in [390, 960] {
        c.bench_function(&format!("series: {count} candles finished anew"), |b| {
            b.iter_batched(
                || candles(count),
                |list| Series::new(Timeframe::M1, list, 1_770_000_000_000).finish(),
                BatchSize::SmallInput,
            );
        });
    }
    let symbol = "X".parse().unwrap();
    let list: Vec<_> = candles(960)
        .iter()
        .map(|c| json!({"open": c.open, "high": c.high, "low": c.low, "close": c.close, "volume": c.volume, "datetime": c.at_ms}))
        .collect();
    let body = json!({"symbol": "S00", "empty": false, "candles": list}).to_string();
    let mut group = c.benchmark_group("provider");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("960 candles parsed", |b| {
        b.iter(|| {
            parse::candles(black_box(body.as_bytes()), &symbol)
                .map(|(c, _)| c.map_or(0, |c| c.len()))
        });
    });
    group.finish();
    let line = |n: usize| {
        let entry = 2.0 + (n % 300) as f64 / 100.0;
        format!(
            r#"{{"trade_id":"T{n:06}","symbol":"S{:02}","side":"long","entry_price":{entry},"exit_price":{:.2},"shares":{},"pnl":{:.1},"reason":"target","closed_at":{}}}"#,
            n % SYMBOLS,
            entry + 0.07,
            100 + n % 900,
            (n % 71) as f64 - 30.5,
            1_770_000_000 + n
        ) + "\n"
    };
    let text: String = (0..10_000).map(line).collect();
    let mut group = c.benchmark_group("history");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("10,000 lines read and finished", |b| {
        b.iter(|| {
            let mut lines = Lines::default();
            lines.feed(black_box(text.as_bytes()));
            lines.trades()
        });
    });
    group.finish();
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(text.repeat(10).as_bytes())
        .expect("room for it");
    let mut chunk = vec![0; 256 * 1024];
    c.bench_function(
        "history: a file of 100,000 lines looked through for a change",
        |b| {
            b.iter(|| {
                let mut checksum = flate2::Crc::new();
                file.rewind().expect("a file");
                while let Ok(n @ 1..) = file.read(&mut chunk) {
                    checksum.update(&chunk[..n]);
                }
                checksum.sum()
            });
        },
    );
    let mut grown = Lines::default();
    grown.feed(text.as_bytes());
    drop(grown.trades());
    let one = line(10_000);
    c.bench_function("history: a line more to 10,000 and on", |b| {
        b.iter(|| {
            grown.feed(black_box(one.as_bytes()));
            grown.trades()
        });
    });
}

/// What the tolerant reader costs a sound document, beside serde_json alone, and what one costs that is mended.
fn json_reader(c: &mut Criterion) {
    let entry = |n: usize| {
        json!({"symbol": symbol(n).as_str(), "price": 2.51, "gap_percent": 40.5, "volume_ratio": 12.25, "float": 4_300_000,
            "llm_analysis": {"catalyst_type": "earnings", "sentiment": "positive", "recommendation": "watch \"closely\""}})
    };
    let sound = serde_json::Value::from((0..100).map(entry).collect::<Vec<_>>()).to_string();
    let odd = sound.replacen("40.5", "NaN", 1);
    let mut group = c.benchmark_group("json");
    group.throughput(Throughput::Bytes(sound.len() as u64));
    type List = Vec<serde_json::Value>;
    group.bench_function("100 entries by serde_json alone", |b| {
        b.iter(|| serde_json::from_slice::<List>(black_box(sound.as_bytes())).map(|v| v.len()));
    });
    group.bench_function("100 entries read", |b| {
        b.iter(|| json::read::<List>(black_box(sound.as_bytes())).map(|(v, _)| v.len()));
    });
    group.bench_function("100 entries with a NaN read", |b| {
        b.iter(|| json::read::<List>(black_box(odd.as_bytes())).map(|(v, _)| v.len()));
    });
    group.bench_function("100 entries looked at by serde_json alone", |b| {
        b.iter(|| {
            serde_json::from_slice::<&serde_json::value::RawValue>(black_box(sound.as_bytes()))
                .map(|v| v.get().len())
        });
    });
    group.bench_function("100 entries passed on", |b| {
        b.iter(|| json::pass(black_box(sound.as_bytes())).map(|p| p.json.len()));
    });
    group.bench_function("100 entries with a NaN passed on", |b| {
        b.iter(|| json::pass(black_box(odd.as_bytes())).map(|p| p.json.len()));
    });
    group.finish();
}

fn ledger(c: &mut Criterion) {
    let class = Class {
        name: "cache",
        busy_max: Duration::from_secs(2),
        idle_max: None,
        on_stall: OnStall::Report,
        restarts_max: 0,
    };
    let now = Instant::now();
    let mut ledger = Ledger::default();
    for n in 0..200 {
        let (id, name) = (ThreadId(n), ThreadKind::Conn.turn(n));
        ledger.born(Life { id, name, class }, now);
    }
    c.bench_function("ledger: a beat among 200 threads", |b| {
        b.iter(|| {
            let doing = Doing::Busy("GET /api/candles".into());
            ledger.beat(
                black_box(ThreadId(77)),
                Beat {
                    at: now,
                    doing,
                    request: None,
                },
            );
        });
    });
    c.bench_function("ledger: a look at 200 threads", |b| {
        b.iter(|| ledger.look(black_box(now), Duration::from_millis(250)));
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .without_plots()
        .configure_from_args();
    cache(&mut criterion);
    deflate(&mut criterion);
    hub(&mut criterion);
    outbox(&mut criterion);
    heads(&mut criterion);
    stream(&mut criterion);
    bodies(&mut criterion);
    json_reader(&mut criterion);
    ledger(&mut criterion);
    criterion.final_summary();
}
