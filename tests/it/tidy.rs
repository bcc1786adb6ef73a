//! House rules that neither the compiler nor clippy knows. Where threads, channels, locks, openings of files and
//! printing may stand is told in `clippy.toml`.

use std::fs;
use std::path::Path;

use crate::kit::sources;

/// Longer files are asked whether they are two.
const FILE_LINES_MAX: usize = 500;

struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources::files()
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/"),
        })
        .collect()
}

/// The lines of a file that run in the product: no comments, nothing from its first `mod tests` on.
fn product_lines(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source
        .text
        .lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("mod tests"))
        .map(|(n, line)| (n + 1, line.split("//").next().unwrap_or("")))
}

/// Every use of one of `words` outside `allowed`, as `path:line: text`.
fn offences(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources() {
        if allowed.iter().any(|a| source.path.starts_with(a)) || source.path.ends_with("tests.rs") {
            continue;
        }
        for (n, line) in product_lines(&source) {
            if words.iter().any(|w| line.contains(w)) {
                found.push(format!("{}:{n}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

#[test]
fn unsafe_code_stands_in_two_files() {
    // Signals, and a call for which there is no safe one.
    let two = ["src/diag/capture/slots.rs", "src/runtime/turns.rs"];
    assert_eq!(
        offences(&["unsafe ", "static mut "], &two),
        Vec::<String>::new()
    );
}

/// Files that may do what `clippy.toml` forbids, each with its reason there.
const EXCEPTED: [&str; 24] = [
    // Tests; commands print.
    "src/lib.rs",
    "src/main.rs",
    // Where threads and channels are made.
    "src/runtime/channel.rs",
    "src/runtime/latest.rs",
    "src/runtime/one_shot.rs",
    "src/runtime/spawn.rs",
    "src/runtime/stop.rs",
    "src/runtime/watch.rs",
    // A drill is what the rules forbid.
    "src/runtime/drill.rs",
    // Memory cells that threads share.
    "src/diag/capture/slots.rs",
    "src/json/totals.rs",
    "src/runtime/counter.rs",
    // JSON as this program writes it, passwords, what is mended.
    "src/edge/request/secret.rs",
    "src/json/strict.rs",
    "src/upstream/ollama/reply.rs",
    // Files that nobody can hold up: opened so, made new, in a folder of its own, or the kernel's.
    "src/diag/symbolizer/report_store.rs",
    "src/files/proc.rs",
    "src/files/regular.rs",
    "src/runtime/scratch.rs",
    "src/sim/files.rs",
    "src/sim/token.rs",
    // Who may wait for the console, or for the process that reads the other end.
    "src/diag/symbolizer/mod.rs",
    "src/logging/console.rs",
    // The end of a process that no order ends.
    "src/diag/capture/other.rs",
];

#[test]
fn clippys_rules_are_broken_in_these_files_alone() {
    assert_eq!(
        offences(&["clippy::disallowed_"], &EXCEPTED),
        Vec::<String>::new()
    );
}

#[test]
fn every_file_is_a_module_of_the_program() {
    let all = sources();
    let declares = |path: &str, words: &[String]| {
        let it = all.iter().find(|source| source.path == path);
        it.is_some_and(|s| words.iter().any(|word| s.text.contains(word.as_str())))
    };
    for source in all.iter().filter(|s| s.path.starts_with("src/")) {
        let (folder, file) = source.path.rsplit_once('/').unwrap();
        // A folder's own file is declared where the folder is.
        let (folder, name) = match file.strip_suffix(".rs").unwrap() {
            "lib" | "main" => continue,
            "mod" => folder.rsplit_once('/').unwrap(),
            name => (folder, name),
        };
        let words = [format!("mod {name};"), format!("path = \"{file}\"")];
        let files = ["mod.rs", "lib.rs", "main.rs"].map(|own| format!("{folder}/{own}"));
        let mut places = files.into_iter().chain([format!("{folder}.rs")]);
        let beside = |s: &Source| s.path.starts_with(folder) && s.text.contains(&words[1]);
        assert!(
            places.any(|place| declares(&place, &words)) || all.iter().any(beside),
            "{} is compiled by nobody: no file above it says `mod {name};`",
            source.path
        );
    }
}

#[test]
fn files_have_one_job() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|s| s.text.lines().count() > FILE_LINES_MAX)
        .map(|s| format!("{}: {} lines", s.path, s.text.lines().count()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

/// A function of more lines does more than one thing.
const FUNCTION_LINES_MAX: usize = 60;

/// Of the product's lines so many in a hundred stand in files without clock, log, channel, socket, thread or file.
const PURE_MIN: usize = 60;

/// What only code that touches the world has.
const WORLD: [&str; 26] = [
    "Instant::now(",
    "SystemTime::now",
    "Timestamp::now",
    "system_ms()",
    "log::info!",
    "log::warn!",
    "log::error!",
    "log::debug!",
    "log::log!",
    "std::fs",
    " fs::",
    "(fs::",
    "TcpStream",
    "UnixStream",
    "TcpListener",
    "thread::sleep",
    "recv(",
    "select",
    ".spawn",
    "Receiver<",
    "Sender<",
    "Tx<",
    "elapsed()",
    "process::",
    "std::env",
    "Agent",
];

fn is_product(source: &Source) -> bool {
    source.path.starts_with("src/") && !source.path.contains("tests")
}

#[test]
fn most_of_the_product_is_pure() {
    let (mut pure, mut all) = (0, 0);
    for source in sources().iter().filter(|s| is_product(s)) {
        let imports = |line: &str| line.trim_start().starts_with("use ");
        let touches = |line: &str| !imports(line) && WORLD.iter().any(|w| line.contains(w));
        let is_pure = !product_lines(source).any(|(_, line)| touches(line));
        let lines = product_lines(source).count();
        all += lines;
        pure += if is_pure { lines } else { 0 };
    }
    let share = 100 * pure / all;
    println!("pure: {share} % of {all} lines");
    assert!(share >= PURE_MIN, "only {share} % of {all} lines are pure");
}

#[test]
fn functions_do_one_thing() {
    let mut long = Vec::new();
    for source in sources().iter().filter(|s| is_product(s)) {
        let lines: Vec<(usize, &str)> = product_lines(source).collect();
        for (n, line) in &lines {
            let text = line.trim_start();
            let begins = ["fn ", "pub fn ", "pub(", "const fn ", "pub const fn "];
            if !text.contains("fn ") || !begins.iter().any(|b| text.starts_with(b)) {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - text.len()]);
            let rest = lines[*n - 1..].iter();
            let length = rest.take_while(|(_, l)| l.trim_end() != end).count() + 1;
            if length > FUNCTION_LINES_MAX && !text.ends_with([';', '}']) {
                long.push(format!("{}:{n}: {length} lines", source.path));
            }
        }
    }
    assert_eq!(long, Vec::<String>::new());
}
