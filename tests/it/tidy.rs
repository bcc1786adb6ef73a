//! House rules that a compiler does not know: where threads, channels, clocks and locks may stand.

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
fn no_lock_is_shared_between_threads() {
    let words = [
        "Mutex",
        "RwLock",
        "Condvar",
        "static mut",
        "OnceLock",
        "LazyLock",
    ];
    // A drill makes a stall on a lock, with a lock of its own.
    assert_eq!(
        offences(&words, &["src/runtime/drill.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn unsafe_code_stands_in_two_files() {
    // Signals, and a call for which there is no safe one.
    let two = ["src/diag/capture/slots.rs", "src/app/scheduling.rs"];
    assert_eq!(offences(&["unsafe "], &two), Vec::<String>::new());
}

#[test]
fn atomics_stand_in_the_files_that_explain_them() {
    let words = ["std::sync::atomic", "AtomicU", "AtomicBool", "AtomicI"];
    assert_eq!(
        offences(
            &words,
            &[
                "src/runtime/counter.rs",
                "src/diag/capture/slots.rs",
                "src/json/totals.rs"
            ]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn threads_start_in_one_place() {
    let words = ["thread::spawn", "thread::Builder", "thread::scope"];
    assert_eq!(
        offences(&words, &["src/runtime/spawn.rs", "src/runtime/drill.rs"]),
        Vec::<String>::new()
    );
}

#[test]
fn channels_are_made_in_one_place_and_none_is_unbounded() {
    assert_eq!(offences(&["unbounded("], &[]), Vec::<String>::new());
    assert_eq!(
        offences(&["bounded(", "bounded::<"], &["src/runtime/"]),
        Vec::<String>::new()
    );
}

#[test]
fn what_others_write_is_read_by_the_tolerant_reader() {
    let words = [
        "serde_json::from_",
        "serde_json::Deserializer",
        "RawValue",
        "String::from_utf8(",
    ];
    // Besides the reader: what this program wrote itself, the embedded market, whose only client it is, and
    // URLs and passwords, which are no JSON.
    let own = [
        "src/json/",
        "src/diag/symbolizer/",
        "src/cli/",
        "src/sim/",
        "src/edge/request/secret.rs",
        "src/edge/request/path.rs",
        "src/upstream/ollama/reply.rs",
    ];
    assert_eq!(offences(&words, &own), Vec::<String>::new());
}

#[test]
fn nothing_but_the_command_line_and_the_log_writers_prints() {
    let words = [
        "println!", "print!(", "eprint", "dbg!", "stdout()", "stderr()",
    ];
    assert_eq!(
        offences(
            &words,
            &[
                "src/main.rs",
                "src/logging/",
                "src/cli/",
                "src/diag/symbolizer/mod.rs"
            ]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn files_by_names_that_others_may_have_made_are_opened_where_nothing_can_hold_them_up() {
    let words = [
        "fs::read(",
        "fs::read_to_string(",
        "File::open(",
        "OpenOptions::new(",
        "File::options(",
    ];
    let allowed = [
        "src/files/regular.rs",
        // Made new, or in a folder of its own.
        "src/runtime/scratch.rs",
        "src/diag/symbolizer/report_store.rs",
        "src/sim/",
        // Only what the kernel shows in /proc.
        "src/edge/listener/bind.rs",
        // A stall in an open is what it makes.
        "src/runtime/drill.rs",
    ];
    let elsewhere: Vec<String> = offences(&words, &allowed)
        .into_iter()
        .filter(|line| !line.contains("\"/proc/"))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
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
