//! The bulkheads' bounds, as the settings say.

use std::time::Duration;

use crate::config::Settings;
use crate::edge::routes::{Bulkhead, BulkheadLimits, VALIDATION_INPUTS_MAX};

/// Who finds all permits of a bulkhead taken is told after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /api/validate/status` is answered within 5 s.
const MODEL_STATUS_DEADLINE: Duration = Duration::from_millis(4_200);

/// Permits for questions whether the model is there: all share one call, and who waits for a permit finds
/// its answer ready.
const MODEL_STATUS_PERMITS: usize = 2;

/// The bounds of one.
#[must_use]
pub fn limits(bulkhead: Bulkhead, settings: &Settings) -> BulkheadLimits {
    let http = &settings.http;
    let permits = match bulkhead {
        Bulkhead::Candles => http.slots_market,
        Bulkhead::Quotes => http.slots_quotes,
        Bulkhead::Watchlist | Bulkhead::Vwap | Bulkhead::Feed | Bulkhead::Lists => {
            http.slots_trader
        }
        Bulkhead::Validation => http.slots_model,
        Bulkhead::ModelStatus => MODEL_STATUS_PERMITS,
        Bulkhead::Dump | Bulkhead::Reports => http.slots_diagnosis,
    };
    let (deadline, patience) = match bulkhead {
        Bulkhead::Validation => (settings.model.deadline + VALIDATION_INPUTS_MAX, PATIENCE),
        // Whoever has a permit is answered by then, and all who wait with it.
        Bulkhead::ModelStatus => {
            let deadline = MODEL_STATUS_DEADLINE.min(http.answer_deadline);
            (deadline, deadline)
        }
        _ => (http.answer_deadline, PATIENCE),
    };
    BulkheadLimits {
        permits,
        deadline,
        patience,
    }
}
