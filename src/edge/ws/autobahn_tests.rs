//! Autobahn's fuzzing client (PyPI `autobahntestsuite`) against a session's reader and writer, whose client
//! hears everything back that it says. `tests/autobahn/install.sh` installs it; without
//! `TAPEWARDEN_AUTOBAHN=1` the test only says so.
//!
//! Left out are sections 12 and 13, for compression, which this server declines (`ws::mod` says why).

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::Message;

use crate::edge::request::{Parsed, parse_head};
use crate::runtime::deadline_io::read_some;
use crate::runtime::{Limits, Supervisor, ThreadKind, channels, stop};
use crate::stream::ToHub;

use super::limits::WsConfig;
use super::reader::{Listener, Outcome};
use super::sessions::{Sessions, Upgrade};

/// Cases that are answered rightly but later than the strictest reading wants: 6.4 sends a wrong byte in
/// the middle of a frame and hopes for the close before the frame's end. A frame is looked at as a whole.
const LATE: [&str; 2] = ["6.4.3", "6.4.4"];

/// Gives back what it hears.
struct Echo;

impl Listener for Echo {
    fn text(&mut self, text: &str) -> Outcome {
        Outcome {
            answer: Some(Message::text(text)),
            ..Outcome::default()
        }
    }

    fn binary(&mut self, bytes: &[u8]) -> Outcome {
        Outcome {
            answer: Some(Message::binary(bytes.to_vec())),
            ..Outcome::default()
        }
    }
}

/// A hub without quotes, which knows its sessions.
fn start_silent_hub(supervisor: &Supervisor) -> crate::runtime::Tx<ToHub> {
    let (tx, inbox) = supervisor.channel(channels::QUOTE_HUB, 1_024);
    supervisor
        .spawn(ThreadKind::QuoteHub, move |_| {
            let mut writers = HashMap::new();
            for message in &inbox {
                match message {
                    ToHub::Join { id, writer, .. } => drop(writers.insert(id, writer)),
                    ToHub::Leave { id } => drop(writers.remove(&id)),
                    _ => {}
                }
            }
        })
        .unwrap();
    tx
}

/// Serves whoever comes, each on a thread of its own; gives the port.
fn start_testee(supervisor: &Supervisor) -> u16 {
    let config = WsConfig {
        sessions_max: 64,
        symbols_max: 0,
        message_bytes_max: 64 << 20,
        ping_every: Duration::from_secs(60),
        silence_max: Duration::from_secs(120),
        write_deadline: Duration::from_secs(60),
    };
    let sessions = Sessions::new(supervisor, start_silent_hub(supervisor), config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let spawner = supervisor.clone();
    supervisor
        .spawn(ThreadKind::Gate, move |_| {
            for (number, stream) in (1..).zip(listener.incoming()) {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                let (sessions, supervisor) = (sessions.clone(), spawner.clone());
                spawner
                    .spawn_once(ThreadKind::Conn.nth(number), move |heartbeat| {
                        let Some(upgrade) = handshake(stream, number.into()) else {
                            return;
                        };
                        sessions
                            .serve_with(&supervisor, upgrade, heartbeat, Echo)
                            .unwrap();
                    })
                    .unwrap();
            }
        })
        .unwrap();
    port
}

fn handshake(mut stream: TcpStream, number: u64) -> Option<Upgrade> {
    let mut received = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let deadline = Instant::now() + Duration::from_secs(10);
        match read_some(&mut stream, &mut buffer, deadline) {
            Ok(n) if n > 0 => received.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
        if let Parsed::Whole(head, length) = parse_head(&received, 8_192, 0) {
            return Some(Upgrade {
                stream,
                received: received.split_off(length),
                key: head.handshake.key()?.to_owned(),
                peer: "the suite".to_owned(),
                number,
            });
        }
    }
}

/// `(case, behaviour, behaviour at the close)` of every case that ran.
fn run_suite(installed: &Path, port: u16) -> Vec<(String, String, String)> {
    let reports = installed.join("reports");
    drop(std::fs::remove_dir_all(&reports));
    let spec = installed.join("fuzzingclient.json");
    let cases = [
        "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*",
    ];
    let wanted = json!({
        "outdir": reports,
        "servers": [{"agent": "tapewarden", "url": format!("ws://127.0.0.1:{port}")}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    std::fs::write(&spec, wanted.to_string()).unwrap();
    let out = Command::new(installed.join("venv/bin/wstest"))
        .args(["-m", "fuzzingclient", "-s"])
        .arg(&spec)
        .current_dir(installed)
        .output()
        .unwrap();
    let index = std::fs::read(reports.join("index.json"))
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
    let index: Value = serde_json::from_slice(&index).unwrap();
    let word = |case: &Value, name: &str| case[name].as_str().unwrap_or("none").to_owned();
    let cases = index["tapewarden"].as_object().unwrap();
    cases
        .iter()
        .map(|(name, case)| {
            let how = word(case, "behavior");
            (name.clone(), how, word(case, "behaviorClose"))
        })
        .collect()
}

#[test]
fn the_fuzzing_client_of_autobahn_finds_nothing() {
    if std::env::var_os("TAPEWARDEN_AUTOBAHN").is_none() {
        crate::skip::skip("run tests/autobahn/install.sh and set TAPEWARDEN_AUTOBAHN=1");
        return;
    }
    let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/autobahn");
    let (_stopper, stop) = stop();
    let (supervisor, _ends) = Supervisor::new(Limits::default(), stop);
    let cases = run_suite(&installed, start_testee(&supervisor));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut wrong = Vec::new();
    for (name, how, closed) in &cases {
        *counts.entry(how).or_default() += 1;
        let well = |word: &str| matches!(word, "OK" | "INFORMATIONAL");
        let late = how == "NON-STRICT" && LATE.contains(&name.as_str());
        if !(well(how) || late) || !well(closed) {
            wrong.push(format!("{name}: {how}, closed {closed}"));
        }
    }
    println!("{} cases: {counts:?}", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cases.len() > 290, "only {} cases ran", cases.len());
}
