//! A running server as the commands reach it: by its control socket where one of this machine is meant, by its port else.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, value_parser};

use crate::edge::control::PORT_HEADER;
use crate::logging::LogFiles;
use crate::runtime::local_server::{LocalAnswer, ask as ask_local, at_path};

use super::{DEFAULT_URL, Fault, ask, log_files, text, url_flag, value};

/// How long it may take to say that it is there, and where its port is.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Where a server is asked.
pub(super) enum Server {
    /// At the control socket of the process whose files these are.
    Control(LogFiles),
    /// At its port: `http://127.0.0.1:8081`.
    Port(String),
}

/// By its process: whose files are those that it has open.
pub(super) fn pid_flag() -> Arg {
    text("pid", "PID")
        .value_parser(value_parser!(i32))
        .help("The server, by its process on this machine")
}

/// The server's port, for one that is elsewhere or has no control socket.
pub(super) fn port_flag() -> Arg {
    url_flag().help("The server, by its port; else its control socket beside the logs is asked")
}

impl Server {
    /// The one that is named by `--url`, `--pid`, `--log-dir` or `--instance`; none where nobody says which.
    pub(super) fn named(said: &ArgMatches) -> Result<Option<Self>, Fault> {
        let was_said = |id| said.value_source(id) == Some(ValueSource::CommandLine);
        if was_said("url") {
            let url = value(said, "url").unwrap_or(DEFAULT_URL);
            return Ok(Some(Self::Port(url.trim_end_matches('/').to_owned())));
        }
        if let Ok(Some(pid)) = said.try_get_one::<i32>("pid") {
            return Ok(Some(Self::Control(files_of(*pid)?)));
        }
        let names_files = was_said("folder") || was_said("instance");
        Ok(names_files.then(|| Self::Control(log_files(said))))
    }

    /// The one that is named, or the one with the default folder of logs, or else the one at the default port.
    pub(super) fn of(said: &ArgMatches) -> Result<Self, Fault> {
        if let Some(named) = Self::named(said)? {
            return Ok(named);
        }
        let files = log_files(said);
        let looked = control(&files.control(), "GET", "/api/health", LOOK_PATIENCE);
        let nobody = [
            ErrorKind::NotFound,
            ErrorKind::ConnectionRefused,
            ErrorKind::InvalidInput,
            ErrorKind::Unsupported,
        ];
        Ok(match looked {
            Err(e) if nobody.contains(&e.kind()) => Self::Port(DEFAULT_URL.to_owned()),
            _ => Self::Control(files),
        })
    }

    /// Asks it; status and body.
    pub(super) fn ask(
        &self,
        method: &str,
        target: &str,
        patience: Duration,
    ) -> Result<(u16, String), Fault> {
        match self {
            Self::Port(url) => ask(method, &format!("{url}{target}"), patience),
            Self::Control(files) => {
                let path = files.control();
                let said = control(&path, method, target, patience)
                    .map_err(|e| Fault::failed(why(&path, &e)))?;
                let body = String::from_utf8_lossy(&said.body).into_owned();
                Ok((said.status, body))
            }
        }
    }

    /// The URL of its port; none if it does not say.
    pub(super) fn port(&self) -> Option<String> {
        match self {
            Self::Port(url) => Some(url.clone()),
            Self::Control(files) => {
                let path = files.control();
                let said = control(&path, "GET", "/api/health", LOOK_PATIENCE).ok()?;
                let port: SocketAddr = said.header(PORT_HEADER)?.parse().ok()?;
                Some(format!("http://{}", from_here(port)))
            }
        }
    }
}

fn control(path: &Path, method: &str, target: &str, patience: Duration) -> io::Result<LocalAnswer> {
    ask_local(&at_path(path)?, method, target, Instant::now() + patience)
}

fn why(path: &Path, e: &io::Error) -> String {
    let path = path.display();
    match e.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!(
            "no server answers at the control socket {path}: {e}; name another folder by --log-dir, or the port by --url"
        ),
        ErrorKind::PermissionDenied => {
            format!("the control socket {path} is another user's: {e}; use --url")
        }
        _ => format!(
            "asking the control socket {path} failed: {e}; use --url, or for stacks tapewarden dump --pid"
        ),
    }
}

/// One that listens everywhere is reached at loopback.
fn from_here(port: SocketAddr) -> SocketAddr {
    let ip = match port.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, port.port())
}

#[cfg(unix)]
fn files_of(pid: i32) -> Result<LogFiles, Fault> {
    super::by_pid::log_files(pid)
}

#[cfg(not(unix))]
fn files_of(_: i32) -> Result<LogFiles, Fault> {
    Err(Fault::failed(
        "a process's files are not to be found on this system; use --url",
    ))
}
