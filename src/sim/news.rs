//! Why a symbol of the embedded market moves: what its trader app takes for the news of a day. Pure.

use super::daily_plan::DailyPlan;
use super::listings::Id;
use super::market::percent;
use crate::upstream::trader_app::shapes::LlmAnalysis;

/// From this gap or gain on, in percent, there may be some reason for it.
const MOVE_PERCENT_MIN: f64 = 5.0;
/// How often there is one.
const KNOWN_SHARE: f64 = 0.75;
/// From this strength on a catalyst is definitive.
const DEFINITIVE: u32 = 7;

/// The reason for a day's move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Catalyst {
    kind: &'static str,
    /// 1 to 10.
    pub(super) strength: u32,
    words: &'static str,
}

const ALL: [Catalyst; 6] = [
    catalyst("CONTRACT", 8, "signs a supply agreement"),
    catalyst("SEC_8K_EARNINGS", 7, "reports preliminary results"),
    catalyst("PRODUCT_LAUNCH", 6, "shows a new product"),
    catalyst("FDA_APPROVAL", 9, "receives an approval"),
    catalyst("PARTNERSHIP", 5, "announces a partnership"),
    catalyst("SEC_8K_OTHER", 4, "announces a strategic review"),
];

const fn catalyst(kind: &'static str, strength: u32, words: &'static str) -> Catalyst {
    Catalyst {
        kind,
        strength,
        words,
    }
}

impl Catalyst {
    /// That of a symbol and day, if there is one.
    pub(super) fn of(plan: &DailyPlan) -> Option<Self> {
        let moved = percent(plan.open.max(plan.close), plan.prev_close);
        let chance = plan.rng.of(30);
        if moved < MOVE_PERCENT_MIN || chance.unit(0) >= KNOWN_SHARE {
            return None;
        }
        // As many as there are, so the index is within.
        ALL.get(chance.pick(1, 0, ALL.len() as u32) as usize)
            .copied()
    }

    /// A sentence about it.
    pub(super) fn details(self, id: Id) -> String {
        format!("{} {}", id.listing().name, self.words)
    }

    pub(super) fn is_definitive(self) -> bool {
        self.strength >= DEFINITIVE
    }

    pub(super) fn kind_of(catalyst: Option<Self>) -> String {
        catalyst.map_or("UNKNOWN", |c| c.kind).into()
    }

    pub(super) fn sentiment_of(catalyst: Option<Self>) -> String {
        match catalyst {
            Some(c) if c.is_definitive() => "positive",
            _ => "neutral",
        }
        .into()
    }

    /// As the watchlist tells it.
    pub(super) fn analysis(self, id: Id) -> LlmAnalysis {
        LlmAnalysis {
            catalyst_type: Some(self.kind.into()),
            sentiment: Some(Self::sentiment_of(Some(self))),
            catalyst_strength: Some(self.strength.into()),
            recommendation: Some(self.details(id)),
        }
    }
}
