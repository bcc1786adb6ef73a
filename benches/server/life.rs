//! Start, memory, size, and what an idle server costs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::kit::client::Quotes;
use super::load::{Poll, ask};
use super::options::Options;
use super::process::{self, Process};
use super::upstream::World;

/// Clients of the idle server.
const CLIENTS: usize = 10;

/// The section.
pub fn run(options: &Options) {
    let starts = if options.quick { 3 } else { 20 };
    let idle = Duration::from_secs(if options.quick { 2 } else { 30 });
    println!("| | {} |", names(options).join(" | "));
    println!("|---|{}", "---|".repeat(options.products.len()));
    let mut rows: Vec<(&str, Vec<String>)> = vec![
        ("start to first answer, ms", vec![]),
        ("start to first answer with the embedded market, ms", vec![]),
        ("RSS idle, MB (and of its symbolizer)", vec![]),
        ("RSS idle with the embedded market, MB", vec![]),
        ("threads idle", vec![]),
        ("CPU with 10 idle streams, % of a core", vec![]),
        ("binary, MB", vec![]),
    ];
    for (_, program) in &options.products {
        let world = World::start();
        let home = tempfile::tempdir().expect("a folder");
        let embedded = || {
            let mut command = Command::new(program);
            command
                .args(["--listen", "127.0.0.1:0"])
                .current_dir(home.path())
                .stderr(Stdio::null());
            command
        };
        let first = |mut command: Command| {
            let began = Instant::now();
            let server = Process::start(&mut command);
            let got = ask(&server.address, &Poll::get("/api/health"));
            assert!(got.is_ok_and(|a| a.status == 200), "no first answer");
            began.elapsed().as_secs_f64() * 1e3
        };
        let of = |make: &dyn Fn() -> Command| {
            options.median((0..starts).map(|_| first(make())).collect())
        };
        rows[0]
            .1
            .push(format!("{:.1}", of(&|| world.command(program))));
        rows[1].1.push(format!("{:.1}", of(&embedded)));
        let server = Process::start(&mut world.command(program));
        std::thread::sleep(Duration::from_secs(3));
        let (own, symbolizer) = server.rss();
        rows[2].1.push(format!("{own:.1} ({symbolizer:.1})"));
        rows[4].1.push(server.threads().to_string());
        {
            let server = Process::start(&mut embedded());
            std::thread::sleep(Duration::from_secs(3));
            rows[3].1.push(format!("{:.1}", server.rss().0));
        }
        let streams: Vec<Quotes> = (0..CLIENTS)
            .map(|_| {
                let mut client = Quotes::connect(&server.address);
                client.subscribe(&["TOYO", "ELPW"]);
                client
            })
            .collect();
        std::thread::sleep(Duration::from_secs(2));
        let before = server.cpu_of_living();
        std::thread::sleep(idle);
        let used = server.cpu_of_living() - before;
        drop(streams);
        let share = 100.0 * used.as_secs_f64() / idle.as_secs_f64();
        rows[5].1.push(format!("{share:.2}"));
        rows[6].1.push(format!("{:.1}", process::size(program)));
    }
    for (what, cells) in rows {
        println!("| {what} | {} |", cells.join(" | "));
    }
    println!();
}

fn names(options: &Options) -> Vec<&str> {
    options.products.iter().map(|(name, _)| &**name).collect()
}
