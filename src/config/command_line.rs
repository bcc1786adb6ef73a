//! The server's part of the command line: its flags in one table, and what was said by them. Pure.

use std::ffi::OsString;
use std::iter;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::Origin;
use super::usage::{EPILOGUE, settings_help};

/// A flag that sets a setting.
struct Flag {
    name: &'static str,
    value: &'static str,
    key: &'static str,
    /// Whether it says that real upstreams are meant.
    is_upstream: bool,
    help: &'static str,
}

const fn flag(name: &'static str, value: &'static str, key: &'static str) -> Flag {
    Flag {
        name,
        value,
        key,
        is_upstream: false,
        help: "",
    }
}

impl Flag {
    const fn upstream(self) -> Self {
        Self {
            is_upstream: true,
            ..self
        }
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }
}

#[rustfmt::skip]
const FLAGS: [Flag; 8] = [
    flag("listen", "ADDR", "listen").help("Address and port (127.0.0.1:8081)"),
    flag("log-dir", "DIR", "log_dir").help("backend.log and watchdog.log (logs)"),
    flag("market", "sim|schwab", "market").help("Embedded market, or real upstreams"),
    flag("schwab-url", "URL", "schwab.base_url").upstream().help("Schwab's market data API"),
    flag("token-file", "FILE", "schwab.token_file").upstream().help("Token file, written by your login program"),
    flag("trader-url", "URL", "trader.url").upstream().help("Trader app, REST and Socket.IO"),
    flag("data-dir", "DIR", "trader.data_dir").upstream().help("Trader app's folder with runners.json"),
    flag("model-url", "URL", "model.url").upstream().help("Ollama server for validations"),
];

/// The command line of the server alone: `[run]` and `config` with their flags.
#[must_use]
pub fn command() -> Command {
    Command::new("tapewarden")
        .about("A charting backend that cannot freeze")
        .version(env!("CARGO_PKG_VERSION"))
        .args_override_self(true)
        .after_help(EPILOGUE)
        .args(flags())
        .subcommand(
            Command::new("run")
                .about("Serve, as without a command; without flags, an embedded market")
                .args_override_self(true)
                .args(flags()),
        )
        .subcommand(
            Command::new("config")
                .about("Print the effective settings; with --help, all there are")
                .args_override_self(true)
                .after_long_help(settings_help())
                .args(flags()),
        )
}

/// What a command line says; `args` are without the program's name.
///
/// # Errors
/// clap's, also where help or the version is asked for.
pub fn understand(
    command: Command,
    args: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, clap::Error> {
    // Usage lines begin with it.
    command.try_get_matches_from(iter::once("tapewarden".into()).chain(args))
}

fn flags() -> Vec<Arg> {
    let named = FLAGS.iter().map(|flag| {
        Arg::new(flag.name)
            .long(flag.name)
            .value_name(flag.value)
            .help(flag.help)
    });
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Settings file (tapewarden.toml if there)");
    let set = Arg::new("set")
        .long("set")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .value_parser(pair)
        .help("Any setting: tapewarden config --help lists them");
    named.chain([config, set]).collect()
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("write --set KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// What was said of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Whether the settings are to be printed.
    pub(super) print_config: bool,
    /// The settings file.
    pub(super) config: Option<PathBuf>,
    /// Key and value, in the order in which they were said.
    pub(super) given: Vec<(String, String, Origin)>,
}

impl Words {
    /// By a command line that is made of [`command`].
    #[must_use]
    pub fn new(said: &ArgMatches) -> Self {
        let mut words = Self::default();
        words.add(said);
        if let Some((name @ ("run" | "config"), said)) = said.subcommand() {
            words.print_config = name == "config";
            words.add(said);
        }
        words.imply();
        words
    }

    fn add(&mut self, said: &ArgMatches) {
        if let Some(path) = said.get_one::<PathBuf>("config") {
            self.config = Some(path.clone());
        }
        let mut given = Vec::new();
        for flag in &FLAGS {
            if let (Some(value), Some(at)) =
                (said.get_one::<String>(flag.name), said.index_of(flag.name))
            {
                let origin = Origin::Flag(format!("--{}", flag.name));
                given.push((at, (flag.key.to_owned(), value.clone(), origin)));
            }
        }
        let pairs = said
            .get_many::<(String, String)>("set")
            .into_iter()
            .flatten();
        let places = said.indices_of("set").into_iter().flatten();
        for (at, (key, value)) in places.zip(pairs) {
            let origin = Origin::Flag(format!("--set {key}"));
            given.push((at, (key.clone(), value.clone(), origin)));
        }
        // What is said last holds.
        given.sort_by_key(|(at, _)| *at);
        self.given.extend(given.into_iter().map(|(_, given)| given));
    }

    /// Who names an upstream means the real ones, unless something else is said.
    fn imply(&mut self) {
        if self.given.iter().any(|(key, ..)| key == "market") {
            return;
        }
        let upstreams = FLAGS.iter().filter(|flag| flag.is_upstream);
        let mut names = upstreams.map(|flag| format!("--{}", flag.name));
        let said = |name: &String| {
            let origin = Origin::Flag(name.clone());
            self.given.iter().any(|(.., from)| *from == origin)
        };
        if let Some(name) = names.find(said) {
            let origin = Origin::Implied(name);
            self.given
                .push(("market".to_owned(), "schwab".to_owned(), origin));
        }
    }
}
