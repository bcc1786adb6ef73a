//! Says whether stacks can be captured where the program will run. Bundles the page of `src/web` with npm and esbuild into `OUT_DIR`; where that cannot be done, a plain
//! page says what is missing and the build goes on. Nothing is written outside of `OUT_DIR`.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "cargo reads what it prints, and waits for it with a deadline of its own"
)]

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Where the stacks of all threads can be copied: `cfg(captures_stacks)`.
const CAPTURED_ON: [(&str, &str); 2] = [("linux", "x86_64"), ("linux", "aarch64")];
const OS: &str = "CARGO_CFG_TARGET_OS";
const ARCH: &str = "CARGO_CFG_TARGET_ARCH";

/// Which program to call; empty for the plain page.
const NPM: &str = "TAPEWARDEN_NPM";

/// How many seconds it may take; a registry that accepts and never answers must not hold up a build.
const NPM_SECONDS: &str = "TAPEWARDEN_NPM_SECONDS";
const NPM_SECONDS_DEFAULT: u64 = 120;

/// Bundling takes a tenth of a second.
const BUNDLE_DEADLINE: Duration = Duration::from_secs(60);

/// What esbuild starts from.
const ENTRIES: [&str; 6] = [
    "chart.ts",
    "threads.ts",
    "docs.ts",
    "chart.css",
    "threads.css",
    "docs.css",
];

/// Pages, where they are served, and their titles.
const PAGES: [(&str, &str, &str); 3] = [
    ("chart", "/", "tapewarden"),
    ("threads", "/threads", "tapewarden threads"),
    ("docs", "/docs", "tapewarden routes"),
];

/// What all pages but the plain one begin with.
const HEAD: &str = "head.html";

/// The page of a build without npm stands at all places.
const PLAIN: &str = "plain.html";

/// Files that are served as they are.
const AS_THEY_ARE: [&str; 1] = ["icon.svg"];

/// What the sources are in the place where they are bundled.
const NOT_SOURCES: [&str; 3] = ["node_modules", "dist", "npm.log"];

fn main() -> Fallible<()> {
    for watched in ["build.rs", "src/web"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    for watched in [NPM, NPM_SECONDS] {
        println!("cargo::rerun-if-env-changed={watched}");
    }
    println!("cargo::rustc-check-cfg=cfg(captures_stacks)");
    if CAPTURED_ON.contains(&(&*env::var(OS)?, &*env::var(ARCH)?)) {
        println!("cargo::rustc-cfg=captures_stacks");
    }
    let sources = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("src/web");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let site = match bundle(&sources, &out.join("page")) {
        Ok(site) => site,
        Err(why) => {
            println!(
                "cargo::warning=the page is left out, the API is complete: {why}; install Node.js with npm, then `touch build.rs` and build again"
            );
            plain(&sources, &out.join("plain"), &why.to_string())?
        }
    };
    fs::write(out.join("page.rs"), table(&site))?;
    Ok(())
}

/// One file to be served.
struct Served {
    at: String,
    file: PathBuf,
    /// Its name tells its content.
    lasting: bool,
}

fn bundle(sources: &Path, work: &Path) -> Fallible<Vec<Served>> {
    let npm = env::var(NPM).unwrap_or_else(|_| default_npm().to_owned());
    if npm.is_empty() {
        return Err(format!("{NPM} is set to nothing").into());
    }
    copy_sources(sources, work)?;
    install(&npm, work)?;
    let dist = work.join("dist");
    fs::create_dir_all(&dist)?;
    let mut esbuild = Command::new("node");
    esbuild
        .arg("node_modules/esbuild/bin/esbuild")
        .args(ENTRIES)
        .args([
            "--bundle",
            "--minify",
            "--format=iife",
            "--target=es2022",
            "--charset=utf8",
            "--legal-comments=eof",
            "--outdir=dist",
            "--entry-names=[name]-[hash]",
            "--log-level=warning",
        ]);
    run(esbuild, work, "esbuild", BUNDLE_DEADLINE)?;
    let mut site = lasting(&dist, sources, &AS_THEY_ARE)?;
    let head = fs::read_to_string(sources.join(HEAD))?;
    for (page, at, title) in PAGES {
        let file = format!("{page}.html");
        let own = head
            .replace("{title}", title)
            .replace("{page.", &format!("{{{page}."));
        let text = fill(&(own + &fs::read_to_string(sources.join(&file))?), &site)?;
        site.push(written(&dist.join(file), at, &text)?);
    }
    Ok(site)
}

/// A page without scripts, and the reason on it.
fn plain(sources: &Path, dist: &Path, why: &str) -> Fallible<Vec<Served>> {
    let _none_yet = fs::remove_dir_all(dist);
    fs::create_dir_all(dist)?;
    let mut site = lasting(dist, sources, &["icon.svg", "plain.css"])?;
    let why = why.replace('&', "&amp;").replace('<', "&lt;");
    let text = fs::read_to_string(sources.join(PLAIN))?.replace("{why}", &why);
    let text = fill(&text, &site)?;
    for (page, at, _) in PAGES {
        site.push(written(&dist.join(format!("{page}.html")), at, &text)?);
    }
    Ok(site)
}

fn default_npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// Everything but what was installed there before.
fn copy_sources(from: &Path, to: &Path) -> Fallible<()> {
    fs::create_dir_all(to)?;
    for old in fs::read_dir(to)?.flatten() {
        let keep = old.file_name() == "node_modules";
        if !keep && old.file_type()?.is_dir() {
            fs::remove_dir_all(old.path())?;
        } else if !keep {
            fs::remove_file(old.path())?;
        }
    }
    copy_folder(from, to)
}

fn copy_folder(from: &Path, to: &Path) -> Fallible<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if NOT_SOURCES.iter().any(|n| name == *n) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(name))?;
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// What the lock file says, unless it is there already.
fn install(npm: &str, work: &Path) -> Fallible<()> {
    let lock = fs::read(work.join("package-lock.json"))?;
    let stamp = work.join("node_modules/.installed-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let seconds = env::var(NPM_SECONDS).ok().and_then(|s| s.parse().ok());
    let mut command = Command::new(npm);
    command.args([
        "ci",
        "--omit=dev",
        "--ignore-scripts",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=2000",
        "--fetch-timeout=30000",
    ]);
    let deadline = Duration::from_secs(seconds.unwrap_or(NPM_SECONDS_DEFAULT));
    run(command, work, npm, deadline)?;
    fs::write(stamp, lock)?;
    Ok(())
}

/// Runs to the end or the deadline; what it says goes to a file, whose last line is the error.
fn run(mut command: Command, dir: &Path, name: &str, deadline: Duration) -> Fallible<()> {
    let log_path = dir.join("npm.log");
    let log = File::create(&log_path)?;
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .spawn()
        .map_err(|e| format!("{name} cannot be started ({e})"))?;
    let until = Instant::now() + deadline;
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok(());
            }
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            let told = |l: &&str| !l.trim().is_empty() && !l.contains("A complete log of this run");
            let first = said.lines().find(told).unwrap_or_default();
            return Err(format!("{name} failed ({status}): {first}").into());
        }
        if Instant::now() >= until {
            end(&mut child);
            return Err(format!("{name} took longer than {} s", deadline.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// With what it started.
fn end(child: &mut Child) {
    if cfg!(unix) {
        let group = format!("-{}", child.id());
        let _gone_already = Command::new("kill").args(["-9", "--", &group]).status();
    }
    let _gone_already = child.kill();
    let _reaped = child.wait();
}

/// The bundles, and files that are served as they are, under names that tell their content.
fn lasting(dist: &Path, sources: &Path, as_they_are: &[&str]) -> Fallible<Vec<Served>> {
    for name in as_they_are {
        let bytes = fs::read(sources.join(name))?;
        let mut hash = DefaultHasher::new();
        bytes.hash(&mut hash);
        let (stem, ending) = name.rsplit_once('.').ok_or("a file without an ending")?;
        let hashed = format!("{stem}-{:08X}.{ending}", hash.finish() >> 32);
        fs::write(dist.join(hashed), bytes)?;
    }
    let mut site = Vec::new();
    for entry in fs::read_dir(dist)? {
        let file = entry?.path();
        let name = file.file_name().ok_or("no name")?.to_string_lossy();
        site.push(Served {
            at: format!("/assets/{name}"),
            lasting: true,
            file: file.clone(),
        });
    }
    site.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(site)
}

/// Puts the address of `chart.js` where a page has `{chart.js}`.
fn fill(page: &str, site: &[Served]) -> Fallible<String> {
    let mut page = page.to_owned();
    for served in site.iter().filter(|s| s.lasting) {
        let name = served.at.trim_start_matches("/assets/");
        let (stem, rest) = name.rsplit_once('-').ok_or("a bundle without a hash")?;
        let (_, ending) = rest.split_once('.').ok_or("a bundle without an ending")?;
        page = page.replace(&format!("{{{stem}.{ending}}}"), &served.at);
    }
    match page.find('{') {
        None => Ok(page),
        Some(at) => Err(format!("a page names no bundle at {:.20}", &page[at..]).into()),
    }
}

fn written(file: &Path, at: &str, text: &str) -> Fallible<Served> {
    fs::write(file, text)?;
    Ok(Served {
        at: at.to_owned(),
        file: file.to_owned(),
        lasting: false,
    })
}

/// Rust source of the table that `src/edge/answer/page.rs` includes.
fn table(site: &[Served]) -> String {
    let mut out = String::from("&[\n");
    for Served { at, file, lasting } in site {
        let kind = match file.extension().and_then(|e| e.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "    Asset {{ path: {at:?}, content_type: {kind:?}, lasting: {lasting}, bytes: include_bytes!({:?}) }},",
            file.display().to_string()
        );
    }
    out.push_str("]\n");
    out
}
