//! Answers that the provider must be asked for: each request is for a symbol of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use super::load::{self, Point, Poll};
use super::options::Options;
use super::process::Process;
use super::upstream::World;

/// The provider's own limit is not what is measured.
const NO_LIMIT: &str = "schwab.requests_per_minute=1000000";

const CONNECTIONS: [usize; 2] = [1, 8];

/// So many candles each.
const CANDLES: [u32; 2] = [10, 390];

/// A symbol that nobody asked for before, with so many candles: `ABCD390`.
fn fresh(candles: u32) -> String {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let mut number = ASKED.fetch_add(1, Ordering::Relaxed);
    let mut symbol = String::new();
    for _ in 0..4 {
        symbol.push(char::from_u32(u32::from('A') + number % 26).expect("a letter"));
        number /= 26;
    }
    format!("{symbol}{candles}")
}

fn poll(candles: u32) -> Poll {
    Poll::fresh(move || format!("/api/candles/{}?timeframe=1m", fresh(candles)))
}

/// The section.
pub fn run(options: &Options) {
    let world = World::start();
    let servers: Vec<Process> = options
        .products
        .iter()
        .map(|(_, program)| world.product(program, &[NO_LIMIT]))
        .collect();
    let names: Vec<&str> = options.products.iter().map(|(name, _)| &**name).collect();
    println!(
        "Misses, each of a symbol of its own: answers/s · p50 / p99 in µs · server CPU in µs for each\n"
    );
    println!("| candles | connections | {} |", names.join(" | "));
    println!("|---|---|{}", "---|".repeat(names.len()));
    for candles in CANDLES {
        for connections in CONNECTIONS {
            let each = servers.iter().map(|server| (server, Some(poll(candles))));
            let points = load::side_by_side(each, connections, options);
            let cells: Vec<String> = points.iter().flatten().map(Point::to_string).collect();
            println!("| {candles} | {connections} | {} |", cells.join(" | "));
        }
    }
    println!();
}
