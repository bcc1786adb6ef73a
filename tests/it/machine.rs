//! The machine below: files that others prepared, signals, full disks, limits, a replaced binary. With real
//! processes.
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::kit::faults::{Terminal, fifo, is_root, wrap};
use crate::kit::server::program;
use crate::kit::small_disk::{SmallDisk, run};
use crate::kit::{PATIENCE, SHORT_LIMITS, Server, at_once, eventually, skip};

#[test]
fn what_others_prepared_in_the_folder_for_temporary_files_does_not_hold_up_the_start() {
    let home = tempfile::tempdir().unwrap();
    let tmp = home.path().join("tmp");
    let prepared = tmp.join("tapewarden-gate-1-1");
    fs::create_dir_all(&prepared).unwrap();
    fifo(&prepared.join(".held"));
    let linked = tmp.join("tapewarden-sim-1-1");
    fs::create_dir_all(&linked).unwrap();
    symlink("/dev/zero", linked.join(".held")).unwrap();
    // What a process that was killed has left.
    let left = tmp.join("tapewarden-gate-2-2");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join(".held"), "").unwrap();
    let server = Server::start_by(home, |command| {
        command.env("TMPDIR", &tmp).stderr(Stdio::null());
    });
    assert_eq!(server.get("/api/health").status, 200);
    eventually("the leftover is removed", || (!left.exists()).then_some(()));
    assert!(prepared.exists() && linked.exists());
}

#[test]
fn files_of_settings_that_are_no_files_are_told_and_not_waited_for() {
    let home = tempfile::tempdir().unwrap();
    fifo(&home.path().join("fifo"));
    symlink("/dev/zero", home.path().join("zeros")).unwrap();
    for file in ["fifo", "zeros"] {
        for flags in [
            ["--config", file].map(str::to_owned),
            ["--set".to_owned(), format!("http.token_file={file}")],
            ["--set".to_owned(), format!("model.prompt_file={file}")],
        ] {
            let mut command = program(home.path());
            command.args(&flags).stderr(Stdio::piped());
            let out = ended(command.spawn().unwrap());
            let said = String::from_utf8_lossy(&out.stderr);
            assert!(said.contains(file), "{flags:?}: {said}");
            assert!(said.contains("not a regular file"), "{flags:?}: {said}");
        }
    }
}

/// Runs `tapewarden drill` against this server; how it ended, and what it said.
fn drill(server: &Server, args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
        .args(["drill", "--url", &format!("http://{}", server.address)])
        .args(args)
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].concat();
    (
        out.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_drill_of_a_thread_that_does_not_beat_expires_and_its_command_ends_with_a_word() {
    let server = Server::start(&[]);
    server.eventually("/api/threads", |got| got.status == 200);
    let asked = Instant::now();
    // It hears signals, and there is none.
    let (code, said) = drill(&server, &["--stall", "signals", "--for", "3s"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("a drill has expired: signals: 1 of 1"),
        "{said}"
    );
    assert!(said.contains("signals did not stall"), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(25), "{said}");
    // Now it beats: the order is void.
    server.signal("QUIT");
    server.log_has("watchdog.log", "asked for by SIGQUIT");
    assert!(!server.log("watchdog.log").contains("STALLED: signals"));
    let (code, said) = drill(&server, &["--stall", "candle-cache", "--how", "panic"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("candle-cache has panicked"), "{said}");
}

/// Has this program run under a filter that refuses these system calls.
fn refuse(command: &mut Command, calls: &[i64]) {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    use std::os::unix::process::CommandExt;
    let filter: BpfProgram = SeccompFilter::new(
        calls.iter().map(|call| (*call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(1),
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .and_then(BpfProgram::try_from)
    .unwrap();
    let install = move || apply_filter(&filter).map_err(std::io::Error::other);
    // SAFETY: between fork and exec it makes two system calls, and allocates only where one fails.
    unsafe { command.pre_exec(install) };
}

#[test]
fn under_a_filter_of_system_calls_stacks_are_had_another_way_and_what_was_refused_is_told() {
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.stderr(Stdio::null());
        refuse(
            command,
            &[libc::SYS_rt_tgsigqueueinfo, libc::SYS_memfd_create],
        );
    });
    server.log_has("backend.log", "rt_tgsigqueueinfo is refused");
    eventually("a report with stacks of nearly all", || {
        let report = server.get("/api/threads/dump?format=json").json();
        let threads = report["dump"].as_array()?.clone();
        let has_frames = |t: &&serde_json::Value| !t["frames"].as_array().unwrap().is_empty();
        let with = threads.iter().filter(has_frames).count();
        (with > 50 && with + 3 > threads.len()).then_some(())
    });
    let server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.stderr(Stdio::null());
        refuse(command, &[libc::SYS_rt_tgsigqueueinfo, libc::SYS_tgkill]);
    });
    server.log_has("backend.log", "tgkill as well");
    let report = server.eventually("/api/threads/dump?format=json", |got| got.status == 200);
    let why = report["no_stacks"].as_str().unwrap();
    assert!(why.contains("rt_tgsigqueueinfo is refused"), "{why}");
    assert!(why.contains("tgkill"), "{why}");
}

/// What a program said that ends by itself; one that does not is killed.
fn ended(mut child: Child) -> Output {
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ended_already = child.kill();
    child.wait_with_output().unwrap()
}

/// Has this program run under a limit as a user who has no other process.
fn limited(command: &mut Command, home: &Path, user: u32, limit: &str) {
    chown(home, Some(user), Some(user)).unwrap();
    let user = format!("--reuid={user}");
    wrap(
        command,
        "prlimit",
        &[limit, "setpriv", &user, "--clear-groups"],
    );
}

/// The answers to so many clients that come at once and ask for one thing each.
fn answers_to_a_burst(server: &Server, clients: usize) -> Vec<String> {
    let ask = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut burst: Vec<TcpStream> = (0..clients)
        .map(|_| TcpStream::connect(&server.address).unwrap())
        .collect();
    for stream in &mut burst {
        let _turned_away_already = stream.write_all(ask);
    }
    let mut answers = Vec::new();
    for stream in &mut burst {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = vec![0; 4_096];
        let n = stream.read(&mut answer).expect("an answer, not a reset");
        answers.push(String::from_utf8_lossy(&answer[..n]).into_owned());
    }
    answers
}

#[test]
fn who_gets_no_thread_or_descriptor_is_told_with_a_whole_answer_and_served_later() {
    if !is_root() {
        skip("only root can start it as another user");
        return;
    }
    for (n, limits, word) in [
        (1, "--nofile=100", "ulimit -n"),
        (2, "--nproc=190", "ulimit -u"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_owned();
        let server = Server::start_by(home, |command| {
            command.env("TMPDIR", &path);
            limited(command, &path, 70_000 + 10 * std::process::id() + n, limits);
            command.stdout(Stdio::piped()).stderr(Stdio::null());
        });
        let answers = answers_to_a_burst(&server, 300);
        let with = |words: &str| answers.iter().filter(|a| a.contains(words)).count();
        let (served, told) = (with("HTTP/1.1 200 "), with("HTTP/1.1 503 "));
        println!(
            "{limits}: {served} served, {told} told, {} by name",
            with(word)
        );
        assert_eq!(served + told, 300, "{limits}: {answers:?}");
        assert!(served > 0 && with(word) > 0, "{limits}: {answers:?}");
        server.eventually("/api/health", |got| got.status == 200);
    }
}

#[test]
fn a_start_that_the_system_refuses_names_limit_path_and_variable() {
    let fails = |prepare: &dyn Fn(&mut Command, &Path)| {
        let home = tempfile::tempdir().unwrap();
        let mut command = program(home.path());
        command.env("TMPDIR", home.path());
        prepare(&mut command, home.path());
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let out = ended(command.spawn().unwrap());
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{said}");
        said
    };
    let said = fails(&|command, _| {
        command.env("TMPDIR", "/nowhere/at/all");
    });
    assert!(said.contains("/nowhere/at/all"), "{said}");
    assert!(said.contains("TMPDIR"), "{said}");
    if !is_root() {
        skip("only root can start it as another user");
        return;
    }
    for threads in [3, 20, 40, 60, 72] {
        let user = 70_000 + 10 * std::process::id() + 3;
        let limits = format!("--nproc={threads}");
        let said = fails(&|command, home| limited(command, home, user, &limits));
        assert!(said.contains(&format!("may have {threads} ")), "{said}");
        assert!(said.contains("ulimit -u"), "{said}");
    }
    let user = 70_000 + 10 * std::process::id() + 4;
    let said = fails(&|command, home| limited(command, home, user, "--nofile=20"));
    assert!(said.contains("ulimit -n"), "{said}");
}

#[test]
fn on_a_full_disk_reports_are_whole_or_absent_and_the_console_has_the_verdict() {
    if !is_root() {
        skip("only root can mount a small disk");
        return;
    }
    let disk = SmallDisk::mount(6_000);
    let logs = disk.path().join("logs");
    let home = tempfile::tempdir().unwrap();
    let console = home.path().join("console");
    let server = Server::start_by(home, |command| {
        command.arg("--log-dir").arg(&logs).args(SHORT_LIMITS);
        command.stderr(fs::File::create(&console).unwrap());
    });
    server.eventually("/api/threads", |got| got.status == 200);
    let said = || fs::read_to_string(&console).unwrap();
    // Some fit, some do not, whatever the disk has room for.
    for round in 0..12 {
        if round == 6 {
            disk.fill();
        }
        assert_eq!(server.get("/api/threads/dump").status, 200);
    }
    let stall = "/api/drill?stall=gate&how=sleep&for=3s";
    let stall = server.ask("POST", stall);
    assert_eq!(stall.status, 200, "{}", stall.text());
    eventually("the verdict on the console", || {
        let _meets_its_order = std::net::TcpStream::connect(&server.address);
        let told = said();
        (told.contains("[ERROR] [WATCHDOG] VERDICT: gate") && told.contains("could not be kept"))
            .then_some(())
    });
    assert!(said().contains("so far"), "{}", said());
    let reports = fs::read_dir(logs.join("reports")).unwrap();
    let mut whole = 0;
    for path in reports.map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        match path.extension().unwrap().to_str().unwrap() {
            "json" => drop(serde_json::from_str::<serde_json::Value>(&text).unwrap()),
            "txt" => {
                assert!(text.contains("=== END STACK DUMP ==="), "{path:?}");
                for form in ["json", "folded"] {
                    assert!(path.with_extension(form).exists(), "{path:?}");
                }
                whole += 1;
            }
            "folded" => assert!(text.ends_with('\n') && path.with_extension("txt").exists()),
            other => assert_eq!(other, "raw", "{path:?}"),
        }
    }
    assert!(whole > 0, "some fitted");
    let log = fs::read_to_string(logs.join("watchdog.log")).unwrap();
    assert!(log.ends_with('\n'));
}

#[test]
fn two_processes_with_one_folder_of_logs_have_names_of_their_own() {
    let first = Server::start(&[]);
    let logs = first.path("logs");
    let second = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.arg("--log-dir").arg(&logs).stderr(Stdio::null());
    });
    first.log_has("backend-2.log", "another process writes its logs to");
    let address = format!("listening on http://{}", second.address);
    first.log_has("backend-2.log", &address);
    assert!(!first.log("backend.log").contains(&address));
    first.eventually("/api/threads", |got| got.status == 200);
    for server in [&first, &second] {
        let out = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
            .args(["dump", "--pid", &server.pid().to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let mine = format!("process {}", server.pid());
        assert!(said.contains(&mine), "{said:.300}");
    }
    for folder in ["reports", "reports-2"] {
        assert!(
            fs::read_dir(logs.join(folder)).unwrap().count() > 0,
            "{folder}"
        );
    }
    first.log_has("watchdog-2.log", "SIGQUIT");
    // The names of one that has ended are free again.
    drop(second);
    let third = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        command.arg("--log-dir").arg(&logs).stderr(Stdio::null());
    });
    first.log_has("backend-2.log", &format!("http://{}", third.address));
}

#[test]
fn a_clients_token_is_read_again_when_it_changes_and_a_bad_one_leaves_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("clients-token");
    let put = |token: &str| {
        let part = file.with_extension("part");
        fs::write(&part, token).unwrap();
        fs::set_permissions(&part, Permissions::from_mode(0o600)).unwrap();
        fs::rename(part, &file).unwrap();
    };
    put("first-token-0123456789");
    let server = Server::start_by(home, |command| {
        let setting = format!("http.token_file={}", file.display());
        command.args(["--set", &setting]).stderr(Stdio::null());
    });
    let status = |token: &str| {
        let shown = format!("Bearer {token}");
        server
            .ask_with("GET", "/api/health", &[("Authorization", &shown)])
            .status
    };
    // A connection that was let in before is asked anew.
    let mut kept = TcpStream::connect(&server.address).unwrap();
    kept.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut again = || {
        let ask = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer first-token-0123456789\r\n\r\n";
        kept.write_all(ask).unwrap();
        let mut answer = [0; 4_096];
        let n = kept.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..n]).into_owned()
    };
    assert_eq!(status("first-token-0123456789"), 200);
    for _ in 0..3 {
        assert!(again().starts_with("HTTP/1.1 200"));
    }
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    server.log_has("backend.log", "mode 0666");
    assert_eq!(status("first-token-0123456789"), 200);
    put("second-token-0123456789");
    server.log_has("backend.log", "(http.token_file) has changed");
    assert_eq!(status("second-token-0123456789"), 200);
    assert_eq!(status("first-token-0123456789"), 401);
    assert!(again().starts_with("HTTP/1.1 401"));
}

#[test]
fn a_closed_terminal_is_an_orderly_end_and_a_service_goes_on() {
    let terminal = Terminal::open();
    let mut server = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        wrap(command, "setsid", &["--ctty"]);
        command
            .stdin(terminal.line.try_clone().unwrap())
            .stdout(Stdio::piped())
            .stderr(terminal.line.try_clone().unwrap());
    });
    assert_eq!(server.get("/api/health").status, 200);
    drop(terminal);
    assert_eq!(server.exit_code(), 0);
    let log = server.log("backend.log");
    assert!(
        log.contains("asked by SIGHUP") && log.contains("[MAIN] ended "),
        "{log}"
    );

    let mut service = Server::start_by(tempfile::tempdir().unwrap(), |command| {
        wrap(command, "setsid", &[]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
    });
    for signal in ["HUP", "USR1", "USR2", "ALRM", "PROF", "IO", "XFSZ", "PIPE"] {
        service.signal(signal);
        if signal != "PIPE" {
            service.log_has("backend.log", &format!("SIG{signal}: "));
        }
        assert_eq!(service.get("/api/health").status, 200, "{signal}");
    }
    service.signal("TSTP");
    std::thread::sleep(Duration::from_secs(3));
    service.signal("CONT");
    assert_eq!(service.get("/api/health").status, 200);
    service.signal("TERM");
    assert_eq!(service.exit_code(), 0);
    assert!(!service.log("watchdog.log").contains("STALL"));
}

#[test]
fn a_binary_that_is_replaced_or_deleted_while_it_runs_still_names_its_functions() {
    at_once([true, false], |replaced| {
        let home = tempfile::tempdir().unwrap();
        let binary = home.path().join("copy");
        // By another process: a program that this one has open for writing cannot be started, and any process
        // that another test starts meanwhile has it open for a moment.
        run(
            "cp",
            &[env!("CARGO_BIN_EXE_tapewarden"), binary.to_str().unwrap()],
        );
        let mut server = Server::start_by(home, |command| {
            let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
            let home = command.get_current_dir().unwrap().to_owned();
            *command = Command::new(&binary);
            command.args(args).current_dir(home);
            command.stdout(Stdio::piped()).stderr(Stdio::null());
        });
        fs::remove_file(&binary).unwrap();
        if replaced {
            fs::copy("/bin/true", &binary).unwrap();
        }
        // The process that names stacks has to be started anew, from what is no longer there.
        let before = eventually("the process that names stacks", || server.symbolizer());
        run("kill", &["-KILL", &before.to_string()]);
        eventually("another in its place", || {
            server.symbolizer().filter(|now| *now != before)
        });
        let report = eventually("a report with names", || {
            let got = server.get("/api/threads/dump");
            let text = got.text();
            (got.status == 200 && text.contains("tapewarden::edge::listener::acceptor"))
                .then_some(text)
        });
        assert!(
            report.contains("src/edge/listener/acceptor.rs:"),
            "{report:.3000}"
        );
        assert!(!report.contains("copy+0x"), "{report:.3000}");
        server.signal("TERM");
        assert_eq!(server.exit_code(), 0);
    });
}
