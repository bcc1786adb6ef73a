//! What Schwab's answers mean. Pure.
//!
//! `cargo bench --bench cores`: 960 candles in 0.48 ms.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::json::{self, Mended};
use crate::market::{Candle, Session, Symbol, may_be_zero};

/// Prices beyond this, above or below zero, are no prices. (Indexes such as $TICK do go below zero.)
const PRICE_MAX: f64 = 1e12;

/// The end of the year 9999, in milliseconds since the Unix epoch.
const MOMENT_MAX_MS: f64 = 253_402_300_799_999.0;

#[derive(Deserialize)]
struct History {
    candles: Option<Vec<Item>>,
    empty: Option<bool>,
}

/// A candle, or something else in its place, which is left out.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Candle(RawCandle),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct RawCandle {
    open: Field,
    high: Field,
    low: Field,
    close: Field,
    volume: Option<Field>,
    datetime: Field,
}

/// A number, or something else in its place: `null`, `"NaN"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Number(f64),
    Other(IgnoredAny),
}

/// The candles of a price history, sorted, placeholders included, without broken ones and duplicates (the
/// last of a moment counts). A price of 0 or none beside a sound close becomes another of its candle, but
/// for a 0 of an index. None when the answer holds nothing at all, which Schwab says of symbols that it does
/// not know as well; placeholders and other days' candles it has of those alone that it knows. And what was
/// mended, the broken candles as records.
///
/// # Errors
/// What is wrong with the answer.
pub fn candles(body: &[u8], symbol: &Symbol) -> Result<(Option<Vec<Candle>>, Mended), String> {
    let (history, mut mended): (History, Mended) = read(body)?;
    let items = match history.candles {
        Some(items) => items,
        None if history.empty == Some(true) => Vec::new(),
        None => return Err(format!("there are no candles in it{}", detail(body))),
    };
    if items.is_empty() {
        return Ok((None, mended));
    }
    let all = items.len();
    let zeros = may_be_zero(symbol);
    let mut candles: Vec<Candle> = items
        .into_iter()
        .filter_map(|item| match item {
            Item::Candle(raw) => raw.sound(zeros, &mut mended.prices),
            Item::Other(_) => None,
        })
        .collect();
    mended += Mended::left_out((all - candles.len()) as u64);
    candles.sort_by_key(|c| c.at_ms);
    candles.reverse();
    candles.dedup_by_key(|c| c.at_ms);
    candles.reverse();
    Ok((Some(candles), mended))
}

/// The minutes to show, of sorted candles, where those from `from_ms` on are asked for: these; where the
/// provider has nothing of that time, neither candles nor placeholders, those of the newest day that it has
/// traded on. That day may be earlier than ours: the exchange was closed without notice.
#[must_use]
pub fn newest_session(mut candles: Vec<Candle>, from_ms: i64, session: &Session) -> Vec<Candle> {
    let newest = candles.iter().rev().find(|c| !c.is_placeholder());
    let first_ms = match newest {
        Some(newest) if newest.at_ms < from_ms => {
            let day = session.trading_day(newest.at_ms);
            let is_later = |c: &Candle| session.trading_day(c.at_ms) > day;
            if candles.last().is_some_and(is_later) {
                return Vec::new();
            }
            session.open_ms(day)
        }
        _ => from_ms,
    };
    candles.retain(|c| c.at_ms >= first_ms && !c.is_placeholder());
    candles
}

impl RawCandle {
    /// `zeros`: whether a price may be 0. `mended` counts prices that had to be taken from others.
    fn sound(&self, zeros: bool, mended: &mut u64) -> Option<Candle> {
        let price = |field: &Field| field.number().filter(|p| p.abs() < PRICE_MAX);
        let fields = [&self.open, &self.high, &self.low, &self.close].map(price);
        let is_placeholder = fields == [Some(0.0); 4];
        let is_sound = |p: &f64| zeros || is_placeholder || *p != 0.0;
        let [open, high, low, close] = fields.map(|p| p.filter(is_sound));
        let close = close?;
        let moment = self.datetime.number()?;
        if !(0.0..MOMENT_MAX_MS).contains(&moment) {
            return None;
        }
        let volume = self.volume.as_ref().and_then(Field::number).unwrap_or(0.0);
        *mended += [open, high, low].iter().filter(|p| p.is_none()).count() as u64;
        let open = open.unwrap_or(close);
        let most = open.max(close).max(low.unwrap_or(close));
        let least = open.min(close).min(high.unwrap_or(close));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "both are within bounds"
        )]
        Some(Candle {
            at_ms: moment as i64,
            open,
            high: high.unwrap_or(most),
            low: low.unwrap_or(least),
            close,
            volume: volume.clamp(0.0, PRICE_MAX) as u64,
        })
    }
}

impl Field {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Other(_) => None,
        }
    }
}

/// An answer as JSON.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<(T, Mended), String> {
    json::read(body).map_err(|e| {
        if looks_like_html(body) {
            format!("an HTML page instead of JSON{}", detail(body))
        } else {
            format!("it is not the JSON expected ({e})")
        }
    })
}

fn looks_like_html(body: &[u8]) -> bool {
    let (start, _) = json::text(&body[..body.len().min(256)]);
    start
        .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
        .starts_with('<')
}

/// The longest detail repeated, in characters.
const DETAIL_CHARS_MAX: usize = 160;

/// The upstream's own words about an error, with ": " before; empty where it has none that are safe
/// to repeat. Forms met: `{"errors":[{title,detail}]}`, `{"fault":{"faultstring"}}`, HTML pages,
/// plain text.
#[must_use]
pub fn detail(body: &[u8]) -> String {
    let text = match json::read::<Value>(body) {
        Ok((value, _)) => [
            "/errors/0/detail",
            "/errors/0/title",
            "/fault/faultstring",
            "/message",
            "/error",
        ]
        .iter()
        .find_map(|p| value.pointer(p).and_then(Value::as_str))
        .unwrap_or("")
        .to_owned(),
        Err(_) if looks_like_html(body) => title(&json::text(body).0),
        Err(_) => json::text(body).0.into_owned(),
    };
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(DETAIL_CHARS_MAX)
        .collect();
    let clean = clean.trim();
    if clean.is_empty() {
        String::new()
    } else {
        format!(": {clean}")
    }
}

fn title(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title>").map(|i| i + "<title>".len());
    let end = lower.find("</title>");
    match (start, end) {
        (Some(start), Some(end)) if start <= end => html[start..end].to_owned(),
        _ => "an HTML page".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn placeholders_are_dropped_and_the_rest_is_sorted_and_unique() {
        let body = br#"{"symbol":"X","empty":false,"candles":[
            {"open":2,"high":3,"low":1,"close":2.5,"volume":10,"datetime":2000},
            {"open":0,"high":0,"low":0,"close":0,"volume":0,"datetime":500},
            {"open":1,"high":1,"low":1,"close":1,"volume":5,"datetime":1000},
            {"open":2,"high":3,"low":1,"close":2.75,"volume":11,"datetime":2000},
            {"open":null,"high":3,"low":1,"close":2.75,"volume":11,"datetime":3000}]}"#;
        let (got, mended) = candles(body, &share()).unwrap();
        assert_eq!(mended.header().unwrap(), "prices=1", "the one of none");
        let shown = |from_ms| newest_session(got.clone().unwrap(), from_ms, &Session::new());
        let moments: Vec<(i64, f64)> = shown(0).iter().map(|c| (c.at_ms, c.open)).collect();
        assert_eq!(moments, [(1_000, 1.0), (2_000, 2.0), (3_000, 2.75)]);
        assert_eq!(shown(1_500).len(), 2);
    }

    #[test]
    fn a_price_of_zero_or_none_is_taken_from_the_candle_s_others() {
        let mended = |symbol: &str, prices: Value| {
            let mut candle = serde_json::json!({"volume": 98, "datetime": 1_000});
            for (field, price) in ["open", "high", "low", "close"]
                .iter()
                .zip(prices.as_array().unwrap())
            {
                candle[*field] = price.clone();
            }
            let body = serde_json::json!({ "candles": [candle] }).to_string();
            let (got, mended) = candles(body.as_bytes(), &symbol.parse().unwrap()).unwrap();
            let got = got.unwrap();
            let got = got.first().map(|c| [c.open, c.high, c.low, c.close]);
            (got, mended.header())
        };
        use serde_json::json;
        for (prices, want, told) in [
            (json!([0, 0, 0, 7.26]), Some([7.26; 4]), Some("prices=3")),
            (
                json!([null, 0, "NaN", 7.26]),
                Some([7.26; 4]),
                Some("prices=3"),
            ),
            (
                json!([7.3, 7.31, 0, 7.3]),
                Some([7.3, 7.31, 7.3, 7.3]),
                Some("prices=1"),
            ),
            (
                json!([7.5, 0, 7.2, 7.3]),
                Some([7.5, 7.5, 7.2, 7.3]),
                Some("prices=1"),
            ),
            (
                json!([0, 7.4, 7.2, 7.3]),
                Some([7.3, 7.4, 7.2, 7.3]),
                Some("prices=1"),
            ),
            (json!([7.5, 7.6, 7.2, 0]), None, Some("records=1")),
            (json!([7.5, 7.6, 7.2, null]), None, Some("records=1")),
            (json!([0, 0, 0, null]), None, Some("records=1")),
            (json!([0, 0, 0, 0]), Some([0.0; 4]), None),
        ] {
            let want = (want, told.map(ToOwned::to_owned));
            assert_eq!(mended("ACYX", prices.clone()), want, "{prices}");
        }
        let index = mended("$TICK", json!([0, 212.0, -90.5, 0]));
        assert_eq!(index, (Some([0.0, 212.0, -90.5, 0.0]), None));
        let index = mended("$TICK", json!([null, 212.0, -90.5, 0]));
        assert_eq!(index.1.unwrap(), "prices=1");
    }

    #[test]
    fn where_nothing_is_of_the_day_that_was_asked_for_the_newest_one_is_shown() {
        let session = Session::new();
        let at = |day, hour| session.at_ms(jiff::civil::date(2026, 3, day), hour, 0);
        let candle = |at_ms, price| Candle {
            at_ms,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 1,
        };
        let shown = |list: &[(i64, f64)]| {
            let all = list.iter().map(|(at_ms, p)| candle(*at_ms, *p)).collect();
            let shown = newest_session(all, at(11, 4), &session);
            shown.iter().map(|c| c.at_ms).collect::<Vec<_>>()
        };
        let (monday, tuesday, wednesday) = (at(9, 10), at(10, 10), at(11, 10));
        let before = [(monday, 1.0), (at(10, 4), 2.0), (tuesday, 2.0)];
        assert_eq!(shown(&before), [at(10, 4), tuesday]);
        let open = [before[0], before[1], before[2], (wednesday, 3.0)];
        assert_eq!(shown(&open), [wednesday]);
        let placeholder = [before[0], before[1], before[2], (wednesday, 0.0)];
        assert_eq!(shown(&placeholder), [0_i64; 0], "the day has begun");
        assert_eq!(shown(&[(wednesday, 0.0)]), [0_i64; 0]);
    }

    fn share() -> Symbol {
        "X".parse().unwrap()
    }

    #[test]
    fn what_is_odd_in_an_answer_costs_that_alone_and_is_counted() {
        let body = b"\xef\xbb\xbf{\"symbol\":\"X \\ud83d\",\"empty\":null,\"candles\":[
            {\"open\":2,\"high\":3,\"low\":1,\"close\":2.5,\"volume\":NaN,\"datetime\":2000},
            {\"open\":2,\"high\":3,\"low\":1,\"close\":Infinity,\"volume\":5,\"datetime\":3000},
            {\"open\":2,\"high\":3,\"low\":1,\"volume\":5,\"datetime\":4000},
            {\"open\":2,\"high\":3,\"low\":1,\"close\":2.5,\"volume\":36893488147419103232,\"datetime\":5000}]}\0";
        let (got, mended) = candles(body, &share()).unwrap();
        let moments: Vec<(i64, u64)> = got.unwrap().iter().map(|c| (c.at_ms, c.volume)).collect();
        assert_eq!(moments, [(2_000, 0), (5_000, 1_000_000_000_000)]);
        assert_eq!(
            mended.header().unwrap(),
            "numbers=2, surrogates=1, records=2"
        );
    }

    #[test]
    fn error_pages_of_all_kinds_give_a_short_safe_detail() {
        for (body, want) in [
            (
                r#"{"errors":[{"title":"Bad","detail":"startDate"}]}"#,
                ": startDate",
            ),
            (
                r#"{"fault":{"faultstring":"Invalid key"}}"#,
                ": Invalid key",
            ),
            ("<html><TITLE>Access Denied</TITLE>", ": Access Denied"),
            ("<html><body>", ": an HTML page"),
            ("<html><title>Access Denied</title>", ": Access Denied"),
            ("oops\r\n", ": oops"),
            ("\u{feff}<title>Maintenance</title>", ": Maintenance"),
            ("\u{feff}{\"message\":\"half \\ud83d\"}", ": half \u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(detail(body.as_bytes()), want, "{body}");
        }
        assert!(candles(b"<html>", &share()).unwrap_err().contains("HTML"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parsers_panic(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for body in [text.as_bytes(), &bytes] {
                let _ = (candles(body, &share()), detail(body));
            }
        }

        #[test]
        fn any_candles_come_out_sorted_sound_and_unique(
            raw in prop::collection::vec((any::<i64>(), any::<f64>(), any::<f64>()), 0..40)
        ) {
            let list: Vec<Value> = raw.iter().map(|(t, p, v)| serde_json::json!({
                "open": p, "high": p, "low": p, "close": p, "volume": v, "datetime": t
            })).collect();
            let body = serde_json::json!({ "candles": list }).to_string();
            let got = candles(body.as_bytes(), &share()).unwrap().0.unwrap_or_default();
            prop_assert!(got.windows(2).all(|w| w[0].at_ms < w[1].at_ms));
            prop_assert!(got.iter().all(|c| c.open.abs() < PRICE_MAX && c.at_ms >= 0));
        }
    }
}
