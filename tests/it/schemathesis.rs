//! What the server answers is what `/api/openapi.json` says: judged by schemathesis, which asks every route in many
//! right and wrong ways, and by openapi-spec-validator (both of PyPI). `tests/schemathesis/install.sh` installs
//! them; without `TAPEWARDEN_SCHEMATHESIS=1` the tests only say so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::server::dies_with_the_test;
use crate::kit::{Server, skip};

/// Where the judges are; none where they are not to be asked.
fn judges() -> Option<PathBuf> {
    if std::env::var_os("TAPEWARDEN_SCHEMATHESIS").is_none() {
        skip("run tests/schemathesis/install.sh and set TAPEWARDEN_SCHEMATHESIS=1");
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Some(root.join("target/schemathesis/venv/bin"))
}

/// What a judge says, and whether it found nothing.
fn verdict(mut judge: Command) -> (bool, String) {
    dies_with_the_test(&mut judge);
    let out = judge.output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into())
}

#[test]
fn the_document_is_openapi() {
    let Some(judges) = judges() else { return };
    let server = Server::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("openapi.json");
    let valid = |text: &[u8]| {
        std::fs::write(&file, text).unwrap();
        let mut judge = Command::new(judges.join("openapi-spec-validator"));
        judge.arg(&file);
        verdict(judge)
    };
    let document = server.get("/api/openapi.json");
    let (found_nothing, said) = valid(&document.body);
    assert!(found_nothing, "{said}");
    // A judge that finds nothing in this either would be none.
    let broken = document.text().replace("\"responses\"", "\"answers\"");
    let (found_nothing, said) = valid(broken.as_bytes());
    assert!(!found_nothing, "{said}");
}

#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_say() {
    let Some(judges) = judges() else { return };
    // What is asked for is another series each time: no budget is to stand in the way.
    let server = Server::start(&["--set", "schwab.requests_per_minute=1000000"]);
    for path in [
        "/api/threads",
        "/api/runners",
        "/api/trade-history",
        "/api/watchlist",
    ] {
        server.eventually(path, |got| got.status == 200);
    }
    // Past reports are asked for by the names that the list gives.
    assert_eq!(server.get("/api/threads/dump").status, 200);
    server.eventually("/api/stalls", |got| got.json()[0]["name"].is_string());
    let settings =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis/schemathesis.toml");
    let home = tempfile::tempdir().unwrap();
    let mut judge = Command::new(judges.join("schemathesis"));
    judge
        .current_dir(home.path())
        .arg("--config-file")
        .arg(settings)
        .arg("run")
        .arg(format!("http://{}/api/openapi.json", server.address));
    let (found_nothing, said) = verdict(judge);
    println!("{said}");
    assert!(found_nothing, "see above");
}
