//! The table of promises names tests: each is there and runs. What cannot be tried on a machine is told at the
//! end of the run (`tests/kit/skip.rs`), and fails it where `NO_SKIPS` is set.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the tables stand: those with a column `test`.
const TABLE: &str = "src/docs/promises.md";

/// What a cell may name besides tests: settings of tests.
const VARIABLES: [&str; 3] = ["SOAK_SECONDS", "SOAK_SEED", "FUZZ_CASES"];

/// The tests of this program, as the harness lists them.
struct Tests {
    all: BTreeSet<String>,
    ignored: BTreeSet<String>,
}

impl Tests {
    fn of_this_program() -> Self {
        let list = |which: &[&str]| -> BTreeSet<String> {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let out = command.arg("--list").args(which).output().unwrap();
            let text = String::from_utf8(out.stdout).unwrap();
            let tests = text.lines().filter_map(|l| l.strip_suffix(": test"));
            tests.map(str::to_owned).collect()
        };
        Self {
            all: list(&[]),
            ignored: list(&["--ignored"]),
        }
    }

    /// Those that run with the others, or in a run of the ignored.
    fn that_run(&self, ignored: bool) -> impl Iterator<Item = &str> {
        let all = self.all.iter().map(String::as_str);
        all.filter(move |test| self.ignored.contains(*test) == ignored)
    }
}

/// The cells of the columns headed `test`.
fn cells(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut column = None;
    for line in text.lines() {
        if !line.starts_with('|') {
            column = None;
            continue;
        }
        let row: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        match column {
            None => column = Some(row.iter().position(|head| *head == "test")),
            Some(Some(n)) => found.extend(row.get(n).filter(|cell| !cell.starts_with("---"))),
            Some(None) => {}
        }
    }
    found
}

/// What is wrong with a cell: names of which there is no test.
fn complaints(cell: &str, tests: &Tests) -> Vec<String> {
    let words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    // A row whose tests are run by a command of their own says which.
    let ignored = words
        .iter()
        .any(|w| w.starts_with("cargo ") && w.contains("--ignored"));
    let mut modules: Vec<&str> = Vec::new();
    let mut sources: Vec<PathBuf> = Vec::new();
    let mut wrong = Vec::new();
    for word in &words {
        let known = if let Some(module) = module_of(word) {
            modules.push(module);
            tests.that_run(ignored).any(|t| is_of_module(t, module))
        } else if word.starts_with("src/") || word.ends_with(".rs") {
            let beside = sources.last().and_then(|s| s.parent());
            let path = match beside {
                Some(folder) if !word.contains('/') => folder.join(word),
                _ => PathBuf::from(word),
            };
            let tested = has_tests(&root().join(&path));
            sources.push(path);
            tested
        } else if word.starts_with("cargo ") {
            let module = word.rsplit(' ').next().unwrap_or_default();
            tests.that_run(ignored).any(|t| is_of_module(t, module))
        } else {
            VARIABLES.contains(word)
                || tests.that_run(ignored).any(|t| {
                    t.split_once("::").is_some_and(|(module, name)| {
                        modules.iter().any(|m| is_of_module(t, m) || *m == module)
                            && is_named(name, word)
                    })
                })
                || sources
                    .iter()
                    .any(|s| has_test_named(&root().join(s), word))
        };
        if !known {
            wrong.push(format!("no test that runs is {word:?}, in {cell:?}"));
        }
    }
    if words.is_empty() {
        wrong.push(format!("no test is named in {cell:?}"));
    }
    wrong
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `tests/it/port.rs`, `freezes_names` and `freezes_*` are modules of this program.
fn module_of(word: &str) -> Option<&str> {
    if let Some(file) = word.strip_prefix("tests/it/") {
        return file.strip_suffix(".rs");
    }
    word.starts_with("freezes_").then_some(word)
}

fn is_of_module(test: &str, module: &str) -> bool {
    let of = test.split("::").next().unwrap_or_default();
    match module.strip_suffix('*') {
        Some(begin) => of.starts_with(begin),
        None => of == module,
    }
}

/// Whether a name is meant by a word of the table, which may be cut short by `…`.
fn is_named(name: &str, word: &str) -> bool {
    match word.strip_suffix('…') {
        Some(begin) => name.starts_with(begin),
        None => name == word,
    }
}

/// Whether a source, or one below a folder, has a test: its own or in a file of tests beside it.
fn has_tests(path: &Path) -> bool {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries.flatten().any(|entry| has_tests(&entry.path()));
    }
    let Ok(text) = fs::read_to_string(path) else {
        return false;
    };
    if path.extension().is_some_and(|e| e == "ts") {
        return text.contains("test(");
    }
    text.contains("#[test]") || files_of_tests(path, &text).any(|file| has_tests(&file))
}

/// Where the modules that a source declares for tests alone may stand.
fn files_of_tests<'a>(path: &'a Path, text: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    let folder = path.parent().unwrap_or(path);
    let declared = text.split("#[cfg(test)]").skip(1);
    declared.flat_map(move |rest| {
        let named = rest.trim_start().strip_prefix("#[path = \"");
        let file = named.and_then(|rest| rest.split('"').next());
        let module = rest
            .split("mod ")
            .nth(1)
            .and_then(|m| m.split([';', ' ']).next());
        let module = format!("{}.rs", module.unwrap_or_default());
        [
            file.map(|file| folder.join(file)),
            Some(folder.join(&module)),
            Some(path.with_extension("").join(module)),
        ]
        .into_iter()
        .flatten()
    })
}

fn has_test_named(path: &Path, word: &str) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut after_mark = false;
    text.lines().map(str::trim).any(|line| {
        let name = line.strip_prefix("fn ").and_then(|l| l.split('(').next());
        let found = after_mark && name.is_some_and(|name| is_named(name, word));
        after_mark = line == "#[test]" || after_mark && line.starts_with("#[");
        found
    })
}

#[test]
fn each_test_that_a_promise_names_is_there_and_runs() {
    let text = fs::read_to_string(root().join(TABLE)).unwrap();
    let tests = Tests::of_this_program();
    let cells = cells(&text);
    assert!(cells.len() > 50, "only {} promises in {TABLE}", cells.len());
    let wrong: Vec<String> = cells
        .iter()
        .flat_map(|cell| complaints(cell, &tests))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_name_of_no_test_and_one_of_a_test_that_does_not_run_are_told() {
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let tests = Tests {
        all: set(&[
            "port::slow_heads_end",
            "soak::all_faults",
            "freezes_logs::a_disk",
        ]),
        ignored: set(&["soak::all_faults"]),
    };
    for good in [
        "`tests/it/port.rs`",
        "`tests/it/port.rs`: `slow_heads_end`",
        "`tests/it/port.rs`: `slow_…`",
        "all `freezes_*`",
        "`freezes_logs`: `a_disk`; `tests/it/port.rs`",
        "`cargo test -- --ignored soak` (`SOAK_SEED`)",
        "`tests/it/port.rs`, `src/market/symbol.rs`",
    ] {
        assert_eq!(complaints(good, &tests), Vec::<String>::new());
    }
    for bad in [
        "",
        "by hand",
        "`tests/it/part.rs`",
        "`tests/it/port.rs`: `fast_heads_end`",
        "`tests/it/port.rs`: `a_disk`",
        "`tests/it/soak.rs`",
        "`cargo test -- --ignored soaked`",
        "`src/market/cymbal.rs`",
    ] {
        assert_eq!(complaints(bad, &tests).len(), 1, "{bad}");
    }
    let table = "| promise | test |\n|---|---|\n| it holds | `a` |\n\n| cause | last |\n|---|---|\n| x | y |\n";
    assert_eq!(cells(table), ["`a`"]);
}
