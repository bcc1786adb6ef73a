//! The trader app's paper trades: which it makes follows from the market alone. Pure.

use super::daily_plan::{CLOSE_SECOND, OPEN_SECOND, dollars, rounded};
use super::listings::{Character, Id};
use super::market::{Market, percent};
use super::news::Catalyst;
use crate::upstream::trader_app::shapes::{
    AiAnalysis, ExitReason, MarketContext, Position, Signal, Trade, TradeEntry, TradeExit,
    TradeMetadata, TradeOutcome,
};

/// Trades of one symbol in a day, at most.
const SLOTS: u32 = 5;
const SLOT_SECONDS: u32 = (CLOSE_SECOND - OPEN_SECOND) / SLOTS;
/// Dollars put into a trade.
const STAKE: f64 = 5_000.0;
/// Dollars in the account when a trading day begins.
const ACCOUNT: f64 = 25_000.0;
/// A stop lies so far below the entry, as a share of it, …
const STOP_SHARE: f64 = 0.03;
/// … and a target so many times as far above it.
const RISK_REWARD: f64 = 2.0;
/// How long a signal is good for.
pub(super) const SIGNAL_MS: i64 = 20 * 60_000;
const PATTERNS: [&str; 5] = [
    "first_pullback",
    "vwap_bounce",
    "micro_pullback_breakout",
    "opening_range_breakout",
    "flat_top_breakout",
];
/// A model that is surer than this expects a trade to win.
const CONFIDENT: f64 = 60.0;

/// One trade, with prices that the market had at those seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PaperTrade {
    pub(super) id: Id,
    slot: u32,
    open_ms: i64,
    entry_second: u32,
    exit_second: u32,
    entry: u32,
    exit: u32,
    /// How the symbol stood at the entry.
    gap_percent: f64,
    volume_ratio: f64,
    catalyst: Option<Catalyst>,
    /// Its place among the day's trades, from 1.
    number: u32,
    /// The account before it was ended.
    balance: f64,
}

impl PaperTrade {
    pub(super) fn entry_ms(&self) -> i64 {
        self.open_ms + i64::from(self.entry_second) * 1_000
    }

    pub(super) fn exit_ms(&self) -> i64 {
        self.open_ms + i64::from(self.exit_second) * 1_000
    }

    fn symbol(&self) -> String {
        self.id.listing().symbol.to_owned()
    }

    fn pattern(&self) -> String {
        PATTERNS[(self.slot as usize + self.id.0) % PATTERNS.len()].to_owned()
    }

    fn shares(&self) -> u32 {
        // Some ten thousand shares at most, and not negative.
        (STAKE / dollars(self.entry)) as u32
    }

    fn stop_loss(&self) -> f64 {
        rounded(dollars(self.entry) * (1.0 - STOP_SHARE))
    }

    fn profit_target(&self) -> f64 {
        rounded(dollars(self.entry) * (1.0 + STOP_SHARE * RISK_REWARD))
    }

    fn risk_amount(&self) -> f64 {
        rounded((dollars(self.entry) - self.stop_loss()) * f64::from(self.shares()))
    }

    fn gain(&self, price: u32) -> f64 {
        rounded((dollars(price) - dollars(self.entry)) * f64::from(self.shares()))
    }

    fn gain_percent(&self, price: u32) -> f64 {
        percent(price, self.entry)
    }

    fn exit_reason(&self) -> ExitReason {
        let exit = dollars(self.exit);
        if exit <= self.stop_loss() {
            ExitReason::StopLoss
        } else if exit >= self.profit_target() {
            ExitReason::ProfitTarget
        } else if self.slot + 1 == SLOTS {
            ExitReason::EodExit
        } else {
            ExitReason::Manual
        }
    }

    fn ai_analysis(&self) -> Option<AiAnalysis> {
        let catalyst = self.catalyst?;
        let confidence = f64::from(45 + 4 * catalyst.strength + (self.slot * 7) % 12);
        Some(AiAnalysis {
            quality_score: f64::from(catalyst.strength),
            assessment: if confidence > CONFIDENT {
                "good"
            } else {
                "fair"
            }
            .into(),
            confidence,
            context: catalyst.details(self.id),
        })
    }

    /// As a line of `trade_outcomes.jsonl`.
    pub(super) fn outcome(&self) -> Trade {
        let gain = self.gain(self.exit);
        let winner = gain > 0.0;
        let analysis = self.ai_analysis();
        let confident = analysis.as_ref().is_some_and(|a| a.confidence > CONFIDENT);
        Trade {
            timestamp: iso(self.exit_ms()),
            symbol: self.symbol(),
            timeframe: 1,
            pattern: self.pattern(),
            market_context: MarketContext {
                gap_percent: self.gap_percent,
                relative_volume: self.volume_ratio,
                float: self.id.listing().float_shares,
                catalyst_type: Catalyst::kind_of(self.catalyst),
                sentiment: Catalyst::sentiment_of(self.catalyst),
                news_count: u64::from(self.catalyst.is_some()),
            },
            entry: TradeEntry {
                price: dollars(self.entry),
                time: iso(self.entry_ms()),
                reason: self.pattern().replace('_', " "),
                stop_loss: self.stop_loss(),
                profit_target: self.profit_target(),
                risk_reward_ratio: RISK_REWARD,
                quantity: self.shares().into(),
                risk_amount: self.risk_amount(),
                potential_profit: rounded(self.risk_amount() * RISK_REWARD),
            },
            exit: TradeExit {
                price: dollars(self.exit),
                time: iso(self.exit_ms()),
                reason: self.exit_reason(),
                hold_time_seconds: f64::from(self.exit_second - self.entry_second),
            },
            outcome: TradeOutcome {
                realized_pnl: gain,
                realized_pnl_percent: self.gain_percent(self.exit),
                actual_risk_reward: rounded(gain / self.risk_amount()),
                winner,
                met_ai_expectations: analysis.is_some() && winner == confident,
            },
            ai_analysis: analysis,
            metadata: Some(self.metadata()),
        }
    }

    fn metadata(&self) -> TradeMetadata {
        let cost = dollars(self.entry) * f64::from(self.shares());
        TradeMetadata {
            account_balance_before: self.balance,
            account_balance_after: rounded(self.balance + self.gain(self.exit)),
            position_size_percent: rounded(cost / self.balance * 100.0),
            trade_number: self.number.into(),
        }
    }

    /// As the trader app tells a position that is open, at that last price (in ticks).
    pub(super) fn position(&self, last: u32) -> Position {
        let gain_percent = self.gain_percent(last);
        // Half the way to the stop, and most of it.
        let warning = match gain_percent / (STOP_SHARE * 100.0) {
            p if p <= -0.8 => "critical",
            p if p <= -0.5 => "caution",
            _ => "healthy",
        };
        Position {
            symbol: self.symbol(),
            shares: Some(self.shares().into()),
            avg_price: Some(dollars(self.entry)),
            current_price: Some(dollars(last)),
            entry_price: Some(dollars(self.entry)),
            stop_loss: Some(self.stop_loss()),
            profit_target: Some(self.profit_target()),
            unrealized_pnl: Some(self.gain(last)),
            unrealized_pnl_percent: Some(gain_percent),
            market_value: Some(rounded(dollars(last) * f64::from(self.shares()))),
            warning_level: Some(warning.into()),
            entry_time: Some(iso(self.entry_ms())),
        }
    }

    /// As the trader app tells the signal that led to it.
    pub(super) fn signal(&self) -> Signal {
        Signal {
            symbol: self.symbol(),
            pattern: Some(self.pattern()),
            signal_type: Some("BUY".into()),
            entry_price: Some(dollars(self.entry)),
            stop_loss: Some(self.stop_loss()),
            profit_target: Some(self.profit_target()),
            risk_reward_ratio: Some(RISK_REWARD),
            gap_percent: Some(self.gap_percent),
            relative_volume: Some(self.volume_ratio),
            timestamp: Some(iso(self.entry_ms())),
            expires_at: Some(iso(self.entry_ms() + SIGNAL_MS)),
            quantity: Some(self.shares().into()),
            risk_amount: Some(self.risk_amount()),
        }
    }
}

/// Every trade of a day, by the time of its exit. Those of the future are among them: the caller
/// shows what has come to pass.
pub(super) fn trades(market: &mut Market, day: i64) -> Vec<PaperTrade> {
    let open_ms = market.session().open_ms(super::days::date_of(day));
    let mut trades = Vec::new();
    for id in Id::all() {
        if matches!(
            id.listing().character,
            Character::Silent | Character::Thin { .. }
        ) {
            continue;
        }
        let tape = market.tape(id, day);
        let catalyst = Catalyst::of(&tape.plan);
        let chance = tape.plan.rng.of(20);
        for slot in 0..SLOTS {
            let at = u64::from(slot) * 2;
            let entry_second = OPEN_SECOND + slot * SLOT_SECONDS + chance.pick(at, 30, 3_000);
            let exit_second =
                (entry_second + chance.pick(at + 1, 180, 1_500)).min(CLOSE_SECOND - 1);
            let then = tape.at(entry_second);
            trades.push(PaperTrade {
                id,
                slot,
                open_ms,
                entry_second,
                exit_second,
                entry: then.last,
                exit: tape.at(exit_second).last,
                gap_percent: percent(tape.plan.open, tape.plan.prev_close),
                volume_ratio: tape.plan.volume_ratio(then.volume, entry_second),
                catalyst,
                number: 0,
                balance: 0.0,
            });
        }
    }
    trades.sort_by_key(|t| (t.exit_ms(), t.id));
    let mut balance = ACCOUNT;
    for (number, trade) in (1..).zip(&mut trades) {
        (trade.number, trade.balance) = (number, balance);
        balance = rounded(balance + trade.gain(trade.exit));
    }
    trades
}

/// A wall time as people and programs read it: `2026-03-10T13:45:00Z`.
pub(super) fn iso(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::days;
    use jiff::civil::date;

    #[test]
    fn entries_and_exits_are_prices_of_the_market() {
        let mut market = Market::new(1);
        let day = days::number(date(2026, 3, 10));
        let trades = trades(&mut market, day);
        assert!(trades.len() > 60);
        assert!(trades.is_sorted_by_key(PaperTrade::exit_ms));
        for trade in &trades {
            let line = trade.outcome();
            for (time, price) in [
                (&line.entry.time, line.entry.price),
                (&line.exit.time, line.exit.price),
            ] {
                let at: jiff::Timestamp = time.parse().unwrap();
                let then = market.snapshot(trade.id, at.as_millisecond());
                assert_eq!(price, dollars(then.sums.last), "{line:?}");
                assert!(then.sums.last > 0);
            }
            assert_eq!(line.outcome.winner, line.outcome.realized_pnl > 0.0);
            assert!(line.entry.stop_loss < line.entry.price);
            assert!(line.entry.profit_target > line.entry.price);
            match line.exit.reason {
                ExitReason::StopLoss => assert!(line.exit.price <= line.entry.stop_loss),
                ExitReason::ProfitTarget => assert!(line.exit.price >= line.entry.profit_target),
                ExitReason::EodExit | ExitReason::Manual => {}
            }
        }
        for (before, after) in trades.iter().zip(&trades[1..]) {
            let (before, after) = (before.metadata(), after.metadata());
            assert_eq!(before.account_balance_after, after.account_balance_before);
            assert_eq!(before.trade_number + 1, after.trade_number);
        }
        let wins = trades.iter().filter(|t| t.exit > t.entry).count();
        assert!(
            (10..trades.len() - 10).contains(&wins),
            "{wins} of {}",
            trades.len()
        );
    }
}
