//! The list of routes that trials poll and ask is complete.

use crate::kit::routes::of_the_api;
use tapewarden::edge::routes::{ROUTES as TABLE, Row};

/// Whether a path, with or without a query, is of this row.
fn is_of(row: &Row, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    // Of two rows that fit the first counts.
    let fits = |row: &&Row| {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        row.path.len() == segments.len()
            && row
                .path
                .iter()
                .zip(&segments)
                .all(|(want, got)| want.starts_with('{') || want == got)
    };
    TABLE.iter().find(fits) == Some(row)
}

#[test]
fn every_route_of_the_table_is_asked_and_no_other() {
    for row in TABLE {
        let template = row.template();
        let asked = |(method, path): (&str, &str)| method == row.method() && is_of(row, path);
        assert!(of_the_api().any(asked), "{template} is not in the list");
    }
    for (method, path) in of_the_api() {
        let known = TABLE.iter().any(|r| r.method() == method && is_of(r, path));
        assert!(known, "{method} {path} is no route");
    }
}
