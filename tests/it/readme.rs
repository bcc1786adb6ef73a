//! The README and the documents say what the program does. `TAPEWARDEN_UPDATE=1 cargo test --test it readme` makes it so.

use std::path::Path;

use tapewarden::edge::routes::{ROUTES, routes_markdown};
use tapewarden::runtime::{channels, threads};

/// The document has this table, whose first line is in no other, and nothing of an older one.
fn has_table(document: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(&path).unwrap();
    let head = table.lines().next().unwrap();
    let (before, rest) = text.split_once(head).expect("the table's head");
    let after: String = rest
        .lines()
        .skip_while(|l| l.is_empty() || l.starts_with('|'))
        .flat_map(|l| [l, "\n"])
        .collect();
    let gap = if after.is_empty() { "" } else { "\n" };
    let right = format!("{before}{table}{gap}{after}");
    if text == right {
        return;
    }
    assert!(
        std::env::var_os("TAPEWARDEN_UPDATE").is_some(),
        "{document} lags behind its table: run TAPEWARDEN_UPDATE=1 cargo test --test it readme"
    );
    std::fs::write(&path, right).unwrap();
}

#[test]
fn the_documentation_names_every_kind_of_thread_and_every_channel() {
    has_table("src/docs/threads.md", &threads::markdown());
    has_table("src/docs/threads.md", &channels::markdown());
}

#[test]
fn the_documentation_names_every_setting_with_its_default() {
    has_table(
        "src/docs/settings.md",
        &tapewarden::config::settings_markdown(),
    );
}

#[test]
fn the_documentation_names_every_route_and_what_it_answers_when_there_is_nothing_fresh() {
    has_table("src/docs/routes.md", &routes_markdown(ROUTES));
}

#[test]
fn the_readme_is_for_who_uses_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
    assert!(
        lines <= 200,
        "{lines} lines: what developers need stands in src/docs"
    );
}
