//! The table holds what it promises of names, and the documentation has it.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn any_numbered() -> impl Strategy<Value = ThreadKind> {
    let numbered = ThreadKind::ALL.iter().copied();
    prop::sample::select(
        numbered
            .filter(|k| k.is_numbered())
            .collect::<Vec<ThreadKind>>(),
    )
}

proptest! {
    #[test]
    fn names_of_many_fit_and_differ(kind in any_numbered(), a: u32, b: u32) {
        let [a_name, b_name] = [a, b].map(|n| kind.nth(n).to_string());
        prop_assert!(a_name.len() <= THREAD_NAME_CHARS_MAX, "{a_name}");
        prop_assert!(a_name.split('-').any(|part| part == a.to_string()), "{a_name}");
        prop_assert_eq!(a == b, a_name == b_name);
    }
}

#[test]
fn a_name_is_cut_only_where_it_must_be() {
    assert_eq!(
        ThreadKind::WatchlistFetch.nth(9).to_string(),
        "watchlist-get-9"
    );
    assert_eq!(
        ThreadKind::WatchlistFetch.nth(10).to_string(),
        "watchlist-ge-10"
    );
    assert_eq!(ThreadKind::WsWriter.nth(99_999).to_string(), "ws-99999-out");
    assert_eq!(
        ThreadName::from(ThreadKind::QuoteHub).to_string(),
        "quote-hub"
    );
}

#[test]
fn a_kind_is_written_and_read_by_its_name() {
    for kind in ThreadKind::ALL {
        let name = kind.nth(3);
        let text = serde_json::to_string(&name).unwrap();
        assert!(text.contains(kind.row().name), "{text}");
        assert_eq!(serde_json::from_str::<ThreadName>(&text).unwrap(), name);
    }
    assert!(serde_json::from_str::<ThreadKind>("\"of another version\"").is_err());
}

#[test]
fn each_kind_has_a_name_of_its_own_that_fits_and_a_sentence() {
    let mut names = HashSet::new();
    for row in ThreadKind::ALL.iter().map(|kind| kind.row()) {
        assert!(names.insert(row.name), "{} is there twice", row.name);
        assert!(row.name.len() <= THREAD_NAME_CHARS_MAX, "{}", row.name);
        assert!(row.does.ends_with('.') && row.does.len() > 20, "{row:?}");
    }
}
