//! The trader app fails in every way; what it knows is stale or says why, its stream's loss is told
//! within a second, the rest does not notice, and all is back by itself.

mod kit;

use std::time::{Duration, Instant};

use kit::bystanders::Part;
use kit::fake::Fake;
use kit::town::{Stream, Town, Trial};
use kit::{Fault, Quotes, Server, Upstreams, eventually};

/// REST alone: the stream is another connection, which stays.
#[test]
fn whatever_the_trader_app_does_costs_only_what_needs_it() {
    let mut town = Town::start(&[]);
    for (name, seconds, fault, words) in [
        (
            "the trader app hangs",
            8,
            Fault::Hang,
            "did not answer within",
        ),
        (
            "the trader app sends one byte a second",
            5,
            Fault::Drip,
            "did not answer within",
        ),
        (
            "the trader app answers with 100 MB",
            4,
            Fault::Huge,
            "longer than",
        ),
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
    ] {
        town.trial(
            Trial::harmless(name, seconds)
                .breaking(&[Part::Trader])
                .saying(words),
            |town| town.up.trader.http.fault("/api", fault.clone()),
            |town| town.up.trader.http.heal(),
        );
    }
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

/// `localhost` stands for both addresses; the app may listen on either alone.
#[test]
fn an_app_that_listens_on_one_address_of_its_name_is_found() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let Some(app) = Fake::start_at(at, |_, stream| {
            use std::io::Write;
            let _gone = stream.write_all(&kit::fake::answer(
                "200 OK",
                &[],
                r#"{"symbol":"TOYO","vwap":7.5,"source":"x"}"#,
            ));
            kit::fake::Then::KeepAlive
        }) else {
            println!("skipped: this machine has no {at}");
            continue;
        };
        let url = format!("http://localhost:{}", app.address().port());
        let server = Server::start(&["--trader-url", &url]);
        let began = Instant::now();
        let got = server.get("/api/vwap/TOYO");
        assert_eq!(got.json()["vwap"], 7.5, "{at}: {}", got.text());
        println!("{at}: {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
