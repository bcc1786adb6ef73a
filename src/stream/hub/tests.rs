use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn plain(text: &str) -> Frame {
    Arc::from(text.as_bytes())
}

/// Frames as their texts, pings as their numbers.
const PLAIN: Encode = Encode {
    text: plain,
    ping: |number| plain(&number.to_string()),
};

fn quote(symbol: &str, n: i64) -> Quote {
    let mut fields = serde_json::Map::new();
    fields.insert("n".into(), Value::from(n));
    Quote {
        symbol: symbol.parse().unwrap(),
        fields,
    }
}

fn wanted(symbols: &[&str]) -> Wanted {
    Arc::new(symbols.iter().map(|s| s.parse().unwrap()).collect())
}

fn texts(frames: &[Frame]) -> Vec<String> {
    frames
        .iter()
        .map(|f| String::from_utf8(f.to_vec()).unwrap())
        .filter(|text| text.parse::<u64>().is_err())
        .collect()
}

/// A session whose handshake is written.
fn begin(hub: &mut Hub, id: SessionId) {
    hub.join(Instant::now(), id);
    hub.ready(id);
}

/// A session of a client that answers no ping, and is left to what its socket takes.
fn begin_without_pongs(hub: &mut Hub, id: SessionId) {
    begin(hub, id);
    hub.batches(Instant::now());
    hub.ready(id);
    let behind = client::BATCH_FRAMES_MAX;
    for n in 0..behind {
        hub.source(n % 2 == 0, "up and down".into());
    }
    hub.batches(Instant::now());
    hub.ready(id);
    hub.batches(Instant::now());
    assert!(hub.holds_some());
    let later = Instant::now() + Duration::from_secs(10);
    assert!(hub.look(later, Duration::ZERO).is_empty());
    hub.batches(later);
}

fn of(hub: &mut Hub, id: u64) -> Vec<String> {
    let batches = hub.batches(Instant::now());
    let mine = batches.iter().find(|(i, _)| *i == SessionId(id));
    mine.map(|(_, f)| texts(f)).unwrap_or_default()
}

#[test]
fn each_client_gets_its_own_symbols_and_one_leaving_does_not_silence_another() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    let (a, b) = (SessionId(1), SessionId(2));
    begin(&mut hub, a);
    begin(&mut hub, b);
    assert_eq!(of(&mut hub, 1), [r#"{"type":"status","connected":false}"#]);
    hub.ready(a);
    hub.ready(b);
    hub.want(a, wanted(&["X", "Y"]));
    hub.want(b, wanted(&["X"]));
    assert_eq!(**hub.wanted(), *wanted(&["X", "Y"]));
    hub.quote(&quote("Y", 1));
    hub.quote(&quote("Z", 1));
    assert_eq!(of(&mut hub, 1), [r#"{"type":"quote","symbol":"Y","n":1}"#]);
    hub.leave(a);
    assert_eq!(**hub.wanted(), *wanted(&["X"]));
    hub.quote(&quote("X", 2));
    assert_eq!(of(&mut hub, 2), [r#"{"type":"quote","symbol":"X","n":2}"#]);
}

#[test]
fn a_client_that_falls_behind_gets_the_latest_of_each_symbol() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    begin_without_pongs(&mut hub, SessionId(1));
    hub.want(SessionId(1), wanted(&["X", "Y"]));
    let behind = i64::try_from(client::BATCH_FRAMES_MAX).unwrap();
    for n in 0..behind + 5 {
        hub.quote(&quote("X", n));
    }
    hub.quote(&quote("Y", 1));
    hub.source(true, "up".into());
    assert!(hub.batches(Instant::now()).is_empty());
    hub.ready(SessionId(1));
    let mut got = of(&mut hub, 1);
    hub.ready(SessionId(1));
    got.extend(of(&mut hub, 1));
    assert_eq!(
        got[client::BATCH_FRAMES_MAX - 1..],
        [
            format!(r#"{{"type":"quote","symbol":"X","n":{}}}"#, behind - 1),
            r#"{"type":"status","connected":true}"#.to_owned(),
            format!(r#"{{"type":"quote","symbol":"X","n":{}}}"#, behind + 4),
            r#"{"type":"quote","symbol":"Y","n":1}"#.to_owned(),
        ]
    );
}

#[test]
fn a_client_that_keeps_up_gets_every_quote() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    begin(&mut hub, SessionId(1));
    hub.want(SessionId(1), wanted(&["X"]));
    hub.batches(Instant::now());
    for n in 0..3 {
        hub.quote(&quote("X", n));
    }
    hub.ready(SessionId(1));
    let want: Vec<String> = (0..3)
        .map(|n| format!(r#"{{"type":"quote","symbol":"X","n":{n}}}"#))
        .collect();
    assert_eq!(of(&mut hub, 1), want);
    assert_eq!(hub.conflated, 0);
}

#[test]
fn a_new_subscriber_gets_no_value_of_before_the_source_was_lost() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    begin(&mut hub, SessionId(1));
    hub.source(true, String::new());
    hub.want(SessionId(1), wanted(&["X"]));
    hub.quote(&quote("X", 1));
    hub.source(false, "refused".into());
    begin(&mut hub, SessionId(2));
    hub.want(SessionId(2), wanted(&["X"]));
    assert_eq!(of(&mut hub, 2), [r#"{"type":"status","connected":false}"#]);
    hub.source(true, String::new());
    hub.quote(&quote("X", 2));
    hub.ready(SessionId(2));
    let got = of(&mut hub, 2);
    assert_eq!(
        got.last().unwrap(),
        r#"{"type":"quote","symbol":"X","n":2}"#
    );
    assert!(!got.iter().any(|text| text.contains(r#""n":1"#)), "{got:?}");
}

#[test]
fn a_new_subscriber_gets_the_last_value_at_once() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    begin(&mut hub, SessionId(1));
    hub.want(SessionId(1), wanted(&["X"]));
    hub.quote(&quote("X", 7));
    hub.batches(Instant::now());
    begin(&mut hub, SessionId(2));
    hub.want(SessionId(2), wanted(&["X"]));
    assert_eq!(of(&mut hub, 2)[1], r#"{"type":"quote","symbol":"X","n":7}"#);
}

#[test]
fn a_session_whose_writer_is_busy_gets_its_batch_when_it_says_that_it_is_ready() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    let a = SessionId(1);
    hub.join(Instant::now(), a);
    assert!(hub.batches(Instant::now()).is_empty());
    hub.ready(a);
    assert_eq!(of(&mut hub, 1), [r#"{"type":"status","connected":false}"#]);
    hub.source(true, "quotes flow".into());
    assert!(hub.batches(Instant::now()).is_empty());
    hub.ready(a);
    assert_eq!(of(&mut hub, 1), [r#"{"type":"status","connected":true}"#]);
}

#[test]
fn what_all_want_together_has_a_bound_and_who_goes_beyond_it_is_told() {
    let mut hub = Hub::new(PLAIN, 30_000, 2);
    let (a, b) = (SessionId(1), SessionId(2));
    begin(&mut hub, a);
    begin(&mut hub, b);
    hub.want(a, wanted(&["X", "Y"]));
    hub.want(b, wanted(&["X", "Z"]));
    assert_eq!(**hub.wanted(), *wanted(&["X", "Y"]));
    assert!(of(&mut hub, 2)[1].contains("1 symbols (Z …) are not followed"));
    hub.leave(a);
    hub.want(b, wanted(&["X", "Z"]));
    assert_eq!(**hub.wanted(), *wanted(&["X", "Z"]));
}

#[test]
fn spikes_are_active_for_their_window() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    let spike = Spike {
        symbol: "X".parse().unwrap(),
        fields: serde_json::Map::new(),
    };
    hub.spike(1_000, spike);
    assert_eq!(hub.status(31_000).unwrap().spikes.len(), 1);
    assert_eq!(hub.status(31_001).unwrap().spikes.len(), 0);
    assert_eq!(hub.status(32_000), None);
}

proptest! {
    #[test]
    fn whatever_happens_order_holds_and_the_last_word_arrives(
        steps in prop::collection::vec((0_u8..7, 0_u64..3, 0_u8..3), 1..150)
    ) {
        let mut hub = Hub::new(PLAIN, 30_000, 100);
        let mut seen: HashMap<(u64, String), i64> = HashMap::new();
        let mut n = 0;
        let mut in_flight: HashSet<SessionId> = HashSet::new();
        let mut take = |hub: &mut Hub, in_flight: &mut HashSet<SessionId>| {
            for (id, frames) in hub.batches(Instant::now()) {
                assert!(in_flight.insert(id), "a second batch in flight");
                for text in texts(&frames) {
                    let v: Value = serde_json::from_str(&text).unwrap();
                    if v["type"] == "quote" {
                        let key = (id.0, v["symbol"].as_str().unwrap().to_owned());
                        let now = v["n"].as_i64().unwrap();
                        let before = seen.insert(key, now);
                        assert!(before.is_none_or(|b| b <= now), "out of order");
                    }
                }
            }
        };
        for (what, id, s) in steps {
            let id = SessionId(id);
            let symbol = format!("S{s}");
            match what {
                0 => { hub.leave(id); in_flight.remove(&id); hub.join(Instant::now(), id); }
                1 => hub.want(id, wanted(&[&symbol])),
                2 => hub.want(id, wanted(&["S0", "S1", "S2"])),
                3 => { in_flight.remove(&id); hub.ready(id); }
                4 => take(&mut hub, &mut in_flight),
                // More at once than a batch has room for.
                5 => for s in (0..3).cycle().take(client::BATCH_FRAMES_MAX + 10) {
                    n += 1;
                    hub.quote(&quote(&format!("S{s}"), n));
                },
                _ => { n += 1; hub.quote(&quote(&symbol, n)); }
            }
            prop_assert!(hub.sessions.values().all(|s| s.wanted.iter().all(|w| hub.wanted().contains(w))));
        }
    }
}

#[test]
fn a_client_that_reads_slowly_gets_the_latest_once_it_is_known_to_be_late() {
    let mut hub = Hub::new(PLAIN, 30_000, 100);
    let id = SessionId(1);
    let start = Instant::now();
    begin(&mut hub, id);
    hub.batches(start);
    hub.ponged(start, id, 1);
    hub.ready(id);
    hub.want(id, wanted(&["X", "Y"]));
    // Much more than its window, in one moment: nothing is left out.
    for n in 0..1_500 {
        hub.quote(&quote("X", n));
    }
    let mut got = 0;
    let mut ping = 1;
    while let Some((_, frames)) = hub.batches(start).pop() {
        got += texts(&frames).len();
        ping += 1;
        hub.ready(id);
        if got < 1_000 {
            hub.ponged(start, id, ping);
        }
    }
    assert!((1_000..1_500).contains(&got) && hub.holds_some(), "{got}");
    // No pong: what waits is conflated, and goes when the client has taken what is on its way.
    let later = start + Duration::from_secs(2);
    assert!(hub.look(later, Duration::from_secs(10)).is_empty());
    hub.quote(&quote("Y", 1));
    assert!(hub.batches(later).is_empty());
    hub.ponged(later, id, ping);
    let frames = hub.batches(later).pop().unwrap().1;
    let newest = [quote("X", 1_499), quote("Y", 1)].map(|q| q.to_frame_json());
    assert_eq!(texts(&frames), newest);
    assert_eq!(hub.status(0).unwrap().conflated, 1_500 - 1 - got as u64);
    // Nothing is taken for as long as a write may take: it is given up.
    hub.ready(id);
    for n in 0..2_000 {
        hub.quote(&quote("X", n));
        hub.batches(later);
        hub.ready(id);
    }
    let end = later + Duration::from_secs(11);
    assert_eq!(hub.look(end, Duration::from_secs(10)), [id]);
    assert!(!hub.holds_some());
}
