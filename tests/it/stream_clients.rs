//! The stream to clients that nobody here wrote and that keep alive by pings of their own: Python's websockets
//! and aiohttp, Node's ws. `tests/interop/install.sh` installs them; without `TAPEWARDEN_INTEROP=1` these tests
//! only say so.

use std::process::Command;

use crate::kit::{Flood, Upstreams, at_once, interop_folder};

/// How many ms a client takes for each message.
const SLOW: &str = "20";

/// In sessions that are silent, flooded and slow, at the same time.
fn keeps_alive(client: impl Fn() -> Option<Command> + Sync) {
    let sessions = [
        ("silent", 0, "0"),
        ("flooded", 2_000, "0"),
        ("slow", 1_000, SLOW),
    ];
    if client().is_none() {
        return;
    }
    at_once(sessions, |(session, per_second, pace)| {
        let Some(mut command) = client() else { return };
        let up = Upstreams::start();
        let server = up.server(&["stream.backoff_min=50ms"]);
        let _flood = Flood::start(&up, &["AAAA", "BBBB"], per_second);
        let url = format!("ws://{}/api/ws/quotes", server.address);
        let out = command.args([&url, pace]).output().unwrap();
        let words = String::from_utf8_lossy(&out.stdout).into_owned();
        println!("{session}: {}", words.trim());
        assert!(
            out.status.success() && words.starts_with("well"),
            "{session}: {words} {}",
            String::from_utf8_lossy(&out.stderr)
        );
    });
}

fn python(kind: &'static str) -> impl Fn() -> Option<Command> {
    move || {
        let folder = interop_folder()?;
        let mut command = Command::new(folder.join("venv/bin/python"));
        command.arg(folder.join("clients.py")).arg(kind);
        Some(command)
    }
}

#[test]
fn websockets_of_python_keeps_alive() {
    keeps_alive(python("websockets"));
}

#[test]
fn aiohttp_keeps_alive() {
    keeps_alive(python("aiohttp"));
}

#[test]
fn ws_of_node_keeps_alive() {
    keeps_alive(|| {
        let folder = interop_folder()?;
        let mut command = Command::new("node");
        command.arg(folder.join("clients.mjs"));
        Some(command)
    });
}
