//! The command line: understands it, prints, or runs the server.

use std::env;
use std::process::ExitCode;

use tapewarden::config::{Command, parse};
use tapewarden::files::regular;
use tapewarden::{app, cli};

/// A longer file holds no settings.
const SETTINGS_BYTES_MAX: u64 = 1_000_000;

fn main() -> ExitCode {
    if let Some(code) = cli::run(env::args_os().skip(1)) {
        return code;
    }
    match parse(env::args_os().skip(1), env::vars_os(), |path| {
        regular::read(path, SETTINGS_BYTES_MAX)
    }) {
        Ok(Command::Print(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::Run(settings)) => match app::run(&settings) {
            // Threads that hung are left behind: returning from main ends them.
            Ok(code) => ExitCode::from(code),
            Err(e) => {
                eprintln!("tapewarden: {e}");
                ExitCode::from(e.exit_code())
            }
        },
        Err(e) => {
            eprintln!("tapewarden: {e}");
            ExitCode::from(2)
        }
    }
}
