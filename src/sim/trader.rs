//! What the embedded market answers in the trader app's place, but for its stream: watchlist, VWAP,
//! health, rotation, signals, positions. Pure: a request and the time give an answer.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::daily_plan::dollars;
use super::listings::{Character, Id, LISTINGS};
use super::market::{Market, Spike, percent};
use super::moves::Moves;
use super::news::Catalyst;
use super::paper_trades::{PaperTrade, SIGNAL_MS, trades};
use super::request::{Answer, Request};
use crate::runtime::Counter;
use crate::upstream::trader_app::shapes::{
    ContinuationData, Position, Promoted, PromotionStats, Rotation, Runners, Signal, StreamHealth,
    StreamStats, Vwap, VwapSource, WatchlistEntry,
};

/// Symbols that the trader app streams always because of a burst of volume, at most, …
const PRIORITY_MAX: usize = 8;
/// … and for how long.
const PRIORITY_MS: i64 = 30 * 60_000;
/// As many shares go by with each quote.
const SHARES_PER_TICK: u32 = 300;
/// Symbols in one turn of the rotation.
const CHUNK: usize = 5;
/// How long a turn lasts.
const CHUNK_MS: i64 = 30_000;

/// One worker's view of the trader app.
#[derive(Debug)]
pub(super) struct TraderSite {
    market: Market,
    moves: Moves,
    /// Quotes sent by all stream sessions.
    quotes: Counter,
    /// The paper trades of one day.
    day: Option<(i64, Vec<PaperTrade>)>,
}

impl TraderSite {
    pub(super) fn new(market: Market, quotes: Counter) -> Self {
        Self {
            market,
            moves: Moves::default(),
            quotes,
            day: None,
        }
    }

    /// The answer to a request at `now_ms` on the market's clock.
    pub(super) fn answer(&mut self, request: &Request, now_ms: i64) -> Answer {
        if request.method != "GET" && request.method != "HEAD" {
            return Answer::new(405, json!({ "error": "method not allowed" }));
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["api", "watchlist"] => said(&self.watchlist(now_ms)),
            ["api", "vwap"] => said(&self.all_vwap(now_ms)),
            ["api", "vwap", symbol] => match self.vwap(symbol, now_ms) {
                Some(vwap) => said(&vwap),
                None => not_found(),
            },
            ["api", "streaming", "health"] => said(&self.health(now_ms)),
            ["api", "streaming", "rotation"] => said(&self.rotation(now_ms)),
            ["api", "signals"] => said(&self.signals(now_ms)),
            ["api", "positions"] => said(&self.positions(now_ms)),
            _ => not_found(),
        }
    }

    fn watchlist(&mut self, now_ms: i64) -> Vec<WatchlistEntry> {
        let runners = self.moves.runners(&mut self.market, now_ms);
        let mut rows: Vec<WatchlistEntry> = Id::all()
            .filter(|id| id.listing().character != Character::Silent)
            .map(|id| self.watched(id, &runners, now_ms))
            .collect();
        rows.sort_by(|a, b| {
            f64::total_cmp(
                &b.quality_score.unwrap_or(0.0),
                &a.quality_score.unwrap_or(0.0),
            )
        });
        rows
    }

    fn watched(&mut self, id: Id, runners: &Runners, now_ms: i64) -> WatchlistEntry {
        let listing = id.listing();
        let s = self.market.snapshot(id, now_ms);
        let plan = &self.market.tape(id, s.moment.day).plan;
        let catalyst = Catalyst::of(plan);
        let volume_ratio = plan.volume_ratio(s.sums.volume, s.moment.second);
        let gap_percent = s.gap_percent();
        let runner = runners
            .active_runners
            .iter()
            .find(|r| r.symbol == listing.symbol);
        let last = if s.sums.last > 0 {
            s.sums.last
        } else {
            s.prev_close
        };
        WatchlistEntry {
            symbol: listing.symbol.into(),
            price: dollars(last),
            high: (s.sums.high > 0).then(|| dollars(s.sums.high)),
            gap_percent,
            volume_ratio,
            float: listing.float_shares,
            runner_status: runner.map(|r| r.status),
            quality_score: Some(quality(gap_percent, volume_ratio, listing.float_shares)),
            has_definitive_catalyst: Some(catalyst.is_some_and(Catalyst::is_definitive)),
            llm_analysis: catalyst.map(|c| c.analysis(id)),
            continuation_play: Some(runner.is_some_and(|r| r.gap_age_days > 0)),
            runner_quality_score: runner.map(|r| r.quality_score),
            runner_pullback_pct: runner.map(|r| r.pullback_percent),
            runner_day1_high: runner.map(|r| r.day1_high),
            continuation_data: runner.map(|r| ContinuationData {
                original_gap_percent: Some(r.original_gap_percent),
                original_catalyst: Some(r.original_catalyst.clone()),
                day1_volume: Some(r.day1_volume),
                status: Some(r.status),
            }),
        }
    }

    fn vwap(&mut self, symbol: &str, now_ms: i64) -> Option<Vwap> {
        let id = Id::find(symbol)?;
        let vwap = self.market.snapshot(id, now_ms).vwap();
        Some(Vwap {
            symbol: symbol.into(),
            vwap,
            source: if vwap.is_some() {
                VwapSource::Stream
            } else {
                VwapSource::Unavailable
            },
            stale: Some(false),
        })
    }

    fn all_vwap(&mut self, now_ms: i64) -> BTreeMap<String, Vwap> {
        Id::all()
            .filter_map(|id| self.vwap(id.listing().symbol, now_ms))
            .filter(|one| one.vwap.is_some())
            .map(|one| (one.symbol.clone(), one))
            .collect()
    }

    fn health(&mut self, now_ms: i64) -> StreamHealth {
        let latest = Id::all()
            .map(|id| self.market.snapshot(id, now_ms).trade_ms())
            .max()
            .unwrap_or(0);
        StreamHealth {
            connected: true,
            last_message_seconds_ago: (latest > 0).then(|| (now_ms - latest) as f64 / 1_000.0),
            watchdog_kills: Some(0),
            stats: Some(StreamStats {
                quotes: self.quotes.get(),
            }),
            error: None,
        }
    }

    fn rotation(&mut self, now_ms: i64) -> Rotation {
        let moment = self.market.moment(now_ms);
        let bursts = self.market.spikes(moment.open_ms, now_ms);
        let mut promoted: Vec<&Spike> = Vec::new();
        for burst in bursts.iter().rev() {
            let recent = now_ms - burst.at_ms < PRIORITY_MS && promoted.len() < PRIORITY_MAX;
            if recent && promoted.iter().all(|p| p.id != burst.id) {
                promoted.push(burst);
            }
        }
        let universe = LISTINGS.len();
        let chunks = (universe - promoted.len()).div_ceil(CHUNK);
        let turn = (moment.at_ms - moment.open_ms).max(0) / CHUNK_MS;
        Rotation {
            enabled: true,
            priority_count: Some(promoted.len() as u64),
            priority_symbols: Some(
                promoted
                    .iter()
                    .map(|burst| self.promoted(burst, now_ms))
                    .collect(),
            ),
            discovery_slots: Some(CHUNK as u64),
            universe_size: Some(universe as u64),
            total_promotions: Some(bursts.len() as u64),
            current_chunk_idx: Some(turn.unsigned_abs() % chunks as u64),
            chunk_count: Some(chunks as u64),
            error: None,
        }
    }

    fn promoted(&mut self, spike: &Spike, now_ms: i64) -> Promoted {
        /// From this range on it is one of the reasons, in percent.
        const RANGE_PERCENT_MIN: f64 = 1.0;
        let day = self.market.moment(now_ms).day;
        let minute = self
            .market
            .tape(spike.id, day)
            .minute(spike.burst.second / 60, 60);
        let price_range_pct = percent(minute.high, minute.low);
        Promoted {
            symbol: spike.id.listing().symbol.into(),
            reason: if price_range_pct >= RANGE_PERCENT_MIN {
                "volume+price_range"
            } else {
                "volume"
            }
            .into(),
            seconds_in_priority: (now_ms - spike.at_ms) as f64 / 1_000.0,
            stats_at_promotion: PromotionStats {
                tick_count: u64::from(1 + minute.volume / SHARES_PER_TICK),
                volume_sum: minute.volume.into(),
                price_range_pct,
            },
        }
    }

    fn signals(&mut self, now_ms: i64) -> Vec<Signal> {
        let mut recent: Vec<PaperTrade> = self
            .today(now_ms)
            .iter()
            .filter(|t| (now_ms - SIGNAL_MS..=now_ms).contains(&t.entry_ms()))
            .copied()
            .collect();
        recent.sort_by_key(|t| std::cmp::Reverse(t.entry_ms()));
        recent.iter().map(PaperTrade::signal).collect()
    }

    fn positions(&mut self, now_ms: i64) -> Vec<Position> {
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

fn said(what: &impl Serialize) -> Answer {
    match serde_json::to_value(what) {
        Ok(body) => Answer::new(200, body),
        // No shape of ours has a key that is not text, which is all that could go wrong.
        Err(e) => Answer::new(500, json!({ "error": e.to_string() })),
    }
}

fn not_found() -> Answer {
    Answer::new(404, json!({ "error": "not found" }))
}

/// How good a set-up is, 0 to 10 with one digit: a gap, much volume, a small float.
fn quality(gap_percent: f64, volume_ratio: f64, float_shares: u64) -> f64 {
    let score = 30.0 * (gap_percent.abs() / 40.0).min(1.0)
        + 40.0 * (volume_ratio / 5.0).min(1.0)
        + 30.0 * (1.0 - float_shares as f64 / 20_000_000.0);
    score.round() / 10.0
}
