//! The embedded market's moves of several days: its `runners.json`, and what its watchlist says of them.
//! Pure; what lies before today is computed once a day.

use super::daily_plan::{DailyPlan, dollars, rounded};
use super::days;
use super::listings::{Character, Id};
use super::market::{Market, Snapshot, percent};
use super::news::Catalyst;
use super::paper_trades::iso;
use crate::upstream::trader_app::shapes::{
    EntryZone, Runner, RunnerStatistics, RunnerStatus, Runners, StopZone,
};

/// From this gap on a move begins, in percent.
const GAP_PERCENT_MIN: f64 = 10.0;
/// A move that is older is nobody's concern.
const DAYS_MAX: i64 = 5;
/// Less than this below the first day's high it stands still, in percent.
const CONSOLIDATING_PERCENT: f64 = 8.0;

/// A move: its first day and what came of it.
#[derive(Clone, Copy, Debug)]
struct Move {
    id: Id,
    first_day: i64,
    gap_percent: f64,
    catalyst: Option<Catalyst>,
    /// The close before it, and the first day's prices, in ticks.
    before: u32,
    high: u32,
    low: u32,
    close: u32,
    volume: u64,
    /// Its highest price until yesterday, in ticks.
    peak: u32,
}

/// The moves that were alive when a day began.
#[derive(Debug, Default)]
pub(super) struct Moves {
    day: Option<i64>,
    alive: Vec<Move>,
}

impl Moves {
    /// `runners.json` as it stands at a wall time.
    pub(super) fn runners(&mut self, market: &mut Market, now_ms: i64) -> Runners {
        let day = market.moment(now_ms).day;
        if self.day != Some(day) {
            self.alive = Id::all().filter_map(|id| alive(market, id, day)).collect();
            self.day = Some(day);
        }
        let mut active: Vec<Runner> = Vec::new();
        for id in Id::all().filter(|id| id.listing().character != Character::Silent) {
            let s = market.snapshot(id, now_ms);
            if s.sums.last == 0 {
                continue;
            }
            let old = self.alive.iter().find(|m| m.id == id).copied();
            if let Some(one) = old.or_else(|| begun(market, id, &s)) {
                active.push(one.runner(&s));
            }
        }
        active.sort_by(|a, b| b.quality_score.total_cmp(&a.quality_score));
        let count = |is: fn(&Runner) -> bool| active.iter().filter(|r| is(r)).count() as u64;
        Runners {
            version: "1.0".into(),
            last_updated: iso(now_ms),
            statistics: RunnerStatistics {
                total_runners: active.len() as u64,
                consolidating: count(|r| r.status == RunnerStatus::Consolidating),
                continuation_trade_count: count(|r| r.gap_age_days > 0),
            },
            active_runners: active,
        }
    }
}

/// What says that nothing runs.
pub(super) fn none(now_ms: i64) -> Runners {
    Runners {
        version: "1.0".into(),
        last_updated: iso(now_ms),
        active_runners: Vec::new(),
        statistics: RunnerStatistics {
            total_runners: 0,
            consolidating: 0,
            continuation_trade_count: 0,
        },
    }
}

/// The symbol's move that began before `today` and was not over the evening before. One is over once a
/// day closes below the first day's low; the next gap begins another.
fn alive(market: &Market, id: Id, today: i64) -> Option<Move> {
    let mut alive: Option<Move> = None;
    for day in today - DAYS_MAX + 1..today {
        let plan = market.plan(id, day);
        plan.first_trade?;
        if let Some(one) = &mut alive {
            one.peak = one.peak.max(plan.high);
            if plan.close < one.low {
                alive = None;
            }
        } else if percent(plan.open, plan.prev_close) >= GAP_PERCENT_MIN {
            alive = Some(Move {
                close: plan.close,
                high: plan.high,
                low: plan.low,
                peak: plan.high,
                volume: plan.day_volume(),
                ..first(id, day, &plan, percent(plan.open, plan.prev_close))
            });
        }
    }
    alive
}

/// The move that began today, if one did.
fn begun(market: &mut Market, id: Id, s: &Snapshot) -> Option<Move> {
    let gap_percent = s.gap_percent();
    if gap_percent < GAP_PERCENT_MIN {
        return None;
    }
    let plan = &market.tape(id, s.moment.day).plan;
    let or_last = |price: u32| if price > 0 { price } else { s.sums.last };
    Some(Move {
        close: s.sums.last,
        high: or_last(s.sums.high).max(s.sums.last),
        low: or_last(s.sums.low).min(s.sums.last),
        volume: s.sums.volume,
        ..first(id, s.moment.day, plan, gap_percent)
    })
}

fn first(id: Id, first_day: i64, plan: &DailyPlan, gap_percent: f64) -> Move {
    Move {
        id,
        first_day,
        gap_percent,
        catalyst: Catalyst::of(plan),
        before: plan.prev_close,
        high: 0,
        low: 0,
        close: 0,
        volume: 0,
        peak: 0,
    }
}

impl Move {
    fn runner(&self, s: &Snapshot) -> Runner {
        let last = s.sums.last;
        let pullback = rounded(-percent(last, self.high));
        let peak = self.peak.max(self.high).max(s.sums.high).max(last);
        Runner {
            symbol: self.id.listing().symbol.into(),
            first_gap_date: days::date_of(self.first_day).to_string(),
            // Between 0 and the days that are looked at.
            gap_age_days: (s.moment.day - self.first_day).unsigned_abs(),
            original_gap_percent: self.gap_percent,
            original_catalyst: Catalyst::kind_of(self.catalyst),
            original_catalyst_details: self
                .catalyst
                .map_or_else(String::new, |c| c.details(self.id)),
            day1_high: dollars(self.high),
            day1_low: dollars(self.low),
            day1_close: dollars(self.close),
            day1_volume: self.volume,
            high_of_move: dollars(peak),
            cumulative_move_percent: percent(last, self.before),
            current_price: dollars(last),
            premarket_gap_percent: s.gap_percent(),
            pullback_percent: pullback,
            status: self.status(last, pullback),
            quality_score: self.quality(pullback),
            entry_zones: self.entry_zones(s),
            stop_zone: StopZone {
                price: rounded(dollars(self.low) * 0.99),
                reason: "below the first day's low".into(),
            },
        }
    }

    fn status(&self, last: u32, pullback: f64) -> RunnerStatus {
        if last < self.low {
            RunnerStatus::BrokenDown
        } else if pullback < 0.0 {
            RunnerStatus::Extended
        } else if pullback < CONSOLIDATING_PERCENT {
            RunnerStatus::Consolidating
        } else {
            RunnerStatus::PullingBack
        }
    }

    /// 0 to 100: a large gap with a strong reason, not far from its high.
    fn quality(&self, pullback: f64) -> f64 {
        let gap = 40.0 * (self.gap_percent / 50.0).min(1.0);
        let reason = 3.0 * self.catalyst.map_or(2.0, |c| f64::from(c.strength));
        let nearness = 30.0 * (1.0 - pullback.abs() / 40.0).clamp(0.0, 1.0);
        (gap + reason + nearness).round()
    }

    fn entry_zones(&self, s: &Snapshot) -> Vec<EntryZone> {
        let zone = |kind: &str, price: f64, trigger: &str, description: &str| EntryZone {
            kind: kind.into(),
            price,
            trigger: trigger.into(),
            description: description.into(),
        };
        let mut zones = vec![zone(
            "prior_day_high",
            dollars(self.high),
            "break above",
            "the first day's high is taken out",
        )];
        zones.extend(s.vwap().map(|vwap| {
            zone(
                "vwap_support",
                vwap,
                "bounce",
                "the price comes back to VWAP and holds",
            )
        }));
        zones
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Session;
    use jiff::civil::date;

    #[test]
    fn moves_go_on_end_and_begin_and_their_figures_agree() {
        let mut market = Market::new(1);
        let (mut moves, session) = (Moves::default(), Session::new());
        let mut seen = std::collections::BTreeSet::new();
        let mut ages = std::collections::BTreeSet::new();
        for day in 9..=13 {
            for (hour, minute) in [(8, 0), (9, 45), (13, 0), (17, 0)] {
                let now = session.at_ms(date(2026, 3, day), hour, minute);
                let runners = moves.runners(&mut market, now);
                let active = &runners.active_runners;
                assert!((2..=15).contains(&active.len()), "{} runners", active.len());
                assert!(active.is_sorted_by(|a, b| a.quality_score >= b.quality_score));
                for r in active {
                    assert!(r.original_gap_percent >= GAP_PERCENT_MIN);
                    assert!((0.0..=100.0).contains(&r.quality_score), "{r:?}");
                    assert!(r.day1_low <= r.day1_close && r.day1_close <= r.day1_high);
                    assert!(r.high_of_move >= r.day1_high.max(r.current_price));
                    assert_eq!(r.pullback_percent < 0.0, r.current_price > r.day1_high);
                    assert!(r.gap_age_days < DAYS_MAX.unsigned_abs() && r.day1_volume > 0);
                    seen.insert(format!("{:?}", r.status));
                    ages.insert(r.gap_age_days);
                }
            }
        }
        assert!(seen.len() >= 3, "{seen:?}");
        assert!(ages.contains(&0) && ages.len() >= 3, "{ages:?}");
    }
}
