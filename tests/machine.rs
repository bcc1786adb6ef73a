//! The machine below: files that others prepared, signals, full disks, limits, a replaced binary. With real
//! processes.
#![cfg(target_os = "linux")]

mod kit;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kit::faults::fifo;
use kit::server::program;
use kit::{Server, eventually};

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
            let mut child = program(home.path())
                .args(&flags)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            eventually("its end", || child.try_wait().unwrap());
            let out = child.wait_with_output().unwrap();
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
    let (code, said) = drill(&server, &["--stall", "candle-desk", "--how", "panic"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("candle-desk has panicked"), "{said}");
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
