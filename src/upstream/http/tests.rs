use std::io::Write;
use std::net::TcpListener;
use std::thread;

use super::judge::retry_after;
use super::*;
use crate::upstream::fake::{Fake, Then, answer, hang};
use crate::upstream::resolve::lookups;

const UPSTREAM: &str = "the fake";
const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(20);

fn client(url: &str) -> HttpClient {
    HttpClient::new(UPSTREAM, url, &Roots::default(), &lookups())
}

fn get(fake: &Fake, within: Duration) -> Result<Response, FetchError> {
    client(&fake.url()).get("/x", &[], Instant::now() + within)
}

fn why(failure: FetchError) -> String {
    match failure {
        FetchError::Unreachable { why, .. } | FetchError::Malformed { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

/// The gzip form of a body (RFC 1952) in stored blocks (RFC 1951, section 3.2.4).
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = body.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap();
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let mut crc = !0_u32;
    for byte in body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    out.extend((!crc).to_le_bytes());
    out.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    out
}

/// A failure that must be a timeout, and must have come in good time.
fn assert_late(began: Instant, result: Result<Response, FetchError>) {
    let failure = result.unwrap_err();
    let FetchError::Timeout { after_ms, .. } = failure else {
        panic!("{failure:?}");
    };
    assert!(after_ms >= 390, "{after_ms}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_upstream_that_accepts_and_never_answers_costs_no_more_than_the_deadline() {
    let fake = Fake::start(|_, stream| hang(stream));
    let began = Instant::now();
    assert_late(began, get(&fake, SHORT));
}

#[test]
fn an_upstream_that_never_accepts_costs_no_more_than_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let began = Instant::now();
    let result = client(&url).get("/x", &[], began + SHORT);
    assert_late(began, result);
}

#[test]
fn tls_that_is_never_answered_costs_no_more_than_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let began = Instant::now();
    let result = client(&url).get("/x", &[], began + SHORT);
    assert_late(began, result);
}

#[test]
fn an_answer_that_drips_costs_no_more_than_the_deadline() {
    for head_too in [false, true] {
        let fake = Fake::start(move |_, stream| {
            let whole = answer("200 OK", &[], vec![b'x'; 100_000]);
            let at_once = if head_too { 0 } else { whole.len() - 99_000 };
            let mut sent = stream.write_all(&whole[..at_once]);
            for byte in &whole[at_once..] {
                if sent.is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
                sent = stream.write_all(&[*byte]);
            }
            Then::Close
        });
        let began = Instant::now();
        assert_late(began, get(&fake, SHORT));
    }
}

#[test]
fn a_deadline_that_has_passed_is_a_timeout_and_asks_nobody() {
    let fake = Fake::saying(answer("200 OK", &[], "{}"));
    let passed = client(&fake.url()).get("/x", &[], Instant::now());
    assert!(
        matches!(passed, Err(FetchError::Timeout { .. })),
        "{passed:?}"
    );
    assert!(fake.asked().is_empty());
}

#[test]
fn a_port_where_nobody_listens_is_told_from_a_silent_one() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let failure = client(&url)
        .get("/x", &[], Instant::now() + LONG)
        .unwrap_err();
    assert!(why(failure).contains("connection refused: nothing listens at http://127.0.0.1:"));
}

#[test]
fn plain_http_where_tls_was_expected_is_named() {
    let fake = Fake::start(|_, _| Then::Close);
    let talker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", talker.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = talker.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        hang(&mut stream);
    });
    let failure = client(&url)
        .get("/x", &[], Instant::now() + LONG)
        .unwrap_err();
    assert!(
        matches!(failure, FetchError::Unreachable { .. }),
        "{failure:?}"
    );
    assert!(why(failure).contains("TLS with https://127.0.0.1:"));
    server.join().unwrap();
    drop(fake);
}

#[test]
fn a_connection_dropped_before_or_in_the_answer_is_told_apart() {
    let silent = Fake::start(|_, _| Then::Close);
    assert!(why(get(&silent, LONG).unwrap_err()).contains("before it answered"));
    assert_eq!(silent.asked().len(), 1, "a fresh connection is not retried");

    let cut: [&[u8]; 2] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"half\":",
    ];
    for bytes in cut {
        let fake = Fake::saying(bytes);
        let words = why(get(&fake, LONG).unwrap_err());
        assert!(words.contains("in the middle of its answer"), "{words}");
    }
}

#[test]
fn gzip_is_decompressed_and_bad_gzip_is_malformed() {
    let zipped = [("Content-Encoding", "gzip")];
    let fake = Fake::saying(answer("200 OK", &zipped, gzip(b"{\"a\":1}")));
    assert_eq!(get(&fake, LONG).unwrap().body, b"{\"a\":1}");
    assert_eq!(fake.asked()[0].header("accept-encoding"), Some("gzip"));

    let mut broken = gzip(&[b'x'; 500]);
    let half = broken.len() / 2;
    for body in [b"no gzip at all".to_vec(), broken.split_off(half), broken] {
        let fake = Fake::saying(answer("200 OK", &zipped, body));
        let failure = get(&fake, LONG).unwrap_err();
        assert!(
            matches!(failure, FetchError::Malformed { .. }),
            "{failure:?}"
        );
        assert!(why(failure).contains("cannot be decompressed"));
    }
}

#[test]
fn an_answer_beyond_the_limit_is_refused_without_being_kept() {
    let limit = usize::try_from(BODY_BYTES_MAX).unwrap();
    let endless = Fake::start(|_, stream| {
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
        Then::Close
    });
    let failure = get(&endless, LONG).unwrap_err();
    assert!(
        matches!(failure, FetchError::Malformed { .. }),
        "{failure:?}"
    );
    assert!(why(failure).contains("longer than 8388608 bytes"));

    let promised = Fake::start(move |_, stream| {
        let _gone = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            limit + 1
        );
        hang(stream)
    });
    assert!(why(get(&promised, LONG).unwrap_err()).contains("longer than"));

    let bomb = Fake::saying(answer(
        "200 OK",
        &[("Content-Encoding", "gzip")],
        gzip(&vec![0; limit + 1]),
    ));
    assert!(why(get(&bomb, LONG).unwrap_err()).contains("longer than"));

    let exact = Fake::saying(answer("200 OK", &[], vec![b'x'; limit]));
    assert_eq!(get(&exact, LONG).unwrap().body.len(), limit);
}

#[test]
fn what_is_not_http_is_malformed() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "\r\n\r\n\0\0\0",
        "HTTP/9 yes\r\n\r\n",
    ] {
        let fake = Fake::saying(garbage);
        let failure = get(&fake, LONG).unwrap_err();
        assert!(
            matches!(failure, FetchError::Malformed { .. }),
            "{garbage:?}: {failure:?}"
        );
    }
    let long = Fake::saying(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000)));
    assert!(why(get(&long, LONG).unwrap_err()).contains("head of its answer"));
}

#[test]
fn an_error_status_is_an_answer_and_a_redirect_is_not_followed() {
    let fake = Fake::saying(answer(
        "429 Too Many Requests",
        &[("Retry-After", "3"), ("Schwab-Client-CorrelId", "abc")],
        "slow down",
    ));
    let response = get(&fake, LONG).unwrap();
    assert_eq!(
        (response.status, response.body.as_slice()),
        (429, b"slow down".as_slice())
    );
    assert_eq!(response.retry_after, Some(Duration::from_secs(3)));
    assert_eq!(response.correlation.as_deref(), Some("abc"));

    let elsewhere = Fake::saying(answer("200 OK", &[], "{}"));
    let url = elsewhere.url();
    let fake = Fake::saying(answer("302 Found", &[("Location", &url)], ""));
    assert_eq!(get(&fake, LONG).unwrap().status, 302);
    assert!(elsewhere.asked().is_empty());

    let cut = Fake::saying("HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(get(&cut, LONG).unwrap().status, 500);
}

#[test]
fn a_connection_is_kept_and_one_that_the_server_closed_meanwhile_is_replaced() {
    let fake = Fake::start(|asked, stream| {
        // The third request is read and its connection dropped: the client cannot have known.
        if asked.nth == 2 {
            return Then::Close;
        }
        stream.write_all(&answer("200 OK", &[], "{}")).unwrap();
        Then::KeepAlive
    });
    let client = client(&fake.url());
    for _ in 0..3 {
        let response = client.get("/x", &[], Instant::now() + LONG).unwrap();
        assert_eq!(response.body, b"{}");
    }
    let on: Vec<usize> = fake.asked().iter().map(|a| a.connection).collect();
    assert_eq!(on, [0, 0, 0, 1]);

    fake.close_connections();
    client.get("/x", &[], Instant::now() + LONG).unwrap();
    assert_eq!(fake.asked().last().unwrap().connection, 2);
}

#[test]
fn a_post_carries_its_body_and_is_never_sent_twice() {
    let fake = Fake::start(|asked, stream| {
        if asked.head.starts_with("POST") && asked.nth == 2 {
            return Then::Close;
        }
        stream.write_all(&answer("200 OK", &[], "{}")).unwrap();
        Then::KeepAlive
    });
    let client = client(&fake.url());
    let deadline = Instant::now() + LONG;
    client.get("/x", &[], deadline).unwrap();
    client.post_json("/p", b"{\"q\":1}", deadline).unwrap();
    let failure = client.post_json("/p", b"{}", deadline).unwrap_err();
    assert!(why(failure).contains("before it answered"));
    let asked = fake.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[1].body, b"{\"q\":1}");
    assert_eq!(asked[1].header("content-type"), Some("application/json"));
    let on: Vec<usize> = asked.iter().map(|a| a.connection).collect();
    assert_eq!(on, [0, 1, 2]);
}

#[test]
fn localhost_is_found_on_either_loopback_address() {
    let fake = Fake::saying(answer("200 OK", &[], "{}"));
    let url = format!("http://localhost:{}", fake.address().port());
    let response = client(&url).get("/x", &[], Instant::now() + LONG);
    assert_eq!(response.unwrap().status, 200);

    // Where the machine has IPv6.
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&answer("200 OK", &[], "{}")).unwrap();
            hang(&mut stream);
        });
        let client = client(&url);
        let response = client.get("/x", &[], Instant::now() + LONG);
        assert_eq!(response.unwrap().status, 200);
        drop(client);
        server.join().unwrap();
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    assert_eq!(retry_after("7", 0), Some(Duration::from_secs(7)));
    let at = "Thu, 01 Jan 1970 00:01:00 GMT";
    assert_eq!(retry_after(at, 0), Some(Duration::from_secs(60)));
    assert_eq!(retry_after(at, 90_000), Some(Duration::ZERO));
    for garbage in ["soon", "-5", "", "1.5", "7 s", "Thu, 99 Foo 1970"] {
        assert_eq!(retry_after(garbage, 0), None, "{garbage}");
    }
    for far in [
        "31622401",
        "18446744073709551615",
        "Fri, 21 Oct 2050 07:28:00 GMT",
    ] {
        assert_eq!(retry_after(far, 0), Some(RETRY_AFTER_MAX), "{far}");
    }
}

#[test]
fn a_symbol_is_one_segment_whatever_is_in_it() {
    assert_eq!(escaped("BRK/B"), "BRK%2FB");
    assert_eq!(escaped("$SPX"), "%24SPX");
}
