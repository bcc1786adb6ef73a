//! The lists of routes that trials poll and ask are complete.

use crate::kit::bystanders::{NOT_POLLED, POLLED, ROUTES};
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
fn every_route_of_the_table_is_polled_or_it_is_said_why_not() {
    for row in TABLE {
        let template = row.template();
        let polled = POLLED
            .iter()
            .any(|p| p.method == row.method() && is_of(row, p.path));
        let excused = NOT_POLLED.iter().any(|(path, _)| *path == template);
        assert!(
            polled != excused,
            "{template}: polled {polled}, excused {excused}"
        );
    }
}

#[test]
fn every_route_of_the_table_is_asked_and_no_other() {
    for row in TABLE {
        let template = row.template();
        let asked = |(method, path): &(&str, &str)| *method == row.method() && is_of(row, path);
        assert!(ROUTES.iter().any(asked), "{template} is not in the list");
    }
    for (method, path) in ROUTES {
        let known = TABLE.iter().any(|r| r.method() == method && is_of(r, path));
        assert!(known, "{method} {path} is no route");
    }
}
