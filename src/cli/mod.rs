//! The commands beside serving: `dump`, `stalls`, `drill`, `threads`, and `symbolizer`, which the server itself starts.
//! They talk to a running server from outside, by its control socket, by signal and files, or by HTTP.

#[cfg(unix)]
mod by_pid;
mod diff;
mod drill;
mod dump;
mod server;
mod stalls;
mod threads;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::config::{self, Words, env_name};
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

/// The whole command line: the server's, and these commands.
#[must_use]
pub fn command() -> Command {
    config::command()
        .subcommand(dump::command())
        .subcommand(stalls::command())
        .subcommand(drill::command())
        .subcommand(threads::command())
        .subcommand(
            Command::new("symbolizer")
                .about("Names stacks; the server starts it")
                .hide(true)
                .args([number("fd").required(true), number("last-fd")])
                .arg(number("keep").required(true))
                .args(log_flags()),
        )
}

/// Understands a command line, and runs the command if it is one of these; else gives what is said of the server.
///
/// # Errors
/// The exit code of a command that has run, or of words that are not understood.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<Words, ExitCode> {
    let said = config::understand(command(), args).map_err(|e| {
        if e.use_stderr() {
            eprintln!("tapewarden: {}", config::said_of(&e));
            return ExitCode::from(2);
        }
        println!("{}", config::said_of(&e));
        ExitCode::SUCCESS
    })?;
    let words = Words::new(&said);
    let result = match said.subcommand() {
        None | Some(("run" | "config", _)) => return Ok(words),
        Some((name, _)) if words != Words::default() => Err(Fault::usage(format!(
            "the flags before {name} are a server's; its own stand after it"
        ))),
        Some(("symbolizer", said)) => serve_as_symbolizer(said),
        Some(("dump", said)) => dump::run(said),
        Some(("stalls", said)) => stalls::run(said),
        Some(("drill", said)) => drill::run(said),
        Some(("threads", said)) => threads::run(said),
        Some((name, _)) => Err(Fault::usage(format!("{name} is no command"))),
    };
    Err(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("tapewarden: {}", fault.words);
            ExitCode::from(fault.code)
        }
    })
}

/// A flag with a text.
fn text(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value)
}

/// A flag with a number.
fn number(name: &'static str) -> Arg {
    text(name, "N").value_parser(value_parser!(u32))
}

/// What was said by a flag.
fn value<'a>(said: &'a ArgMatches, name: &str) -> Option<&'a str> {
    said.get_one::<String>(name).map(String::as_str)
}

/// Where a server is.
fn url_flag() -> Arg {
    text("url", "URL")
        .default_value(DEFAULT_URL)
        .help("The server")
}

/// Of which process the files are.
fn log_flags() -> [Arg; 2] {
    [
        // Not the name of the server's flag: what is global is told to the commands above, too.
        Arg::new("folder")
            .long("log-dir")
            .value_name("DIR")
            .default_value("logs")
            .global(true)
            .help("Folder of the logs"),
        number("instance")
            .default_value("1")
            .global(true)
            .help("Which of several processes that write there"),
    ]
}

/// The files of the process that is meant: the first that writes to the folder, or `--instance N`.
fn log_files(said: &ArgMatches) -> LogFiles {
    let instance = said.get_one::<u32>("instance").copied().unwrap_or(1);
    let dir = value(said, "folder").unwrap_or("logs");
    LogFiles::new(dir.into(), instance)
}

fn serve_as_symbolizer(said: &ArgMatches) -> Result<(), Fault> {
    let number = |name: &str| said.get_one::<u32>(name).copied();
    let args = SymbolizerArgs {
        fd: number("fd").unwrap_or(0),
        last_fd: number("last-fd"),
        files: log_files(said),
        keep: usize::try_from(number("keep").unwrap_or(1)).unwrap_or(1),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(line: &str) -> Result<ArgMatches, clap::Error> {
        config::understand(command(), line.split(' ').map(OsString::from))
    }

    #[test]
    fn every_command_has_a_help_and_a_mistyped_word_is_told_the_near_one() {
        for name in [
            "run",
            "config",
            "dump",
            "stalls",
            "drill",
            "threads",
            "stalls show",
        ] {
            let help = understood(&format!("{name} --help")).unwrap_err();
            assert!(!help.use_stderr());
            let text = help.to_string();
            assert!(
                text.contains(&format!("Usage: tapewarden {name}")),
                "{text}"
            );
        }
        for (line, near) in [
            ("dmp", "'dump'"),
            ("drill --stal x", "'--stall'"),
            ("dump --formt json", "'--format'"),
            ("dump --format jsn", "'json'"),
        ] {
            let error = understood(line).unwrap_err();
            assert!(error.use_stderr());
            assert!(config::said_of(&error).contains(near), "{error}");
        }
        for wrong in [
            "drill",
            "stalls show",
            "dump --pid x",
            "dump now",
            "stalls shw",
        ] {
            assert!(understood(wrong).unwrap_err().use_stderr(), "{wrong}");
        }
    }

    #[test]
    fn flags_are_taken_before_and_after_a_word_of_the_command() {
        for line in [
            "stalls show 3 --log-dir x --instance=2",
            "stalls --instance 2 --log-dir=x show 3",
        ] {
            let said = understood(line).unwrap();
            let (_, stalls) = said.subcommand().unwrap();
            assert_eq!(log_files(stalls), LogFiles::new("x".into(), 2), "{line}");
            assert_eq!(Words::new(&said), Words::default(), "{line}");
        }
        let symbolizer = "symbolizer --fd 3 --keep 20 --instance 1 --log-dir x --last-fd 4";
        assert_eq!(
            Words::new(&understood(symbolizer).unwrap()),
            Words::default()
        );
        let server = understood("--listen 127.0.0.1:0 stalls").unwrap();
        assert_ne!(Words::new(&server), Words::default());
    }
}
