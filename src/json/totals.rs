//! How much was mended since the start, by source. Cells that any thread may raise and none
//! waits for; nothing depends on them but what `/metrics` says.

#![expect(clippy::disallowed_types, reason = "counts that nobody waits for")]

use std::sync::atomic::{AtomicU64, Ordering};

use super::mended::{KINDS, Mended};

/// Who writes what is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Schwab's REST answers.
    Schwab,
    /// The trader app's REST answers.
    Trader,
    /// The trader app's events.
    Stream,
    /// The model's server, and the model.
    Model,
    /// `runners.json`.
    Runners,
    /// The trade history.
    History,
    /// The token file.
    Token,
}

/// Each with its label in metrics.
const SOURCES: [(Source, &str); 7] = [
    (Source::Schwab, "schwab"),
    (Source::Trader, "trader"),
    (Source::Stream, "stream"),
    (Source::Model, "model"),
    (Source::Runners, "runners"),
    (Source::History, "history"),
    (Source::Token, "token"),
];

static MENDED: [[AtomicU64; KINDS]; SOURCES.len()] =
    [const { [const { AtomicU64::new(0) }; KINDS] }; SOURCES.len()];

/// Counts what was mended in something of this source.
pub fn count(source: Source, mended: &Mended) {
    for (cell, kind) in MENDED[source as usize].iter().zip(mended.kinds()) {
        cell.fetch_add(kind.n, Ordering::Relaxed);
    }
}

/// The totals since the start, for Prometheus.
#[must_use]
pub fn metrics_text() -> String {
    use std::fmt::Write;
    let mut out = String::from(
        "# HELP tapewarden_input_mended_total What could not be read as others wrote it, by kind; records are left out whole.\n\
         # TYPE tapewarden_input_mended_total counter\n",
    );
    for (source, label) in SOURCES {
        let cells = &MENDED[source as usize];
        for (cell, kind) in cells.iter().zip(Mended::default().kinds()) {
            let n = cell.load(Ordering::Relaxed);
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "tapewarden_input_mended_total{{source=\"{label}\",kind=\"{}\"}} {n}",
                kind.name
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_are_told_by_source_and_kind() {
        let told = |line: &str| {
            let text = metrics_text();
            let found = text.lines().find_map(|l| l.strip_prefix(line));
            found.unwrap().trim().parse::<u64>().unwrap()
        };
        let deep = r#"tapewarden_input_mended_total{source="token",kind="deep"}"#;
        let records = r#"tapewarden_input_mended_total{source="token",kind="records"}"#;
        let before = (told(deep), told(records));
        let mended = Mended {
            deep: 2,
            ..Mended::left_out(3)
        };
        count(Source::Token, &mended);
        assert_eq!((told(deep), told(records)), (before.0 + 2, before.1 + 3));
    }

    #[test]
    fn each_source_has_its_own_cells() {
        for (n, (source, _)) in SOURCES.into_iter().enumerate() {
            assert_eq!(source as usize, n);
        }
    }
}
