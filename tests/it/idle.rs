//! What a server costs while nobody asks for anything.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;

use crate::kit::routes::{END, ROUTES};
use crate::kit::upstream::Upstreams;
use crate::kit::{Server, eventually};

/// Threads of a server whose upstreams answer and that has no client.
const THREADS_MAX: usize = 60;

/// Its open descriptors.
const DESCRIPTORS_MAX: usize = 70;

/// How many of each.
fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for name in names {
        *count.entry(name).or_default() += 1;
    }
    count
}

/// Threads by the kernel's names, without their numbers.
fn threads(server: &Server) -> BTreeMap<String, usize> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let without_number = |name: String| {
        let name = name.trim_end();
        name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
            .to_owned()
    };
    counted(names.map(without_number))
}

/// Descriptors by what they are.
fn descriptors(server: &Server) -> BTreeMap<String, usize> {
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let names = open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let kind = |path: std::path::PathBuf| {
        let text = path.display().to_string();
        text.split_once(":[")
            .map_or(text.clone(), |(kind, _)| kind.to_owned())
    };
    counted(names.map(kind))
}

#[test]
fn an_idle_server_with_real_upstreams_has_few_threads_and_descriptors_and_tells_whose_each_is() {
    let upstreams = Upstreams::start();
    let server = upstreams.server(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    for route in ROUTES.iter().filter(|route| route.path != END) {
        server.ask(route.method, route.path);
    }
    eventually("all clients gone", || {
        let told = server.get("/api/threads").json();
        let all = told["threads"].as_array()?.clone();
        let conns = all.iter().filter(|t| t["class"] == "conn").count();
        // The one that asks.
        (conns <= 1).then_some(())
    });
    let (threads, open) = eventually("an idle server", || {
        let (threads, open) = (threads(&server), descriptors(&server));
        (!threads.contains_key("conn")).then_some((threads, open))
    });
    let total = |of: &BTreeMap<String, usize>| of.values().sum::<usize>();
    println!(
        "idle: {} threads, {} descriptors, {} kB\nthreads: {threads:?}\ndescriptors: {open:?}",
        total(&threads),
        total(&open),
        server.proc_status("VmRSS")
    );
    assert!(total(&threads) <= THREADS_MAX, "{threads:?}");
    assert!(total(&open) <= DESCRIPTORS_MAX, "{open:?}");
    let report = server.get("/api/threads/dump").text();
    let words = "    a library's own thread";
    let theirs: Vec<&str> = report
        .lines()
        .filter(|line| line.starts_with(words))
        .collect();
    assert!(!theirs.is_empty(), "{report:.2000}");
    for line in theirs {
        assert!(line.contains(", which works for "), "{line}");
    }
}
