//! The trader app's paper trades: which it makes follows from the market alone. Pure.

use serde_json::{Value, json};

use super::cast::{Character, Id};
use super::market::{Market, rounded};
use super::plan::{CLOSE_SECOND, OPEN_SECOND, dollars};

/// Trades of one symbol in a day, at most.
const SLOTS: u32 = 5;
const SLOT_SECONDS: u32 = (CLOSE_SECOND - OPEN_SECOND) / SLOTS;
/// Dollars put into a trade.
const STAKE: f64 = 5_000.0;
const SETUPS: [&str; 4] = [
    "gap_and_go",
    "vwap_reclaim",
    "first_pullback",
    "volume_breakout",
];

/// One trade, with prices that the market had at those seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PaperTrade {
    pub(super) id: Id,
    day: i64,
    slot: u32,
    open_ms: i64,
    entry_second: u32,
    exit_second: u32,
    entry: u32,
    exit: u32,
}

impl PaperTrade {
    pub(super) fn entry_ms(&self) -> i64 {
        self.open_ms + i64::from(self.entry_second) * 1_000
    }

    pub(super) fn exit_ms(&self) -> i64 {
        self.open_ms + i64::from(self.exit_second) * 1_000
    }

    fn trade_id(&self) -> String {
        format!("{}-{}-{}", self.id.listing().symbol, self.day, self.slot)
    }

    fn setup(&self) -> &'static str {
        SETUPS[(self.slot as usize + self.id.0) % SETUPS.len()]
    }

    fn shares(&self) -> u64 {
        // A few thousand shares at most, and not negative.
        (STAKE / dollars(self.entry)) as u64
    }

    fn stop_price(&self) -> f64 {
        rounded(dollars(self.entry) * 0.95)
    }

    fn target_price(&self) -> f64 {
        rounded(dollars(self.entry) * 1.10)
    }

    fn gain(&self, price: u32) -> f64 {
        rounded((dollars(price) - dollars(self.entry)) * self.shares() as f64)
    }

    fn gain_percent(&self, price: u32) -> f64 {
        super::market::percent(price, self.entry)
    }

    /// As a line of `trade_outcomes.jsonl`.
    pub(super) fn outcome(&self) -> Value {
        let percent = self.gain_percent(self.exit);
        let reason = match percent {
            p if p >= 5.0 => "target",
            p if p <= -4.0 => "stop",
            _ => "time",
        };
        json!({
            "trade_id": self.trade_id(),
            "symbol": self.id.listing().symbol,
            "side": "long",
            "setup": self.setup(),
            "entry_time": iso(self.entry_ms()),
            "entry_time_ms": self.entry_ms(),
            "entry_price": dollars(self.entry),
            "exit_time": iso(self.exit_ms()),
            "exit_time_ms": self.exit_ms(),
            "exit_price": dollars(self.exit),
            "shares": self.shares(),
            "stop_price": self.stop_price(),
            "target_price": self.target_price(),
            "pnl": self.gain(self.exit),
            "pnl_percent": percent,
            "r_multiple": rounded(percent / 5.0),
            "hold_minutes": rounded(f64::from(self.exit_second - self.entry_second) / 60.0),
            "outcome": if self.exit > self.entry { "win" } else { "loss" },
            "exit_reason": reason,
        })
    }

    /// As the trader app tells a position that is open, at that last price (in ticks).
    pub(super) fn position(&self, last: u32) -> Value {
        json!({
            "id": self.trade_id(),
            "symbol": self.id.listing().symbol,
            "side": "long",
            "shares": self.shares(),
            "entry_price": dollars(self.entry),
            "entry_time": iso(self.entry_ms()),
            "current_price": dollars(last),
            "stop_price": self.stop_price(),
            "target_price": self.target_price(),
            "unrealized_pnl": self.gain(last),
            "unrealized_pnl_percent": self.gain_percent(last),
            "status": "open",
        })
    }

    /// As the trader app tells the signal that led to it.
    pub(super) fn signal(&self) -> Value {
        json!({
            "id": self.trade_id(),
            "symbol": self.id.listing().symbol,
            "type": "buy",
            "setup": self.setup(),
            "price": dollars(self.entry),
            "stop_price": self.stop_price(),
            "target_price": self.target_price(),
            "risk_reward_ratio": 2.0,
            "confidence": 55 + (self.slot * 7 + self.id.0 as u32 * 3) % 40,
            "timestamp": iso(self.entry_ms()),
        })
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
        let chance = tape.plan.dice.of(20);
        for slot in 0..SLOTS {
            let at = u64::from(slot) * 2;
            let entry_second = OPEN_SECOND + slot * SLOT_SECONDS + chance.pick(at, 30, 3_000);
            let exit_second =
                (entry_second + chance.pick(at + 1, 180, 1_500)).min(CLOSE_SECOND - 1);
            trades.push(PaperTrade {
                id,
                day,
                slot,
                open_ms,
                entry_second,
                exit_second,
                entry: tape.at(entry_second).last,
                exit: tape.at(exit_second).last,
            });
        }
    }
    trades.sort_by_key(|t| (t.exit_ms(), t.id));
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
    use crate::providers::sim::days;
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
            for (at, price) in [
                ("entry_time_ms", "entry_price"),
                ("exit_time_ms", "exit_price"),
            ] {
                let then = market.snapshot(trade.id, line[at].as_i64().unwrap());
                assert_eq!(line[price], dollars(then.sums.last), "{line}");
                assert!(then.sums.last > 0);
            }
            assert_eq!(
                line["outcome"] == "win",
                line["pnl"].as_f64().unwrap() > 0.0,
                "{line}"
            );
        }
        let wins = trades.iter().filter(|t| t.exit > t.entry).count();
        assert!(
            (10..trades.len() - 10).contains(&wins),
            "{wins} of {}",
            trades.len()
        );
    }
}
