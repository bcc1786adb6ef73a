//! Settings from every source, and what is said when one is wrong.

use std::time::Duration;

use proptest::prelude::*;

use super::values::{Listen, Market};
use super::*;

fn run(args: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Result<Settings, String> {
    let command = parse(
        args.iter().map(OsString::from),
        env.iter()
            .map(|(k, v)| (OsString::from(k), OsString::from(v))),
        |_| {
            file.map(|f| f.as_bytes().to_vec())
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        },
    );
    match command {
        Ok(Command::Run(settings)) => Ok(*settings),
        Ok(Command::Print(text)) => Err(text),
        Err(e) => Err(e.to_string()),
    }
}

/// An upstream may begin to answer just after a call that it leaves hanging; what follows that call's
/// deadline waits once more before it asks again.
#[test]
fn by_default_all_is_back_within_ten_seconds_of_a_fault() {
    let s = run(&[], &[], None).unwrap();
    let longest = [
        ("schwab", s.schwab.deadline + s.schwab.breaker_open),
        ("trader", s.trader.deadline + s.trader.breaker_open),
        // Its jitter makes a wait half as long again.
        (
            "stream",
            s.stream.connect_deadline + s.stream.backoff_max * 3 / 2,
        ),
    ];
    for (who, time) in longest {
        assert!(time < Duration::from_secs(10), "{who}: {time:?}");
    }
}

#[test]
fn every_source_overrides_the_one_before() {
    let default = run(&[], &[], None).unwrap();
    assert_eq!(default.server.market, Market::Sim);
    let file = Some("listen = \"127.0.0.1:1\"\n[gate]\nkeep_alive = \"7s\"\n");
    let env = [
        ("TAPEWARDEN_LISTEN", "127.0.0.1:2"),
        ("HOME", "x"),
        ("TAPEWARDEN_INTEROP", "1"),
        ("TAPEWARDEN_AUTOBAHN", "1"),
        ("TAPEWARDEN_REDBOT", "1"),
        ("TAPEWARDEN_SCHEMATHESIS", "1"),
        ("TAPEWARDEN_NPM", ""),
    ];
    let port = |s: &Settings| s.server.listen.0.port();
    assert_eq!(port(&run(&[], &[], file).unwrap()), 1);
    assert_eq!(port(&run(&[], &env, file).unwrap()), 2);
    let all = run(
        &["--listen", "127.0.0.1:3", "--set", "gate.head_deadline=2s"],
        &env,
        file,
    )
    .unwrap();
    assert_eq!(all.server.listen, Listen("127.0.0.1:3".parse().unwrap()));
    assert_eq!(all.gate.keep_alive.as_secs(), 7);
    assert_eq!(all.gate.head_deadline.as_secs(), 2);
}

#[test]
fn naming_an_upstream_means_the_real_market_unless_said_otherwise() {
    for flag in ["--schwab-url", "--trader-url", "--model-url"] {
        let s = run(&[flag, "http://127.0.0.1:9"], &[], None).unwrap();
        assert_eq!(s.server.market, Market::Schwab, "{flag}");
    }
    let s = run(&["--data-dir", "x", "--market", "sim"], &[], None).unwrap();
    assert_eq!(s.server.market, Market::Sim);
}

#[test]
fn a_fault_is_told_with_its_key_its_place_and_what_is_accepted() {
    let cases: [(&str, &[&str]); 6] = [
        (
            "\n\nlistten = \"x\"",
            &["listten", "line 3", "did you mean listen?"],
        ),
        (
            "[gate]\nkeep_alive = 30",
            &["gate.keep_alive", "line 2", "\"10s\""],
        ),
        (
            "[schwab]\ncandle_fetchers = 0",
            &["schwab.candle_fetchers", "line 2", "1 to 1000000"],
        ),
        (
            "market = \"moon\"",
            &["market", "line 1", "\"sim\" or \"schwab\""],
        ),
        ("a = [", &["line 1", "not TOML"]),
        (
            "[http]\nanswer_deadline = \"20s\"",
            &["http.answer_deadline", "9s"],
        ),
    ];
    for (file, wants) in cases {
        let error = run(&[], &[], Some(file)).unwrap_err();
        for want in wants {
            assert!(error.contains(want), "{file}: {error}");
        }
    }
    let error = run(&["--config", "nowhere.toml"], &[], None).unwrap_err();
    assert!(error.contains("nowhere.toml"), "{error}");
    let error = run(&["--lisen", "x"], &[], None).unwrap_err();
    assert!(
        error.contains("a similar argument exists: '--listen'"),
        "{error}"
    );
    let error = run(&[], &[("TAPEWARDEN_LISTN", "x")], None).unwrap_err();
    assert!(error.contains("did you mean TAPEWARDEN_LISTEN?"), "{error}");
    let error = run(&["dance"], &[], None).unwrap_err();
    assert!(error.contains("unrecognized subcommand 'dance'"), "{error}");
    let error = run(&["--set", "x"], &[], None).unwrap_err();
    assert!(error.contains("write --set KEY=VALUE"), "{error}");
    let error = run(&["--listen"], &[], None).unwrap_err();
    assert!(error.contains("--listen <ADDR>"), "{error}");
}

#[test]
fn a_settings_file_of_a_windows_editor_is_read_and_one_that_is_no_text_is_told() {
    let text = "\u{feff}listen = \"127.0.0.1:5\"\r\n";
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let read = |bytes: Vec<u8>| {
        let nothing = std::iter::empty::<(OsString, OsString)>();
        crate::config::parse(std::iter::empty(), nothing, |_| Ok(bytes.clone()))
    };
    for bytes in [text.as_bytes().to_vec(), utf16] {
        assert!(read(bytes).is_ok());
    }
    let error = read(b"listen = \"\xe9\"".to_vec()).err().unwrap();
    assert!(error.to_string().contains("not UTF-8 text"), "{error}");
}

#[test]
fn the_effective_settings_are_toml_that_means_the_same_and_say_where_each_came_from() {
    let args = [
        "config",
        "--set",
        "gate.keep_alive=1500ms",
        "--listen",
        "127.0.0.1:5",
    ];
    let text = run(&args, &[("TAPEWARDEN_LOG_LEVEL", "warn")], None).unwrap_err();
    assert!(
        text.contains("keep_alive = \"1500ms\"  # flag --set gate.keep_alive"),
        "{text}"
    );
    assert!(
        text.contains("# environment variable TAPEWARDEN_LOG_LEVEL"),
        "{text}"
    );
    let again = run(&[], &[], Some(&text)).unwrap();
    assert_eq!(again.gate.keep_alive.as_millis(), 1_500);
    assert_eq!(again.log.level, "warn");
    assert_eq!(again.server.listen.0.port(), 5);
    let want = run(&args[1..], &[("TAPEWARDEN_LOG_LEVEL", "warn")], None).unwrap();
    assert_eq!(again, want);
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    let url = "http://user:hunter2@trader:8080";
    let file = format!("[trader]\nurl = \"{url}\"\n");
    for said in [
        run(&["--trader-url", url], &[], None),
        run(&[], &[("TAPEWARDEN_TRADER_URL", url)], None),
        run(&[], &[], Some(&file)),
    ] {
        let said = said.unwrap_err();
        assert!(said.contains("without a password"), "{said}");
        assert!(said.contains("@trader:8080"), "{said}");
        assert!(
            !said.contains("hunter2") && !said.contains("user:"),
            "{said}"
        );
    }
}

#[test]
fn of_what_is_said_twice_the_last_holds_wherever_it_stands() {
    let port = |args: &[&str]| run(args, &[], None).unwrap().server.listen.0.port();
    let (flag, set) = ("--listen=127.0.0.1:1", "--set=listen=127.0.0.1:2");
    assert_eq!(port(&[flag, set]), 2);
    assert_eq!(port(&[set, flag]), 1);
    assert_eq!(port(&[flag, "run", set]), 2);
    assert_eq!(port(&[set, set, "run", "--listen", "127.0.0.1:3", flag]), 1);
}

#[test]
fn help_and_version_are_printed() {
    let text = run(&["--help"], &[], None).unwrap_err();
    assert!(text.contains("Exit codes: 0 ended as asked"), "{text}");
    assert!(
        text.lines().all(|l| l.chars().count() <= 80),
        "wider than 80 columns: {text}"
    );
    let version = run(&["--version"], &[], None).unwrap_err();
    assert_eq!(version, concat!("tapewarden ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_help_of_config_has_every_setting_with_its_default_and_what_it_takes() {
    for args in [["config", "--help"], ["help", "config"]] {
        let text = run(&args, &[], None).unwrap_err();
        for row in table::ROWS {
            let head = format!("  {} = {:?}\n", row.key, row.default);
            let (_, rest) = text.split_once(&head).unwrap_or_else(|| panic!("{head}"));
            let mut lines = rest.lines().map(str::trim);
            assert_eq!(lines.next(), Some(row.doc.trim()), "{head}");
            assert_eq!(lines.next(), Some(&*format!("({})", row.accepts)), "{head}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(args in prop::collection::vec("(--)?[a-z=.-]{0,12}", 0..4), file in "\\PC{0,40}") {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let _ = run(&args, &[], Some(&file));
    }
}
