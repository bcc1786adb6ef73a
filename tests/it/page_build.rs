//! The build script's way of doing without npm: a plain page, a warning, and a build that goes on. The
//! script is compiled and run here by itself, with an npm of the test's own making.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn compiled() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let status = Command::new(rustc)
            .args(["--edition", "2024", "-o"])
            .arg(folder.path().join("script"))
            .arg(source("build.rs"))
            .status()
            .unwrap();
        assert!(status.success());
        Self { folder }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Runs it as cargo does, with this npm.
    fn run(&self, npm: &str) -> Output {
        fs::create_dir_all(self.out()).unwrap();
        Command::new(self.folder.path().join("script"))
            .current_dir(source(""))
            .env("CARGO_MANIFEST_DIR", source(""))
            .env("OUT_DIR", self.out())
            .env("CARGO_CFG_TARGET_OS", std::env::consts::OS)
            .env("CARGO_CFG_TARGET_ARCH", std::env::consts::ARCH)
            .env("TAPEWARDEN_NPM", npm)
            .env("TAPEWARDEN_NPM_SECONDS", "1")
            .output()
            .unwrap()
    }

    /// An npm that does this.
    fn npm(&self, name: &str, lines: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The build went on, with a plain page that says why.
    fn assert_plain(&self, output: &Output, why: &str) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(
            said.contains("cargo::warning=") && said.contains(why),
            "{said}"
        );
        let table = fs::read_to_string(self.out().join("page.rs")).unwrap();
        for path in ["\"/\"", "\"/threads\"", "\"/docs\"", "\"/assets/plain-"] {
            assert!(table.contains(path), "{table}");
        }
        let page = fs::read_to_string(self.out().join("plain/chart.html")).unwrap();
        assert!(page.contains(why) && page.contains("/api/health"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn a_build_without_npm_goes_on_with_a_plain_page() {
    let script = Script::compiled();
    let none = script.run("no-such-npm");
    script.assert_plain(&none, "no-such-npm cannot be started");
    let unwanted = script.run("");
    script.assert_plain(&unwanted, "TAPEWARDEN_NPM is set to nothing");
    let offline = script.npm("offline", "echo 'npm error network x' >&2; exit 1");
    script.assert_plain(&script.run(&offline), "npm error network x");
    // What it started ends with it.
    let hung = script.npm("hung", "sleep 60 & wait");
    let begun = Instant::now();
    script.assert_plain(&script.run(&hung), "took longer than 1 s");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn the_sources_stay_as_they_are() {
    let script = Script::compiled();
    let list = |folder: &Path| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let before = list(&source("src/web"));
    assert!(script.run("no-such-npm").status.success());
    assert_eq!(list(&source("src/web")), before);
    assert!(!before.iter().any(|n| n == "node_modules" || n == "dist"));
    let lock = fs::read_to_string(source("src/web/package-lock.json")).unwrap();
    assert!(!lock.contains("\"resolved\"") && !lock.contains("://registry"));
}
