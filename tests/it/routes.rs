//! The list of routes that trials poll and ask is complete.

use crate::kit::routes::of_the_api;
use tapewarden::edge::routes::{Asked, ROUTES as TABLE, Row, Source, call};

/// The row that a request means, as the server finds it.
fn row_of(method: &str, target: &str) -> Option<&'static Row> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match call(method, path, query) {
        Ok(Asked::Call(call)) => Some(call.row),
        _ => None,
    }
}

#[test]
fn every_route_of_the_table_is_asked_and_no_other() {
    // A page's file waits for nothing and is asked for by the page's own tests.
    let of_api = |row: &&Row| !matches!(row.source, Source::Page);
    for row in TABLE.iter().filter(of_api) {
        let is_it = |(method, path)| row_of(method, path).is_some_and(|r| std::ptr::eq(r, row));
        assert!(of_the_api().any(is_it), "{} is not in the list", row.path);
    }
    for (method, path) in of_the_api() {
        assert!(
            row_of(method, path).is_some(),
            "{method} {path} is no route"
        );
    }
}
