//! What the embedded market answers in Schwab's place: price history and quotes under
//! `/marketdata/v1`, in Schwab's shapes. Pure: a request and the time give an answer.

use std::ops::RangeInclusive;
use std::time::Instant;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde_json::{Map, Value, json};

use super::daily_plan::dollars;
use super::days;
use super::history::{Frequency, Wish, wish};
use super::listings::Id;
use super::market::{Market, Snapshot, change, percent};
use super::request::{Answer, Request};
use super::token::TokenPlan;
use crate::market::Candle;
use crate::runtime::clock::Now;

/// From midnight in Chicago, where a daily candle stands, to 20:00 New York of the same day.
const DAILY_TO_CLOSE_MS: i64 = 19 * 3_600_000;
/// Midnight to 04:00.
const NIGHT_MS: i64 = 4 * 3_600_000;
/// Schwab takes no more symbols in one request.
const SYMBOLS_MAX: usize = 500;
const SECTIONS: [&str; 5] = ["quote", "fundamental", "extended", "reference", "regular"];

/// One worker's view of the market.
#[derive(Debug)]
pub(super) struct SchwabSite {
    market: Market,
    tokens: TokenPlan,
    /// Makes the ids of this worker's answers differ.
    answers: u64,
    worker: u64,
}

impl SchwabSite {
    /// `worker` tells this worker's ids from others'.
    pub(super) fn new(market: Market, tokens: TokenPlan, worker: u64) -> Self {
        Self {
            market,
            tokens,
            answers: 0,
            worker,
        }
    }

    /// The answer to a request. `now.wall_ms` is the market's time, `now.mono` the tokens'.
    pub(super) fn answer(&mut self, request: &Request, now: Now) -> Answer {
        self.answers += 1;
        let id = format!(
            "51b00000-0000-4000-8000-{:06x}{:06x}",
            self.worker & 0xFF_FFFF,
            self.answers & 0xFF_FFFF
        );
        let mut answer = self
            .route(request, now)
            .unwrap_or_else(|refusal| refusal.answer(&id));
        answer.headers.push(("Schwab-Client-CorrelId", id));
        answer
    }

    fn route(&mut self, request: &Request, now: Now) -> Result<Answer, Refusal> {
        self.check_token(request, now.mono)?;
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let ["marketdata", "v1", rest @ ..] = path.as_slice() else {
            return Err(Refusal::NotFound);
        };
        if request.method != "GET" && request.method != "HEAD" {
            return Err(Refusal::NotAllowed);
        }
        match *rest {
            ["pricehistory"] => self.price_history(request, now.wall_ms),
            ["quotes"] => {
                let symbols = request.query("symbols").unwrap_or("");
                let symbols: Vec<&str> = symbols.split(',').filter(|s| !s.is_empty()).collect();
                if symbols.is_empty() || symbols.len() > SYMBOLS_MAX {
                    let why = format!("symbols must name 1 to {SYMBOLS_MAX} symbols");
                    return Err(Refusal::Bad(why, "symbols"));
                }
                self.quotes(&symbols, request, now.wall_ms)
            }
            [symbol, "quotes"] => self.quotes(&[symbol], request, now.wall_ms),
            _ => Err(Refusal::NotFound),
        }
    }

    fn check_token(&self, request: &Request, now: Instant) -> Result<(), Refusal> {
        let token = request.authorization.as_deref();
        let token = token.and_then(|a| a.strip_prefix("Bearer "));
        match token {
            Some(token) if self.tokens.accepts(token, now) => Ok(()),
            _ => Err(Refusal::Unauthorized),
        }
    }

    fn price_history(&mut self, request: &Request, now_ms: i64) -> Result<Answer, Refusal> {
        let wish = wish(request).map_err(|(why, what)| Refusal::Bad(why, what))?;
        let symbol = wish.symbol.clone();
        let range = self.range(&wish, now_ms);
        let id = Id::find(&symbol);
        let candles = match (id, wish.frequency) {
            (None, _) => Vec::new(),
            (Some(id), Frequency::Minutes(minutes)) => {
                self.market
                    .minute_candles(id, range.clone(), now_ms, minutes, wish.extended)
            }
            (Some(id), frequency) => {
                let daily = self.daily(id, &range, now_ms);
                gather(daily, frequency)
            }
        };
        let rows: Vec<Value> = candles.iter().map(row).collect();
        let mut body = json!({ "empty": rows.is_empty(), "candles": rows, "symbol": symbol });
        if let (Some(id), true, Value::Object(map)) = (id, wish.previous_close, &mut body) {
            let day = days::number_from(self.date(*range.start()));
            let before = self.market.session().at_ms(days::date_of(day - 1), 1, 0);
            let price = dollars(self.market.close_before(id, day));
            map.insert("previousClose".into(), price.into());
            map.insert("previousCloseDate".into(), before.into());
        }
        Ok(Answer::new(200, body))
    }

    /// The wall times that a request for price history is about.
    fn range(&self, wish: &Wish, now_ms: i64) -> RangeInclusive<i64> {
        let session = self.market.session();
        let today = session.trading_day(now_ms);
        let ended = if now_ms >= session.close_ms(today) {
            today
        } else {
            days::date_of(days::number(today) - 1)
        };
        let end_ms = wish.end_ms.unwrap_or_else(|| session.close_ms(ended));
        let start_ms = wish.start_ms.unwrap_or_else(|| {
            let last = session.trading_day(end_ms);
            let (unit, period) = wish.period;
            let first = match unit {
                "day" => days::date_of(days::number(last) - i64::from(period) + 1),
                "month" => last.saturating_sub(period.months()),
                "year" => last.saturating_sub(period.years()),
                _ => last.first_of_year(),
            };
            session.at_ms(first, 0, 0)
        });
        start_ms..=end_ms
    }

    fn daily(&mut self, id: Id, range: &RangeInclusive<i64>, now_ms: i64) -> Vec<Candle> {
        let dates = self.date(*range.start())..=self.date(*range.end());
        let mut candles = self.market.daily_candles(id, dates, now_ms);
        candles.retain(|c| c.at_ms + DAILY_TO_CLOSE_MS > *range.start() && c.at_ms <= *range.end());
        candles
    }

    /// The New York date of a wall time; a weekend has its Friday's.
    fn date(&self, wall_ms: i64) -> Date {
        self.market.session().trading_day(wall_ms + NIGHT_MS)
    }

    fn quotes(
        &mut self,
        symbols: &[&str],
        request: &Request,
        now_ms: i64,
    ) -> Result<Answer, Refusal> {
        let sections = sections(request.query("fields"))?;
        let mut body = Map::new();
        let mut invalid = Vec::new();
        for symbol in symbols {
            match Id::find(symbol) {
                Some(id) => {
                    let quote = self.quote(id, &sections, now_ms);
                    body.insert((*symbol).to_owned(), quote);
                }
                None => invalid.push(Value::from(*symbol)),
            }
        }
        if !invalid.is_empty() {
            body.insert("errors".into(), json!({ "invalidSymbols": invalid }));
        }
        Ok(Answer::new(200, Value::Object(body)))
    }

    fn quote(&mut self, id: Id, sections: &[&str], now_ms: i64) -> Value {
        let listing = id.listing();
        let s = self.market.snapshot(id, now_ms);
        let facts = self.market.facts(id, s.moment.day);
        let mut quote = Map::new();
        quote.insert("assetMainType".into(), "EQUITY".into());
        quote.insert("assetSubType".into(), "COE".into());
        quote.insert("quoteType".into(), "NBBO".into());
        quote.insert("realtime".into(), true.into());
        quote.insert("ssid".into(), (1_900_000 + id.0).into());
        quote.insert("symbol".into(), listing.symbol.into());
        for section in sections {
            let value = match *section {
                "quote" => {
                    let mut value = level_one(&s);
                    if let Value::Object(map) = &mut value {
                        map.insert("52WeekHigh".into(), dollars(facts.year_high).into());
                        map.insert("52WeekLow".into(), dollars(facts.year_low).into());
                    }
                    value
                }
                "fundamental" => json!({
                    "avg10DaysVolume": facts.volume_10_days,
                    "divAmount": 0, "divFreq": 0, "divPayAmount": 0, "divYield": 0,
                    "eps": 0, "fundLeverageFactor": 0, "peRatio": 0,
                }),
                "extended" => extended(&s),
                "reference" => json!({
                    "cusip": format!("99{:07}", id.0),
                    "description": listing.name,
                    "exchange": "Q",
                    "exchangeName": "NASDAQ",
                    "isHardToBorrow": true, "isShortable": false, "htbRate": 0,
                }),
                _ => json!({
                    "regularMarketLastPrice": dollars(regular_last(&s)),
                    "regularMarketLastSize": s.sums.regular_size,
                    "regularMarketNetChange": change(regular_last(&s), s.prev_close),
                    "regularMarketPercentChange": percent(regular_last(&s), s.prev_close),
                    "regularMarketTradeTime": s.regular_trade_ms(),
                }),
            };
            quote.insert((*section).to_owned(), value);
        }
        Value::Object(quote)
    }
}

/// The regular session's last price; before its first trade the close before.
fn regular_last(s: &Snapshot) -> u32 {
    if s.sums.regular_last > 0 {
        s.sums.regular_last
    } else {
        s.prev_close
    }
}

fn level_one(s: &Snapshot) -> Value {
    let mark = if s.sums.last > 0 {
        s.sums.last
    } else {
        s.prev_close
    };
    json!({
        "askMICId": "XNAS",
        "askPrice": dollars(s.ask),
        "askSize": s.ask_size,
        "askTime": s.quote_ms(),
        "bidMICId": "XNAS",
        "bidPrice": dollars(s.bid),
        "bidSize": s.bid_size,
        "bidTime": s.quote_ms(),
        "closePrice": dollars(s.prev_close),
        "highPrice": dollars(s.sums.high),
        "lastMICId": "XADF",
        "lastPrice": dollars(s.sums.last),
        "lastSize": s.sums.last_size,
        "lowPrice": dollars(s.sums.low),
        "mark": dollars(mark),
        "markChange": change(mark, s.prev_close),
        "markPercentChange": percent(mark, s.prev_close),
        "netChange": s.net_change(),
        "netPercentChange": s.net_percent(),
        "openPrice": dollars(s.sums.open),
        "quoteTime": s.quote_ms(),
        "securityStatus": if s.halted { "Halted" } else { "Normal" },
        "totalVolume": s.sums.volume,
        "tradeTime": s.trade_ms(),
    })
}

/// The last trade outside the regular session; zeros while the regular session has the last word.
fn extended(s: &Snapshot) -> Value {
    let here = s.sums.last_second != s.sums.regular_second || s.sums.regular_last == 0;
    let price = if here { s.sums.last } else { 0 };
    json!({
        "askPrice": if here { dollars(s.ask) } else { 0.0 },
        "askSize": 0,
        "bidPrice": if here { dollars(s.bid) } else { 0.0 },
        "bidSize": 0,
        "lastPrice": dollars(price),
        "lastSize": if here { s.sums.last_size } else { 0 },
        "mark": dollars(price),
        "quoteTime": if here { s.quote_ms() } else { 0 },
        "totalVolume": 0,
        "tradeTime": if here { s.trade_ms() } else { 0 },
    })
}

fn sections(fields: Option<&str>) -> Result<Vec<&'static str>, Refusal> {
    let Some(fields) = fields.filter(|f| !f.is_empty() && *f != "all") else {
        return Ok(SECTIONS.to_vec());
    };
    fields
        .split(',')
        .map(|field| {
            let known = SECTIONS.iter().find(|s| **s == field);
            known.copied().ok_or_else(|| {
                let why = format!("fields must be of {}", SECTIONS.join(", "));
                Refusal::Bad(why, "fields")
            })
        })
        .collect()
}

/// Daily candles taken together by week or month; a day's stay as they are.
fn gather(daily: Vec<Candle>, frequency: Frequency) -> Vec<Candle> {
    let mut gathered: Vec<(Date, Candle)> = Vec::new();
    for candle in daily {
        let date = chicago_date(candle.at_ms);
        let group = match frequency {
            Frequency::Minutes(_) | Frequency::Daily => date,
            Frequency::Weekly => date
                .tomorrow()
                .and_then(|d| d.nth_weekday(-1, Weekday::Monday))
                .unwrap_or(date),
            Frequency::Monthly => date.first_of_month(),
        };
        match gathered.last_mut() {
            Some((last, whole)) if *last == group => {
                whole.high = whole.high.max(candle.high);
                whole.low = whole.low.min(candle.low);
                whole.close = candle.close;
                whole.volume += candle.volume;
            }
            _ => gathered.push((group, candle)),
        }
    }
    gathered.into_iter().map(|(_, candle)| candle).collect()
}

/// The date of a daily candle: midnight in Chicago is 05:00 or 06:00 UTC of the same date.
fn chicago_date(at_ms: i64) -> Date {
    jiff::Timestamp::from_millisecond(at_ms)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .date()
}

fn row(candle: &Candle) -> Value {
    json!({
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "volume": candle.volume,
        "datetime": candle.at_ms,
    })
}

/// Why a request gets no data.
#[derive(Debug)]
enum Refusal {
    Unauthorized,
    NotFound,
    NotAllowed,
    /// What is wrong, and with which parameter.
    Bad(String, &'static str),
}

impl Refusal {
    /// Schwab gives the status as a number in some errors and as a text in others.
    fn answer(self, id: &str) -> Answer {
        let (status, error) = match self {
            Self::Unauthorized => (
                401,
                json!({ "id": id, "status": 401, "title": "Unauthorized", "detail": "Client not authorized" }),
            ),
            Self::NotFound => (
                404,
                json!({ "id": id, "status": "404", "title": "Not Found" }),
            ),
            Self::NotAllowed => (
                405,
                json!({ "id": id, "status": "405", "title": "Method Not Allowed" }),
            ),
            Self::Bad(why, what) => (
                400,
                json!({ "id": id, "status": "400", "title": "Bad Request", "detail": why, "source": { "parameter": what } }),
            ),
        };
        Answer::new(status, json!({ "errors": [error] }))
    }
}
