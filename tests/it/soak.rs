//! A long run of faults in random order: `cargo test --release --test it -- --ignored soak`. `SOAK_SECONDS` sets how
//! long (600), `SOAK_SEED` which faults. The same promises as of each fault alone, and what the process
//! holds stays flat.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::kit::faults::{FullBacklog, fifo, flood};
use crate::kit::routes::Part;
use crate::kit::town::{Stream, Town, Trial, Vitals};
use crate::kit::{self, Fault, Quotes};

/// A fault, how it begins and how it ends.
struct Misfortune {
    trial: Trial,
    begin: Box<dyn FnMut(&mut Town)>,
    end: Box<dyn FnMut(&mut Town)>,
}

fn misfortune(
    trial: Trial,
    begin: impl FnMut(&mut Town) + 'static,
    end: impl FnMut(&mut Town) + 'static,
) -> Misfortune {
    Misfortune {
        trial,
        begin: Box::new(begin),
        end: Box::new(end),
    }
}

fn heal(town: &mut Town) {
    town.up.heal();
}

/// What both the provider and the trader app may do.
const ILLS: [Fault; 8] = [
    Fault::Hang,
    Fault::Drip,
    Fault::Huge,
    Fault::BadGzip,
    Fault::Truncated,
    Fault::Drop,
    Fault::Garbage,
    Fault::Status(500, None, "{}"),
];

/// Of the trader's.
const FILES: [&str; 2] = ["runners.json", "token.json"];

fn misfortunes() -> Vec<Misfortune> {
    let mut all = Vec::new();
    for ill in ILLS {
        let theirs = ill.clone();
        all.push(misfortune(
            Trial::harmless("the provider is ill", 3).breaking(&[Part::Schwab]),
            move |town| town.up.schwab.0.fault("/", theirs.clone()),
            heal_schwab,
        ));
        all.push(misfortune(
            Trial::harmless("the trader app is ill", 3).breaking(&[Part::Trader]),
            move |town| town.up.trader.http.fault("/api", ill.clone()),
            |town| town.up.trader.http.heal(),
        ));
    }
    all.push(misfortune(
        Trial::harmless("the trader app dies and comes back", 3)
            .breaking(&[Part::Trader])
            .with_stream(Stream::Lost),
        |town| {
            town.up.trader.http.fake.go_away();
            town.up.trader.stream.drop_clients();
        },
        |town| town.up.trader.http.fake.come_back(),
    ));
    all.push(misfortune(
        Trial::harmless("the provider refuses", 3).breaking(&[Part::Schwab]),
        |town| town.up.schwab.0.fake.go_away(),
        |town| town.up.schwab.0.fake.come_back(),
    ));
    let full = Rc::new(RefCell::new(None));
    let begun = Rc::clone(&full);
    all.push(misfortune(
        Trial::harmless("nobody takes the trader app's connections", 3)
            .breaking(&[Part::Trader])
            .with_stream(Stream::Lost),
        move |town| {
            let fake = &mut town.up.trader.http.fake;
            fake.go_away();
            *begun.borrow_mut() = Some(FullBacklog::start_at(fake.address()));
            town.up.trader.stream.drop_clients();
        },
        move |town| {
            full.take();
            town.up.trader.http.fake.come_back();
        },
    ));
    all.push(misfortune(
        Trial::harmless("everything hangs", 4)
            .breaking(&[Part::Schwab, Part::Trader, Part::Model])
            .with_stream(Stream::Lost),
        |town| {
            town.up.fault(&Fault::Hang);
            town.up.trader.stream.drop_clients();
        },
        heal,
    ));
    all.push(misfortune(
        Trial::harmless("the model hangs", 3).breaking(&[Part::Model]),
        |town| town.up.model.0.fault("/", Fault::Hang),
        heal_model,
    ));
    all.push(misfortune(
        Trial::harmless("the token is refused", 3).breaking(&[Part::Schwab]),
        |town| town.up.schwab.0.fault("/", Fault::Status(401, None, "{}")),
        |town| {
            town.up.write_token("renewed");
            heal_schwab(town);
        },
    ));
    all.push(misfortune(
        Trial::harmless("the log file is a FIFO", 3),
        |town| {
            let file = town.server.path("logs/backend.log");
            let _gone = std::fs::remove_file(&file);
            fifo(&file);
        },
        |town| std::fs::remove_file(town.server.path("logs/backend.log")).unwrap(),
    ));
    all.push(misfortune(
        Trial::harmless("the trader's files are FIFOs", 3).breaking(&[Part::Files]),
        |town| {
            for name in FILES {
                std::fs::rename(
                    town.up.file(name),
                    town.up.file("aside").with_extension(name),
                )
                .unwrap();
                fifo(&town.up.file(name));
            }
        },
        |town| {
            for name in FILES {
                std::fs::rename(
                    town.up.file("aside").with_extension(name),
                    town.up.file(name),
                )
                .unwrap();
            }
        },
    ));
    all.push(misfortune(
        Trial::harmless("the log folder is deleted", 2),
        |town| std::fs::remove_dir_all(town.server.path("logs")).unwrap(),
        |_| {},
    ));
    all.push(misfortune(
        Trial::harmless("the server is stopped", 3)
            .stopping_all()
            .with_stream(Stream::Quiet),
        |town| town.server.signal("STOP"),
        |town| town.server.signal("CONT"),
    ));
    all.push(misfortune(
        Trial::harmless("1,200 idle and half-sent connections", 3),
        |town| {
            let held = flood(&town.server.address, 1_200, |n| {
                if n % 2 == 0 {
                    Vec::new()
                } else {
                    b"GET /api/hea".to_vec()
                }
            });
            std::thread::sleep(Duration::from_secs(2));
            drop(held);
        },
        |_| {},
    ));
    let mut silent = Vec::new();
    all.push(misfortune(
        Trial::harmless("streams that read nothing or talk garbage", 3),
        move |town| {
            silent.clear();
            for n in 0..20 {
                let mut quotes = Quotes::connect(&town.server.address);
                quotes.subscribe(&kit::bystanders::STREAMED);
                if n % 2 == 0 {
                    let _closed = quotes.raw().write_all(&[0xff; 64]);
                }
                silent.push(quotes);
            }
            std::thread::sleep(Duration::from_secs(2));
            silent.clear();
        },
        |_| {},
    ));
    all
}

fn heal_schwab(town: &mut Town) {
    town.up.schwab.0.heal();
    town.up.schwab.0.fake.close_connections();
}

fn heal_model(town: &mut Town) {
    town.up.model.0.heal();
    town.up.model.0.fake.close_connections();
}

fn wish(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().expect("a whole number"))
}

#[test]
#[ignore = "takes ten minutes"]
fn soak() {
    let length = Duration::from_secs(wish("SOAK_SECONDS", 600));
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = wish("SOAK_SEED", clock.as_secs());
    println!("SOAK_SEED={seed}");
    let mut state = seed.max(1);
    let mut town = Town::start(&[]);
    let mut all = misfortunes();
    let (began, mut vitals, mut faults) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < length {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Each of them once, and then by chance.
        let n = match faults {
            n if n < all.len() => n,
            _ => usize::try_from(state >> 33).unwrap() % all.len(),
        };
        let Misfortune { trial, begin, end } = &mut all[n];
        town.trial(*trial, begin, end);
        faults += 1;
        let now = Vitals::of(&town.server);
        println!("    fault {faults}: {now:?}");
        vitals.push(now);
    }
    println!("{faults} faults in {:?}, SOAK_SEED={seed}", began.elapsed());
    // Where each fault was met, what is kept is full and the allocator has what it holds back; then
    // nothing grows.
    let later = vitals.get(all.len()..).unwrap_or_default();
    let most = |some: &[Vitals]| {
        let of = |f: fn(&Vitals) -> u64| some.iter().map(f).max().unwrap_or(0);
        (
            of(|v| v.threads),
            of(|v| v.descriptors as u64),
            of(|v| v.kilobytes),
        )
    };
    let (early, late) = later.split_at(later.len() / 2);
    if early.len() >= 3 {
        let (early, late) = (most(early), most(late));
        println!(
            "most threads, descriptors, kB, after each fault was met: {early:?} in the first half, {late:?} in the last"
        );
        assert!(late.0 <= early.0 + 30, "threads grow");
        assert!(late.1 <= early.1 + 60, "descriptors grow");
        assert!(late.2 <= early.2 + early.2 / 4 + 10_000, "memory grows");
    }
    town.empties();
}
