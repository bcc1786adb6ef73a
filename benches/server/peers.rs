//! The servers to measure against, with the product's own bodies.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::load::{Poll, ask};
use super::process::Process;

/// Builds the async peers; gives the program.
pub fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/peers");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet"])
        .arg("--manifest-path")
        .arg(root.join("benches/peers/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status();
    assert!(
        built.is_ok_and(|s| s.success()),
        "building benches/peers failed"
    );
    target.join("release/peers")
}

/// One of the async peers.
pub fn axum(program: &Path, mode: &str, folder: &Path) -> Process {
    Process::start(Command::new(program).arg(mode).arg(folder))
}

/// The async peer that streams a trader app's quotes.
pub fn broadcast(program: &Path, trader: &str) -> Process {
    Process::start(Command::new(program).arg("broadcast").arg(trader))
}

/// This program as the fixed responder.
pub fn fixed(folder: &Path) -> Process {
    let me = std::env::current_exe().expect("this program's path");
    Process::start(Command::new(me).arg("--respond").arg(folder))
}

/// nginx with the folder's files, and their `.gz` beside them; none where it is not installed.
pub fn nginx(folder: &Path, scratch: &Path) -> Option<Process> {
    let version = Command::new("nginx").arg("-V").output().ok()?;
    let version = String::from_utf8_lossy(&version.stderr).into_owned();
    let gzip = if version.contains("http_gzip_static_module") {
        "gzip_static on;"
    } else {
        ""
    };
    // Without it its workers are somebody else, who may not read the folder.
    let user = if rustix::process::getuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .ok()?
        .to_string();
    let (www, scratch_path) = (folder.display(), scratch.display());
    let config = format!(
        "{user} daemon off; worker_processes 2; pid {scratch_path}/nginx.pid; error_log stderr crit;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
            open_file_cache max=100; {gzip} types {{ application/json json; }}
            client_body_temp_path {scratch_path}/b; proxy_temp_path {scratch_path}/p;
            fastcgi_temp_path {scratch_path}/f; uwsgi_temp_path {scratch_path}/u; scgi_temp_path {scratch_path}/s;
            server {{ listen {address}; root {www}; }}
        }}"
    );
    let path = scratch.join("nginx.conf");
    std::fs::write(&path, config).ok()?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&path).arg("-p").arg(scratch);
    command.stderr(std::process::Stdio::null());
    let process = Process::at(address, &mut command);
    let until = Instant::now() + Duration::from_secs(5);
    while ask(&process.address, &Poll::get("/health.json")).is_err() {
        if Instant::now() > until {
            println!("nginx is installed and does not answer: left out.\n");
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(process)
}
