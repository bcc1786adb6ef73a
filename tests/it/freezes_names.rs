//! Calls that hang before the first byte: name servers that are silent, connections that are never
//! taken, TLS that never ends, a pooled connection gone bad; and tokens that are missing, half written,
//! expired, replaced.

use std::cell::RefCell;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::kit::bystanders::Load;
use crate::kit::faults::{FullBacklog, Listener, NameServer, is_root};
use crate::kit::routes::{CLIENTS_GIVE_UP, Part};
use crate::kit::town::{LIVELY, Stream, Town, Trial};
use crate::kit::{Fault, Server, Upstreams, skip};

#[test]
fn name_servers_that_never_answer_cost_only_what_has_no_address_yet() {
    if !is_root() {
        skip("only root can be a name server");
        return;
    }
    let names = NameServer::start();
    let up = Upstreams::start();
    let named = |url: &str| url.replace("127.0.0.1", "upstream.test");
    let mut args = up.args();
    args.extend(["--schwab-url".into(), named(&up.schwab.0.fake.url())]);
    args.extend(["--trader-url".into(), named(&up.trader.http.fake.url())]);
    for setting in LIVELY {
        args.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    // It starts while nobody answers.
    names.be_silent(true);
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.args(&args);
        names.serve(command);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
    });
    let by_name = [
        "/api/candles/TOYO",
        "/api/quote/TOYO",
        "/api/watchlist",
        "/api/vwap/TOYO",
    ];
    std::thread::scope(|scope| {
        for path in by_name {
            let server = &server;
            scope.spawn(move || {
                let began = Instant::now();
                let status = server.get(path).status;
                let took = began.elapsed();
                println!("{path} without a name server: {status} after {took:?}");
                assert!(took < CLIENTS_GIVE_UP, "{path}");
                assert!(matches!(status, 200 | 502 | 503 | 504), "{path} {status}");
            });
        }
    });
    for path in ["/api/health", "/api/runners", "/api/trade-history"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let threads = server.proc_status("Threads");
    std::thread::sleep(Duration::from_secs(5));
    std::thread::scope(|scope| {
        for n in 0..20 {
            let server = &server;
            scope.spawn(move || server.get(&format!("/api/quote/S{n}")));
        }
    });
    let more = server.proc_status("Threads").saturating_sub(threads);
    println!("{more} threads more after 20 more calls");
    assert!(more < 24, "look-ups that hang pile up: {more} threads");
    names.be_silent(false);
    let back = Instant::now();
    for path in by_name {
        server.eventually(path, |got| {
            let vwap = got.json();
            got.status == 200 && vwap.get("vwap").is_none_or(|v| !v.is_null())
        });
    }
    server.eventually("/api/streaming/status", |got| {
        got.json()["connected"] == true
    });
    println!("back after {:?}", back.elapsed());
    assert!(
        back.elapsed() < Duration::from_secs(15),
        "{:?}",
        back.elapsed()
    );
    let mut town = Town::around(up, server);
    town.trial(
        Trial::harmless("the name servers fall silent", 8),
        |_| names.be_silent(true),
        |_| names.be_silent(false),
    );
    town.empties();
}

#[test]
fn connections_that_nobody_takes_are_given_up_in_time() {
    let mut town = Town::start(&[]);
    let full = RefCell::new(Vec::new());
    town.trial(
        Trial::harmless("the upstreams' queues of connections are full", 10)
            .breaking(&[Part::Schwab, Part::Trader])
            .with_stream(Stream::Lost)
            .saying("did not answer within"),
        |town| {
            for upstream in [&mut town.up.schwab.0, &mut town.up.trader.http] {
                upstream.fake.go_away();
                full.borrow_mut()
                    .push(FullBacklog::start_at(upstream.fake.address()));
            }
            town.up.trader.stream.drop_clients();
        },
        |town| {
            full.borrow_mut().clear();
            for upstream in [&mut town.up.schwab.0, &mut town.up.trader.http] {
                upstream.fake.come_back();
            }
        },
    );
    town.empties();
}

#[test]
fn tls_that_never_ends_is_given_up_in_time() {
    let (tls, up) = (Listener::endless_tls(), Upstreams::start());
    let mut args = up.args();
    args.extend(["--schwab-url".into(), format!("https://{}", tls.address)]);
    for setting in LIVELY {
        args.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let server = Server::start(&args);
    let load = Load {
        broken: &[Part::Schwab],
        ..Load::default()
    };
    let mut town = Town::with_load(up, server, load, true);
    let mut tls = Some(tls);
    town.trial(
        // Nobody has an older value: each is told at its own deadline.
        Trial::harmless("TLS is never answered, or goes on by a byte a second", 20)
            .breaking(&[Part::Schwab])
            .saying("did not answer within"),
        |_| {},
        |_| tls = None,
    );
    // No certificate of a test is trusted, so that it never gets well; but nobody hangs any more. Others
    // ask as well, and who asks while the breaker is open is told by 503 what they met.
    let began = Instant::now();
    town.server.eventually("/api/candles/AFTER", |got| {
        matches!(got.status, 502 | 503) && got.detail().contains("nothing listens")
    });
    println!("    told of the refusal after {:?}", began.elapsed());
    assert!(began.elapsed() < CLIENTS_GIVE_UP);
    town.empties();
}

#[test]
fn a_pooled_connection_gone_bad_costs_nobody_an_answer() {
    let mut town = Town::start(&[]);
    town.trial(
        Trial::harmless("pooled connections are closed between two calls", 4),
        |town| {
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(200));
                town.up.schwab.0.fake.close_connections();
            }
        },
        |_| {},
    );
    town.empties();
}

#[test]
fn token_files_in_every_state_are_told_and_recovered_from() {
    let mut town = Town::start(&[]);
    let file = town.up.file("token.json");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    for (name, fault) in [
        ("the token file is missing", None),
        (
            "the token file is half written",
            Some(r#"{"creation_timestamp": 1, "token": {"access_tok"#),
        ),
        ("the token file is empty", Some("")),
        ("the token file is no JSON", Some("\0\u{1}not json")),
    ] {
        let trial = Trial::harmless(name, 4).breaking(&[Part::Schwab]);
        town.trial(
            // A token that was read is used until it is refused: nobody need notice.
            trial,
            |town| {
                match fault {
                    None => std::fs::remove_file(&file).unwrap(),
                    Some(text) => write(text),
                }
                town.up.schwab.0.fault("/", Fault::Status(401, None, "{}"));
                std::thread::sleep(Duration::from_millis(2_500));
                let got = town.server.get("/api/candles/UNSEEN");
                println!("    {} {}", got.status, got.text());
                assert_eq!(got.status, 503, "{}", got.text());
                assert!(got.detail().contains("token.json"), "{}", got.detail());
            },
            |town| {
                town.up.schwab.0.heal();
                town.up.write_token("again");
            },
        );
    }
    town.empties();
}

#[test]
fn a_token_that_expires_or_is_replaced_during_requests_is_followed_by_the_new_one() {
    let mut town = Town::start(&[]);
    town.trial(
        Trial::harmless("the token expires", 4)
            .breaking(&[Part::Schwab])
            .saying("token.json"),
        |town| town.up.schwab.0.fault("/", Fault::Status(401, None, "{}")),
        |town| {
            town.up.write_token("renewed");
            town.up.schwab.0.heal();
        },
    );
    let renewed = town.up.schwab.0.fake.asked();
    let last = renewed.last().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer renewed"));
    town.trial(
        Trial::harmless("the token is replaced during requests", 4),
        |town| {
            town.up
                .schwab
                .0
                .fault("/", Fault::Slow(Duration::from_millis(50)));
            for n in 0..30 {
                town.up.write_token(&format!("token-{n}"));
                std::thread::sleep(Duration::from_millis(100));
            }
        },
        |town| town.up.schwab.0.heal(),
    );
    town.empties();
}
