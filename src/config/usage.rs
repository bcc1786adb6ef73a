//! What `--help` says of the settings, and the documentation's table of them.

use std::fmt::Write;

use super::table::ROWS;

/// The end of `tapewarden --help`.
pub const EPILOGUE: &str = "\
Each of the five flags that name an upstream implies --market schwab.
Settings: defaults < file < TAPEWARDEN_* environment < flags.
Exit codes: 0 ended as asked, 1 could not start, 2 settings or flags not
understood, 3 the port cannot be had, 70 ended because of a stall.";

/// Every setting with its default, what it takes and what it means, as `tapewarden config --help` lists them.
#[must_use]
pub fn settings_help() -> String {
    let mut out = String::from("Settings, their defaults, and what they take:\n");
    for row in ROWS {
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\n  {} = {:?}\n      {}\n      ({})\n",
            row.key,
            row.default,
            row.doc.trim(),
            row.accepts
        );
    }
    out
}

/// The table of all settings for the documentation.
#[must_use]
pub fn settings_markdown() -> String {
    let mut out = String::from("| key | default | meaning |\n|---|---|---|\n");
    for row in ROWS {
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
