//! What `--help` says, and the README's table of settings.

use std::fmt::Write;

use super::table::ROWS;

/// The text of `tapewarden --help`.
#[must_use]
pub fn usage() -> String {
    format!(
        "tapewarden {}: a charting backend that cannot freeze

Usage: tapewarden [run] [FLAGS]     serve; without flags, an embedded market
       tapewarden config [FLAGS]    print the effective settings
       tapewarden dump [--pid PID | --url URL] [--format text|json|folded]
                       [--diff FILE]       every thread's stack, now
       tapewarden dump --resolve FILE.raw  a kept raw dump, with names
       tapewarden stalls [--log-dir DIR] [show N]    past reports
       tapewarden drill --stall THREAD --how HOW [--for 20s] [--url URL]
                                    a real stall, and what is said of it

  --listen ADDR        address and port            (127.0.0.1:8081)
  --log-dir DIR        backend.log, watchdog.log   (logs)
  --config FILE        settings file               (tapewarden.toml if there)
  --market sim|schwab  embedded market, or real upstreams
  --schwab-url URL     Schwab's market data API
  --token-file FILE    token file, written by your login program
  --trader-url URL     trader app, REST and Socket.IO
  --data-dir DIR       trader app's folder with runners.json
  --model-url URL      Ollama server for validations
  --set KEY=VALUE      any setting
  --help, --version

Each of the five flags that name an upstream implies --market schwab.
Settings: defaults < file < TAPEWARDEN_* environment < flags.
Exit codes: 0 ended as asked, 1 could not start, 2 settings or flags not
understood, 3 the port cannot be had, 70 ended because of a stall.",
        env!("CARGO_PKG_VERSION")
    )
}

/// The table of all settings for the README.
#[must_use]
pub fn settings_markdown() -> String {
    let mut out = String::from("| key | default | meaning |\n|---|---|---|\n");
    for row in ROWS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| `{}` | `{}` | {} |",
            row.key,
            row.default.replace('|', "\\|"),
            row.doc.trim().replace('|', "\\|")
        );
    }
    out
}
