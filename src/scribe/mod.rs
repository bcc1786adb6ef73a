//! The scribe: a process of its own, started with the server from the same binary, that finds out what
//! captured bytes mean. It walks stacks, names functions and writes reports, so that the server needs
//! neither the allocator nor a symbol cache while one of its threads is stuck, and gets no larger.
//!
//! It reads a line on its standard input for each report that is wanted; the bytes lie in the file in
//! memory whose number it was given. It writes the report's three forms beside the logs, and to its
//! standard output a line with the lengths of the forms and the file's name, followed by the forms. It
//! ends when its input does: with the server.

mod descriptors;
mod folded;
mod judge;
mod modules;
mod names;
mod read;
mod report;
mod shelf;
mod syscalls;
mod walk;

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

pub use read::read;
pub use read::{Context, Dump, Frame, Pace, Queue, Said, Thread};
pub use report::{text as report_text, verdict};
pub use shelf::{Shelf, Shelved};

/// What the scribe is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScribeArgs {
    /// The number of the inherited file.
    pub fd: u32,
    /// Where reports are kept.
    pub dir: PathBuf,
    /// How many are kept at most.
    pub keep: usize,
}

/// The three forms of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: String,
    /// `a;b;c 1`, for flame-graph tools.
    pub folded: String,
    /// The file that holds the text; empty if it could not be written.
    pub file: String,
}

/// Makes the report of captured bytes.
#[must_use]
pub fn make(bytes: &[u8]) -> Forms {
    let dump = read::read(bytes);
    Forms {
        text: report::text(&dump),
        json: serde_json::to_string(&dump).unwrap_or_default(),
        folded: folded::folded(&dump),
        file: String::new(),
    }
}

/// Serves until its input ends.
///
/// # Errors
/// When the inherited file cannot be opened or the output is gone.
pub fn run(args: &ScribeArgs) -> io::Result<()> {
    // A signal to the whole foreground group is the server's to act on; the scribe ends with it.
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGQUIT,
    ])?;
    let path = format!("/proc/self/fd/{}", args.fd);
    let shelf = Shelf::new(args.dir.clone(), args.keep);
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let name = line?;
        for _ in signals.pending() {}
        let bytes = read_whole(&File::open(&path)?)?;
        // On disk before anything can go wrong with its names.
        let _put_says_it_again = shelf.put_raw(name.trim(), &bytes);
        let mut forms = make(&bytes);
        forms.file = match shelf.put(name.trim(), &forms) {
            Ok(file) => file.display().to_string(),
            Err(e) => {
                forms.text.push_str(&format!(
                    "(this report could not be written to {}: {e})\n",
                    args.dir.display()
                ));
                String::new()
            }
        };
        writeln!(
            out,
            "{} {} {} {}",
            forms.text.len(),
            forms.json.len(),
            forms.folded.len(),
            forms.file
        )?;
        for form in [&forms.text, &forms.json, &forms.folded] {
            out.write_all(form.as_bytes())?;
        }
        out.flush()?;
    }
    Ok(())
}

#[cfg(unix)]
fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(not(unix))]
fn read_whole(_: &File) -> io::Result<Vec<u8>> {
    Err(io::Error::other("there is nothing to read on this system"))
}
