//! The thread "sim-files": it owns the embedded market's folder and keeps the token file,
//! `runners.json` and `paper_trading/trade_outcomes.jsonl` in it up to date. No channel enters or
//! leaves: what is in the files follows from the time.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::market::Market;
use super::moves::{self, Moves};
use super::paper_trades::{PaperTrade, trades};
use super::token::{TokenPlan, write_by_rename};
use crate::runtime::clock::{Clock, Now};
use crate::runtime::scratch::Scratch;
use crate::runtime::{Heartbeat, Stop};
use crate::upstream::trader_app::shapes::Runners;

/// How often the thread looks at the time.
const TICK: Duration = Duration::from_secs(1);
/// The trade history begins so many trading days before the day on which it is written.
const HISTORY_DAYS: i64 = 4;
/// Marks a folder as one in which the embedded market may write.
const MARKER: &str = ".embedded-market";
const RUNNERS: &str = "runners.json";
const TRADES_FOLDER: &str = "paper_trading";
const TRADES: &str = "paper_trading/trade_outcomes.jsonl";
/// The token file's name in the folder.
pub(super) const TOKEN: &str = "token.json";

/// The folder, and whether it goes with the process.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Where it goes with the process.
    temporary: Option<Arc<Scratch>>,
}

impl Folder {
    /// The given folder, or a new temporary one that only this user can read.
    ///
    /// # Errors
    /// What the file system said; `AlreadyExists` for a folder that holds a real trader app's files.
    pub(super) fn open(given: Option<PathBuf>) -> io::Result<Self> {
        let folder = match given {
            Some(path) => {
                create(&path)?;
                Self {
                    path,
                    temporary: None,
                }
            }
            None => {
                let scratch = Scratch::new("sim")?;
                Self {
                    path: scratch.path().to_owned(),
                    temporary: Some(Arc::new(scratch)),
                }
            }
        };
        folder.mark()?;
        create(&folder.path.join(TRADES_FOLDER))?;
        Ok(folder)
    }

    /// Refuses a folder with files that the embedded market would overwrite and did not write.
    fn mark(&self) -> io::Result<()> {
        let marker = self.path.join(MARKER);
        if marker.exists() {
            return Ok(());
        }
        if let Some(name) = [RUNNERS, TRADES, TOKEN]
            .into_iter()
            .find(|name| self.path.join(name).exists())
        {
            let why = format!(
                "{} holds a {name} that the embedded market did not write: give it a folder of its own",
                self.path.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        #[expect(clippy::disallowed_methods, reason = "in a folder of its own")]
        fs::write(
            marker,
            "The embedded market overwrites the files in this folder.\n",
        )
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// What the thread needs to know.
#[derive(Clone, Debug)]
pub(super) struct FileSettings {
    pub(super) folder: Folder,
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) tokens: TokenPlan,
    pub(super) runners_every: Duration,
    pub(super) stop: Stop,
}

/// The thread's whole life, from the start or after a panic.
pub(super) fn run(heartbeat: &Heartbeat, settings: &FileSettings) {
    let mut keeper = Keeper {
        settings,
        market: Market::new(settings.seed),
        moves: Moves::default(),
        token: None,
        runners_due: None,
        trades_upto_ms: None,
        failing: false,
    };
    loop {
        heartbeat.begin("writing the embedded market's files");
        keeper.note(keeper.settings.clock.now());
        heartbeat.idle();
        if settings.stop.sleep(TICK) {
            break;
        }
    }
    if let Some(folder) = &settings.folder.temporary {
        heartbeat.begin("removing the embedded market's folder");
        if let Err(e) = folder.remove() {
            log::warn!(target: "SIM", "{} is left behind: {e}", folder.path().display());
        }
    }
}

/// Writes the token with that number.
///
/// # Errors
/// What the file system said.
pub(super) fn write_token(folder: &Folder, tokens: &TokenPlan, number: u64) -> io::Result<()> {
    let bytes = tokens.file(number).to_string();
    write_by_rename(&folder.path.join(TOKEN), bytes.as_bytes())
}

/// Writes that nothing runs, unless a run before left more, so that who reads finds a file from the start.
///
/// # Errors
/// What the file system said.
pub(super) fn write_first_runners(folder: &Folder, now_ms: i64) -> io::Result<()> {
    let path = folder.path.join(RUNNERS);
    if path.exists() {
        return Ok(());
    }
    write_by_rename(&path, runners_text(&moves::none(now_ms))?.as_bytes())
}

#[derive(Debug)]
struct Keeper<'a> {
    settings: &'a FileSettings,
    market: Market,
    moves: Moves,
    /// Number of the token in the file.
    token: Option<u64>,
    runners_due: Option<Instant>,
    /// The trade history is written up to this wall time.
    trades_upto_ms: Option<i64>,
    failing: bool,
}

impl Keeper<'_> {
    /// Writes what is due and logs a change between success and failure, not each repetition.
    fn note(&mut self, now: Now) {
        let done = self.tick(now);
        match (&done, self.failing) {
            (Err(e), false) => {
                log::warn!(target: "SIM", "cannot write to {}: {e}; trying every second", self.settings.folder.path.display());
            }
            (Ok(()), true) => {
                log::info!(target: "SIM", "the embedded market's files are written again")
            }
            _ => {}
        }
        self.failing = done.is_err();
    }

    fn tick(&mut self, now: Now) -> io::Result<()> {
        let number = self.settings.tokens.number(now.mono);
        if self.token != Some(number) {
            write_token(&self.settings.folder, &self.settings.tokens, number)?;
            self.token = Some(number);
        }
        if self.runners_due.is_none_or(|due| now.mono >= due) {
            let text = runners_text(&self.moves.runners(&mut self.market, now.wall_ms))?;
            write_by_rename(&self.settings.folder.path.join(RUNNERS), text.as_bytes())?;
            self.runners_due = Some(now.mono + self.settings.runners_every);
        }
        self.keep_trades(now.wall_ms)
    }

    /// The first time writes the whole history, then appends what has come to pass.
    fn keep_trades(&mut self, now_ms: i64) -> io::Result<()> {
        let path = self.settings.folder.path.join(TRADES);
        let today = self.market.moment(now_ms).day;
        match self.trades_upto_ms {
            None => {
                let first = today - HISTORY_DAYS;
                let Some(text) = self.lines(first..=today, i64::MIN, now_ms)? else {
                    return Ok(());
                };
                write_by_rename(&path, text.as_bytes())?;
            }
            Some(upto_ms) => {
                let first = self.market.moment(upto_ms).day;
                let Some(text) = self.lines(first..=today, upto_ms, now_ms)? else {
                    return Ok(());
                };
                if !text.is_empty() {
                    #[expect(clippy::disallowed_methods, reason = "in a folder of its own")]
                    OpenOptions::new()
                        .append(true)
                        .create(true)
                        .open(&path)?
                        .write_all(text.as_bytes())?;
                }
            }
        }
        self.trades_upto_ms = Some(now_ms);
        Ok(())
    }

    /// A line for each trade of these days that ended after one moment and not after another; none at the stop, which a
    /// month's days, computed on a busy machine, would hold up.
    fn lines(
        &mut self,
        days: RangeInclusive<i64>,
        after_ms: i64,
        upto_ms: i64,
    ) -> io::Result<Option<String>> {
        let mut text = String::new();
        // A clock that was set ahead by more than the history is not made up for.
        let first = (*days.start()).max(days.end() - HISTORY_DAYS);
        for day in first..=*days.end() {
            if self.settings.stop.is_set() {
                return Ok(None);
            }
            let ended = |t: &PaperTrade| after_ms < t.exit_ms() && t.exit_ms() <= upto_ms;
            for trade in trades(&mut self.market, day).into_iter().filter(ended) {
                text.push_str(&serde_json::to_string(&trade.outcome())?);
                text.push('\n');
            }
        }
        Ok(Some(text))
    }
}

/// The file's text.
fn runners_text(runners: &Runners) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(runners)? + "\n")
}
