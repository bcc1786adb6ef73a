//! The README says what the program does. `TAPEWARDEN_UPDATE=1 cargo test --test it readme` makes it so.

use std::path::Path;

use tapewarden::edge::routes::{ROUTES, routes_markdown};

/// The README has this table, whose first line is in no other.
fn has_table(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    if std::env::var_os("TAPEWARDEN_UPDATE").is_some() && !readme.contains(table) {
        let head = table.lines().next().unwrap();
        let (before, rest) = readme.split_once(head).expect("the table's head");
        let after: String = rest
            .lines()
            .skip_while(|l| l.is_empty() || l.starts_with('|'))
            .flat_map(|l| [l, "\n"])
            .collect();
        std::fs::write(&path, format!("{before}{table}\n{after}")).unwrap();
        return;
    }
    assert!(
        readme.contains(table),
        "run TAPEWARDEN_UPDATE=1 cargo test --test it readme -- --test-threads 1"
    );
}

#[test]
fn the_readme_names_every_setting_with_its_default() {
    has_table(&tapewarden::config::settings_markdown());
}

#[test]
fn the_readme_names_every_route_and_what_it_answers_when_there_is_nothing_fresh() {
    has_table(&routes_markdown(ROUTES));
}
