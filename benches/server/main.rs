//! The whole server measured beside its peers, in one run, by one client; prints Markdown.
//!
//! ```sh
//! cargo bench --bench server                      # about ten minutes
//! cargo bench --bench server -- --quick           # a smoke test: short points, no median worth the name
//! cargo bench --bench server -- --only fan-out    # a section: polls, misses, fan-out, faults, life
//! cargo bench --bench server -- --only "polls:390 candles, gzip"   # a section's cases with these words
//! cargo bench --bench server -- --alone --seconds 2 --rounds 5 --also before=/path/to/older/tapewarden
//! ```
//!
//! Peers: `benches/peers` (axum on tokio, with pre-built bodies and serializing each time), built here
//! by cargo; nginx with the same bodies as files, where it is installed; and `fixed`, a loop of epoll,
//! recv and send without any HTTP in it, whose rate is the client's own ceiling; `--alone` leaves them out. Every point is measured
//! round by round over all servers (A B C A B C …) and the median of the rounds is printed.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark waits and prints as it likes"
)]
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

#[cfg(target_os = "linux")]
mod fanout;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
#[path = "../../tests/kit/mod.rs"]
mod kit;
#[cfg(target_os = "linux")]
mod life;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod misses;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod polls;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod responder;
#[cfg(target_os = "linux")]
mod upstream;

#[cfg(target_os = "linux")]
type Section = fn(&options::Options);

#[cfg(target_os = "linux")]
const SECTIONS: [(&str, Section); 5] = [
    ("polls", polls::run),
    ("misses", misses::run),
    ("fan-out", fanout::run),
    ("faults", faults::run),
    ("life", life::run),
];

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: the server bench reads /proc and needs Linux");
}

#[cfg(target_os = "linux")]
fn main() {
    let options = match options::Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(2);
        }
    };
    if let Some(folder) = &options.respond {
        responder::run(folder);
        return;
    }
    println!("{}\n", process::machine());
    println!(
        "Each figure is the median of {} rounds of {:?}.\n",
        options.rounds, options.point
    );
    for (name, section) in SECTIONS {
        if options.has(name) {
            section(&options);
        }
    }
}
