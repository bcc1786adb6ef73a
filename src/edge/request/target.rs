//! What a request line asks for (RFC 9112, section 3.2). Pure.

use super::refusal::Refusal;

/// The longest target, in bytes: what any server should take (RFC 9112, section 3).
pub const TARGET_BYTES_MAX: usize = 8_000;

/// The rest of the longest request line.
const LINE_BYTES_MORE: usize = METHOD_BYTES_MAX + "  HTTP/1.1\r\n".len();

/// The longest method.
const METHOD_BYTES_MAX: usize = 16;

/// A target, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Path and query as they came, or `*`.
    pub path: String,
    /// The host that the target itself names: it counts instead of `Host`.
    pub host: Option<String>,
}

/// Checks a method.
///
/// # Errors
/// 501 for what is none that a server of ours could know.
pub fn check_method(method: &str) -> Result<(), Refusal> {
    if method.bytes().all(|b| b.is_ascii_uppercase()) && method.len() <= METHOD_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::new(
        501,
        "The request's method is none of this server's",
    ))
}

impl Target {
    /// Reads it: a path, a URL as proxies are sent, or `*` for the server as a whole.
    ///
    /// # Errors
    /// 400 where it is none of these, 414 where it is too long.
    pub fn read(method: &str, text: &str) -> Result<Self, Refusal> {
        check_length(text)?;
        let (path, host) = match after_scheme(text) {
            None => (text, None),
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (host, path) = rest.split_at(end);
                (path, Some(host.to_owned()))
            }
        };
        let path = match (&host, path) {
            (Some(_), "") if method == "OPTIONS" => "*".to_owned(),
            (Some(_), path) if !path.starts_with('/') => format!("/{path}"),
            (_, path) => path.to_owned(),
        };
        let is_whole_server = path == "*" && method == "OPTIONS";
        // A fragment is the client's own affair.
        let sound = |b| (b'!'..=b'~').contains(&b) && b != b'#';
        if !(path.starts_with('/') || is_whole_server) || !path.bytes().all(sound) {
            let detail = "The request's target must be a path that begins with '/', or an http URL";
            return Err(Refusal::new(400, detail));
        }
        Ok(Self { path, host })
    }
}

/// Checks a target's length.
///
/// # Errors
/// 414
pub fn check_length(target: &str) -> Result<(), Refusal> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(too_long());
    }
    Ok(())
}

/// What follows `http://`.
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked("http://".len())?;
    scheme.eq_ignore_ascii_case("http://").then_some(rest)
}

/// Of a request line without an end so far: whether it will not have one within its bound.
///
/// # Errors
/// 414, or 501 where it is the method that does not end.
pub fn check_begun(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() <= TARGET_BYTES_MAX + LINE_BYTES_MORE {
        return Ok(());
    }
    let method = bytes.split(|b| *b == b' ').next().unwrap_or(bytes);
    check_method(&String::from_utf8_lossy(method.trim_ascii_start()))?;
    Err(too_long())
}

/// What to say of a request line whose end is no version that is spoken here.
pub fn version_refusal(bytes: &[u8]) -> Refusal {
    let line = bytes.trim_ascii_start();
    let line = line.split(|b| b"\r\n".contains(b)).next().unwrap_or(line);
    let words: Vec<&[u8]> = line.splitn(4, |b| *b == b' ').collect();
    match words.as_slice() {
        [_, _, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::new(505, "This server speaks HTTP/1.1 and HTTP/1.0")
        }
        _ => Refusal::new(400, "The request's first line has no version of HTTP"),
    }
}

fn too_long() -> Refusal {
    Refusal::new(
        414,
        format!("The request's target is longer than {TARGET_BYTES_MAX} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(method: &str, text: &str) -> Result<(String, Option<String>), u16> {
        let target = Target::read(method, text).map_err(|r| r.status)?;
        Ok((target.path, target.host))
    }

    #[test]
    fn a_target_is_a_path_a_url_or_the_whole_server() {
        for (method, text, path, host) in [
            ("GET", "/api/health?a=b", "/api/health?a=b", None),
            ("GET", "http://localhost:1/a?b", "/a?b", Some("localhost:1")),
            ("GET", "HTTP://LOCALHOST", "/", Some("LOCALHOST")),
            (
                "GET",
                "http://[::1]:8081?a=http://b/",
                "/?a=http://b/",
                Some("[::1]:8081"),
            ),
            ("GET", "/a?b=http://c", "/a?b=http://c", None),
            ("GET", "http:///a", "/a", Some("")),
            ("OPTIONS", "*", "*", None),
            ("OPTIONS", "http://localhost", "*", Some("localhost")),
            ("OPTIONS", "http://localhost/", "/", Some("localhost")),
        ] {
            let want = (path.to_owned(), host.map(str::to_owned));
            assert_eq!(read(method, text), Ok(want), "{method} {text}");
        }
        for bad in [
            "",
            "*",
            "a",
            "localhost:80",
            "https://localhost/",
            "ftp://localhost/",
            "http:/a",
            "/a#b",
            "http://localhost/#a",
            "http://localhost#a",
            "/\u{e9}",
            "/a b",
            "/\0",
            "**",
            "*/a",
        ] {
            assert_eq!(read("GET", bad), Err(400), "{bad:?}");
        }
        assert_eq!(read("CONNECT", "localhost:80"), Err(400));
        let long = |n| read("GET", &format!("/{}", "a".repeat(n)));
        assert!(long(TARGET_BYTES_MAX - 1).is_ok());
        assert_eq!(long(TARGET_BYTES_MAX), Err(414));
    }

    #[test]
    fn a_line_that_does_not_end_is_given_up_for_what_is_too_long_in_it() {
        let begun = |text: String| check_begun(text.as_bytes()).map_err(|r| r.status);
        assert_eq!(begun(format!("GET /{}", "a".repeat(7_990))), Ok(()));
        assert_eq!(begun(format!("GET /{}", "a".repeat(8_100))), Err(414));
        assert_eq!(begun("A".repeat(8_100)), Err(501));
    }

    #[test]
    fn a_version_that_is_one_is_told_which_are_spoken() {
        let status = |line: &str| version_refusal(line.as_bytes()).status;
        for one in [
            "GET / HTTP/2.0\r\n",
            "\r\nGET / HTTP/1.2\r\n",
            "GET / HTTP/9.9",
        ] {
            assert_eq!(status(one), 505, "{one}");
        }
        for none in [
            "GET /\r\n",
            "GET / \r\n",
            "GET HTTP/1.1\r\n",
            "GET / HTTP/1\r\n",
            "GET / HTTP/01.01\r\n",
            "GET / HTTP/ 1.1\r\n",
            "GET / http/1.1\r\n",
            "GET / HTTP/1.32\r\n",
            "GET /a b HTTP/9.9\r\n",
        ] {
            assert_eq!(status(none), 400, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_written_into_a_request_line(
            method in "(GET|OPTIONS)", text in "(http://)?[a-z:/?#*]{0,3}\\PC{0,12}"
        ) {
            if let Ok(target) = Target::read(&method, &text) {
                prop_assert!(target.path.bytes().all(|b| b.is_ascii_graphic()));
                prop_assert!(target.path.starts_with('/') || target.path == "*");
                prop_assert_eq!(&Target::read(&method, &target.path).unwrap().path, &target.path);
            }
        }
    }
}
