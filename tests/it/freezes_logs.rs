//! Consoles and log files that take nothing: lines are lost and counted, nobody waits for them, and
//! logging resumes by itself.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::kit::faults::{SMALL_PIPE, Terminal, fifo, fill, flood, is_root, small_pipe};
use crate::kit::small_disk::{SmallDisk, run};
use crate::kit::town::{LIVELY, Town, Trial};
use crate::kit::{PATIENCE, Quotes, SHORT_LIMITS, Server, Upstreams, eventually, skip};

/// A town whose server logs all that it can to this console, which is its stdout as well.
fn talkative(console: OwnedFd) -> Town {
    let up = Upstreams::start();
    let mut args = up.args();
    args.extend(SHORT_LIMITS.iter().map(|s| (*s).to_owned()));
    for setting in LIVELY.iter().chain(&["log.level=trace", "log.queue=256"]) {
        args.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        let stdout = console.try_clone().unwrap();
        command.args(&args).stdout(stdout).stderr(console);
    });
    Town::around(up, server)
}

#[test]
fn a_console_that_takes_nothing_costs_its_lines_and_is_named() {
    let (mut reader, writer) = {
        let (reader, writer) = small_pipe();
        (File::from(reader), File::from(writer))
    };
    // Full before the first line, where it says its address.
    (&writer).write_all(&[b'x'; SMALL_PIPE]).unwrap();
    let mut town = talkative(writer.into());
    town.trial(
        Trial::harmless(
            "stdout and stderr are a pipe that nobody reads, and full",
            5,
        )
        .stalling("log-console"),
        |_| {},
        |_| {},
    );
    let report = town.server.log("watchdog.log");
    let verdict = report.lines().find(|l| l.contains("VERDICT: log-console"));
    println!("    {}", verdict.unwrap());
    assert!(verdict.unwrap().contains("write"), "{verdict:?}");
    // Somebody reads again: the console goes on, and tells what it lost.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut all = vec![0; 65_536];
        let mut said = String::new();
        while let Ok(n) = reader.read(&mut all) {
            said.push_str(&String::from_utf8_lossy(&all[..n]));
            if said.contains("did not fit on this console") {
                let _told = tell.send(());
            }
            if n == 0 {
                return;
            }
        }
    });
    town.server
        .log_has("watchdog.log", "log-console is back after");
    told.recv_timeout(PATIENCE).expect("what it lost is told");
    town.empties();
}

#[test]
fn a_stopped_terminal_costs_its_lines_alone() {
    let terminal = Terminal::open();
    let mut screen = File::from(terminal.screen.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut all = vec![0; 65_536];
        while screen.read(&mut all).is_ok_and(|n| n > 0) {}
    });
    let mut town = talkative(terminal.line.try_clone().unwrap());
    town.trial(
        Trial::harmless("the terminal is stopped with ctrl-S", 5).stalling("log-console"),
        |_| terminal.stop(true),
        |_| terminal.stop(false),
    );
    let watchdog = town.server.log("watchdog.log");
    assert!(watchdog.contains("write"), "{watchdog}");
    town.server
        .log_has("watchdog.log", "log-console is back after");
    town.empties();
}

/// Has something logged until the file takes it; what is lost is told.
fn logging_resumes(town: &Town, words: &str) {
    let before = town.server.log("backend.log").len();
    let began = Instant::now();
    eventually("logging resumes", || {
        Quotes::connect(&town.server.address).subscribe(&["TOYO"]);
        let log = town.server.log("backend.log");
        (log.len() > before && log.contains(words)).then_some(())
    });
    println!("    logging resumed after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn log_files_that_vanish_block_or_are_forbidden_cost_lines_alone() {
    let mut town = Town::start(&["log.level=debug, notify=error"]);
    let mut reads_no_more = None;
    let (folder, file) = (
        town.server.path("logs"),
        town.server.path("logs/backend.log"),
    );
    town.trial(
        Trial::harmless("the log file is a FIFO that nobody reads", 4),
        |_| {
            fs::remove_file(&file).unwrap();
            fifo(&file);
        },
        |_| fs::remove_file(&file).unwrap(),
    );
    logging_resumes(&town, "log lines were lost");
    town.trial(
        Trial::harmless(
            "the log file is a FIFO that somebody has open and reads no more",
            4,
        ),
        |_| {
            fs::remove_file(&file).unwrap();
            fifo(&file);
            let both = OpenOptions::new().read(true).write(true).open(&file);
            let both = both.unwrap();
            fill(&both);
            reads_no_more = Some(both);
        },
        |_| fs::remove_file(&file).unwrap(),
    );
    drop(reads_no_more);
    logging_resumes(&town, "log lines were lost");
    town.trial(
        Trial::harmless("the log folder is deleted", 3),
        |_| fs::remove_dir_all(&folder).unwrap(),
        |_| {},
    );
    logging_resumes(&town, "");
    if is_root() {
        // Root may write where the bits forbid it; a read-only mount binds also root.
        town.trial(
            Trial::harmless("the log folder is read-only", 4),
            |_| {
                let path = folder.to_str().unwrap();
                run("mount", &["--bind", path, path]);
                run("mount", &["-o", "remount,ro,bind", path]);
            },
            |_| run("umount", &["-l", folder.to_str().unwrap()]),
        );
    } else {
        town.trial(
            Trial::harmless("the log folder is read-only", 4),
            |_| {
                fs::remove_file(&file).unwrap();
                fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
            },
            |_| fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap(),
        );
    }
    logging_resumes(&town, "");
    town.empties();
}

#[test]
fn a_full_disk_costs_lines_alone() {
    if !is_root() {
        skip("only root can mount a small disk");
        return;
    }
    let disk = SmallDisk::mount(256);
    let up = Upstreams::start();
    let mut args = up.args();
    for setting in LIVELY.iter().chain(&["log.level=debug"]) {
        args.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    let logs = disk.path().join("logs");
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.args(["--log-dir"]).arg(&logs).args(&args);
        command.stderr(Stdio::null());
    });
    let mut town = Town::around(up, server);
    let log = || fs::read_to_string(logs.join("backend.log")).unwrap_or_default();
    town.trial(
        Trial::harmless("the disk of the logs is full", 5),
        |town| {
            disk.fill();
            for _ in 0..100 {
                Quotes::connect(&town.server.address).subscribe(&["TOYO"]);
            }
            town.server.signal("QUIT");
        },
        |_| disk.make_room(),
    );
    eventually("the log tells of its loss", || {
        Quotes::connect(&town.server.address).subscribe(&["TOYO"]);
        log().contains("log lines were lost").then_some(())
    });
    assert_eq!(town.server.get("/api/health").status, 200);
    town.empties();
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn a_disk_that_hangs_holds_up_who_writes_the_watchdogs_log_and_not_the_watchdog() {
    let server = Server::start(SHORT_LIMITS);
    server.eventually("/api/threads", |got| got.status == 200);
    let drill = "/api/drill?stall=watchdog-log&how=disk&for=8s";
    assert_eq!(server.ask("POST", drill).status, 200);
    let health = server.eventually("/api/health", |got| got.status == 503);
    assert!(
        health["detail"].to_string().contains("watchdog-log"),
        "{health}"
    );
    // It still sees others, though it cannot write them down.
    let other = "/api/drill?stall=candle-cache&how=sleep&for=3s";
    assert_eq!(server.ask("POST", other).status, 200);
    // The cache meets its order where it has something to do; nobody waits for it here.
    let _asking = flood(&server.address, 1, |_| {
        b"GET /api/candles/TOYO HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()
    });
    server.eventually("/api/threads", |got| {
        let threads = got.json()["threads"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        threads
            .iter()
            .any(|t| t["name"] == "candle-cache" && t["state"] == "stalled")
    });
    // Nothing is lost that had room to wait.
    server.log_has("watchdog.log", "VERDICT: watchdog-log (");
    server.log_has("watchdog.log", "STALLED: candle-cache (");
    server.log_has("watchdog.log", "watchdog-log is back after");
    server.eventually("/api/health", |got| got.status == 200);
}
