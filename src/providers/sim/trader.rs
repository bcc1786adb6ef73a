//! What the embedded market answers in the trader app's place, but for its stream: watchlist, VWAP,
//! health, rotation, signals, positions. Pure: a request and the time give an answer.

use serde_json::{Map, Value, json};

use super::cast::{Character, Id};
use super::http::{Answer, Outcome, Request};
use super::market::{Market, rounded};
use super::paper::{PaperTrade, iso, trades};
use super::plan::dollars;
use crate::supervise::Counter;

/// Signals are shown for so long.
const SIGNAL_AGE_MAX_MS: i64 = 30 * 60_000;
/// Symbols that the trader app would always stream.
const PRIORITY_MAX: usize = 8;
/// Symbols in one turn of the rotation.
const CHUNK: usize = 5;
/// How long a turn lasts.
const CHUNK_MS: i64 = 30_000;

/// One connection's view of the trader app.
#[derive(Debug)]
pub(super) struct TraderSite {
    market: Market,
    /// Quotes sent by all stream sessions.
    quotes: Counter,
    /// The paper trades of one day.
    day: Option<(i64, Vec<PaperTrade>)>,
}

impl TraderSite {
    pub(super) fn new(market: Market, quotes: Counter) -> Self {
        Self {
            market,
            quotes,
            day: None,
        }
    }

    /// The market, when the connection goes on as a stream.
    pub(super) fn into_market(self) -> Market {
        self.market
    }

    /// What becomes of a request at `now_ms` on the market's clock.
    pub(super) fn decide(&mut self, request: &Request, now_ms: i64) -> Outcome {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        if path.as_slice() == ["socket.io"] {
            return handshake(request);
        }
        if request.method != "GET" && request.method != "HEAD" {
            let body = json!({ "error": "method not allowed" });
            return Outcome::Answer(Answer::new(405, body));
        }
        let body = match path.as_slice() {
            ["api", "watchlist"] => Some(self.watchlist(now_ms)),
            ["api", "vwap"] => Some(self.all_vwap(now_ms)),
            ["api", "vwap", symbol] => self.vwap(symbol, now_ms),
            ["api", "streaming", "health"] => Some(self.health(now_ms)),
            ["api", "streaming", "rotation"] => Some(self.rotation(now_ms)),
            ["api", "signals"] => Some(self.signals(now_ms)),
            ["api", "positions"] => Some(self.positions(now_ms)),
            _ => None,
        };
        let answer = body.map_or_else(
            || Answer::new(404, json!({ "error": "not found" })),
            |body| Answer::new(200, body),
        );
        Outcome::Answer(answer)
    }

    fn watchlist(&mut self, now_ms: i64) -> Value {
        let mut rows: Vec<(u64, Value)> = Id::all()
            .filter(|id| id.listing().character != Character::Silent)
            .map(|id| self.watched(id, now_ms))
            .collect();
        rows.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn watched(&mut self, id: Id, now_ms: i64) -> (u64, Value) {
        let listing = id.listing();
        let s = self.market.snapshot(id, now_ms);
        let facts = self.market.facts(id, s.moment.day);
        let usual = self
            .market
            .tape(id, s.moment.day)
            .plan
            .usual_volume(s.moment.second);
        let relative = if usual > 0.0 {
            rounded(s.sums.volume as f64 / usual)
        } else {
            0.0
        };
        let gap = s.gap_percent();
        let price = if s.sums.last > 0 {
            s.sums.last
        } else {
            s.prev_close
        };
        let small_float = 1.0 - listing.float_shares as f64 / 20_000_000.0;
        let score = 30.0 * (gap.abs() / 40.0).min(1.0)
            + 40.0 * (relative / 5.0).min(1.0)
            + 30.0 * small_float;
        // Between 0 and 100.
        let score = score.round() as u64;
        let news = news(id, s.moment.open_ms, score);
        let row = json!({
            "symbol": listing.symbol,
            "name": listing.name,
            "price": dollars(price),
            "previous_close": dollars(s.prev_close),
            "gap_percent": gap,
            "change_percent": s.net_percent(),
            "volume": s.sums.volume,
            "avg_volume": facts.volume_10_days,
            "relative_volume": relative,
            "float_shares": listing.float_shares,
            "market_cap": (dollars(price) * listing.float_shares as f64 * 1.6).round(),
            "high": dollars(s.sums.high),
            "low": dollars(s.sums.low),
            "vwap": s.vwap(),
            "quality_score": score,
            "has_news": !news.is_empty(),
            "news": news,
            "halted": s.halted,
            "last_updated": iso(s.moment.at_ms),
        });
        (score, row)
    }

    fn vwap(&mut self, symbol: &str, now_ms: i64) -> Option<Value> {
        let id = Id::find(symbol)?;
        let vwap = self.market.snapshot(id, now_ms).vwap();
        Some(json!({
            "symbol": symbol,
            "vwap": vwap,
            "source": if vwap.is_some() { "stream" } else { "unavailable" },
            "stale": false,
        }))
    }

    fn all_vwap(&mut self, now_ms: i64) -> Value {
        let all: Map<String, Value> = Id::all()
            .filter_map(|id| {
                let symbol = id.listing().symbol;
                let one = self.vwap(symbol, now_ms)?;
                (!one["vwap"].is_null()).then(|| (symbol.to_owned(), one))
            })
            .collect();
        Value::Object(all)
    }

    fn health(&mut self, now_ms: i64) -> Value {
        let latest = Id::all()
            .map(|id| self.market.snapshot(id, now_ms).trade_ms())
            .max()
            .unwrap_or(0);
        let age = (latest > 0).then(|| (now_ms - latest) as f64 / 1_000.0);
        json!({
            "connected": true,
            "last_message_seconds_ago": age,
            "watchdog_kills": 0,
            "stats": { "quotes": self.quotes.get() },
        })
    }

    fn rotation(&mut self, now_ms: i64) -> Value {
        let moment = self.market.moment(now_ms);
        let mut lively: Vec<Id> = Id::all().collect();
        lively.sort_by_key(|id| std::cmp::Reverse(id.listing().liveliness));
        let priority: Vec<&str> = lively[..PRIORITY_MAX]
            .iter()
            .map(|id| id.listing().symbol)
            .collect();
        let chunks = (lively.len() - PRIORITY_MAX).div_ceil(CHUNK);
        let turns = (moment.at_ms - moment.open_ms).max(0) / CHUNK_MS;
        json!({
            "enabled": true,
            "priority_count": priority.len(),
            "priority_symbols": priority,
            "discovery_slots": CHUNK,
            "universe_size": lively.len(),
            "total_promotions": turns / 20,
            "current_chunk_idx": turns % chunks as i64,
            "chunk_count": chunks,
        })
    }

    fn signals(&mut self, now_ms: i64) -> Value {
        let mut recent: Vec<PaperTrade> = self
            .today(now_ms)
            .iter()
            .filter(|t| (now_ms - SIGNAL_AGE_MAX_MS..=now_ms).contains(&t.entry_ms()))
            .copied()
            .collect();
        recent.sort_by_key(|t| std::cmp::Reverse(t.entry_ms()));
        recent.iter().map(PaperTrade::signal).collect()
    }

    fn positions(&mut self, now_ms: i64) -> Value {
        let open: Vec<PaperTrade> = self
            .today(now_ms)
            .iter()
            .filter(|t| t.entry_ms() <= now_ms && now_ms < t.exit_ms())
            .copied()
            .collect();
        open.iter()
            .map(|t| t.position(self.market.snapshot(t.id, now_ms).sums.last))
            .collect()
    }

    fn today(&mut self, now_ms: i64) -> &[PaperTrade] {
        let day = self.market.moment(now_ms).day;
        let kept = self.day.take().filter(|(kept, _)| *kept == day);
        let (_, trades) = self
            .day
            .insert(kept.unwrap_or_else(|| (day, trades(&mut self.market, day))));
        trades
    }
}

/// Engine.IO 4 over WebSocket, or a refusal in Engine.IO's words.
fn handshake(request: &Request) -> Outcome {
    let refuse = |code: u8, message: &str| {
        Outcome::Answer(Answer::new(
            400,
            json!({ "code": code, "message": message }),
        ))
    };
    if request.query("EIO") != Some("4") {
        refuse(5, "Unsupported protocol version")
    } else if request.query("transport") != Some("websocket") {
        refuse(0, "Transport unknown")
    } else if request.method != "GET" {
        refuse(2, "Bad handshake method")
    } else if !request.says("upgrade", "websocket")
        || !request.says("connection", "upgrade")
        || request.header("sec-websocket-version") != Some("13")
        || request
            .header("sec-websocket-key")
            .is_none_or(str::is_empty)
    {
        refuse(3, "Bad request")
    } else {
        Outcome::Upgrade
    }
}

fn news(id: Id, open_ms: i64, score: u64) -> Vec<Value> {
    const HEADLINES: [&str; 4] = [
        "signs a supply agreement",
        "reports preliminary results",
        "receives notice of a patent",
        "announces a strategic review",
    ];
    /// From this score on there is some reason for it.
    const SCORE_MIN: u64 = 55;
    if score < SCORE_MIN {
        return Vec::new();
    }
    let listing = id.listing();
    vec![json!({
        "headline": format!("{} {}", listing.name, HEADLINES[id.0 % HEADLINES.len()]),
        "source": "Embedded Wire",
        "published_at": iso(open_ms + 3_600_000 + id.0 as i64 * 240_000),
    })]
}
