//! The embedded market over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use jiff::civil::date;
use serde_json::{Map, Value};
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

use super::*;
use crate::market::Session;
use crate::runtime::clock::system_ms;
use crate::runtime::{Limits, Stopper, SupervisorEnds, stop};

/// Far beyond what anything here takes on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    stopper: Option<Stopper>,
    ends: SupervisorEnds,
    pub(super) sim: SimEndpoints,
    clock: Clock,
}

/// A market at that time of a Tuesday in New York.
pub(super) fn world(hour: i8, minute: i8, data_dir: Option<PathBuf>, paces: Paces) -> World {
    let at = Session::new().at_ms(date(2026, 3, 10), hour, minute);
    world_at(at, data_dir, paces)
}

/// A market at that wall time (ms).
pub(super) fn world_at(at: i64, data_dir: Option<PathBuf>, paces: Paces) -> World {
    let clock = Clock {
        offset_ms: at - system_ms(),
    };
    let (stopper, stop) = stop();
    let (supervisor, ends) = Supervisor::new(Limits::default(), stop);
    let config = SimConfig {
        seed: 1,
        clock,
        quotes_per_second: 40,
        data_dir,
    };
    let sim = start_with(&supervisor, config, paces).unwrap();
    World {
        stopper: Some(stopper),
        ends,
        sim,
        clock,
    }
}

impl World {
    fn token(&self) -> String {
        token(&self.sim.token_file)
    }

    pub(super) fn schwab(&self, path: &str) -> (u16, Value) {
        let token = self.token();
        get(&format!("{}{path}", self.sim.schwab_base_url), &token)
    }

    pub(super) fn trader(&self, path: &str) -> (u16, Value) {
        get(&format!("{}{path}", self.sim.trader_url), "")
    }
}

impl Drop for World {
    /// Every test ends with all threads ended, within a bound.
    fn drop(&mut self) {
        drop(self.stopper.take());
        if std::thread::panicking() {
            return;
        }
        while let Ok(birth) = self.ends.births.try_recv() {
            let death = self.ends.deaths.recv_timeout(PATIENCE).unwrap();
            assert!(!death.panicked, "{birth:?}");
        }
    }
}

fn token(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    json["token"]["access_token"].as_str().unwrap().to_owned()
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into()
}

fn get(url: &str, token: &str) -> (u16, Value) {
    let mut answer = agent()
        .get(url)
        .header("Authorization", format!("Bearer {token}"))
        .call()
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (answer.status().as_u16(), value)
}

pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) struct Client(WebSocket<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(super) fn open(stream_url: &str) -> Self {
        let url = stream_url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket";
        let (socket, _) = tungstenite::connect(url).unwrap();
        if let MaybeTlsStream::Plain(tcp) = socket.get_ref() {
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let mut client = Self(socket);
        assert!(client.next().starts_with("0{"));
        client.say("40");
        assert!(client.next().starts_with("40{"));
        client
    }

    pub(super) fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    pub(super) fn next(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                return text.to_string();
            }
        }
    }

    /// The next quote; bursts and pings are passed over.
    fn quote(&mut self) -> Map<String, Value> {
        loop {
            let text = self.next();
            if text == "2" {
                self.say("3");
            } else if let Some(body) = text.strip_prefix("42[\"quote_update\",") {
                return serde_json::from_str(body.strip_suffix(']').unwrap()).unwrap();
            }
        }
    }

    pub(super) fn subscribe(&mut self, symbols: &[&str]) {
        self.say(&format!(
            "42{}",
            serde_json::json!(["subscribe_quotes", { "symbols": symbols }])
        ));
    }
}

#[test]
fn price_history_comes_in_schwabs_shape_with_placeholders() {
    let w = world(9, 45, None, PACES);
    let session = Session::new();
    let from = session.open_ms(date(2026, 3, 10));
    let asked = format!(
        "frequencyType=minute&frequency=1&startDate={from}&endDate={}&needExtendedHoursData=true",
        w.clock.wall_ms()
    );
    let (status, body) = w.schwab(&format!("/pricehistory?symbol=TOYO&{asked}"));
    assert_eq!(
        (status, &body["symbol"], &body["empty"]),
        (200, &"TOYO".into(), &false.into())
    );
    let candles = body["candles"].as_array().unwrap();
    assert!((300..=346).contains(&candles.len()), "{}", candles.len());
    let last = candles.last().unwrap();
    assert!(last["close"].as_f64().unwrap() > 0.0 && last["datetime"].as_i64().unwrap() > from);

    let (_, silent) = w.schwab(&format!("/pricehistory?symbol=IXOB&{asked}"));
    let candles = silent["candles"].as_array().unwrap();
    assert!(candles.len() >= 345);
    assert!(
        candles
            .iter()
            .all(|c| c["open"].as_f64() == Some(0.0) && c["volume"] == 0)
    );

    let (status, unknown) = w.schwab(&format!("/pricehistory?symbol=NOPE&{asked}"));
    assert_eq!((status, &unknown["empty"]), (200, &true.into()));
    // Without an end the data end at the close of the day before.
    let (_, none) = w.schwab(&format!("/pricehistory?symbol=TOYO&startDate={from}"));
    assert_eq!(none["empty"], true);
    let (_, before) = w.schwab("/pricehistory?symbol=TOYO&periodType=day&period=2&frequency=30");
    let times: Vec<i64> = before["candles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["datetime"].as_i64().unwrap())
        .collect();
    assert!(times[0] >= session.open_ms(date(2026, 3, 6)));
    assert!(*times.last().unwrap() < session.close_ms(date(2026, 3, 9)));

    let (_, daily) = w.schwab(&format!(
        "/pricehistory?symbol=ZQX%2FA&periodType=month&period=6&frequencyType=daily&frequency=1&endDate={}&needPreviousClose=true",
        w.clock.wall_ms()
    ));
    let candles = daily["candles"].as_array().unwrap();
    assert!((120..135).contains(&candles.len()), "{}", candles.len());
    assert_eq!(
        candles.last().unwrap()["datetime"],
        session.at_ms(date(2026, 3, 10), 1, 0)
    );
    assert!(daily["previousClose"].as_f64().unwrap() > 0.0);
    let (_, weekly) =
        w.schwab("/pricehistory?symbol=TOYO&periodType=month&period=6&frequencyType=weekly");
    assert!((24..=28).contains(&weekly["candles"].as_array().unwrap().len()));

    let (status, bad) = w.schwab("/pricehistory?symbol=TOYO&periodType=day&frequencyType=daily");
    assert_eq!((status, &bad["errors"][0]["status"]), (400, &"400".into()));
}

#[test]
fn quotes_come_in_schwabs_shape_and_agree_with_the_candles() {
    let w = world(10, 30, None, PACES);
    let (status, body) = w.schwab("/ZQX%2FA/quotes");
    assert_eq!(status, 200);
    let one = &body["ZQX/A"];
    assert_eq!(
        (&one["symbol"], &one["assetMainType"]),
        (&"ZQX/A".into(), &"EQUITY".into())
    );
    assert!(one["fundamental"]["avg10DaysVolume"].as_u64().unwrap() > 0);
    for name in [
        "lastPrice",
        "bidPrice",
        "askPrice",
        "highPrice",
        "lowPrice",
        "openPrice",
        "closePrice",
    ] {
        assert!(one["quote"][name].as_f64().unwrap() > 0.0, "{name}");
    }
    let traded = one["quote"]["tradeTime"].as_i64().unwrap();
    let minute = traded - traded % 60_000;
    let (_, history) = w.schwab(&format!(
        "/pricehistory?symbol=ZQX%2FA&startDate={minute}&endDate={}",
        minute + 59_999
    ));
    let candle = &history["candles"][0];
    let (low, high) = (
        candle["low"].as_f64().unwrap(),
        candle["high"].as_f64().unwrap(),
    );
    assert!((low..=high).contains(&one["quote"]["lastPrice"].as_f64().unwrap()));

    let (status, many) = w.schwab("/quotes?symbols=TOYO,NOPE,ELPW&fields=quote");
    assert_eq!(
        (status, &many["errors"]["invalidSymbols"][0]),
        (200, &"NOPE".into())
    );
    assert!(many["TOYO"]["quote"].is_object() && many["ELPW"].get("reference").is_none());
    assert_eq!(w.schwab("/quotes").0, 400);
    assert_eq!(w.schwab("/quotes?symbols=TOYO&fields=nope").0, 400);
    assert_eq!(w.schwab("/movers").0, 404);
    let url = format!("{}/TOYO/quotes", w.sim.schwab_base_url);
    let (status, refused) = get(&url, "wrong");
    assert_eq!(
        (status, &refused["errors"][0]["status"]),
        (401, &401.into())
    );
    let answer = agent().get(&url).call().unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    assert!(answer.headers().contains_key("schwab-client-correlid"));
}

#[test]
fn the_token_changes_in_the_file_and_the_old_one_dies() {
    let paces = Paces {
        token_every: Duration::from_secs(3),
        token_grace: Duration::from_millis(500),
        ..PACES
    };
    let w = world(10, 0, None, paces);
    let first = w.token();
    let url = format!("{}/TOYO/quotes", w.sim.schwab_base_url);
    until("the old token to be refused", || get(&url, &first).0 == 401);
    until("a new token that is accepted", || {
        let token = w.token();
        token != first && get(&url, &token).0 == 200
    });
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&w.sim.token_file), 0o600);
        assert_eq!(mode(&w.sim.data_dir), 0o700);
    }
}

#[test]
fn the_trader_app_answers_every_route_that_is_polled() {
    let w = world(11, 0, None, PACES);
    let (status, list) = w.trader("/api/watchlist");
    assert_eq!(status, 200);
    let rows = list.as_array().unwrap();
    assert_eq!(rows.len(), listings::LISTINGS.len() - 1);
    assert!(rows.is_sorted_by(|a, b| a["quality_score"].as_f64() >= b["quality_score"].as_f64()));
    let (_, vwap) = w.trader("/api/vwap/ZQX%2FA");
    assert!(vwap["vwap"].as_f64().unwrap() > 0.0);
    assert!(w.trader("/api/vwap/IXOB").1["vwap"].is_null());
    assert!(w.trader("/api/vwap").1.as_object().unwrap().len() > 15);
    assert_eq!(w.trader("/api/vwap/NOPE").0, 404);
    let (_, health) = w.trader("/api/streaming/health");
    assert!(health["connected"] == true && health["stats"]["quotes"] == 0);
    let (_, rotation) = w.trader("/api/streaming/rotation");
    assert_eq!(rotation["universe_size"], listings::LISTINGS.len());
    assert!(w.trader("/api/signals").1.is_array());
    assert!(w.trader("/api/positions").1.is_array());
    assert_eq!(w.trader("/api/nothing").0, 404);
    let posted = agent().post(format!("{}/api/signals", w.sim.trader_url));
    assert_eq!(posted.send("").unwrap().status(), 405);
}

#[test]
fn what_is_no_session_is_refused_in_engine_ios_words_and_rubbish_ends_only_its_own() {
    let w = world(9, 45, None, PACES);
    let mut session = Client::open(&w.sim.stream_url);
    session.subscribe(&["TOYO"]);
    let ws = w.sim.stream_url.replace("http", "ws");
    for (target, code) in [
        ("/socket.io/?EIO=3&transport=websocket", 5),
        ("/socket.io/?EIO=4&transport=polling", 0),
        ("/nothing?EIO=4&transport=websocket", 3),
    ] {
        let Err(tungstenite::Error::Http(refused)) = tungstenite::connect(format!("{ws}{target}"))
        else {
            panic!("{target} is no session");
        };
        assert_eq!(refused.status(), 400);
        let body = refused.into_body().unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], code, "{target}");
    }
    for address in [&w.sim.stream_url, &w.sim.trader_url] {
        let address = address.strip_prefix("http://").unwrap();
        let mut rubbish = TcpStream::connect(address).unwrap();
        rubbish.set_read_timeout(Some(PATIENCE)).unwrap();
        rubbish.write_all(b"\x16\x03\x01\r\n\r\n").unwrap();
        let mut rest = Vec::new();
        let _ended = rubbish.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 2"));
    }
    session.quote();
    assert_eq!(w.trader("/api/signals").0, 200);
}

#[test]
fn two_streams_have_their_own_symbols_and_a_client_may_come_back() {
    let w = world(9, 45, None, PACES);
    let (mut one, mut two) = (
        Client::open(&w.sim.stream_url),
        Client::open(&w.sim.stream_url),
    );
    one.subscribe(&["TOYO", "NOPE"]);
    two.subscribe(&["ELPW", "zqx/a"]);
    let first = one.quote();
    assert_eq!(first.len(), 15, "{first:?}");
    let mut merged = first;
    let mut parts = 0;
    for _ in 0..60 {
        let quote = one.quote();
        assert_eq!(quote["symbol"], "TOYO");
        parts += usize::from(quote.len() < 15);
        let before = merged["total_volume"].as_u64();
        merged.extend(quote);
        assert!(merged["total_volume"].as_u64() >= before);
        assert!(merged["trade_time_ms"].as_i64() <= merged["quote_time_ms"].as_i64());
    }
    assert!(parts > 30, "{parts}");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..30 {
        seen.insert(two.quote()["symbol"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["ELPW", "ZQX/A"]);

    two.say(r#"42["unsubscribe_quotes",{"symbols":["ELPW"]}]"#);
    // What was on its way may still arrive; after the answer to this nothing of it does.
    two.say("421[\"nothing\"]");
    while two.next() != "431[]" {}
    for _ in 0..5 {
        assert_eq!(two.quote()["symbol"], "ZQX/A");
    }
    drop(one);
    let mut again = Client::open(&w.sim.stream_url);
    again.subscribe(&["TOYO"]);
    assert_eq!(
        again.quote().len(),
        15,
        "a new session begins with a whole quote"
    );
    assert!(w.trader("/api/streaming/health").1["stats"]["quotes"].as_u64() > Some(60));
}

#[test]
fn a_stream_client_that_never_answers_pings_is_dropped() {
    let paces = Paces {
        pings: Pings {
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
        },
        ..PACES
    };
    let w = world(9, 45, None, paces);
    let mut client = Client::open(&w.sim.stream_url);
    assert_eq!(client.next(), "2");
    let end = Instant::now() + PATIENCE;
    while client.0.read().is_ok() {
        assert!(Instant::now() < end, "still there");
    }
}

#[test]
fn the_files_are_there_and_go_with_a_temporary_folder() {
    let w = world(13, 0, None, PACES);
    let folder = w.sim.data_dir.clone();
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    let trades = "paper_trading/trade_outcomes.jsonl";
    until("the trade history", || read(trades).is_ok());
    let text = read(trades).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!((300..600).contains(&lines.len()), "{}", lines.len());
    let ended =
        |l: &Value| -> jiff::Timestamp { l["exit"]["time"].as_str().unwrap().parse().unwrap() };
    assert!(
        lines
            .iter()
            .all(|l| ended(l).as_millisecond() <= w.clock.wall_ms())
    );
    assert!(read("runners.json").is_ok());
    drop(w);
    assert!(!folder.exists(), "an orderly end removes the folder");
}

#[test]
fn a_given_folder_stays_and_one_with_real_files_is_refused() {
    let mine = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        drop(world(10, 0, Some(mine.path().to_owned()), PACES));
        assert!(mine.path().join("token.json").exists());
    }
    let real = tempfile::tempdir().unwrap();
    std::fs::write(real.path().join("runners.json"), "{}").unwrap();
    let e = files::Folder::open(Some(real.path().to_owned())).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(
        std::fs::read_to_string(real.path().join("runners.json")).unwrap(),
        "{}"
    );
}

#[test]
fn everything_ends_soon_after_the_stop_even_with_open_connections() {
    let w = world(10, 0, None, PACES);
    let mut client = Client::open(&w.sim.stream_url);
    client.subscribe(&["TOYO"]);
    client.quote();
    let address = w.sim.schwab_base_url[7..]
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let _idle = TcpStream::connect(address).unwrap();
    let begun = Instant::now();
    drop(w);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let end = Instant::now() + PATIENCE;
    while client.0.read().is_ok() {
        assert!(Instant::now() < end);
    }
}
