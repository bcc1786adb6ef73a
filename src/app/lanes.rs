//! The lanes' bounds, as the settings say.

use std::time::Duration;

use crate::config::Settings;
use crate::edge::connection::LaneSpec;
use crate::edge::routes::{LANES, Lane, VALIDATION_INPUTS_MAX};

/// Who finds all places of a lane taken is told after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /api/validate/status` is answered within 5 s, the gate's own grace included.
const MODEL_STATUS_DEADLINE: Duration = Duration::from_millis(4_200);

/// Places for answers from the trader's files; most are given by the gate itself.
const FILES_SLOTS: usize = 2;

/// Places for questions whether the model is there: all share one call, and who waits for a place finds
/// its answer ready.
const MODEL_STATUS_SLOTS: usize = 2;

/// Every lane with its bounds, in the order of [`LANES`].
#[must_use]
pub fn lanes(settings: &Settings) -> Vec<LaneSpec> {
    LANES.iter().map(|lane| spec(*lane, settings)).collect()
}

fn spec(lane: Lane, settings: &Settings) -> LaneSpec {
    let http = &settings.http;
    let slots = match lane {
        Lane::Instant => http.slots_instant,
        Lane::Files => FILES_SLOTS,
        Lane::Candles => http.slots_market,
        Lane::Quotes => http.slots_quotes,
        Lane::Watchlist | Lane::Vwap | Lane::Feed | Lane::Lists => http.slots_trader,
        Lane::Validation => http.slots_model,
        Lane::ModelStatus => MODEL_STATUS_SLOTS,
        Lane::Dump | Lane::Reports => http.slots_diagnosis,
    };
    let (deadline, patience) = match lane {
        Lane::Validation => (settings.model.deadline + VALIDATION_INPUTS_MAX, PATIENCE),
        // Whoever has a place is answered by then, and all who wait with it.
        Lane::ModelStatus => {
            let deadline = MODEL_STATUS_DEADLINE.min(http.answer_deadline);
            (deadline, deadline)
        }
        _ => (http.answer_deadline, PATIENCE),
    };
    LaneSpec {
        name: lane.name(),
        slots,
        deadline,
        patience,
    }
}
