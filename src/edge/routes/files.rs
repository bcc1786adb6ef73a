//! What the trader's files say, from the file readers' snapshots.

use crate::payload::Body;
use crate::upstream::trader_app::files::History;

use super::context::HttpConfig;
use super::param::{Args, BadRequest, LIMIT, SINCE};
use super::schema::Schema;
use super::snapshots::Snapshots;
use crate::edge::answer::Answer;

/// Which trades of the history are wanted.
#[derive(Clone, Copy, Debug)]
struct Trades {
    /// Those after the first so many: what a client has already.
    since: usize,
    /// The last so many of them.
    limit: Option<usize>,
}

/// `GET /api/runners`: the object in `runners.json` as last read in one piece.
pub fn runners(_: &Args, snapshots: &Snapshots, _: &HttpConfig) -> Result<Answer, BadRequest> {
    Ok(runners_of(snapshots))
}

fn runners_of(snapshots: &Snapshots) -> Answer {
    let Some(files) = snapshots.files() else {
        return Answer::error(
            503,
            "runners.json has not been read yet; try again in a second",
        );
    };
    if let Some(runners) = &files.runners {
        return Answer::built(runners.body.clone());
    }
    let why = files
        .runners_error
        .as_deref()
        .unwrap_or("there is no such file in the trader's data folder");
    Answer::error(503, &format!("runners.json could not be read: {why}"))
}

/// `GET /api/trade-history?since=&limit=`: an array of every line of `trade_outcomes.jsonl` that is an
/// object, or of those after the first `since`, or of the last `limit` of them. `X-Total-Count` is how
/// many there are: the next `since`. `X-Lines-Left-Out`, where there are any: how many lines gave no object.
pub fn trade_history(
    args: &Args,
    snapshots: &Snapshots,
    _: &HttpConfig,
) -> Result<Answer, BadRequest> {
    let (since, limit) = (args.get(&SINCE)?, args.get(&LIMIT)?);
    Ok(trades_of(snapshots, Trades { since, limit }))
}

fn trades_of(snapshots: &Snapshots, trades: Trades) -> Answer {
    match snapshots.history() {
        Some(History::Read {
            body,
            starts,
            skipped,
        }) => {
            let body = match first_wanted(starts.len(), trades) {
                0 => body.clone(),
                first => {
                    Body::built(array(body.plain(), starts.get(first))).with_mended(*body.mended())
                }
            };
            let mut answer = Answer::built(body);
            answer.set("X-Total-Count", starts.len().to_string());
            if *skipped > 0 {
                answer.set("X-Lines-Left-Out", skipped.to_string());
            }
            answer
        }
        Some(History::Unreadable(why)) => {
            Answer::error(500, &format!("The trade history could not be read: {why}"))
        }
        Some(History::Missing) => Answer::json(*b"[]"),
        None => Answer::error(
            503,
            "The trade history has not been read yet; try again in a second",
        ),
    }
}

/// The number of the first of `count` objects that is wanted; the others follow it.
fn first_wanted(count: usize, trades: Trades) -> usize {
    let most = trades.limit.unwrap_or(count);
    trades.since.max(count.saturating_sub(most))
}

/// The array `whole` without the objects before the one that begins at `start`, or without any.
fn array(whole: &[u8], start: Option<&usize>) -> Vec<u8> {
    start.map_or(b"[]".to_vec(), |start| [b"[", &whole[*start..]].concat())
}

pub(super) static RUNNERS_SCHEMA: Schema = Schema {
    name: "Runners",
    json: r##"{
  "type": "object",
  "required": ["active_runners"],
  "properties": {
    "active_runners": {"type": "array", "items": {"$ref": "#/components/schemas/Runner"}},
    "version": {"type": ["string", "null"]},
    "last_updated": {"type": ["string", "null"]},
    "statistics": {
      "type": "object",
      "properties": {
        "total_runners": {"type": ["number", "null"]},
        "consolidating": {"type": ["number", "null"]},
        "continuation_trade_count": {"type": ["number", "null"]}
      }
    }
  }
}"##,
    parts: &[&RUNNER_SCHEMA],
};

pub(super) static RUNNER_SCHEMA: Schema = Schema {
    name: "Runner",
    json: r##"{
  "type": "object",
  "description": "A runner as the trader app has it",
  "required": ["symbol"],
  "properties": {
    "symbol": {"type": "string"},
    "first_gap_date": {"type": ["string", "null"]},
    "original_catalyst": {"type": ["string", "null"]},
    "original_catalyst_details": {"type": ["string", "null"]},
    "gap_age_days": {"type": ["number", "null"]},
    "original_gap_percent": {"type": ["number", "null"]},
    "day1_high": {"type": ["number", "null"]},
    "day1_low": {"type": ["number", "null"]},
    "day1_close": {"type": ["number", "null"]},
    "day1_volume": {"type": ["number", "null"]},
    "high_of_move": {"type": ["number", "null"]},
    "cumulative_move_percent": {"type": ["number", "null"]},
    "current_price": {"type": ["number", "null"]},
    "premarket_gap_percent": {"type": ["number", "null"]},
    "pullback_percent": {"type": ["number", "null"]},
    "quality_score": {"type": ["number", "null"]},
    "status": {
      "type": ["string", "null"],
      "description": "As a rule EXTENDED, CONSOLIDATING, PULLING_BACK, BROKEN_DOWN"
    },
    "entry_zones": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "type": {"type": ["string", "null"]},
          "price": {"type": ["number", "null"]},
          "trigger": {"type": ["string", "null"]},
          "description": {"type": ["string", "null"]}
        }
      }
    },
    "stop_zone": {
      "type": "object",
      "properties": {"price": {"type": ["number", "null"]}, "reason": {"type": ["string", "null"]}}
    }
  }
}"##,
    parts: &[],
};

pub(super) static TRADES_SCHEMA: Schema = Schema {
    name: "Trades",
    json: r##"{
  "type": "array",
  "items": {
    "type": "object",
    "description": "A line of the file that is an object",
    "properties": {
      "timestamp": {"type": ["string", "null"]},
      "symbol": {"type": ["string", "null"]},
      "pattern": {"type": ["string", "null"]},
      "market_context": {"type": "object"},
      "entry": {
        "type": "object",
        "properties": {
          "price": {"type": ["number", "null"]},
          "time": {"type": ["string", "null"]},
          "reason": {"type": ["string", "null"]},
          "stop_loss": {"type": ["number", "null"]},
          "profit_target": {"type": ["number", "null"]},
          "risk_reward_ratio": {"type": ["number", "null"]},
          "quantity": {"type": ["number", "null"]},
          "risk_amount": {"type": ["number", "null"]},
          "potential_profit": {"type": ["number", "null"]}
        }
      },
      "exit": {
        "type": "object",
        "properties": {
          "price": {"type": ["number", "null"]},
          "time": {"type": ["string", "null"]},
          "reason": {"type": ["string", "null"]},
          "hold_time_seconds": {"type": ["number", "null"]}
        }
      },
      "outcome": {
        "type": "object",
        "properties": {
          "realized_pnl": {"type": ["number", "null"]},
          "realized_pnl_percent": {"type": ["number", "null"]},
          "actual_risk_reward": {"type": ["number", "null"]},
          "winner": {"type": ["boolean", "null"]},
          "met_ai_expectations": {"type": ["boolean", "null"]}
        }
      }
    }
  },
  "description": "Oldest first"
}"##,
    parts: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_trades_are_cut_out_of_the_whole() {
        let whole = br#"[{"a":1},{"a":2},{"a":3}]"#;
        let starts = [1, 9, 17];
        let cut = |since, limit| {
            let first = first_wanted(3, Trades { since, limit });
            String::from_utf8(array(whole, starts.get(first))).unwrap()
        };
        assert_eq!(cut(0, None).as_bytes(), whole);
        assert_eq!(cut(1, None), r#"[{"a":2},{"a":3}]"#);
        assert_eq!(cut(0, Some(1)), r#"[{"a":3}]"#);
        assert_eq!(cut(1, Some(5)), r#"[{"a":2},{"a":3}]"#);
        assert_eq!(cut(3, None), "[]");
        assert_eq!(cut(9, Some(0)), "[]");
    }
}
