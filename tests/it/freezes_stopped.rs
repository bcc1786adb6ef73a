//! Processes that are stopped: the provider, the trader app, the server itself; a server that hangs and
//! keeps its port.

use std::process::Stdio;
use std::time::Duration;

use crate::kit::bystanders::Load;
use crate::kit::faults::{Provider, until_state};
use crate::kit::routes::Part;
use crate::kit::server::program;
use crate::kit::town::{LIVELY, Stream, Town, Trial};
use crate::kit::{Server, Upstreams};

const EXTERNAL: Load = Load {
    pause: Duration::from_millis(100),
    streams: 10,
    quotes_per_second: 0,
    new_symbols: false,
    broken: &[],
};

/// A server whose upstreams are processes: one for the market, one for the trader app.
fn town(market: &Provider, trader: &Provider) -> Town {
    let up = Upstreams::start();
    let mut args = trader.args();
    args.extend(["--schwab-url".into(), market.schwab_url.clone()]);
    args.extend(["--model-url".into(), up.model.0.fake.url()]);
    args.extend([
        "--token-file".into(),
        market.data_dir.join("token.json").display().to_string(),
    ]);
    for setting in LIVELY {
        args.extend(["--set".into(), (*setting).to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let server = Server::start(&args);
    Town::with_load(up, server, EXTERNAL, false)
}

#[test]
fn a_providers_process_that_is_stopped_costs_only_what_needs_it_and_is_back_when_it_goes_on() {
    let (market, trader) = (Provider::start(1_000), Provider::start(1_000));
    let mut town = town(&market, &trader);
    town.trial(
        Trial::harmless("the provider's process is stopped", 12)
            .breaking(&[Part::Schwab])
            .saying("did not answer within"),
        |_| market.process.signal("STOP"),
        |_| market.process.signal("CONT"),
    );
    town.empties();
}

#[test]
fn a_trader_apps_process_that_is_stopped_costs_only_what_needs_it_and_is_back_when_it_goes_on() {
    let (market, trader) = (Provider::start(1_000), Provider::start(1_000));
    let mut town = town(&market, &trader);
    town.trial(
        Trial::harmless("the trader app's process is stopped", 8)
            .breaking(&[Part::Trader])
            .with_stream(Stream::Quiet),
        |_| trader.process.signal("STOP"),
        |_| trader.process.signal("CONT"),
    );
    town.empties();
}

#[test]
fn a_stopped_server_goes_on_as_if_nothing_had_been() {
    let mut town = Town::start(&[]);
    town.trial(
        Trial::harmless("the server itself is stopped", 8)
            .stopping_all()
            .with_stream(Stream::Quiet),
        |town| town.server.signal("STOP"),
        |town| town.server.signal("CONT"),
    );
    let watchdog = town.server.log("watchdog.log");
    assert!(!watchdog.contains("STALL"), "{watchdog}");
    town.empties();
}

#[test]
fn who_hangs_and_keeps_the_port_is_named_to_who_comes_next() {
    let hung = Server::start(&[]);
    hung.signal("STOP");
    until_state(hung.pid(), "T");
    let home = tempfile::tempdir().unwrap();
    let out = program(home.path())
        .args(["--listen", &hung.address])
        .stdout(Stdio::null())
        .output()
        .unwrap();
    hung.signal("CONT");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(said.contains(&hung.pid().to_string()), "{said}");
    assert!(said.contains("tapewarden"), "{said}");
}
