use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::edge::request::Handshake;
use crate::edge::request::{Parsed, parse_head};

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "192.168.1.77";
const TOKEN: &str = "a-token-of-tests-0123456789";

fn guard(listen: &str, names: &[&str], token: Option<&str>) -> Guard {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let origins = ["localhost".to_owned(), "https://charts.example".to_owned()];
    Guard::new(
        listen.parse().unwrap(),
        &names,
        Token::fixed(token.map(|t| Secret::token(t).unwrap())),
        Cors::new(&origins, false),
    )
}

/// For a client on this machine.
fn admit(guard: &Guard, head: &Head) -> Result<(), Denied> {
    guard.admit(head, HERE.parse().unwrap())
}

fn named(host: &str) -> Head {
    Head {
        method: "GET".into(),
        target: "/api/health".into(),
        host: host.into(),
        ..Head::default()
    }
}

fn showing(authorization: &str) -> Head {
    Head {
        authorization: Some(Secret::new(authorization)),
        ..named("localhost")
    }
}

#[test]
fn names_of_this_machine_are_known_and_those_that_look_like_them_are_not() {
    let guard = guard("127.0.0.1", &["Charts.Example"], None);
    for good in [
        "localhost",
        "LOCALHOST:8081",
        "localhost.",
        "charts.localhost",
        "127.0.0.1:8081",
        "127.9.9.9",
        "[::1]:8081",
        "charts.example:443",
        "",
    ] {
        assert_eq!(admit(&guard, &named(good)), Ok(()), "{good}");
    }
    for bad in [
        "evil.example",
        "evil.example:8081",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "192.168.1.5:8081",
        "charts.example.evil.example",
        "notlocalhost",
        "localhost:port",
        "[::1",
        ":8081",
        "x@y.localhost",
        "a/b.localhost",
        "[localhost]",
        "[127.0.0.1]",
        "localhost..",
        "a..localhost",
    ] {
        let denied = admit(&guard, &named(bad)).unwrap_err();
        assert_eq!(denied.status(), 421, "{bad}");
        assert!(denied.to_string().contains("http.hosts"));
    }
}

#[test]
fn a_url_in_the_request_line_says_who_is_asked_whatever_its_host_header_says() {
    let guard = guard("127.0.0.1", &[], None);
    let ours = sent("GET http://localhost:8081/api/a", &["Host: evil.example"]);
    assert_eq!(admit(&guard, &ours), Ok(()));
    let theirs = sent("GET http://evil.example/api/a", &["Host: localhost:8081"]);
    assert_eq!(admit(&guard, &theirs).unwrap_err().status(), 421);
    // Nor is a page of theirs the server's own.
    let page = sent(
        "GET http://localhost:8081/api/a",
        &["Host: evil.example", "Origin: http://evil.example"],
    );
    assert_eq!(admit(&guard, &page).unwrap_err().status(), 403);
}

#[test]
fn the_address_that_is_listened_on_is_a_name_and_any_address_where_all_are() {
    let one = guard("192.168.1.5", &[], None);
    assert_eq!(admit(&one, &named("192.168.1.5:8081")), Ok(()));
    assert!(admit(&one, &named("192.168.1.6:8081")).is_err());
    for all in ["0.0.0.0", "::"] {
        let all = guard(all, &[], None);
        assert_eq!(admit(&all, &named("192.168.1.6:8081")), Ok(()));
        assert_eq!(admit(&all, &named("[fe80::1]:8081")), Ok(()));
        assert!(admit(&all, &named("evil.example:8081")).is_err());
    }
}

#[test]
fn with_a_token_nothing_is_answered_without_it() {
    let guard = guard("0.0.0.0", &[], Some(TOKEN));
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    for good in [
        format!("Bearer {TOKEN}"),
        format!("bearer  {TOKEN} "),
        basic(&format!("anybody:{TOKEN}")),
        basic(&format!(":{TOKEN}")),
    ] {
        assert_eq!(admit(&guard, &showing(&good)), Ok(()), "{good}");
    }
    for bad in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        TOKEN.to_owned(),
        format!("Bearer {TOKEN}0"),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Digest {TOKEN}"),
        "Basic ===".into(),
        basic(TOKEN),
        basic(&format!("{TOKEN}:x")),
    ] {
        assert_eq!(admit(&guard, &showing(&bad)), Err(Denied::Token), "{bad}");
    }
    assert_eq!(admit(&guard, &named("localhost")), Err(Denied::Token));
    assert_eq!(
        admit(&guard, &named("evil.example")).unwrap_err().status(),
        421
    );
    let preflight = Head {
        method: "OPTIONS".into(),
        ..named("localhost")
    };
    assert_eq!(admit(&guard, &preflight), Ok(()));
}

#[test]
fn a_stream_may_show_it_in_its_query_and_nothing_else_may() {
    let guard = guard("0.0.0.0", &[], Some(TOKEN));
    let mut head = Head {
        target: format!("/api/ws/quotes?a=1&token={TOKEN}"),
        ..named("localhost")
    };
    assert_eq!(admit(&guard, &head), Err(Denied::Token));
    head.handshake = Handshake::Whole("key".into());
    assert_eq!(admit(&guard, &head), Ok(()));
    head.target = "/api/ws/quotes?token=another".into();
    assert_eq!(admit(&guard, &head), Err(Denied::Token));
}

/// A request's head as it comes, to `localhost:8081`.
fn sent(line: &str, headers: &[&str]) -> Head {
    let host = if headers.iter().any(|h| h.starts_with("Host:")) {
        ""
    } else {
        "Host: localhost:8081\r\n"
    };
    let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
    match parse_head(
        format!("{line} HTTP/1.1\r\n{host}{headers}\r\n").as_bytes(),
        8_192,
        65_536,
    ) {
        Parsed::Whole(head, _) => *head,
        other => panic!("{other:?}"),
    }
}

const API: &str = "GET /api/candles/TOYO";

/// Line and headers of a request to `localhost:8081`, and whether it is answered: "origin" and "foreign"
/// are refusals.
const SAID: &str = "
An allowed origin, in every mode.
GET /api/a | Origin: http://localhost:3000; Sec-Fetch-Site: same-site; Sec-Fetch-Mode: cors | ok
GET /api/a | Origin: http://localhost:3000; Sec-Fetch-Site: cross-site | ok
GET /api/a | Origin: https://charts.example; Sec-Fetch-Site: cross-site | ok
POST /api/validate/A | Origin: https://charts.example; Sec-Fetch-Site: cross-site | ok
OPTIONS /api/validate/A | Origin: https://charts.example; Sec-Fetch-Site: cross-site | ok
GET /api/ws/quotes | Origin: https://charts.example; Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: websocket | ok
The server's own.
GET /api/a | Origin: http://localhost:8081; Sec-Fetch-Site: same-origin | ok
GET /api/a | Sec-Fetch-Site: same-origin; Sec-Fetch-Mode: no-cors | ok
POST /api/drill | Sec-Fetch-Site: same-origin | ok
A foreign origin, whatever else stands there.
GET /api/a | Origin: https://evil.example; Sec-Fetch-Site: cross-site | origin
GET /api/a | Origin: https://evil.example | origin
GET /api/a | Origin: https://evil.example; Sec-Fetch-Site: same-origin | origin
GET /api/a | Origin: https://evil.example; Sec-Fetch-Site: none | origin
GET /api/a | Origin: https://evil.example; Referer: http://localhost:8081/ | origin
GET /api/a | Origin: null; Sec-Fetch-Site: cross-site | origin
GET / | Origin: https://evil.example; Sec-Fetch-Site: cross-site | origin
POST / | Origin: https://evil.example; Sec-Fetch-Site: cross-site | origin
POST /api/shutdown | Origin: null; Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate | origin
OPTIONS /api/shutdown | Origin: https://evil.example; Sec-Fetch-Site: cross-site | origin
GET /api/ws/quotes | Origin: https://evil.example; Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: websocket | origin
Images, scripts, frames, links, prefetches, forms and streams of foreign pages.
GET /api/a | Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: no-cors; Sec-Fetch-Dest: image | foreign
GET /api/a | Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: no-cors; Sec-Fetch-Dest: script | foreign
GET /api/a | Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: iframe | foreign
GET /api/a | Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document; Sec-Fetch-User: ?1 | foreign
GET /api/a | Sec-Fetch-Site: cross-site; Sec-Purpose: prefetch | foreign
GET /api/a | Sec-Fetch-Site: of-a-later-browser | foreign
HEAD /api/a | Sec-Fetch-Site: cross-site | foreign
GET /metrics | Sec-Fetch-Site: cross-site | foreign
GET /nothing | Sec-Fetch-Site: cross-site | foreign
GET /api/ws/quotes | Sec-Fetch-Site: cross-site | foreign
POST /api/shutdown | Sec-Fetch-Site: cross-site | foreign
POST / | Sec-Fetch-Site: cross-site | foreign
An image of an allowed page, redirected here by the site that it came from.
GET /api/a | Sec-Fetch-Site: cross-site; Referer: http://localhost:3000/ | foreign
The server's own files may be opened from anywhere.
GET / | Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document | ok
GET /threads?x=1 | Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate | ok
HEAD / | Sec-Fetch-Site: cross-site | ok
GET / | Referer: https://evil.example/ | ok
Another port of this machine, without an Origin.
GET /api/a | Sec-Fetch-Site: same-site; Sec-Fetch-Mode: no-cors; Referer: http://localhost:3000/ | ok
GET /api/a | Sec-Fetch-Site: same-site; Sec-Fetch-Mode: no-cors | ok
The neighbours of another name.
GET /api/a | Host: charts.example; Sec-Fetch-Site: same-site | foreign
GET /api/a | Host: charts.example; Sec-Fetch-Site: same-site; Referer: https://evil.charts.example/ | foreign
GET /api/a | Host: charts.example; Sec-Fetch-Site: same-site; Referer: https://charts.example/ | ok
Who typed the address, and programs.
GET /api/a | Sec-Fetch-Site: none; Sec-Fetch-Mode: navigate; Sec-Fetch-User: ?1 | ok
GET /api/a | Sec-Fetch-Mode: cors; User-Agent: node | ok
POST /api/shutdown | | ok
POST /api/validate/A | Origin: | ok
Browsers where they say no more than this.
GET /api/a | Referer: https://evil.example/page | foreign
GET /api/a | Referer: http://localhost.evil.example/ | foreign
GET /api/a | Host: 127.0.0.1:8081; Referer: http://127.0.0.1:8081.evil.example/ | foreign
GET /api/ws/quotes | Referer: https://evil.example/ | foreign
GET /api/a | Host: 127.0.0.1:8081; Referer: http://127.0.0.1:8081/threads | ok
GET /api/a | Referer: http://localhost:3000/ | ok
GET /api/a | Referer: | ok
";

#[test]
fn what_a_page_may_ask_for_follows_from_what_its_browser_says() {
    let guard = guard("127.0.0.1", &["charts.example"], None);
    let rows = SAID.lines().filter(|l| l.contains('|'));
    for row in rows {
        let mut cells = row.split('|').map(str::trim);
        let mut cell = || cells.next().unwrap();
        let (line, headers, want) = (cell(), cell(), cell());
        let headers: Vec<&str> = headers.split("; ").filter(|h| !h.is_empty()).collect();
        let got = match admit(&guard, &sent(line, &headers)) {
            Ok(()) => "ok",
            Err(Denied::Origin { .. }) => "origin",
            Err(Denied::ForeignPage) => "foreign",
            Err(_) => "another refusal",
        };
        assert_eq!(got, want, "{row}");
    }
}

#[test]
fn pages_of_this_machine_are_neighbours_only_where_they_are_allowed() {
    let none = Guard::new(
        HERE.parse().unwrap(),
        &[],
        Token::fixed(None),
        Cors::new(&[], false),
    );
    let image = sent(API, &["Sec-Fetch-Site: same-site"]);
    assert_eq!(admit(&none, &image), Err(Denied::ForeignPage));
    let page = sent(API, &["Origin: http://localhost:3000"]);
    let denied = admit(&none, &page).unwrap_err();
    assert_eq!(denied.status(), 403);
    assert!(
        denied
            .to_string()
            .ends_with("http.origins = [\"http://localhost:3000\"]")
    );
}

#[test]
fn what_changes_something_has_a_known_sender() {
    let without = guard("0.0.0.0", &[], None);
    let with = guard("0.0.0.0", &[], Some(TOKEN));
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let remote = |guard: &Guard, headers: &[&str]| {
        let lan = ["Host: 192.168.1.5:8081"];
        let headers: Vec<&str> = lan.iter().chain(headers).copied().collect();
        guard.admit(
            &sent("POST /api/validate/TOYO", &headers),
            ELSEWHERE.parse().unwrap(),
        )
    };
    assert_eq!(remote(&without, &[]), Err(Denied::Remote));
    assert_eq!(
        remote(&without, &["Origin: http://192.168.1.5:8081"]),
        Ok(())
    );
    assert_eq!(
        remote(&without, &["Origin: https://charts.example"]),
        Ok(())
    );
    assert_eq!(
        remote(&without, &["Referer: http://192.168.1.5:8081/"]),
        Ok(())
    );
    assert!(remote(&without, &["Origin: http://192.168.1.5:3000"]).is_err());
    assert_eq!(remote(&with, &[]), Err(Denied::Token));
    assert_eq!(remote(&with, &[&bearer]), Ok(()));
    // A browser keeps the password that it asked for and adds it to what foreign pages send.
    assert_eq!(
        remote(&with, &[&bearer, "Sec-Fetch-Site: cross-site"]),
        Err(Denied::ForeignPage)
    );
    assert!(remote(&with, &[&bearer, "Origin: https://evil.example"]).is_err());
    // Reading is for everybody there where no token is set.
    let reading = sent(API, &["Host: 192.168.1.5:8081"]);
    assert_eq!(without.admit(&reading, ELSEWHERE.parse().unwrap()), Ok(()));
    let here = sent("POST /api/shutdown", &[]);
    for address in ["127.0.0.1", "127.9.9.9", "::1"] {
        assert_eq!(without.admit(&here, address.parse().unwrap()), Ok(()));
    }
}

#[test]
fn what_a_proxy_sent_on_needs_the_token() {
    let without = guard("127.0.0.1", &[], None);
    let with = guard("127.0.0.1", &[], Some(TOKEN));
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for header in [
        "X-Forwarded-For: 203.0.113.7",
        "x-forwarded-for: 127.0.0.1",
        "X-Forwarded-Host: charts.example",
        "Forwarded: for=203.0.113.7",
        "X-Real-IP: 203.0.113.7",
        "Via: 1.1 proxy",
    ] {
        for line in [
            API,
            "GET /",
            "POST /api/shutdown",
            "OPTIONS /api/health",
            "GET /api/ws/quotes",
        ] {
            let denied = admit(&without, &sent(line, &[header])).unwrap_err();
            let name = header.split(':').next().unwrap();
            assert_eq!(denied, Denied::Forwarded(name.to_owned()), "{line}");
            assert_eq!(denied.status(), 403);
            assert!(denied.to_string().contains("set http.token_file"));
            assert_eq!(
                admit(&with, &sent(line, &[header, &bearer])),
                Ok(()),
                "{line}"
            );
        }
        assert_eq!(admit(&with, &sent(API, &[header])), Err(Denied::Token));
    }
}

fn or_none(values: &[&str]) -> impl Strategy<Value = Option<String>> + use<> {
    let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
    prop::option::of(prop::sample::select(values))
}

proptest! {
    #[test]
    fn in_every_mixture_of_what_can_be_said_the_rules_hold(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "OPTIONS", "DELETE"]),
        path in prop::sample::select(vec!["/", "/threads", "/metrics", "/api/candles/A", "/api/shutdown", "/api/ws/quotes", "/x"]),
        host in prop::sample::select(vec!["localhost:8081", "127.0.0.1:8081", "lan.example", "evil.example"]),
        origin in or_none(&["null", "file://", "http://localhost:8081", "http://localhost:3000", "https://charts.example", "https://evil.example", "http://lan.example", "app://x"]),
        referer in or_none(&["https://evil.example/x", "http://localhost:3000/", "http://lan.example/", "junk"]),
        site in or_none(&["same-origin", "same-site", "cross-site", "none", "new"]),
        forwarded in or_none(&["X-Forwarded-For", "Forwarded", "Via"]),
        authorization in or_none(&["right", "wrong"]),
        files in any::<bool>(), locked in any::<bool>(), here in any::<bool>(), stream in any::<bool>(),
    ) {
        let token = locked.then(|| Secret::token(TOKEN).unwrap());
        let origins = ["localhost".to_owned(), "https://charts.example".to_owned()];
        let guard = Guard::new(HERE.parse().unwrap(), &["lan.example".into()], Token::fixed(token), Cors::new(&origins, files));
        let mut headers = vec![format!("Host: {host}")];
        headers.extend(origin.iter().map(|o| format!("Origin: {o}")));
        headers.extend(referer.iter().map(|r| format!("Referer: {r}")));
        headers.extend(site.iter().map(|s| format!("Sec-Fetch-Site: {s}")));
        headers.extend(forwarded.iter().map(|f| format!("{f}: 1.2.3.4")));
        headers.extend(authorization.iter().map(|a| {
            let shown = if a == "right" { TOKEN } else { "another-token-0123456789" };
            format!("Authorization: Bearer {shown}")
        }));
        if stream {
            headers.extend(["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="].map(str::to_owned));
        }
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let head = sent(&format!("{method} {path}"), &headers);
        let peer = if here { HERE } else { ELSEWHERE };
        let admitted = guard.admit(&head, peer.parse().unwrap()).is_ok();

        let origin = origin.as_deref();
        let file = matches!(origin, Some("null" | "file://"));
        let own = origin == Some(&format!("http://{host}"));
        let allowed = own || (file && files) || matches!(origin, Some("http://localhost:8081" | "http://localhost:3000" | "https://charts.example"));
        let holds_token = locked && authorization.as_deref() == Some("right");
        let known_host = host != "evil.example";
        let site = site.as_deref();
        let plain = origin.is_none() && site.is_none() && referer.is_none();
        let page_file = matches!(path, "/" | "/threads") && matches!(method, "GET" | "HEAD");
        let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
        if admitted {
            prop_assert!(known_host);
            prop_assert!(!locked || holds_token || method == "OPTIONS");
            prop_assert!(forwarded.is_none() || locked);
            prop_assert!(origin.is_none() || allowed);
            prop_assert!(origin.is_some() || page_file || !matches!(site, Some("cross-site" | "new")));
            prop_assert!(origin.is_some() || site.is_some() || page_file || referer.as_deref() != Some("https://evil.example/x"));
            prop_assert!(reads || allowed || holds_token || here || site == Some("same-origin") || referer.is_some());
        }
        if known_host && (holds_token || (!locked && forwarded.is_none())) {
            prop_assert!(admitted || !allowed, "an allowed page is refused");
            prop_assert!(admitted || !plain || (!here && !reads), "a program is refused");
        }
    }

    #[test]
    fn no_host_or_header_makes_it_panic_or_lets_a_stranger_in(host in "\\PC{0,40}", shown in "\\PC{0,60}") {
        let guard = guard("127.0.0.1", &[], Some(TOKEN));
        let mut head = showing(&shown);
        head.host = host;
        prop_assert!(admit(&guard, &head).is_err());
    }
}
