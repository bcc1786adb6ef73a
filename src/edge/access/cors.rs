//! Which origins' pages may use this server. Pure.

use crate::edge::request::{Origin, origin_of_url};

/// The setting that lets pages opened from files in.
const FILES_SETTING: &str = "http.allow_null_origin = true";

/// Whether a browser says by this that its page was opened from a file.
fn is_file(origin: &str) -> bool {
    let file = "file:";
    origin.eq_ignore_ascii_case("null")
        || origin
            .get(..file.len())
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(file))
}

/// Knows the allowed origins.
#[derive(Clone, Debug)]
pub struct Cors {
    any_localhost: bool,
    listed: Vec<String>,
    files: bool,
}

impl Cors {
    /// `origins`: each an origin as a browser sends it, or `localhost` for every origin on this machine,
    /// any port; `files`: whether pages opened from files are allowed.
    #[must_use]
    pub fn new(origins: &[String], files: bool) -> Self {
        Self {
            any_localhost: origins.iter().any(|o| o == "localhost"),
            listed: origins.iter().map(|o| o.trim().to_owned()).collect(),
            files,
        }
    }

    /// Whether pages of this origin may use this server.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        let same_text = |listed: &String| listed.eq_ignore_ascii_case(origin);
        if is_file(origin) {
            return self.files || self.listed.iter().any(same_text);
        }
        match Origin::parse(origin) {
            Some(origin) => {
                (self.any_localhost && origin.is_this_machine())
                    || self
                        .listed
                        .iter()
                        .any(|l| Origin::parse(origin_of_url(l)).is_some_and(|l| l == origin))
            }
            None => self.listed.iter().any(same_text),
        }
    }

    /// Whether every page of this machine is allowed.
    #[must_use]
    pub fn allows_this_machine(&self) -> bool {
        self.any_localhost
    }

    /// The line of `tapewarden.toml`, or of `--set`, that allows this origin besides those that are.
    #[must_use]
    pub fn line_that_allows(&self, origin: &str) -> String {
        if is_file(origin) {
            return FILES_SETTING.to_owned();
        }
        let all: Vec<toml::Value> = self
            .listed
            .iter()
            .map(String::as_str)
            .chain([origin])
            .map(toml::Value::from)
            .collect();
        format!("http.origins = {}", toml::Value::from(all))
    }

    /// The headers that an answer to this origin carries.
    #[must_use]
    pub fn headers(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        let vary = ("Vary", "Origin, Accept-Encoding".to_owned());
        match origin.filter(|o| self.allows(o)) {
            Some(origin) => vec![
                ("Access-Control-Allow-Origin", origin.to_owned()),
                ("Access-Control-Allow-Credentials", "true".to_owned()),
                (
                    "Access-Control-Expose-Headers",
                    "Age, ETag, Retry-After, X-Data-Mended, X-Data-Stale, X-Lines-Left-Out, X-Total-Count".to_owned(),
                ),
                vary,
            ],
            None => vec![vary],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cors(origins: &[&str], files: bool) -> Cors {
        let origins: Vec<String> = origins.iter().map(|o| (*o).to_owned()).collect();
        Cors::new(&origins, files)
    }

    #[test]
    fn localhost_means_this_machine_on_any_port_and_nothing_that_looks_like_it() {
        let cors = cors(&["localhost"], false);
        for good in [
            "http://localhost:3000",
            "http://localhost",
            "https://localhost",
            "https://localhost:8443",
            "https://127.0.0.1:5173",
            "http://127.9.9.9",
            "http://[::1]:80",
            "http://[0:0:0:0:0:0:0:1]:5173",
            "HTTP://LOCALHOST:3000",
            "http://localhost:3000/",
            "http://charts.localhost:3000",
            "https://tauri.localhost",
        ] {
            assert!(cors.allows(good), "{good}");
        }
        for bad in [
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://localhost:3000@evil.example",
            "http://evil.example/.localhost",
            "http://evil.example?.localhost",
            "http://evil.example\\.localhost",
            "http://evil.example:80:localhost",
            "http://.localhost",
            "http://evillocalhost",
            "http://127.0.0.1.evil.example",
            "http://[::1].evil.example",
            "http://[::1",
            "http://evil.example",
            "http://localhost:+80",
            "http://localhost, http://evil.example",
            "http://localhost http://evil.example",
            "ftp://localhost",
            "capacitor://localhost",
            "app://localhost",
            "://localhost",
            "null",
            "NULL",
            "file://",
            "file://localhost",
            "file:///home/a",
            "",
        ] {
            assert!(!cors.allows(bad), "{bad}");
        }
    }

    /// What packaged apps, extensions and browsers send.
    const FOREIGN: [&str; 22] = [
        "null",
        "file://",
        "https://charts.example",
        "https://charts.example/",
        "HTTPS://Charts.Example",
        "https://charts.example:443",
        "http://charts.example:80",
        "http://charts.example:8080",
        "http://192.168.1.5:3000",
        "http://[fe80::1]:3000",
        "http://[2001:db8:0:0:0:0:0:1]",
        "app://bundle",
        "app://.",
        "app://-",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "vscode-webview://1bk2a6dkqfhp5t2mfhmeq3iqgj6f5l",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://0a1b2c3d-0000-4000-8000-000000000000",
        "safari-web-extension://0A1B2C3D-0000-4000-8000-000000000000",
        "http://one.example http://two.example",
    ];

    #[test]
    fn the_text_of_a_refused_origin_put_into_the_setting_lets_it_in_and_nobody_else() {
        for origin in FOREIGN {
            assert!(!cors(&["localhost"], false).allows(origin), "{origin}");
            let listed = cors(&["localhost", origin], false);
            assert!(listed.allows(origin), "{origin}");
            assert!(listed.allows("http://localhost:3000"));
            assert!(!listed.allows("https://evil.example"));
            assert!(!listed.allows(&format!("{origin}.evil.example")));
        }
    }

    #[test]
    fn the_line_that_is_named_is_one_of_the_settings_file_and_lets_it_in() {
        for origin in FOREIGN {
            let line = cors(&["localhost"], false).line_that_allows(origin);
            let file: toml::Table = line.parse().unwrap();
            let http = file["http"].as_table().unwrap();
            let origins = http.get("origins").and_then(toml::Value::as_array);
            let origins = origins.map_or(vec!["localhost"], |list| {
                list.iter().map(|o| o.as_str().unwrap()).collect()
            });
            let files = http.get("allow_null_origin").is_some();
            let after = cors(&origins, files);
            assert!(after.allows(origin), "{line}");
            assert!(after.allows("http://localhost:3000"), "{line}");
        }
    }

    #[test]
    fn one_setting_lets_pages_opened_from_files_in_by_either_name() {
        let files = cors(&["localhost"], true);
        for file in ["null", "file://", "FILE://", "file:///"] {
            assert!(files.allows(file), "{file}");
            let line = cors(&[], false).line_that_allows(file);
            assert_eq!(line, "http.allow_null_origin = true");
        }
        assert!(!files.allows("https://evil.example"));
        // Whoever lists Electron's alone does not let every sandboxed frame in.
        assert!(!cors(&["file://"], false).allows("null"));
    }

    #[test]
    fn spellings_of_one_origin_are_one() {
        for (setting, origin) in [
            ("https://charts.example/", "https://charts.example"),
            ("https://charts.example:443", "https://charts.example"),
            ("http://charts.example", "http://charts.example:80"),
            ("HTTPS://CHARTS.EXAMPLE", "https://charts.example"),
            ("https://charts.example/app/?a=1", "https://charts.example"),
            ("http://[0:0::1]:3000", "http://[::1]:3000"),
            ("  https://charts.example ", "https://charts.example"),
            ("CHROME-EXTENSION://abc", "chrome-extension://abc"),
            ("file:///", "file:///"),
        ] {
            assert!(cors(&[setting], false).allows(origin), "{setting} {origin}");
        }
        for (setting, origin) in [
            ("https://charts.example", "http://charts.example"),
            ("https://charts.example:80", "https://charts.example"),
            ("https://charts.example", "https://charts.example:444"),
            ("https://charts.example", "https://www.charts.example"),
            ("app://80", "app://80:80"),
        ] {
            assert!(
                !cors(&[setting], false).allows(origin),
                "{setting} {origin}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_origin_was_refused_its_text_lets_it_in(origin in "(\\PC{1,30}|[a-z+.-]{1,9}://[A-Za-z0-9.:/\\[\\]-]{0,30})") {
            let origin = origin.trim();
            prop_assume!(!origin.is_empty());
            prop_assert!(cors(&[origin], false).allows(origin));
            let line = cors(&["localhost"], false).line_that_allows(origin);
            prop_assert!(line.parse::<toml::Table>().is_ok(), "{}", line);
        }

        #[test]
        fn a_foreign_host_is_never_taken_for_this_machine(
            before in "[a-z0-9.@:/?#\\\\-]{0,12}", after in "[a-z0-9.@:/?#\\\\-]{0,12}"
        ) {
            let origin = format!("http://{before}localhost{after}.evil.example");
            prop_assert!(!cors(&["localhost"], true).allows(&origin), "{}", origin);
        }
    }
}
