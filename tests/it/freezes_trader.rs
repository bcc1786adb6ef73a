//! The trader app fails in every way; what it knows is stale or says why, its stream's loss is told
//! within a second, the rest does not notice, and all is back by itself.

use std::time::{Duration, Instant};

use crate::kit::faults::fifo;
use crate::kit::routes::Part;
use crate::kit::town::{Stream, Town, Trial};
use crate::kit::{Fault, Quotes, Server, Upstreams, eventually, skip};

/// Faults of REST alone, one after the other: the stream is another connection, which stays.
fn cost_only_what_needs_the_trader_app(
    faults: impl IntoIterator<Item = (&'static str, u64, Fault, &'static str)>,
) {
    let mut town = Town::start(&[]);
    for (name, seconds, fault, words) in faults {
        town.trial(
            Trial::harmless(name, seconds)
                .breaking(&[Part::Trader])
                .saying(words),
            |town| town.up.trader.http.fault("/api", fault.clone()),
            |town| town.up.trader.http.heal(),
        );
    }
    town.empties();
}

#[test]
fn a_trader_app_that_hangs_drips_or_sends_100_mb_costs_only_what_needs_it() {
    let words = "did not answer within";
    cost_only_what_needs_the_trader_app([
        ("the trader app hangs", 8, Fault::Hang, words),
        (
            "the trader app sends one byte a second",
            5,
            Fault::Drip,
            words,
        ),
        (
            "the trader app answers with 100 MB",
            4,
            Fault::Huge,
            "longer than",
        ),
    ]);
}

#[test]
fn a_trader_app_that_answers_wrongly_costs_only_what_needs_it() {
    cost_only_what_needs_the_trader_app([
        ("the trader app sends bad gzip", 4, Fault::BadGzip, "gzip"),
        (
            "the trader app drops in mid-body",
            4,
            Fault::Truncated,
            "in the middle of its answer",
        ),
        (
            "the trader app talks no HTTP",
            4,
            Fault::Garbage,
            "not HTTP",
        ),
    ]);
}

#[test]
fn a_trader_app_that_dies_or_is_silent_costs_only_what_needs_it_and_comes_back() {
    let mut town = Town::start(&[]);
    town.trial(
        Trial::harmless("the trader app dies and comes back", 5)
            .breaking(&[Part::Trader])
            .with_stream(Stream::Lost)
            .saying("nothing listens"),
        |town| {
            town.up.trader.http.fake.go_away();
            town.up.trader.stream.drop_clients();
        },
        |town| town.up.trader.http.fake.come_back(),
    );
    town.trial(
        Trial::harmless("the trader app accepts and is silent", 6)
            .breaking(&[Part::Trader])
            .with_stream(Stream::Lost)
            .saying("did not answer within"),
        |town| {
            town.up.trader.http.fault("/", Fault::Hang);
            town.up.trader.stream.drop_clients();
        },
        |town| {
            town.up.trader.http.heal();
            town.up.trader.http.fake.close_connections();
        },
    );
    town.empties();
}

#[test]
fn its_loss_is_told_within_a_second_and_every_subscription_is_back() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let mut clients: Vec<Quotes> = (0..10).map(|_| Quotes::connect(&server.address)).collect();
    for client in &mut clients {
        client.until_status(true);
        client.subscribe(&["TOYO", "ELPW"]);
    }
    let all = || up.trader.stream.subscribed().len() == 2;
    eventually("all are subscribed", || all().then_some(()));
    let mut told = Vec::new();
    for _ in 0..3 {
        let lost = Instant::now();
        up.trader.stream.drop_clients();
        for client in &mut clients {
            client.until_status(false);
            told.push(lost.elapsed());
        }
        for client in &mut clients {
            client.until_status(true);
        }
        eventually("all are subscribed again", || all().then_some(()));
    }
    told.sort();
    println!(
        "told of the loss: median {:?}, slowest {:?}",
        told[15], told[29]
    );
    assert!(told[15] < Duration::from_secs(1), "{told:?}");
}

/// `localhost` stands for both addresses; what has it in its URL may listen on either alone.
#[test]
fn upstreams_that_listen_on_one_address_of_their_name_are_found() {
    for at in ["127.0.0.1", "[::1]"] {
        let Some(up) = Upstreams::start_at(&format!("{at}:0")) else {
            skip(format!("this machine has no {at}"));
            continue;
        };
        let args: Vec<String> = up.args();
        let args: Vec<String> = args.iter().map(|a| a.replace(at, "localhost")).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let server = Server::start(&args);
        let mut town = Town::around(up, server);
        let back = town.all_is_well(Instant::now(), at);
        println!("{at}: all is well after {back:?}");
        town.empties();
    }
}

#[test]
fn files_that_would_block_their_reader_are_told_and_read_again_when_they_are_files() {
    let mut town = Town::start(&[]);
    let names = [
        "runners.json",
        "paper_trading/trade_outcomes.jsonl",
        "token.json",
    ];
    let aside = |name: &str| format!("{name}.aside");
    town.trial(
        // The token that was read is used until it is refused.
        Trial::harmless("the files are FIFOs that nobody writes", 4)
            .breaking(&[Part::Files])
            .saying("not a regular file"),
        |town| {
            for name in names {
                std::fs::rename(town.up.file(name), town.up.file(&aside(name))).unwrap();
                fifo(&town.up.file(name));
            }
        },
        |town| {
            for name in names {
                std::fs::rename(town.up.file(&aside(name)), town.up.file(name)).unwrap();
            }
        },
    );
    town.empties();
}
