//! What the trader app knows: passed through, or a degraded answer that clients already understand.

use crate::cache::{Reply, Served};
use crate::payload::Body;
use crate::resilience::FetchError;
use crate::upstream::trader_app::{TraderKey, answers};

use super::cached::ByKey;
use super::param::{Args, BadRequest, SYMBOL};
use super::schema::Schema;
use crate::edge::answer::Answer;

/// By this key, with the answers that stand in for the trader app's own.
const fn by_key(key: fn(&Args) -> Result<TraderKey, BadRequest>) -> ByKey<TraderKey> {
    ByKey { key, answer }
}

/// `GET /api/watchlist`
pub static WATCHLIST: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Watchlist));

/// `GET /api/vwap/{symbol}`
pub static VWAP: ByKey<TraderKey> = by_key(|args| Ok(TraderKey::Vwap(args.get(&SYMBOL)?)));

/// `GET /api/vwap`
pub static VWAP_ALL: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::VwapAll));

/// `GET /api/streaming/health`
pub static STREAM_HEALTH: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::StreamHealth));

/// `GET /api/streaming/rotation`
pub static ROTATION: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Rotation));

/// `GET /api/signals`
pub static SIGNALS: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Signals));

/// `GET /api/positions`
pub static POSITIONS: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Positions));

/// What the trader cache's reply means to a client of the key's route:
///
/// | route | when there is nothing fresh |
/// |---|---|
/// | `/api/watchlist` | the last one, marked stale; 503 only if there never was one |
/// | `/api/vwap/{symbol}` | the last one with `"stale":true`, for as long as it may be shown; else `"vwap":null` |
/// | `/api/vwap`, `/api/signals`, `/api/positions` | the same, marked stale; else empty, marked stale |
/// | `/api/streaming/health`, `/api/streaming/rotation` | an error in 200: the last one would say that all is well |
fn answer(key: &TraderKey, reply: Reply<Body>) -> Answer {
    let fresh_only = matches!(key, TraderKey::StreamHealth | TraderKey::Rotation);
    match reply {
        Ok(Served {
            stale_because: Some(why),
            ..
        }) if fresh_only => instead(key, &why),
        Ok(served) if served.stale_because.is_some() && matches!(key, TraderKey::Vwap(_)) => {
            let body = answers::stale_vwap(served.value.plain());
            Answer::served(&served, Body::once(body))
        }
        Ok(served) => Answer::served(&served, served.value.clone()),
        Err(failure) => instead(key, &failure),
    }
}

fn instead(key: &TraderKey, failure: &FetchError) -> Answer {
    Answer::json(match key {
        TraderKey::Watchlist => {
            return Answer::error(503, &format!("There is no watchlist yet: {failure}"))
                .with_retry_after(failure.retry_after());
        }
        TraderKey::Vwap(symbol) => answers::no_vwap(symbol, failure),
        TraderKey::StreamHealth => answers::no_stream_health(failure),
        TraderKey::Rotation => answers::no_rotation(failure),
        // Empty because nobody knows is not the same as empty.
        TraderKey::VwapAll => return Answer::json(*b"{}").stale(failure),
        TraderKey::Signals | TraderKey::Positions => return Answer::json(*b"[]").stale(failure),
    })
}

pub(super) static WATCHLIST_SCHEMA: Schema = Schema {
    name: "Watchlist",
    json: r##"{"type": "array", "items": {"$ref": "#/components/schemas/WatchlistEntry"}}"##,
    parts: &[&WATCHLIST_ENTRY_SCHEMA],
};

pub(super) static WATCHLIST_ENTRY_SCHEMA: Schema = Schema {
    name: "WatchlistEntry",
    json: r##"{
  "type": "object",
  "description": "A row as the trader app has it",
  "required": ["symbol"],
  "properties": {
    "symbol": {"type": "string"},
    "price": {"type": ["number", "null"]},
    "high": {"type": ["number", "null"]},
    "gap_percent": {"type": ["number", "null"]},
    "volume_ratio": {"type": ["number", "null"]},
    "float": {"type": ["number", "null"]},
    "runner_status": {"type": ["string", "null"]},
    "quality_score": {"type": ["number", "null"], "description": "0 to 10"},
    "has_definitive_catalyst": {"type": ["boolean", "null"]},
    "llm_analysis": {
      "anyOf": [
        {
          "type": "object",
          "properties": {
            "catalyst_type": {"type": ["string", "null"]},
            "sentiment": {"type": ["string", "null"]},
            "catalyst_strength": {"type": ["number", "null"]},
            "recommendation": {"type": ["string", "null"]}
          }
        },
        {"type": "null"}
      ]
    },
    "continuation_play": {"type": ["boolean", "null"]},
    "runner_quality_score": {"type": ["number", "null"]},
    "runner_pullback_pct": {"type": ["number", "null"]},
    "runner_day1_high": {"type": ["number", "null"]},
    "continuation_data": {
      "anyOf": [
        {
          "type": "object",
          "properties": {
            "original_gap_percent": {"type": ["number", "null"]},
            "original_catalyst": {"type": ["string", "null"]},
            "day1_volume": {"type": ["number", "null"]},
            "status": {"type": ["string", "null"]}
          }
        },
        {"type": "null"}
      ]
    }
  }
}"##,
    parts: &[],
};

pub(super) static SIGNALS_SCHEMA: Schema = Schema {
    name: "Signals",
    json: r##"{
  "type": "array",
  "items": {
    "type": "object",
    "description": "A signal as the trader app has it",
    "required": ["symbol"],
    "properties": {
      "symbol": {"type": "string"},
      "pattern": {"type": ["string", "null"]},
      "signal_type": {"type": ["string", "null"]},
      "timestamp": {"type": ["string", "null"]},
      "expires_at": {"type": ["string", "null"]},
      "entry_price": {"type": ["number", "null"]},
      "stop_loss": {"type": ["number", "null"]},
      "profit_target": {"type": ["number", "null"]},
      "risk_reward_ratio": {"type": ["number", "null"]},
      "gap_percent": {"type": ["number", "null"]},
      "relative_volume": {"type": ["number", "null"]},
      "quantity": {"type": ["number", "null"]},
      "risk_amount": {"type": ["number", "null"]}
    }
  }
}"##,
    parts: &[],
};

pub(super) static POSITIONS_SCHEMA: Schema = Schema {
    name: "Positions",
    json: r##"{
  "type": "array",
  "items": {
    "type": "object",
    "description": "A position as the trader app has it",
    "required": ["symbol"],
    "properties": {
      "symbol": {"type": "string"},
      "warning_level": {"type": ["string", "null"]},
      "entry_time": {"type": ["string", "null"]},
      "shares": {"type": ["number", "null"]},
      "avg_price": {"type": ["number", "null"]},
      "current_price": {"type": ["number", "null"]},
      "entry_price": {"type": ["number", "null"]},
      "stop_loss": {"type": ["number", "null"]},
      "profit_target": {"type": ["number", "null"]},
      "unrealized_pnl": {"type": ["number", "null"]},
      "unrealized_pnl_percent": {"type": ["number", "null"]},
      "market_value": {"type": ["number", "null"]}
    }
  }
}"##,
    parts: &[],
};

pub(super) static VWAP_SCHEMA: Schema = Schema {
    name: "Vwap",
    json: r##"{
  "type": "object",
  "required": ["symbol", "vwap", "source"],
  "properties": {
    "symbol": {"type": "string"},
    "vwap": {"type": ["number", "null"]},
    "source": {
      "type": "string",
      "description": "`stream`, `rest`; without a value `unavailable`, `timeout` or `error`"
    },
    "stale": {"type": ["boolean", "null"]}
  }
}"##,
    parts: &[],
};

pub(super) static VWAPS_SCHEMA: Schema = Schema {
    name: "Vwaps",
    json: r##"{
  "type": "object",
  "description": "By symbol",
  "additionalProperties": {"$ref": "#/components/schemas/Vwap"}
}"##,
    parts: &[&VWAP_SCHEMA],
};

pub(super) static STREAM_HEALTH_SCHEMA: Schema = Schema {
    name: "StreamHealth",
    json: r##"{
  "type": "object",
  "description": "The trader app's word; in `error` why there is none: `trader_app_unavailable`, `trader_app_error`, `timeout`, `fetch_error`",
  "required": ["connected"],
  "properties": {
    "connected": {"type": "boolean"},
    "last_message_seconds_ago": {"type": ["number", "null"]},
    "watchdog_kills": {"type": ["number", "null"]},
    "stats": {
      "anyOf": [
        {"type": "object", "properties": {"quotes": {"type": ["number", "null"]}}},
        {"type": "null"}
      ]
    },
    "error": {"type": ["string", "null"]}
  }
}"##,
    parts: &[],
};

pub(super) static ROTATION_SCHEMA: Schema = Schema {
    name: "Rotation",
    json: r##"{
  "type": "object",
  "description": "The trader app's word; in `error` why there is none",
  "required": ["enabled"],
  "properties": {
    "enabled": {"type": "boolean"},
    "priority_count": {"type": ["number", "null"]},
    "discovery_slots": {"type": ["number", "null"]},
    "universe_size": {"type": ["number", "null"]},
    "total_promotions": {"type": ["number", "null"]},
    "current_chunk_idx": {"type": ["number", "null"]},
    "chunk_count": {"type": ["number", "null"]},
    "priority_symbols": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["symbol"],
        "properties": {
          "symbol": {"type": "string"},
          "reason": {"type": ["string", "null"]},
          "seconds_in_priority": {"type": ["number", "null"]},
          "stats_at_promotion": {
            "type": "object",
            "properties": {
              "tick_count": {"type": ["number", "null"]},
              "volume_sum": {"type": ["number", "null"]},
              "price_range_pct": {"type": ["number", "null"]}
            }
          }
        }
      }
    },
    "error": {"type": ["string", "null"]}
  }
}"##,
    parts: &[],
};
