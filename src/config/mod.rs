//! Settings and the command line: defaults < file < environment < flags.
//!
//! [`table`] names every setting once. Parsing is pure: arguments, environment and a way to read a file
//! come in; a [`Command`] or a [`ConfigError`] that says where the fault is and what is accepted comes out.

mod command_line;
mod file;
pub mod table;
mod usage;
pub mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::json;

use table::ROWS;
use values::Raw;

pub use command_line::{Words, command, understand};
pub use table::Settings;
pub use usage::{settings_help, settings_markdown};

/// The file that is read if it is there and `--config` names none.
pub const DEFAULT_FILE: &str = "tapewarden.toml";

/// What the environment's variables begin with.
pub const ENV_PREFIX: &str = "TAPEWARDEN_";

/// Variables that tests and the build use and that are no settings.
const ENV_OF_OTHERS: [&str; 7] = [
    "TAPEWARDEN_INTEROP",
    "TAPEWARDEN_BROWSER",
    "TAPEWARDEN_AUTOBAHN",
    "TAPEWARDEN_REDBOT",
    "TAPEWARDEN_SCHEMATHESIS",
    "TAPEWARDEN_NPM",
    "TAPEWARDEN_NPM_SECONDS",
];

/// A longer word is no mistyped key.
const MISTYPED_BYTES_MAX: usize = 100;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Serve.
    Run(Box<Settings>),
    /// Print this and end.
    Print(String),
}

/// Why it cannot be understood: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    File(PathBuf, usize),
    Environment(String),
    Flag(String),
    Implied(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Implied(flag) => write!(f, "implied by {flag}"),
        }
    }
}

/// Every key with its value and where that came from.
type Given = BTreeMap<String, (Raw, Origin)>;

/// Understands a command line of the server alone.
///
/// # Errors
/// A sentence for each fault: the key, where it stands, what is accepted.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    read_file: impl Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Command, ConfigError> {
    match understand(command(), args) {
        Ok(said) => load(&Words::new(&said), env, read_file),
        Err(e) if e.exit_code() == 0 => Ok(Command::Print(said_of(&e))),
        Err(e) => Err(ConfigError(said_of(&e))),
    }
}

/// What clap says of a command line, without the word before it.
#[must_use]
pub fn said_of(error: &clap::Error) -> String {
    let text = error.render().to_string();
    text.trim_start_matches("error: ").trim_end().to_owned()
}

/// The settings as all sources say, of which the words on the command line are the strongest.
///
/// # Errors
/// As [`parse`].
pub fn load(
    words: &Words,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    read_file: impl Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Command, ConfigError> {
    let mut given: Given = ROWS
        .iter()
        .map(|row| {
            (
                row.key.to_owned(),
                (Raw::Text(row.default.to_owned()), Origin::Default),
            )
        })
        .collect();
    let path = words.config.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    match read_file(&path) {
        Ok(bytes) => add_file(&mut given, &path, &bytes)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound && words.config.is_none() => {}
        Err(e) => {
            return Err(ConfigError(format!(
                "reading the settings file {} failed: {e}; name a readable TOML file with --config",
                path.display()
            )));
        }
    }
    // What a stronger source overrides must be right all the same.
    build(&given)?;
    add_environment(&mut given, env)?;
    build(&given)?;
    for (key, value, origin) in &words.given {
        let known = given.get_mut(key).ok_or_else(|| unknown(key, origin))?;
        *known = (Raw::Text(value.clone()), origin.clone());
    }
    let settings = build(&given)?;
    let contradictions = settings.contradictions();
    if !contradictions.is_empty() {
        return Err(ConfigError(contradictions.join("\n")));
    }
    Ok(if words.print_config {
        Command::Print(effective(&settings, &given))
    } else {
        Command::Run(Box::new(settings))
    })
}

/// The settings as all sources so far say.
fn build(given: &Given) -> Result<Settings, ConfigError> {
    Settings::build(|key| given[key].0.clone()).map_err(|refused| {
        let lines: Vec<String> = refused
            .iter()
            .map(|r| {
                let (raw, origin) = &given[r.key];
                format!(
                    "{} = {} ({origin}): it takes {}",
                    r.key,
                    spoken(raw),
                    r.accepts
                )
            })
            .collect();
        ConfigError(lines.join("\n"))
    })
}

fn add_file(given: &mut Given, path: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
    let named = path.display();
    let text = json::whole_text(bytes)
        .ok_or_else(|| ConfigError(format!("the settings file {named} is not UTF-8 text")))?;
    let found = file::parse(&text).map_err(|(line, why)| {
        let line = line.map(|n| format!(" line {n}")).unwrap_or_default();
        ConfigError(format!(
            "the settings file {named}{line} is not TOML: {why}"
        ))
    })?;
    let mut faults = Vec::new();
    for (key, (raw, line)) in found {
        let origin = Origin::File(path.to_owned(), line);
        match given.get_mut(&key) {
            Some(known) => *known = (raw, origin),
            None => faults.push(unknown(&key, &origin).0),
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(ConfigError(faults.join("\n")))
    }
}

fn add_environment(
    given: &mut Given,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    for (name, value) in env {
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with(ENV_PREFIX) || ENV_OF_OTHERS.contains(&name.as_str()) {
            continue;
        }
        let origin = Origin::Environment(name.clone());
        let Some(row) = ROWS.iter().find(|row| env_name(row.key) == name) else {
            let names: Vec<String> = ROWS.iter().map(|row| env_name(row.key)).collect();
            let near = nearest(&name, names.iter().map(String::as_str));
            return Err(ConfigError(format!(
                "{origin} names no setting{}; see tapewarden config for all",
                near.map(|n| format!(", did you mean {n}?"))
                    .unwrap_or_default()
            )));
        };
        let value = value
            .into_string()
            .map_err(|_| ConfigError(format!("{origin} is not UTF-8 text")))?;
        given.insert(row.key.to_owned(), (Raw::Text(value), origin));
    }
    Ok(())
}

/// `gate.head_deadline` → `TAPEWARDEN_GATE_HEAD_DEADLINE`
#[must_use]
pub fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

fn unknown(key: &str, origin: &Origin) -> ConfigError {
    let near = nearest(key, ROWS.iter().map(|row| row.key));
    ConfigError(format!(
        "unknown setting {key} ({origin}){}; see tapewarden config for all",
        near.map(|n| format!(", did you mean {n}?"))
            .unwrap_or_default()
    ))
}

/// The effective settings as TOML, each with where it came from.
fn effective(settings: &Settings, given: &Given) -> String {
    let mut out = String::from("# tapewarden: the effective settings and where each comes from\n");
    let mut section = "";
    for (key, value) in settings.shown() {
        let (group, name) = key.split_once('.').unwrap_or(("", key));
        // Writing to a string cannot fail.
        if group != section {
            section = group;
            let _ = writeln!(out, "\n[{group}]");
        }
        let _ = writeln!(out, "{name} = {value}  # {}", given[key].1);
    }
    out.pop();
    out
}

fn spoken(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) => format!(
            "{:?}",
            without_password(text).chars().take(80).collect::<String>()
        ),
        Raw::Number(n) => n.to_string(),
        Raw::Decimal(n) => n.clone(),
        Raw::Bool(b) => b.to_string(),
        Raw::List(list) => format!("{list:?}"),
        Raw::Other(kind) => format!("a TOML {kind}"),
    }
}

/// A refused URL is repeated on the console, and what stands before its `@` is not.
fn without_password(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://***{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}

/// The candidate that a word was probably meant to be: at most a third of it is wrong.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes that much, and comparing takes the product of both lengths.
    if word.len() > MISTYPED_BYTES_MAX {
        return None;
    }
    candidates
        .map(|c| (strsim::levenshtein(word, c), c))
        .min()
        .filter(|(d, c)| *d <= c.len() / 3)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests;
