//! Cached routes and the stream while every upstream hangs, and while a dump is taken each second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::fanout;
use super::load::{self, Point, Poll, ask};
use super::options::Options;
use super::process::Process;
use super::upstream::World;

/// So that cached values become old, and are asked for again in vain, within a point.
const SHORT_LIVED: [&str; 1] = ["schwab.fresh_candles=2s"];

/// Until they have, with somebody asking for them all the time, as open windows do.
const BECOME_OLD: Duration = Duration::from_secs(6);

/// Clients that ask for what nobody has, and wait as long as the server lets them.
const WAITING: usize = 16;

const ROUTES: [(&str, &str); 6] = [
    ("health", "/api/health"),
    ("390 candles", "/api/candles/C390"),
    ("watchlist", "/api/watchlist"),
    ("vwap", "/api/vwap/TOYO"),
    ("runners", "/api/runners"),
    ("1,000 trades", "/api/trade-history"),
];

/// Something that goes on beside a measurement until it is dropped.
struct Beside {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Beside {
    fn start(threads: usize, what: impl Fn(usize) + Clone + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let threads = (0..threads)
            .map(|n| {
                let (over, what) = (Arc::clone(&over), what.clone());
                std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        what(n);
                    }
                })
            })
            .collect();
        Self { over, threads }
    }

    fn waiting_clients(server: &Process) -> Self {
        let address = server.address.clone();
        Self::start(WAITING, move |n| {
            let _any = ask(&address, &Poll::get(format!("/api/candles/H{n}")));
            std::thread::sleep(Duration::from_millis(200));
        })
    }

    fn open_windows(server: &Process) -> Self {
        let address = server.address.clone();
        Self::start(ROUTES.len(), move |n| {
            let _any = ask(&address, &Poll::get(ROUTES[n].1));
            std::thread::sleep(Duration::from_millis(500));
        })
    }

    fn dumps(server: &Process) -> Self {
        let address = server.address.clone();
        Self::start(1, move |_| {
            let got = ask(&address, &Poll::get("/api/threads/dump"));
            assert!(got.is_ok_and(|a| a.status == 200), "a dump failed");
            std::thread::sleep(Duration::from_secs(1));
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

fn polls(server: &Process, options: &Options) -> Vec<Point> {
    let point = |(_, path): &(&str, &str)| {
        let only = std::iter::once((server, Some(Poll::get(*path))));
        load::side_by_side(only, 8, options)
    };
    ROUTES.iter().flat_map(point).flatten().collect()
}

fn streams(world: &World, server: &Process, options: &Options) -> Vec<fanout::Point> {
    let clients = if options.quick { 20 } else { 100 };
    (0..options.rounds)
        .map(|_| fanout::measure(world, server, clients, 2_000, options.point * 2))
        .collect()
}

/// The section.
pub fn run(options: &Options) {
    for (name, program) in &options.products {
        let world = World::start();
        let server = world.product(program, &SHORT_LIVED);
        for (_, path) in ROUTES {
            let got = ask(&server.address, &Poll::get(path));
            assert!(got.is_ok_and(|a| a.status == 200), "{path}");
        }
        std::thread::sleep(Duration::from_millis(500));
        let healthy = (polls(&server, options), streams(&world, &server, options));
        let dumped = {
            let _beside = Beside::dumps(&server);
            (polls(&server, options), streams(&world, &server, options))
        };
        world.hang();
        let hung = {
            let _beside = (
                Beside::waiting_clients(&server),
                Beside::open_windows(&server),
            );
            std::thread::sleep(BECOME_OLD);
            (polls(&server, options), streams(&world, &server, options))
        };
        println!(
            "{name} at 8 connections: answers/s · p50 / p99 / slowest in µs; hung: every upstream takes requests and never"
        );
        println!("answers, and {WAITING} clients wait for it.\n");
        println!(
            "| route | healthy | every upstream hung | a dump each second | p99 hung / healthy | p99 dumps / healthy |"
        );
        println!("|---|---|---|---|---|---|");
        let cell = |p: &Point| {
            let Point {
                rate,
                p50_us,
                p99_us,
                max_us,
                ..
            } = p;
            format!("{rate:.0} · {p50_us:.0} / {p99_us:.0} / {max_us:.0}")
        };
        for (n, (route, _)) in ROUTES.iter().enumerate() {
            let (a, b, c) = (&healthy.0[n], &hung.0[n], &dumped.0[n]);
            println!(
                "| {route} | {} | {} | {} | {:.2} | {:.2} |",
                cell(a),
                cell(b),
                cell(c),
                b.p99_us / a.p99_us,
                c.p99_us / a.p99_us
            );
        }
        println!("\n| {name}, 2,000 quotes/s | {} |", fanout::COLUMNS);
        println!("|---|---|---|---|---|---|---|---|---|");
        for (what, points) in [
            ("healthy", &healthy.1),
            ("every upstream hung", &hung.1),
            ("a dump each second", &dumped.1),
        ] {
            println!("| {what} | {} |", fanout::row(points, options));
        }
        println!();
    }
}
