//! Who may import whom: rooms stand in storeys and look down, and no modules import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::kit::sources;

/// The rooms of `src`, the uppermost first. A room imports what stands below it.
const STOREYS: [&str; 16] = [
    "app",
    "cli",
    "sim",
    "edge",
    "stream",
    "upstream",
    "diag",
    "cache",
    "market",
    "resilience",
    "config",
    "logging",
    "files",
    "payload",
    "json",
    "runtime",
];

/// `a::b::c` and what it imports, by whole paths, each with where that stands.
struct Module {
    path: Vec<String>,
    imports: Vec<(Vec<String>, String)>,
}

fn modules() -> Vec<Module> {
    let src = sources::folder();
    sources::files()
        .iter()
        .filter(|file| !file.to_string_lossy().contains("tests"))
        .map(|file| module(&src, file))
        .collect()
}

fn module(src: &Path, file: &Path) -> Module {
    let relative = file.strip_prefix(src).unwrap().with_extension("");
    let mut path: Vec<String> = relative
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(
        path.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        path.pop();
    }
    let text = fs::read_to_string(file).unwrap();
    let mut imports = Vec::new();
    // Statements may go over several lines: each is looked at whole, where it ends.
    let (mut statement, mut begins) = (String::new(), 1);
    for (n, line) in text.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test") {
            break;
        }
        let line = line.split("//").next().unwrap_or("");
        if statement.is_empty() {
            begins = n + 1;
        }
        statement.push_str(line.trim());
        if !line.trim_start().starts_with("use ")
            && !statement.starts_with("use ")
            && !statement.starts_with("pub use ")
            || line.contains(';')
        {
            for target in targets(&statement, &path) {
                imports.push((target, format!("src/{}.rs:{begins}", relative.display())));
            }
            statement.clear();
        }
    }
    Module { path, imports }
}

/// The paths in a statement that begin with `crate::` or `super::`, whole.
fn targets(statement: &str, here: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = ["crate::", "super::"]
        .iter()
        .filter_map(|word| statement[from..].find(word))
        .min()
    {
        let at = from + at;
        let before = &statement[..at];
        let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let path = &statement[at..];
        if is_word {
            let mut base = here.to_vec();
            let mut tail = path;
            if let Some(after) = tail.strip_prefix("crate::") {
                base.clear();
                tail = after;
            }
            while let Some(after) = tail.strip_prefix("super::") {
                base.pop();
                tail = after;
            }
            expand(tail, &base, &mut found);
        }
        from = at + "crate::".len();
    }
    found
}

/// `a::{b, c::d}` below `base`.
fn expand(tail: &str, base: &[String], found: &mut Vec<Vec<String>>) {
    if let Some(group) = tail.strip_prefix('{') {
        let (mut depth, mut begin) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    expand(group[begin..at].trim(), base, found);
                    begin = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let word: String = tail
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let mut path = base.to_vec();
    if word.is_empty() || word == "self" {
        found.push(path);
        return;
    }
    path.push(word.clone());
    match tail[word.len()..].strip_prefix("::") {
        Some(more) => expand(more, &path, found),
        None => found.push(path),
    }
}

#[test]
fn rooms_look_down() {
    let rank = |room: &str| STOREYS.iter().position(|r| *r == room);
    let mut wrong = Vec::new();
    for module in modules() {
        let Some(room) = module.path.first() else {
            continue;
        };
        if room == "fuzz_tests" {
            continue;
        }
        let Some(own) = rank(room) else {
            wrong.push(format!(
                "src/{room}: its storey is not said in tests/it/storeys.rs"
            ));
            continue;
        };
        for (target, at) in &module.imports {
            if let Some(other) = target.first().and_then(|room| rank(room))
                && other < own
            {
                wrong.push(format!("{at}: {room} stands below {}", target[0]));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let modules = modules();
    let known: BTreeSet<&[String]> = modules.iter().map(|m| m.path.as_slice()).collect();
    // For each folder, which of its modules imports which, and where.
    let mut arrows: BTreeMap<&[String], BTreeMap<&str, BTreeMap<&str, &str>>> = BTreeMap::new();
    for module in &modules {
        for (target, at) in &module.imports {
            let common = module
                .path
                .iter()
                .zip(target)
                .take_while(|(a, b)| a == b)
                .count();
            if let (Some(from), Some(to)) = (module.path.get(common), target.get(common))
                && known.contains(&target[..=common])
            {
                let folder = arrows.entry(&module.path[..common]).or_default();
                folder.entry(from).or_default().entry(to).or_insert(at);
            }
        }
    }
    let mut circles = Vec::new();
    for (folder, arrows) in &arrows {
        for from in arrows.keys() {
            if let Some(way) = way_back(arrows, from) {
                circles.push(format!("{}: {}", folder.join("::"), way.join(", ")));
            }
        }
    }
    assert_eq!(circles, Vec::<String>::new());
}

/// A way from a module to itself, as the lines that lead there.
fn way_back(arrows: &BTreeMap<&str, BTreeMap<&str, &str>>, from: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![(from, Vec::new())];
    while let Some((at, way)) = ways.pop() {
        for (to, line) in arrows.get(at).into_iter().flatten() {
            let mut longer: Vec<String> = way.clone();
            longer.push(format!("{at} imports {to} at {line}"));
            if *to == from {
                return Some(longer);
            }
            if seen.insert(*to) {
                ways.push((to, longer));
            }
        }
    }
    None
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let here = ["edge".to_owned(), "request".to_owned(), "head".to_owned()];
    let read = |statement: &str| -> Vec<String> {
        targets(statement, &here)
            .iter()
            .map(|path| path.join("::"))
            .collect()
    };
    assert_eq!(read("use crate::market::Symbol;"), ["market::Symbol"]);
    assert_eq!(
        read("use super::{framing::{self, Framing}, target};"),
        [
            "edge::request::framing",
            "edge::request::framing::Framing",
            "edge::request::target"
        ]
    );
    assert_eq!(
        read("let x = super::super::ws::Sessions::new();"),
        ["edge::ws::Sessions::new"]
    );
    assert_eq!(
        read("pub use crate::files::regular as r;"),
        ["files::regular"]
    );
    assert!(read("use std::io;").is_empty());
}
