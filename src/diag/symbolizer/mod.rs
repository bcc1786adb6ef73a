//! The symbolizer: a process of its own, started with the server from the same binary, that finds out what
//! captured bytes mean. It walks stacks, names functions and writes reports, so that the server needs
//! neither the allocator nor a symbol cache while one of its threads is stuck, and gets no larger.
//!
//! It reads a line on its standard input for each report that is wanted; the bytes lie in the file in
//! memory whose number it was given. It writes the report's three formats beside the logs, and its answer
//! ([`ReportAnswer`]) to its standard output. Of a silent watchdog's report nobody waits for the answer: that one
//! it appends to `watchdog.log` itself. It ends when its input does: with the server.

mod classify;
mod descriptors;
mod dump;
mod exchange;
mod folded;
mod modules;
mod names;
mod read;
mod report;
mod report_store;
mod syscalls;
mod verdict;
mod walk;

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::files::{proc, regular};
use crate::logging::{LogFiles, stamp};

pub use dump::{
    ChannelReport, Dump, ReportContext, StackFrame, ThreadDump, ThreadPace, ThreadReport,
};
pub use exchange::{ReportAnswer, ReportRequest, SILENT_WATCHDOG};
pub use read::DumpReader;
pub use report::text as report_text;
pub use report_store::{ASKED, ReportStore, StoredReport};
pub use verdict::verdict;

/// The server's start has the processors to itself; then what every report needs is read, so that the
/// first one, which counts most, takes no longer than the others.
const WARM_AFTER: Duration = Duration::from_secs(2);

/// What the symbolizer is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolizerArgs {
    /// The number of the inherited file.
    pub fd: u32,
    /// The number of the file that is filled when the watchdog itself is silent.
    pub last_fd: Option<u32>,
    /// The folder of the logs, and the names there.
    pub files: LogFiles,
    /// How many are kept at most.
    pub keep: usize,
}

/// The three formats of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportFormats {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: String,
    /// `a;b;c 1`, for flame-graph tools.
    pub folded: String,
    /// The file that holds the text; empty if it could not be written.
    pub file: String,
    /// Why it could not.
    pub not_kept: String,
}

/// The formats of a dump.
#[must_use]
pub fn formats(dump: &Dump) -> ReportFormats {
    ReportFormats {
        text: report::text(dump),
        json: serde_json::to_string(dump).unwrap_or_default(),
        folded: folded::folded(dump),
        file: String::new(),
        not_kept: String::new(),
    }
}

/// Serves until its input ends.
///
/// # Errors
/// When the inherited file cannot be opened or the output is gone.
pub fn run(args: &SymbolizerArgs) -> io::Result<()> {
    let mut unheard = unheard_signals()?;
    let store = ReportStore::new(args.files.reports(), args.keep);
    let mut reader = DumpReader::default();
    if nothing_is_asked_for(WARM_AFTER) {
        reader.warm();
    }
    #[expect(clippy::disallowed_methods, reason = "its parent reads it")]
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        unheard();
        if line.trim() == SILENT_WATCHDOG {
            if let Some(fd) = args.last_fd {
                for_silent_watchdog(&mut reader, fd, &store, &args.files.watchdog())?;
            }
            continue;
        }
        let Some(ReportRequest { number, name }) = ReportRequest::parse(line.trim()) else {
            continue;
        };
        let bytes = read_whole(args.fd)?;
        let formats = put(&store, name, &bytes, || reader.read(&bytes));
        ReportAnswer { number, formats }.write(&mut out)?;
    }
    Ok(())
}

/// Keeps these bytes, has them read, and keeps the report.
fn put(
    store: &ReportStore,
    name: &str,
    bytes: &[u8],
    read: impl FnOnce() -> Dump,
) -> ReportFormats {
    // On disk before anything can go wrong with its names.
    let _put_says_it_again = store.put_raw(name, bytes);
    let dump = read();
    let named = dump.dump.iter().any(|t| t.own_frame().is_some());
    let mut formats = formats(&dump);
    match store.put(name, &formats, named) {
        Ok(file) => formats.file = file.display().to_string(),
        Err(e) => {
            let words = format!("(this report could not be kept beside the logs: {e})\n");
            formats.text.push_str(&words);
            formats.not_kept = e.to_string();
        }
    }
    formats
}

/// The report that the sentinel asks for. The time is ours: whoever captured could not print it.
fn for_silent_watchdog(
    reader: &mut DumpReader,
    fd: u32,
    store: &ReportStore,
    log: &Path,
) -> io::Result<()> {
    let bytes = read_whole(fd)?;
    let time = stamp(Timestamp::now(), &TimeZone::system());
    let digits = time.chars().filter(char::is_ascii_digit);
    let name = format!("{}-silent", digits.collect::<String>());
    let formats = put(store, &name, &bytes, || {
        let mut dump = reader.read(&bytes);
        dump.context.time = time;
        dump
    });
    let (mut log, _) = regular::append(log)?;
    log.write_all(formats.text.as_bytes())
}

/// A signal to the whole foreground group, or to all of a service's processes, is the server's to act on; the symbolizer ends with it. Forgets
/// those that came at each call.
#[cfg(unix)]
fn unheard_signals() -> io::Result<impl FnMut()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};
    let mut signals =
        signal_hook::iterator::Signals::new([SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2])?;
    Ok(move || for _ in signals.pending() {})
}

#[cfg(not(unix))]
fn unheard_signals() -> io::Result<impl FnMut()> {
    Ok(|| {})
}

/// True after so long without a question.
#[cfg(unix)]
fn nothing_is_asked_for(time: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    let time = Timespec::try_from(time).ok();
    let mut input = [PollFd::new(&stdin, PollFlags::IN)];
    matches!(poll(&mut input, time.as_ref()), Ok(0))
}

#[cfg(not(unix))]
fn nothing_is_asked_for(_: Duration) -> bool {
    false
}

#[cfg(unix)]
fn read_whole(fd: u32) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let file = proc::open(&format!("self/fd/{fd}"))?;
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(not(unix))]
fn read_whole(_: u32) -> io::Result<Vec<u8>> {
    Err(io::Error::other("there is nothing to read on this system"))
}
