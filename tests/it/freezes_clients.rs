//! Clients that misbehave, many of them, at once: it costs them alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::client::{Quotes, try_say};
use crate::kit::faults::{flood, many_files, wrap};
use crate::kit::routes::{CLIENTS_GIVE_UP, Part, VERDICT_WITHIN};
use crate::kit::town::{LIVELY, Town, Trial, p};
use crate::kit::{self, Fault, Server, Upstreams, eventually, get};

#[test]
fn floods_of_idle_half_sent_and_wrong_requests_cost_their_senders_alone() {
    many_files();
    let mut town = Town::start(&[]);
    town.trial(
        Trial::harmless("2,000 idle and half-sent connections", 6),
        |town| {
            let held = flood(&town.server.address, 2_000, |n| match n % 4 {
                0 => Vec::new(),
                1 => b"GET /api/hea".to_vec(),
                2 => b"POST /api/validate/TOYO HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nslow".to_vec(),
                _ => b"\x16\x03\x01 this is no HTTP\r\n\r\n".to_vec(),
            });
            println!("    {} were taken", held.len());
            thread::sleep(Duration::from_secs(4));
        },
        |_| {},
    );
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut pipeliners = Vec::new();
    town.trial(
        Trial::harmless("pipelining, slow bodies and bad request lines", 6),
        |town| {
            for n in 0..20 {
                let (address, over) = (town.server.address.clone(), over.clone());
                pipeliners.push(thread::spawn(move || {
                    let bad: [&[u8]; 5] = [
                        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        b"GET  /api/health  HTTP/9.9\r\n\r\n",
                        b"\r\n\r\n\0\0\0\0",
                        b"POST /api/validate/TOYO HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\nx",
                        b"GET /%zz/%00 HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                    ];
                    while !over.load(std::sync::atomic::Ordering::SeqCst) {
                        let Ok(mut stream) = TcpStream::connect(&address) else { continue };
                        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
                        let _stuck = stream.write_all(&bad[n % 5].repeat(20));
                        thread::sleep(Duration::from_millis(200));
                    }
                }));
            }
        },
        |_| over.store(true, std::sync::atomic::Ordering::SeqCst),
    );
    for pipeliner in pipeliners {
        pipeliner.join().unwrap();
    }
    town.empties();
}

#[test]
fn streaming_clients_that_misbehave_cost_themselves_alone() {
    let mut town = Town::start(&[
        "ws.write_deadline=2s",
        "ws.ping_every=1s",
        "ws.silence_max=3s",
    ]);
    let mut bad: Vec<Quotes> = Vec::new();
    town.trial(
        Trial::harmless(
            "streams that never read, never pong, talk garbage, send 16 MB, want 10,000 symbols",
            8,
        ),
        |town| {
            let address = town.server.address.clone();
            for n in 0..40 {
                let mut quotes = Quotes::connect(&address);
                match n % 5 {
                    // Reads nothing, and so answers no ping either.
                    0 => quotes.subscribe(&kit::bystanders::STREAMED),
                    1 => quotes.say("nonsense"),
                    2 => {
                        let _closed = quotes
                            .raw()
                            .write_all(&[0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4]);
                        let _closed = quotes.raw().write_all(&[0x55; 100_000]);
                    }
                    3 => {
                        let many: Vec<String> = (0..10_000).map(|s| format!("M{n}X{s}")).collect();
                        for some in many.chunks(2_000) {
                            quotes.subscribe(&some.iter().map(String::as_str).collect::<Vec<_>>());
                        }
                    }
                    _ => {
                        let _closed = quotes.raw().write_all(&[0xff; 64]);
                    }
                }
                bad.push(quotes);
            }
        },
        |_| {},
    );
    eventually("all of them are closed", || {
        (town.server.get("/api/streaming/status").json()["clients"] == 10).then_some(())
    });
    // Who reads nothing has no room for it; all others are told why, in a close frame (RFC 6455, 5.5.1).
    let silent = "nothing was heard from you for too long";
    let whys = [
        silent,
        "message too long",
        silent,
        "not the WebSocket protocol",
    ];
    for (quotes, why) in bad.iter_mut().skip(1).zip(whys) {
        let mut said = Vec::new();
        let _reset = quotes.raw().read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        assert!(said.ends_with(why), "not {why:?} but {said:?}");
    }
    drop(bad);
    assert!(town.up.trader.stream.subscribed().len() <= 2_010);
    eventually("what they wanted is unsubscribed", || {
        (town.up.trader.stream.subscribed().len() == 10).then_some(())
    });
    town.empties();
}

#[test]
fn a_burst_past_the_limit_of_open_files_is_refused_and_all_others_are_served() {
    many_files();
    let up = Upstreams::start();
    let mut args = up.args();
    for setting in LIVELY {
        args.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.args(&args);
        wrap(command, "sh", &["-c", "ulimit -n 600; exec \"$0\" \"$@\""]);
        command.stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::null());
    });
    let mut town = Town::around(up, server);
    town.trial(
        Trial::harmless("1,500 connections where 600 files may be open", 5),
        |town| {
            let burst = flood(&town.server.address, 1_500, |_| b"GET /api/hea".to_vec());
            thread::sleep(Duration::from_secs(3));
            println!("    {} were taken", burst.len());
        },
        |_| {},
    );
    town.empties();
}

/// Asks on a connection of its own, as the old frontends' windows do; the status and how long it took.
fn timed(address: &str, path: &str) -> (Result<u16, String>, Duration) {
    let began = Instant::now();
    let got = try_say(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    (got.map(|g| g.status), began.elapsed())
}

#[test]
fn two_hundred_symbols_clicked_through_in_ten_seconds_are_all_answered() {
    let mut town = Town::start(&[]);
    town.up
        .schwab
        .0
        .fault("/pricehistory", Fault::Slow(Duration::from_millis(150)));
    let address = town.server.address.clone();
    let mut nth = 0;
    town.trial(
        Trial::harmless("200 symbols in 10 s at a slow provider", 10).breaking(&[Part::Schwab]),
        |town| {
            nth += 1;
            let (tell, answers) = std::sync::mpsc::channel();
            let began = Instant::now();
            for n in 0..200 {
                let (address, tell) = (address.clone(), tell.clone());
                if n % 2 == 0 {
                    // Clicked on: the client leaves before its answer.
                    let mut left = TcpStream::connect(&address).unwrap();
                    write!(
                        left,
                        "GET /api/candles/L{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    )
                    .unwrap();
                    thread::spawn(move || {
                        thread::sleep(Duration::from_millis(40));
                        drop(left);
                    });
                }
                // Two windows show the same symbol.
                for _ in 0..2 {
                    let (address, tell) = (address.clone(), tell.clone());
                    thread::spawn(move || {
                        tell.send((n, timed(&address, &format!("/api/candles/C{nth}X{n}"))))
                    });
                }
                let due = began + Duration::from_millis(50) * (n + 1);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            drop(tell);
            let all: Vec<_> = answers.iter().collect();
            let mut took: Vec<Duration> = all.iter().map(|(_, (_, t))| *t).collect();
            took.sort();
            println!(
                "    400 answers: p50 {:?} p99 {:?} max {:?}",
                p(&took, 50),
                p(&took, 99),
                p(&took, 100)
            );
            assert_eq!(all.len(), 400);
            for (n, (status, took)) in &all {
                assert_eq!(*status, Ok(200), "C{n} after {took:?}");
                assert!(*took < CLIENTS_GIVE_UP, "C{n} after {took:?}");
                let calls = town
                    .up
                    .schwab
                    .0
                    .count(&format!("/pricehistory?symbol=C{nth}X{n}&"));
                assert_eq!(calls, 1, "one call for both who ask for C{n}");
            }
        },
        |town| town.up.schwab.0.heal(),
    );
    town.empties();
}

#[test]
fn five_hundred_identical_polls_at_once_are_one_call_and_all_are_answered() {
    many_files();
    let mut town = Town::start(&[]);
    town.up.schwab.0.fault(
        "/pricehistory?symbol=SAME",
        Fault::Slow(Duration::from_secs(1)),
    );
    let mut nth = 0;
    town.trial(
        Trial::harmless("500 identical polls at once", 4).breaking(&[Part::Schwab]),
        |town| {
            nth += 1;
            let address = Arc::new(town.server.address.clone());
            let polls: Vec<_> = (0..500)
                .map(|_| {
                    let address = address.clone();
                    thread::spawn(move || timed(&address, &format!("/api/candles/SAME{nth}")))
                })
                .collect();
            let answers: Vec<_> = polls.into_iter().map(|t| t.join().unwrap()).collect();
            let mut took: Vec<Duration> = answers.iter().map(|(_, t)| *t).collect();
            took.sort();
            let calls = town
                .up
                .schwab
                .0
                .count(&format!("/pricehistory?symbol=SAME{nth}&"));
            println!(
                "    500 answers: p50 {:?} max {:?}; {calls} calls",
                p(&took, 50),
                p(&took, 100)
            );
            for (status, took) in answers {
                assert!(matches!(status, Ok(200)), "{status:?} after {took:?}");
                assert!(took < CLIENTS_GIVE_UP);
            }
            assert!(calls <= 2, "{calls} calls for one series");
        },
        |town| town.up.schwab.0.heal(),
    );
    town.empties();
}

#[test]
fn load_beyond_the_limit_is_shed_with_the_newest_first_served() {
    let up = Upstreams::start();
    up.schwab
        .0
        .fault("/pricehistory", Fault::Slow(Duration::from_millis(400)));
    let server = up.server(&[
        "schwab.candle_fetchers=1",
        "schwab.pending_max=4",
        "schwab.requests_per_minute=100000",
    ]);
    let address = server.address.clone();
    let polls: Vec<_> = (0..20)
        .map(|n| {
            let address = address.clone();
            thread::sleep(Duration::from_millis(15));
            thread::spawn(move || (n, get(&address, &format!("/api/candles/Q{n}"))))
        })
        .collect();
    let mut served = Vec::new();
    let mut shed = Vec::new();
    for poll in polls {
        let (n, got) = poll.join().unwrap();
        match got.status {
            200 => served.push(n),
            503 => {
                assert!(got.header("Retry-After").is_some());
                assert!(got.detail().contains("try again in"), "{}", got.detail());
                shed.push(n);
            }
            other => panic!("Q{n}: {other} {}", got.text()),
        }
    }
    println!("served {served:?}, shed {shed:?}");
    assert!(
        served.contains(&19) && served.contains(&18),
        "the newest are served"
    );
    assert!(
        shed.len() >= 10,
        "the oldest of those that wait are shed: {shed:?}"
    );
    let newest_shed = shed.iter().max().unwrap();
    let middle = served.iter().filter(|n| **n < *newest_shed).count();
    assert!(
        middle <= 4,
        "an old one was served before a newer: {served:?}"
    );
}

#[test]
fn validations_that_take_all_their_threads_take_nobody_elses() {
    let mut town = Town::start(&["model.deadline=20s"]);
    let mut asking = Vec::new();
    town.trial(
        Trial::harmless("200 validations of a model that hangs", 12).breaking(&[Part::Model]),
        |town| {
            town.up.model.0.fault("/", Fault::Hang);
            for n in 0..200 {
                let address = town.server.address.clone();
                let symbol = if n % 2 == 0 { "TOYO" } else { "ELPW" };
                asking.push(thread::spawn(move || {
                    let request = format!("POST /api/validate/{symbol} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                    let began = Instant::now();
                    let got = try_say(&address, request.as_bytes()).unwrap();
                    assert!(matches!(got.status, 200 | 503), "{}", got.text());
                    assert!(began.elapsed() < VERDICT_WITHIN);
                }));
            }
        },
        |town| {
            town.up.model.0.heal();
            town.up.model.0.fake.close_connections();
        },
    );
    for asker in asking {
        asker.join().unwrap();
    }
    town.empties();
}

#[test]
fn two_thousand_symbols_one_after_another_are_kept_within_bounds() {
    let up = Upstreams::start();
    let server = up.server(LIVELY);
    let mut figures = Vec::new();
    for n in 0..2_000 {
        if n % 400 == 0 {
            figures.push(server.proc_status("VmRSS"));
        }
        assert_eq!(server.get(&format!("/api/candles/K{n}")).status, 200);
    }
    figures.push(server.proc_status("VmRSS"));
    println!("kB after each 400 symbols: {figures:?}");
    // 512 are kept; from then on it is flat.
    let (at_800, at_2000) = (figures[2], figures[5]);
    assert!(at_2000 < at_800 + at_800 / 4 + 10_000, "{figures:?}");
}
