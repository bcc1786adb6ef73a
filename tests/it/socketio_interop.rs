//! The stream from real Socket.IO servers: python-socketio and socket.io. They are installed by
//! `tests/interop/install.sh`; without `TAPEWARDEN_INTEROP=1` these tests only say so.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::kit::server::dies_with_the_test;
use crate::kit::{self, PATIENCE, Quotes, Server, interop_folder};

/// A foreign server; killed when it is dropped.
struct Foreign {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    port: u16,
}

impl Foreign {
    /// The server's port is free again when it is started on it anew.
    fn start(mut command: Command) -> Self {
        dies_with_the_test(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tx, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
        let mut foreign = Self {
            child,
            stdin,
            lines,
            port: 0,
        };
        foreign.port = foreign.hears("listening").parse().unwrap();
        foreign
    }

    /// Waits for a line that begins so; gives the rest.
    fn hears(&self, begin: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("never heard: {begin}"));
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.trim().to_owned();
            }
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// One whole conversation: join, subscribe, quotes in order, a spike, pings, a drop, resubscription.
fn converse(command: Command) {
    let foreign = Foreign::start(command);
    let url = format!("http://127.0.0.1:{}", foreign.port);
    converse_at(foreign, &url, "");
}

/// As [`converse`], over TLS with a certificate of an own issuer.
fn converse_over_tls(mut command: Command) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let issuer = kit::certificates::issuer("ours");
    let (certificate, key) = kit::certificates::signed(&issuer, "localhost", false);
    let ca_file = file("ca.pem", issuer.pem());
    command
        .arg(file("cert.pem", certificate.pem()))
        .arg(file("key.pem", key.serialize_pem()));
    let foreign = Foreign::start(command);
    let url = format!("https://localhost:{}", foreign.port);
    converse_at(foreign, &url, ca_file.to_str().unwrap());
}

fn converse_at(mut foreign: Foreign, url: &str, ca_file: &str) {
    let server = Server::start(&[
        "--trader-url",
        url,
        "--set",
        &format!("trader.ca_file={ca_file}"),
        "--set",
        "stream.backoff_min=50ms",
        "--data-dir",
        "none",
    ]);
    foreign.hears("connected");
    let mut client = Quotes::connect(&server.address);
    client.until_status(true);
    client.subscribe(&["TOYO", "ELPW"]);
    let first = foreign.hears("subscribed");
    if first != "ELPW,TOYO" {
        panic!("subscribed {first}");
    }
    foreign.tell("quote 50");
    for n in 0..50 {
        let quote = client.next().unwrap();
        assert_eq!((&quote["symbol"], &quote["n"]), (&"TOYO".into(), &n.into()));
    }
    foreign.tell("spike");
    server.eventually("/api/volume-spikes/active", |got| {
        got.json()["spikes"]["TOYO"]["spike_ratio"] == 4.5
    });
    client.unsubscribe(&["ELPW"]);
    assert_eq!(foreign.hears("unsubscribed"), "ELPW");
    // Longer than its ping interval and timeout together.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(
        server.get("/api/streaming/status").json()["connected"],
        true
    );
    foreign.tell("drop");
    client.until_status(false);
    client.until_status(true);
    assert_eq!(foreign.hears("subscribed"), "TOYO");
    foreign.tell("quote 1");
    client.until("a quote after the drop", |m| m["type"] == "quote");
}

fn python_socketio() -> Option<Command> {
    let folder = interop_folder()?;
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(folder.join("server.py"));
    Some(command)
}

fn socket_io_of_node() -> Option<Command> {
    let mut command = Command::new("node");
    command.arg(interop_folder()?.join("server.mjs"));
    Some(command)
}

#[test]
fn python_socketio_is_understood() {
    if let Some(command) = python_socketio() {
        converse(command);
    }
}

#[test]
fn socket_io_of_node_is_understood() {
    if let Some(command) = socket_io_of_node() {
        converse(command);
    }
}

#[test]
fn both_are_understood_over_tls() {
    if let Some(command) = python_socketio() {
        converse_over_tls(command);
    }
    if let Some(command) = socket_io_of_node() {
        converse_over_tls(command);
    }
}
