//! The commands beside serving: `dump`, `stalls`, `drill`, and `symbolizer`, which the server itself starts.
//! They talk to a running server from outside, by signal and files or by HTTP.

#[cfg(unix)]
mod by_pid;
mod diff;
mod drill;
mod dump;
mod stalls;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::env_name;
use crate::diag::symbolizer::{self, SymbolizerArgs};
use crate::edge::request::{Secret, TOKEN_FILE_BYTES_MAX};
use crate::files::regular;
use crate::logging::LogFiles;

/// Where a server is looked for when nobody says where.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8081";

/// A longer report, raw dump or log is not read.
const REPORT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How long a report may take from the signal to its file.
const REPORT_PATIENCE: Duration = Duration::from_secs(15);

/// A sentence for the person at the terminal, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was being done, with what, and what to do.
    pub words: String,
    /// 2 for a command that is not understood, else 1.
    pub code: u8,
}

impl Fault {
    fn usage(words: impl Into<String>) -> Self {
        Self {
            words: format!("{}; see tapewarden --help", words.into()),
            code: 2,
        }
    }

    fn failed(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            code: 1,
        }
    }
}

/// Runs one of these commands; nothing where the words mean another.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter();
    let command = args.next()?;
    let rest: Vec<OsString> = args.collect();
    let result = match command.to_str()? {
        "symbolizer" => serve_as_symbolizer(rest),
        "dump" => dump::run(rest),
        "stalls" => stalls::run(rest),
        "drill" => drill::run(rest),
        _ => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("tapewarden: {}", fault.words);
            ExitCode::from(fault.code)
        }
    })
}

/// `--name value` pairs, and bare words.
type Words = (Vec<(String, String)>, Vec<String>);

/// Words as `--name value` pairs, the bare ones in order. `--help` is a fault: it shows the help.
fn words(args: Vec<OsString>, flags: &[&str]) -> Result<Words, Fault> {
    use lexopt::Arg;
    let fault = |e: lexopt::Error| Fault::usage(e.to_string());
    let mut parser = lexopt::Parser::from_args(args);
    let (mut named, mut bare) = (Vec::new(), Vec::new());
    while let Some(arg) = parser.next().map_err(fault)? {
        match arg {
            Arg::Long(name) if flags.contains(&name) => {
                let name = name.to_owned();
                let value = parser.value().map_err(fault)?;
                named.push((name, value.to_string_lossy().into_owned()));
            }
            Arg::Value(value) => bare.push(value.to_string_lossy().into_owned()),
            other => return Err(fault(other.unexpected())),
        }
    }
    Ok((named, bare))
}

fn value<'a>(named: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let hit = named.iter().find(|(n, _)| n == name);
    hit.map(|(_, value)| value.as_str())
}

/// The files of the process that is meant: the first that writes to the folder, or `--instance N`.
fn log_files(named: &[(String, String)]) -> Result<LogFiles, Fault> {
    let number = value(named, "instance").unwrap_or("1");
    let number = number
        .parse()
        .map_err(|_| Fault::usage(format!("--instance {number} is no number")))?;
    let dir = value(named, "log-dir").unwrap_or("logs");
    Ok(LogFiles::new(dir.into(), number))
}

fn serve_as_symbolizer(args: Vec<OsString>) -> Result<(), Fault> {
    let (named, _) = words(args, &["fd", "last-fd", "log-dir", "instance", "keep"])?;
    let number = |name: &str| {
        value(&named, name)
            .and_then(|v| v.parse::<u32>().ok())
            .ok_or_else(|| Fault::usage(format!("symbolizer needs --{name} NUMBER")))
    };
    let args = SymbolizerArgs {
        fd: number("fd")?,
        last_fd: number("last-fd").ok(),
        files: log_files(&named)?,
        keep: usize::try_from(number("keep")?).unwrap_or(1),
    };
    symbolizer::run(&args).map_err(|e| Fault::failed(format!("the symbolizer ended: {e}")))
}

/// Asks a server over HTTP, with its token where this environment names the file that has it; body and
/// status.
fn ask(method: &str, url: &str, patience: Duration) -> Result<(u16, String), Fault> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into();
    let token = token()?;
    let result = if method == "POST" {
        let request = agent.post(url);
        match token {
            Some(token) => request.header("Authorization", token.bearer()).send_empty(),
            None => request.send_empty(),
        }
    } else {
        let request = agent.get(url);
        match token {
            Some(token) => request.header("Authorization", token.bearer()).call(),
            None => request.call(),
        }
    };
    let mut response = result
        .map_err(|e| Fault::failed(format!("{method} {url} failed: {e}; is a server there?")))?;
    let body = response
        .body_mut()
        .read_to_string()
        .map_err(|e| Fault::failed(format!("reading the answer of {url} failed: {e}")))?;
    Ok((response.status().as_u16(), body))
}

/// The token of the server's clients, from the file that the setting `http.token_file` names in the
/// environment.
fn token() -> Result<Option<Secret>, Fault> {
    let name = env_name("http.token_file");
    let Some(path) = std::env::var_os(&name).filter(|p| !p.is_empty()) else {
        return Ok(None);
    };
    let fault = |why: String| {
        let path = std::path::Path::new(&path).display();
        Fault::failed(format!(
            "reading the token in {path} ({name}) failed: {why}"
        ))
    };
    let text = regular::read_text(std::path::Path::new(&path), TOKEN_FILE_BYTES_MAX)
        .map_err(|e| fault(e.to_string()))?;
    Secret::token(&text).map(Some).map_err(fault)
}
