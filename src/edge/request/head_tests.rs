use super::*;
use proptest::prelude::*;

const HEAD_MAX: usize = 16_384;
const BODY_MAX: usize = 65_536;

fn status(text: &str) -> u16 {
    match parse(text.as_bytes(), HEAD_MAX, BODY_MAX) {
        Parsed::Refused(r) => r.status,
        other => panic!("{text:?} gave {other:?}"),
    }
}

fn head(text: &str) -> Head {
    match parse(text.as_bytes(), HEAD_MAX, BODY_MAX) {
        Parsed::Whole(head, _) => *head,
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn a_page_of_this_server_is_no_foreign_one() {
    let left = |origin: &str| {
        let mut head = Head {
            host: "192.168.1.5:8081".into(),
            origin: Some(origin.into()),
            ..Head::default()
        };
        head.forget_own_origin();
        head.origin
    };
    assert_eq!(left("http://192.168.1.5:8081"), None);
    assert_eq!(left("https://192.168.1.5:8081"), None);
    for foreign in [
        "http://192.168.1.5:3000",
        "http://192.168.1.5:8081.evil.example",
        "http://evil.example",
        "null",
        "192.168.1.5:8081",
    ] {
        assert_eq!(left(foreign).as_deref(), Some(foreign));
    }
}

#[test]
fn what_would_confuse_a_reader_behind_is_refused() {
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
    assert_eq!(
        status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n"),
        400
    );
    assert_eq!(
        status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"),
        400
    );
    assert_eq!(
        status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        400
    );
    assert_eq!(
        status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n"),
        413
    );
    assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
    assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    assert_eq!(status("\0\0\0\0"), 400);
}

#[test]
fn lines_end_with_cr_and_lf_and_a_lone_one_of_them_is_refused_as_soon_as_it_comes() {
    for bad in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a",
        "GET / HTTP/1.1\rHost: a",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{7f}\r\n\r\n",
    ] {
        assert_eq!(status(bad), 400, "{bad:?}");
    }
    assert_eq!(head("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").host, "a");
}

#[test]
fn a_host_is_there_once_and_is_a_name_or_an_address() {
    let line = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for good in [
        "a",
        "a:80",
        "a:",
        "a.b-c_d.",
        "127.0.0.1:8081",
        "[::1]",
        "[::1]:8081",
    ] {
        assert_eq!(head(&line(good)).host, good);
    }
    for bad in [
        "",
        " ",
        ":80",
        "x@y.localhost",
        "a/b.localhost",
        "a?.localhost",
        "a\\.localhost",
        "a,b",
        "a b",
        "[localhost]",
        "[::1",
        "::1",
        "[::1]a",
        "a:b",
        "a:99999",
        "a:+1",
        "\u{e9}.localhost",
        "a%2eb",
        "\"a\"",
    ] {
        assert_eq!(status(&line(bad)), 400, "{bad:?}");
        let old = format!("GET / HTTP/1.0\r\nHost: {bad}\r\n\r\n");
        assert_eq!(status(&old), 400, "{bad:?}");
    }
    assert_eq!(head("GET / HTTP/1.0\r\n\r\n").host, "");
    let of_url = |host| {
        head(&format!(
            "GET http://b:1/x HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ))
    };
    assert_eq!(
        (of_url("a").host, of_url("a").target),
        ("b:1".into(), "/x".into())
    );
    assert_eq!(status("GET http://b:1/x HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(
        status("GET http://u@b:1/x HTTP/1.1\r\nHost: b\r\n\r\n"),
        400
    );
    assert_eq!(status("GET http:///x HTTP/1.1\r\nHost: b\r\n\r\n"), 400);
}

#[test]
fn heads_of_sixteen_kilobytes_and_a_hundred_lines_are_taken_and_no_more() {
    let lines = |n: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "Cookie: b=c\r\n".repeat(n)
        )
    };
    assert_eq!(head(&lines(99)).host, "a");
    assert_eq!(status(&lines(100)), 431);
    let long = |n: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nCookie: \r\n\r\n".len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n",
            "c".repeat(n - rest)
        )
    };
    assert_eq!(head(&long(HEAD_MAX)).host, "a");
    assert_eq!(status(&long(HEAD_MAX + 1)), 431);
    assert_eq!(
        status(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(9_000))),
        414
    );
    assert_eq!(status(&format!("GET /{}", "a".repeat(9_000))), 414);
    assert_eq!(status(&"A".repeat(9_000)), 501);
}

#[test]
fn bytes_beyond_ascii_mean_nothing_where_nothing_depends_on_them() {
    let of = |line: &[u8]| {
        let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat();
        match parse(&bytes, HEAD_MAX, BODY_MAX) {
            Parsed::Whole(head, _) => Ok(*head),
            Parsed::Refused(refusal) => Err(refusal.status),
            Parsed::Partial => panic!("{line:?}"),
        }
    };
    for ignored in [
        &b"Cookie: n=J\xfcrgen"[..],
        b"User-Agent: \xff",
        b"X: \xc3\xa9",
        b"Referer: http://\xe9/",
    ] {
        assert!(of(ignored).is_ok(), "{ignored:?}");
    }
    let passed = of(b"If-None-Match: \"\xe9\", \"b\"").unwrap();
    assert_eq!(passed.passed("If-None-Match"), Some("\"?\", \"b\""));
    for decisive in [
        &b"Content-Length: \xc2\xa05"[..],
        b"Content-Length: 5\xa0",
        b"Transfer-Encoding: \xa0chunked",
        b"Connection: close\xa0",
        b"Expect: 100-continue\x85",
        b"Origin: http://\xe9",
        b"Upgrade: \xffwebsocket",
    ] {
        assert_eq!(of(decisive).map(|_| ()), Err(400), "{decisive:?}");
    }
    for name in [&b"X\xa0"[..], b"Content-Length\x85"] {
        assert_eq!(
            of(&[name, b": 5"].concat()).map(|_| ()),
            Err(400),
            "{name:?}"
        );
    }
}

#[test]
fn of_expectations_one_is_known_and_only_to_those_who_have_interim_answers() {
    let line =
        |version, expect| format!("POST / HTTP/{version}\r\nHost: a\r\nExpect: {expect}\r\n\r\n");
    assert!(head(&line("1.1", "100-Continue")).expects_continue);
    assert!(!head(&line("1.0", "100-continue")).expects_continue);
    assert!(!head(&line("1.1", "")).expects_continue);
    for other in ["200-ok", "100-continue, x", "100-continue;a", "100"] {
        assert_eq!(status(&line("1.1", other)), 417, "{other}");
    }
}

#[test]
fn lists_on_several_lines_are_one_list() {
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\nX: y\r\nif-none-match: \"b\"\r\n\r\n";
    assert_eq!(head(text).passed("If-None-Match"), Some("\"a\", \"b\""));
    let long = format!("\"{}\"", "c".repeat(1_100));
    let text = text.replace("\"b\"", &long);
    assert_eq!(head(&text).passed("If-None-Match"), Some("\"a\""));
}

#[test]
fn keep_alive_follows_the_version_and_the_wish() {
    assert!(!head("GET / HTTP/1.1\r\nHost: a\r\n\r\n").close);
    assert!(head("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").close);
    assert!(head("GET / HTTP/1.0\r\n\r\n").close);
    assert!(!head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close);
    assert!(head("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n").close);
}

#[test]
fn a_websocket_handshake_is_recognized() {
    let text = "GET /api/ws/quotes HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(head(text).handshake.key(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    let of_1_0 = text.replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(head(&of_1_0).handshake, Handshake::NotAsked);
    for body in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let with_body = text.replace("Host: a", &format!("Host: a\r\n{body}"));
        assert_eq!(
            head(&with_body).handshake.refusal().unwrap().0,
            400,
            "{body}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_chunks_do_not_change_the_outcome(
        text in "(GET|POST|x) /[a-z%/?]{0,10} HTTP/1\\.[0-2]\r\n(Host: a\r\n)?([A-Za-z-]{1,8}: [ -~]{0,8}\r\n){0,4}\r\n",
        cut in 0_usize..80
    ) {
        let whole = parse(text.as_bytes(), HEAD_MAX, BODY_MAX);
        let part = parse(&text.as_bytes()[..cut.min(text.len())], HEAD_MAX, BODY_MAX);
        prop_assert!(part == Parsed::Partial || matches!(part, Parsed::Refused(_)) || part == whole);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes, HEAD_MAX, BODY_MAX);
    }
}
