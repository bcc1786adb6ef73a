//! Verdicts of a model that takes its time, hangs, or is not there; and everything else meanwhile.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::client::{Got, try_say_within};
use crate::kit::routes::{Part, ROUTES};
use crate::kit::server::is_refused;
use crate::kit::{Fault, Server, Upstreams, eventually};

/// Longer than any verdict of these tests takes.
const LONG: Duration = Duration::from_secs(90);

/// What "at once" is in a debug build on a busy machine; far below what a hung model would cost.
const AT_ONCE: Duration = Duration::from_millis(2_500);

/// Every route that has nothing to do with verdicts and is asked by itself, and other forms of some.
fn others() -> impl Iterator<Item = (&'static str, &'static str)> {
    let polled = ROUTES
        .iter()
        .filter(|route| route.not_polled.is_none() && !route.needs_any(&[Part::Model]));
    polled.map(|route| (route.method, route.path)).chain([
        ("GET", "/api/threads/dump"),
        ("GET", "/api/threads/dump?format=json"),
        ("POST", "/api/drill?stall=log-console&how=sleep&for=1s"),
    ])
}

/// The three upstreams, with a watchlist of `S0` to `S59` and TOYO.
fn upstreams() -> Upstreams {
    let up = Upstreams::start();
    let mut list: Vec<Value> = (0..60)
        .map(|n| json!({"symbol": format!("S{n}"), "price": 4.5, "gap_percent": 20.0, "volume_ratio": 8.0, "float": 9_000_000}))
        .collect();
    list.push(json!({"symbol": "TOYO", "price": 4.5}));
    let body: &'static str = Value::from(list).to_string().leak();
    up.trader
        .http
        .fault("/api/watchlist", Fault::Status(200, None, body));
    up
}

fn request(symbol: &str) -> String {
    format!(
        "POST /api/validate/{symbol} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Asks and waits for the verdict, on a thread of its own; the answer and how long it took.
fn validate(server: &Server, symbol: &str) -> JoinHandle<(Got, Duration)> {
    let (address, request) = (server.address.clone(), request(symbol));
    thread::spawn(move || {
        let began = Instant::now();
        let got = try_say_within(&address, request.as_bytes(), LONG).unwrap();
        (got, began.elapsed())
    })
}

/// Asks and leaves the connection open.
fn begin(server: &Server, symbol: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(request(symbol).as_bytes()).unwrap();
    stream
}

/// Waits until the model was asked so often.
fn asked(up: &Upstreams, times: usize) {
    eventually("the model is asked", || {
        (up.model.0.count("/api/generate") >= times).then_some(())
    });
}

/// How many connections wait for the model's cache.
fn waiting_connections(server: &Server) -> usize {
    let threads = server.get("/api/threads").json();
    let list = threads["threads"].as_array().cloned().unwrap_or_default();
    let waits = |t: &&Value| {
        let text = t.to_string();
        t["class"] == "conn" && text.contains("/api/validate/") && text.contains("waiting for")
    };
    list.iter().filter(waits).count()
}

fn all_others_answer_at_once(server: &Server, when: &str) {
    for (method, path) in others() {
        let began = Instant::now();
        let got = server.ask(method, path);
        let took = began.elapsed();
        assert_eq!(got.status, 200, "{when}: {path}: {}", got.text());
        assert!(took < AT_ONCE, "{when}: {path} took {took:?}");
    }
}

#[test]
fn a_model_that_needs_ten_or_forty_seconds_gives_its_verdict_to_who_asked() {
    let servers: Vec<(u64, Upstreams, Server)> = [10, 40]
        .map(|seconds| {
            let up = upstreams();
            let slow = Fault::Slow(Duration::from_secs(seconds));
            up.model.0.fault("/api/generate", slow);
            let server = up.server(&[]);
            (seconds, up, server)
        })
        .into();
    let asking: Vec<_> = servers
        .iter()
        .map(|(_, _, server)| validate(server, "TOYO"))
        .collect();
    for ((seconds, _, server), asking) in servers.iter().zip(asking) {
        let (got, took) = asking.join().unwrap();
        let verdict = got.json();
        assert_eq!(
            (&verdict["signal"], &verdict["cached"]),
            (&json!("buy"), &json!(false)),
            "{}",
            got.text()
        );
        assert!(took >= Duration::from_secs(*seconds), "{took:?}");
        assert!(verdict["setup"]["price"].is_number(), "{verdict}");
        let watchdog = server.log("watchdog.log");
        assert!(!watchdog.contains("STALLED"), "{watchdog}");
    }
}

#[test]
fn validations_of_a_model_that_hangs_leave_all_other_routes_and_the_diagnosis_as_they_are() {
    let up = upstreams();
    up.model.0.fault("/api/generate", Fault::Hang);
    let mut server = up.server(&["watchdog.allow_drills=true"]);
    server.eventually("/api/threads", |got| got.status == 200);
    server.eventually("/api/runners", |got| got.status == 200);
    all_others_answer_at_once(&server, "before");
    let six: Vec<_> = (0..6)
        .map(|n| validate(&server, &format!("S{n}")))
        .collect();
    asked(&up, 2);
    eventually("all six wait", || {
        (waiting_connections(&server) == 6).then_some(())
    });
    all_others_answer_at_once(&server, "while six wait");
    let status = server.get("/api/validate/status").json();
    assert_eq!(status["available"], true, "{status}");
    // Many more: each is told soon that there is no room.
    let more: Vec<_> = (6..50)
        .map(|n| validate(&server, &format!("S{n}")))
        .collect();
    all_others_answer_at_once(&server, "while fifty come");
    for (n, one) in more.into_iter().enumerate() {
        let (got, took) = one.join().unwrap();
        assert_eq!(got.status, 503, "{n}: {}", got.text());
        assert!(got.detail().contains("validation"), "{}", got.detail());
        assert!(took < Duration::from_secs(6), "{n}: {took:?}");
    }
    // The model's server hangs altogether: that is told as well, in time.
    up.model.0.fault("/", Fault::Hang);
    eventually("the model is said to be away", || {
        let began = Instant::now();
        let status = server.get("/api/validate/status");
        assert!(began.elapsed() < Duration::from_secs(5));
        (status.status == 200 && status.json()["available"] == false).then_some(())
    });
    let began = Instant::now();
    server.signal("TERM");
    for one in six {
        let (got, _) = one.join().unwrap();
        let verdict = got.json();
        assert_eq!(verdict["signal"], "wait", "{}", got.text());
        let reason = verdict["reasoning"][0].as_str().unwrap();
        assert!(reason.contains("shutting down"), "{reason}");
    }
    assert_eq!(server.exit_code(), 0);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn who_leaves_frees_the_place_and_finds_the_verdict_later() {
    let up = upstreams();
    let slow = Fault::Slow(Duration::from_secs(3));
    up.model.0.fault("/api/generate", slow);
    let server = up.server(&["http.slots_model=2", "model.cache_ttl=100ms"]);
    let left = [begin(&server, "S1"), begin(&server, "S2")];
    asked(&up, 2);
    drop(left);
    eventually("their workers are free", || {
        (waiting_connections(&server) == 0).then_some(())
    });
    // Both fetchers still wait for the model: this one comes after them.
    let (got, _) = validate(&server, "S3").join().unwrap();
    assert_eq!(got.json()["signal"], "buy", "{}", got.text());
    thread::sleep(Duration::from_millis(500));
    for symbol in ["S1", "S2"] {
        let (got, took) = validate(&server, symbol).join().unwrap();
        let verdict = got.json();
        assert_eq!(
            (&verdict["signal"], &verdict["cached"]),
            (&json!("buy"), &json!(true)),
            "older than the cache keeps it: {}",
            got.text()
        );
        assert!(took < AT_ONCE, "{took:?}");
    }
    assert_eq!(up.model.0.count("/api/generate"), 3);
    let (again, _) = validate(&server, "S1").join().unwrap();
    assert_eq!(again.json()["cached"], false, "it was read");
}

/// Ends the threads of a test, also of one that fails.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn clients_that_ask_for_verdicts_and_leave_hold_no_worker() {
    let up = upstreams();
    up.model.0.fault("/api/generate", Fault::Hang);
    let server = Arc::new(up.server(&[]));
    server.eventually("/api/threads", |got| got.status == 200);
    // What a prompt needs is not to be had: they leave while it is waited for.
    up.schwab.0.fault("/", Fault::Hang);
    let over = Arc::new(AtomicBool::new(false));
    let ends = Ends(over.clone());
    let leavers: Vec<_> = (0..12)
        .map(|n| {
            let (server, over) = (server.clone(), over.clone());
            thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let stream = begin(&server, &format!("S{n}"));
                    thread::sleep(Duration::from_millis(150));
                    drop(stream);
                }
            })
        })
        .collect();
    let until = Instant::now() + Duration::from_secs(6);
    let mut most = 0;
    while Instant::now() < until {
        for path in ["/api/validate/status", "/api/stalls"] {
            let began = Instant::now();
            let got = server.get(path);
            assert_eq!(got.status, 200, "{path}: {}", got.text());
            let took = began.elapsed();
            assert!(took < AT_ONCE, "{path}: {took:?}");
        }
        most = most.max(waiting_connections(&server));
        thread::sleep(Duration::from_millis(50));
    }
    drop(ends);
    for leaver in leavers {
        leaver.join().unwrap();
    }
    println!("at most {most} workers waited for clients, most of whom had left");
    // Six places, and as many again whose clients have just left.
    assert!(most <= 18, "{most} workers waited");
    eventually("all workers are free", || {
        (waiting_connections(&server) == 0).then_some(())
    });
}

#[test]
fn a_model_that_is_missing_is_named_with_what_to_do() {
    let up = upstreams();
    let others = r#"{"models":[{"name":"qwen3:8b"},{"name":"llama3.1:8b"}]}"#;
    up.model
        .0
        .fault("/api/tags", Fault::Status(200, None, others));
    let gone = r#"{"error":"model 'llama3.1' not found"}"#;
    up.model
        .0
        .fault("/api/generate", Fault::Status(404, None, gone));
    let server = up.server(&["model.status_ttl=100ms"]);
    let status = server.get("/api/validate/status").json();
    assert_eq!(status["available"], false, "{status}");
    assert_eq!(status["cache_ttl_seconds"], 60);
    let detail = status["detail"].as_str().unwrap();
    for words in ["llama3.1", "`ollama pull llama3.1`", "qwen3:8b"] {
        assert!(detail.contains(words), "{detail}");
    }
    server.log_has("backend.log", "`ollama pull llama3.1`");
    let (got, _) = validate(&server, "TOYO").join().unwrap();
    let verdict = got.json();
    let reason = verdict["reasoning"][0].as_str().unwrap();
    assert_eq!(verdict["signal"], "wait");
    assert!(
        reason.contains("model 'llama3.1' not found") && reason.contains("ollama pull"),
        "{reason}"
    );
    // It is pulled, under a name that means the same.
    let pulled = r#"{"models":[{"name":"qwen3:8b"},{"model":"Llama3.1:latest"}]}"#;
    up.model
        .0
        .fault("/api/tags", Fault::Status(200, None, pulled));
    server.eventually("/api/validate/status", |got| {
        got.json() == json!({"available": true, "cache_ttl_seconds": 60})
    });
}

#[test]
fn many_who_ask_at_once_whether_a_model_that_hangs_is_there_are_all_told_in_time() {
    let up = upstreams();
    up.model.0.fault("/", Fault::Hang);
    let server = Arc::new(up.server(&[]));
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let server = server.clone();
            thread::spawn(move || {
                let began = Instant::now();
                let got = server.get("/api/validate/status");
                (got, began.elapsed())
            })
        })
        .collect();
    for one in asking {
        let (got, took) = one.join().unwrap();
        assert_eq!(got.json()["available"], false, "{}", got.text());
        let detail = got.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("did not answer"), "{detail}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn a_malformed_answer_is_asked_for_again_only_while_there_is_time() {
    let up = upstreams();
    let server = up.server(&["model.deadline=6s"]);
    let nonsense = r#"{"response":"it depends","done":true}"#;
    up.model
        .0
        .fault("/api/generate", Fault::Status(200, None, nonsense));
    let (got, _) = validate(&server, "S1").join().unwrap();
    assert_eq!(got.json()["signal"], "wait");
    assert_eq!(up.model.0.count("/api/generate"), 3, "while there is time");
    let log = server.log_has("backend.log", "validation of S1: answer 3 of at most 3");
    assert_eq!(log.matches("validation of S1: answer").count(), 3, "{log}");
    // The next one hangs: both reasons are told, within the one deadline.
    let hung = upstreams();
    let first_bad_then_hangs = hung.server(&["model.deadline=3s"]);
    hung.model
        .0
        .fault("/api/generate", Fault::Status(200, None, nonsense));
    hung.model.0.turn("/api/generate", 1, Fault::Hang);
    let (got, took) = validate(&first_bad_then_hangs, "S2").join().unwrap();
    let reason = got.json()["reasoning"][0].as_str().unwrap().to_owned();
    assert!(
        reason.contains("no JSON object") && reason.contains("did not answer"),
        "{reason}"
    );
    assert!(took < Duration::from_secs(6), "{took:?}");
}

const PROMPT: &str = "validation:
  system_prompt: |
    Judge {set-ups}.
user_prompt_template: |
  {symbol} ${price:.2f} vol {volume_ratio:,}x gap {gap_percent:+.1f}% {float_formatted} {pillars_score}/5
  {vwap_zone} {ema9_position} {tf_15m_bias} {timeframe_alignment} {aligned_count}/4 {exit_overall} ${target_3r}
  {catalyst_type}
  {runner_section}
  {{\"signal\": \"buy\"}}
";

#[test]
fn a_yaml_prompt_has_its_places_filled_and_its_system_prompt_sent() {
    let up = upstreams();
    std::fs::write(
        up.file("runners.json"),
        r#"{"active_runners":[{"symbol":"S1","status":"CONSOLIDATING","gap_age_days":2,"stop_zone":{"price":4.05,"reason":"day 1 low"}}]}"#,
    )
    .unwrap();
    std::fs::write(up.file("prompt.yaml"), PROMPT).unwrap();
    let prompt = format!("model.prompt_file={}", up.file("prompt.yaml").display());
    let server = up.server(&[&prompt, "model.temperature=0.5", "model.tokens_max=700"]);
    server.eventually("/api/runners", |got| got.status == 200);
    let (got, _) = validate(&server, "S1").join().unwrap();
    assert_eq!(got.json()["signal"], "buy", "{}", got.text());
    let asked = up.model.0.fake.asked();
    let body = &asked
        .iter()
        .find(|a| a.target == "/api/generate")
        .unwrap()
        .body;
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["system"], "Judge {set-ups}.\n");
    assert_eq!(
        body["options"],
        json!({"temperature": 0.5, "num_predict": 700})
    );
    let text = body["prompt"].as_str().unwrap();
    assert!(
        text.starts_with("S1 $2.50 vol 8x gap +20.0% 9.0M 4/5\n"),
        "{text}"
    );
    assert!(text.contains("\nnot available\n"), "{text}");
    assert!(text.contains("Status: CONSOLIDATING") && text.contains("$4.05 (day 1 low)"));
    assert!(text.contains("{\"signal\": \"buy\"}"), "{text}");
    assert!(text.contains("not available now: catalyst_type"), "{text}");
}

#[test]
fn a_prompt_file_that_cannot_be_used_ends_the_start_with_code_2_and_its_reason() {
    let home = tempfile::tempdir().unwrap();
    for (name, text, words) in [
        (
            "p.txt",
            "{symbol} {pricee} {qqqq}",
            &["{pricee}", "did you mean {price}", "{qqqq}", "resistance_1"][..],
        ),
        (
            "p.yaml",
            "user_prompt_template: '{symbol:.2f}'",
            &["{symbol:.2f}", "a text"],
        ),
        (
            "q.yaml",
            "user_prompt: '{symbol}'",
            &["user_prompt_template"],
        ),
        ("r.yaml", "a: [", &["YAML", "r.yaml", "model.prompt_file"]),
        (
            "none.yaml",
            "",
            &["none.yaml", "model.prompt_file", "reading it failed"],
        ),
    ] {
        if !text.is_empty() {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        println!("{text:?}");
        let setting = format!("model.prompt_file={name}");
        is_refused(home.path(), &["--set", &setting], words);
    }
}
