//! The command line: understands it, prints, or runs the server.
#![expect(clippy::disallowed_macros, reason = "commands print")]

use std::env;
use std::process::ExitCode;

use tapewarden::config::{Command, load};
use tapewarden::files::regular;
use tapewarden::{app, cli};

/// A longer file holds no settings.
const SETTINGS_BYTES_MAX: u64 = 1_000_000;

fn main() -> ExitCode {
    let words = match cli::run(env::args_os().skip(1)) {
        Ok(words) => words,
        Err(code) => return code,
    };
    match load(&words, env::vars_os(), |path| {
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
