//! The quote stream's state, from the hub's board.

use serde_json::{Map, Value, json};

use crate::edge::request::{Handshake, WEBSOCKET_VERSION};
use crate::payload::Body;

use super::context::HttpConfig;
use super::param::{Args, BadRequest};
use super::schema::Schema;
use super::snapshots::Snapshots;
use crate::edge::answer::Answer;

/// The name of the thread whose word this is.
const HUB: &str = "quote-hub";

/// `GET /api/streaming/status`:
/// `{"connected","symbols":[],"quotes_relayed","trader_url","uptime_seconds",…}`.
pub fn status(_: &Args, snapshots: &Snapshots, config: &HttpConfig) -> Result<Answer, BadRequest> {
    let stream = snapshots.stream();
    // What a hub that stands still said last is no longer so.
    let down = snapshots.is_down(HUB);
    let detail = if down {
        "the server's quote-hub thread does not answer; see /api/health and logs/watchdog.log"
    } else {
        &stream.why
    };
    let symbols: Vec<&str> = stream.symbols.iter().map(|s| s.as_str()).collect();
    Ok(built(&json!({
        "connected": stream.connected && !down,
        "symbols": symbols,
        "quotes_relayed": stream.quotes_relayed,
        "trader_url": config.trader_url,
        "uptime_seconds": config.started.elapsed().as_secs(),
        "clients": stream.clients,
        "quotes_conflated": stream.conflated,
        "detail": detail,
    })))
}

/// `GET /api/volume-spikes/active`: `{"spikes":{SYMBOL:{…event…,"received_at"}}}`; `received_at` in
/// seconds since the Unix epoch, with milliseconds as its fraction.
pub fn spikes(_: &Args, snapshots: &Snapshots, config: &HttpConfig) -> Result<Answer, BadRequest> {
    let now_ms = config.clock.wall_ms();
    let window_ms = i64::try_from(config.spike_window.as_millis()).unwrap_or(i64::MAX);
    let mut spikes = Map::new();
    for (at_ms, spike) in &snapshots.stream().spikes {
        if now_ms - at_ms > window_ms {
            continue;
        }
        let mut event = spike.fields.clone();
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of this century fit"
        )]
        let received_at = *at_ms as f64 / 1_000.0;
        event.insert("received_at".into(), Value::from(received_at));
        spikes.insert(spike.symbol.as_str().to_owned(), Value::Object(event));
    }
    Ok(built(&json!({ "spikes": spikes })))
}

/// `GET /api/ws/quotes` of a client that cannot be given the stream, and why; none for a whole handshake.
#[must_use]
pub fn not_a_stream(handshake: &Handshake) -> Option<Answer> {
    let (status, detail) = handshake.refusal()?;
    let mut answer = Answer::error(status, &detail);
    answer.set("Sec-WebSocket-Version", WEBSOCKET_VERSION.to_owned());
    if status == 426 {
        // A header of the connection itself is named in its `Connection` (RFC 9110, section 7.8).
        answer.set("Upgrade", "websocket".to_owned());
        answer.set("Connection", "Upgrade".to_owned());
    }
    Some(answer)
}

fn built(value: &Value) -> Answer {
    Answer::built(Body::built(value.to_string().into_bytes()))
}

pub(super) static STATUS_SCHEMA: Schema = Schema {
    name: "StreamStatus",
    json: r##"{
  "type": "object",
  "required": [
    "connected",
    "symbols",
    "quotes_relayed",
    "trader_url",
    "uptime_seconds",
    "clients",
    "quotes_conflated",
    "detail"
  ],
  "properties": {
    "connected": {"type": "boolean"},
    "symbols": {"type": "array", "items": {"type": "string"}},
    "quotes_relayed": {"type": "integer", "minimum": 0},
    "trader_url": {"type": "string"},
    "uptime_seconds": {"type": "integer", "minimum": 0},
    "clients": {"type": "integer", "minimum": 0},
    "quotes_conflated": {"type": "integer", "minimum": 0},
    "detail": {"type": "string"}
  },
  "additionalProperties": false
}"##,
    parts: &[],
};

pub(super) static SPIKES_SCHEMA: Schema = Schema {
    name: "Spikes",
    json: r##"{
  "type": "object",
  "description": "By symbol",
  "required": ["spikes"],
  "properties": {
    "spikes": {
      "type": "object",
      "additionalProperties": {
        "type": "object",
        "description": "The trader app's event",
        "required": ["received_at"],
        "properties": {"received_at": {"type": "number", "description": "In seconds since the Unix epoch"}}
      }
    }
  },
  "additionalProperties": false
}"##,
    parts: &[],
};
