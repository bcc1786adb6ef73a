//! The market provider fails in every way; candles and quotes are stale or say why, the rest does not
//! notice, and all is back by itself.

mod kit;

use std::time::Duration;

use kit::Fault;
use kit::bystanders::Part;
use kit::town::{Town, Trial};

#[test]
fn whatever_the_provider_does_costs_only_what_needs_it() {
    let mut town = Town::start(&[]);
    for (name, seconds, fault, words) in [
        (
            "the provider hangs",
            12,
            Fault::Hang,
            "did not answer within",
        ),
        (
            "the provider sends one byte a second",
            12,
            Fault::Drip,
            "did not answer within",
        ),
        (
            "the provider answers with 100 MB",
            4,
            Fault::Huge,
            "longer than",
        ),
        ("the provider sends bad gzip", 4, Fault::BadGzip, "gzip"),
        (
            "the provider drops in mid-body",
            4,
            Fault::Truncated,
            "in the middle of its answer",
        ),
        (
            "the provider drops before it answers",
            4,
            Fault::Drop,
            "before it answered",
        ),
        (
            "the provider fails",
            4,
            Fault::Status(500, None, "{}"),
            "answered 500",
        ),
        (
            "the provider is slow",
            4,
            Fault::Slow(Duration::from_millis(800)),
            "",
        ),
    ] {
        let trial = Trial::harmless(name, seconds).breaking(&[Part::Schwab]);
        let trial = if words.is_empty() {
            trial
        } else {
            trial.saying(words)
        };
        town.trial(
            trial,
            |town| town.up.schwab.0.fault("/", fault.clone()),
            |town| {
                town.up.schwab.0.heal();
                town.up.schwab.0.fake.close_connections();
            },
        );
    }
    town.trial(
        Trial::harmless("the provider refuses", 5)
            .breaking(&[Part::Schwab])
            .saying("nothing listens"),
        |town| town.up.schwab.0.fake.go_away(),
        |town| town.up.schwab.0.fake.come_back(),
    );
    town.empties();
}
