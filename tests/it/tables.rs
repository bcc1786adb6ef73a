//! Every row of a table has its use: what is told of threads, channels and settings is true of the program.

use std::fs;

use tapewarden::config::table::ROWS;
use tapewarden::edge::routes::{ROUTES, Row, Source};
use tapewarden::runtime::ThreadKind;
use tapewarden::runtime::threads::Asks;

use crate::kit::sources;

/// The product's text, without the folders and files that begin so.
fn text_outside(of: &str) -> String {
    let here = sources::folder().join(of).display().to_string();
    let files = sources::files();
    let product = files.iter().map(|file| file.display().to_string());
    product
        .filter(|file| !file.starts_with(&here) && !file.contains("tests"))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

/// Whether a word stands in a text, by itself.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let ends = |at: usize| !text[at + word.len()..].starts_with(is_part);
    text.match_indices(word).any(|(at, _)| ends(at))
}

#[test]
fn every_kind_of_thread_is_started() {
    let text = text_outside("runtime");
    let named = |kind: &ThreadKind| has_word(&text, &format!("ThreadKind::{kind:?}"));
    // The system starts the first; the ground its own.
    let own = [ThreadKind::Main, ThreadKind::Leftovers];
    for kind in ThreadKind::ALL.iter().filter(|kind| !own.contains(kind)) {
        assert!(
            named(kind),
            "ThreadKind::{kind:?} is a row of src/runtime/threads.rs, and nothing starts such a thread"
        );
    }
}

#[test]
fn every_upstream_that_is_asked_has_a_route() {
    // Validations are asked for by functions, as they are made of several things.
    let by_functions = [ThreadKind::OllamaCache];
    for kind in ThreadKind::ALL {
        let is_cache = matches!(kind.row().asks, Asks::Cache(_)) && !by_functions.contains(kind);
        let asks = |row: &Row| matches!(row.source, Source::Cached(from) if from.cache() == *kind);
        assert!(
            !is_cache || ROUTES.iter().any(asks),
            "no row of src/edge/routes/table.rs asks the {}",
            kind.row().name
        );
    }
}

#[test]
fn every_row_of_the_channel_table_is_a_channel() {
    let table = fs::read_to_string(sources::folder().join("runtime/channels.rs")).unwrap();
    let rows = table.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("    ")?.split_once(": ")?;
        let is_row = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        (is_row && rest.contains(" = ")).then_some(name)
    });
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() > 10, "{rows:?}");
    let text = text_outside("runtime/channel");
    for row in rows {
        assert!(
            has_word(&text, &format!("channels::{row}")),
            "{row} is a row of src/runtime/channels.rs, and nothing makes such a channel"
        );
    }
}

#[test]
fn every_setting_is_read() {
    let text = text_outside("config");
    for row in ROWS {
        let name = row.key.rsplit('.').next().unwrap();
        assert!(
            has_word(&text, &format!(".{name}")),
            "{} is a row of src/config/table.rs, and nothing reads such a setting",
            row.key
        );
    }
}
