//! What the kernel shows in `/proc`. No other program makes files there, so that opening one waits for nobody.

use std::fs::{self, File};
use std::io;

/// Opens `/proc/{path}` for reading.
///
/// # Errors
/// The system's.
#[expect(
    clippy::disallowed_methods,
    reason = "only the kernel makes files in /proc"
)]
pub fn open(path: &str) -> io::Result<File> {
    File::open(format!("/proc/{path}"))
}

/// Reads the whole of `/proc/{path}`.
///
/// # Errors
/// The system's, also when it is no text.
#[expect(
    clippy::disallowed_methods,
    reason = "only the kernel makes files in /proc"
)]
pub fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{path}"))
}
