//! The process itself: health, threads, metrics, shutdown, preflight.

use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::diag::watchdog::{Snapshot, ThreadState, export};
use crate::json;
use crate::payload::Body;
use crate::runtime::clock::system_ms;

use super::context::{Command, Context, HttpConfig};
use super::param::{Args, BadRequest};
use super::schema::Schema;
use super::snapshots::Snapshots;
use crate::edge::answer::Answer;

/// `GET /api/health`: `{"status":"ok","service":"charting-backend",…}`; 503 with `"status":"stalled"`
/// and the reasons in `detail` while a stall lasts. Depends on nothing but the asked thread's own snapshots.
pub fn health(_: &Args, snapshots: &Snapshots, config: &HttpConfig) -> Result<Answer, BadRequest> {
    let ailments = snapshots.ailments(Instant::now());
    let mut body = json!({
        "status": if ailments.is_empty() { "ok" } else { "stalled" },
        "service": "charting-backend",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": config.started.elapsed().as_secs(),
        "market_time_ms": config.clock.wall_ms(),
        "clock_behind_seconds": snapshots.stream().skew_seconds,
        "token": token(snapshots),
    });
    if !ailments.is_empty() {
        body["detail"] = Value::from(ailments.join("; "));
    }
    if let Some(snapshot) = snapshots.snapshot() {
        body["threads"] = thread_states(snapshot);
    }
    let status = if ailments.is_empty() { 200 } else { 503 };
    let body = Body::built(body.to_string().into_bytes());
    Ok(Answer::with_status(status, body))
}

/// `{"remaining_seconds"}` of the access token, below zero once it has expired; null in it and
/// `"expiry":"unknown"` where the token file does not tell; null where there is no token.
fn token(snapshots: &Snapshots) -> Value {
    let Some(files) = snapshots.files() else {
        return Value::Null;
    };
    match files.token_expires_ms {
        Some(at) => json!({"remaining_seconds": (at - system_ms()) / 1_000}),
        None if files.has_token => json!({"remaining_seconds": null, "expiry": "unknown"}),
        None => Value::Null,
    }
}

/// `{"total","busy","stalled":[names],"states":{name:state}}`; a thread that serves one client stands
/// in the counts alone.
fn thread_states(snapshot: &Snapshot) -> Value {
    let named = |wanted: ThreadState| -> Vec<&str> {
        snapshot
            .threads
            .iter()
            .filter(|t| t.state == wanted)
            .map(|t| t.name.as_str())
            .collect()
    };
    let states: Map<String, Value> = snapshot
        .threads
        .iter()
        .filter(|t| !t.name.starts_with("conn-") && !t.name.starts_with("ws-"))
        .map(|t| (t.name.clone(), json!(t.state)))
        .collect();
    json!({
        "total": snapshot.threads.len(),
        "busy": named(ThreadState::Busy).len(),
        "stalled": named(ThreadState::Stalled),
        "dead": named(ThreadState::Dead),
        "stalls_total": snapshot.stalls_total,
        "states": states,
    })
}

/// `GET /api/threads`: every thread's name, class, activity, age of its last beat and CPU time; every
/// channel's depth, capacity and drops; the last stalls; whether drills may be ordered.
pub fn threads(_: &Args, snapshots: &Snapshots, config: &HttpConfig) -> Result<Answer, BadRequest> {
    Ok(match snapshots.snapshot() {
        Some(snapshot) => {
            let json = export::to_json(snapshot, Instant::now(), config.allow_drills);
            Answer::built(Body::built(json.into_bytes()))
        }
        None => Answer::error(
            503,
            "The watchdog has not looked yet; try again in a second",
        ),
    })
}

/// `GET /metrics`: the same for Prometheus, and what was mended or left out of what others wrote.
pub fn metrics(_: &Args, snapshots: &Snapshots, _: &HttpConfig) -> Result<Answer, BadRequest> {
    Ok(match snapshots.snapshot() {
        Some(snapshot) => {
            let text = export::metrics_text(snapshot) + &json::metrics_text();
            let mut answer = Answer::built(Body::built(text.into_bytes()));
            answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
            answer
        }
        None => Answer::error(
            503,
            "The watchdog has not looked yet; try again in a second",
        ),
    })
}

/// `POST /api/shutdown`, from this machine only.
pub fn shutdown(_: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
    if !context.is_local {
        log::warn!(target: "HTTP", "refused POST /api/shutdown from {}: only this machine may", context.peer);
        return Ok(Answer::error(
            403,
            "Only callers on the server's own machine may shut it down",
        ));
    }
    // A full inbox holds the same command already.
    context.commands.offer(Command::Shutdown);
    log::info!(target: "HTTP", "shutdown asked for by {} through POST /api/shutdown", context.peer);
    Ok(Answer::value(&json!({ "status": "shutting_down" })))
}

/// `OPTIONS`: the methods that a path has.
pub fn options(allow: &str) -> Answer {
    let mut answer = Answer::empty();
    answer.set("Allow", allow.to_owned());
    answer
}

/// What a browser asks before it asks for another origin's page; `headers` are those it will send. The
/// origin's headers are added where all are.
pub fn preflight(allow: &str, headers: Option<&str>) -> Answer {
    let mut answer = options(allow);
    answer.set("Access-Control-Allow-Methods", allow.to_owned());
    answer.set("Access-Control-Max-Age", "600".to_owned());
    if let Some(headers) = headers {
        answer.set("Access-Control-Allow-Headers", headers.to_owned());
    }
    answer
}

pub(super) static HEALTH_SCHEMA: Schema = Schema {
    name: "Health",
    json: r##"{
  "type": "object",
  "required": ["status", "service", "version", "uptime_seconds", "market_time_ms", "clock_behind_seconds", "token"],
  "properties": {
    "status": {"type": "string", "enum": ["ok", "stalled"]},
    "service": {"type": "string", "const": "charting-backend"},
    "version": {"type": "string"},
    "uptime_seconds": {"type": "integer", "minimum": 0},
    "market_time_ms": {"type": "integer"},
    "clock_behind_seconds": {"type": ["number", "null"]},
    "token": {
      "anyOf": [
        {
          "type": "object",
          "required": ["remaining_seconds"],
          "properties": {
            "remaining_seconds": {"type": ["integer", "null"]},
            "expiry": {"type": "string", "const": "unknown"}
          },
          "additionalProperties": false
        },
        {"type": "null"}
      ]
    },
    "detail": {"type": "string", "description": "What is wrong, while a stall lasts"},
    "threads": {
      "type": "object",
      "required": ["total", "busy", "stalled", "dead", "stalls_total", "states"],
      "properties": {
        "total": {"type": "integer", "minimum": 0},
        "busy": {"type": "integer", "minimum": 0},
        "stalled": {"type": "array", "items": {"type": "string"}},
        "dead": {"type": "array", "items": {"type": "string"}},
        "stalls_total": {"type": "integer", "minimum": 0},
        "states": {
          "type": "object",
          "description": "By name; threads of one client stand in the counts alone",
          "additionalProperties": {"$ref": "#/components/schemas/ThreadState"}
        }
      },
      "additionalProperties": false
    }
  },
  "additionalProperties": false
}"##,
    parts: &[&THREAD_STATE_SCHEMA],
};

pub(super) static THREADS_SCHEMA: Schema = Schema {
    name: "Threads",
    json: r##"{
  "type": "object",
  "required": ["age_ms", "stalls_total", "stalls", "drills", "ailments", "threads", "channels"],
  "properties": {
    "age_ms": {"type": "integer", "minimum": 0},
    "stalls_total": {"type": "integer", "minimum": 0},
    "stalls": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["name", "tid", "class", "activity", "since_ms", "lasted_ms"],
        "properties": {
          "name": {"type": "string"},
          "tid": {"type": "integer", "minimum": 0},
          "class": {"type": "string"},
          "activity": {"type": "string"},
          "since_ms": {"type": "integer", "description": "When it was last heard of"},
          "lasted_ms": {"type": ["integer", "null"], "minimum": 0, "description": "Null while it lasts"}
        },
        "additionalProperties": false
      },
      "description": "The oldest first"
    },
    "drills": {"type": "boolean", "description": "Whether drills may be ordered"},
    "ailments": {"type": "array", "items": {"type": "string"}},
    "threads": {"type": "array", "items": {"$ref": "#/components/schemas/Thread"}},
    "channels": {"type": "array", "items": {"$ref": "#/components/schemas/Channel"}}
  },
  "additionalProperties": false
}"##,
    parts: &[&THREAD_SCHEMA, &CHANNEL_SCHEMA],
};

pub(super) static THREAD_SCHEMA: Schema = Schema {
    name: "Thread",
    json: r##"{
  "type": "object",
  "required": ["name", "tid", "class", "state", "activity", "beat_age_ms", "restarts", "cpu_ms"],
  "properties": {
    "name": {"type": "string"},
    "tid": {"type": "integer", "minimum": 0},
    "class": {"type": "string"},
    "state": {"$ref": "#/components/schemas/ThreadState"},
    "activity": {"type": "string"},
    "beat_age_ms": {"type": "integer", "minimum": 0},
    "restarts": {"type": "integer", "minimum": 0},
    "cpu_ms": {"type": ["integer", "null"], "minimum": 0},
    "overdue_ms": {"type": "integer", "minimum": 0}
  },
  "additionalProperties": false
}"##,
    parts: &[&THREAD_STATE_SCHEMA],
};

pub(super) static CHANNEL_SCHEMA: Schema = Schema {
    name: "Channel",
    json: r##"{
  "type": "object",
  "required": ["name", "depth", "capacity", "drops", "when_full"],
  "properties": {
    "name": {"type": "string"},
    "depth": {"type": "integer", "minimum": 0},
    "capacity": {"type": "integer", "minimum": 0},
    "drops": {"type": "integer", "minimum": 0},
    "when_full": {"type": "string"}
  },
  "additionalProperties": false
}"##,
    parts: &[],
};

pub(super) static THREAD_STATE_SCHEMA: Schema = Schema {
    name: "ThreadState",
    json: r##"{"type": "string", "enum": ["idle", "busy", "stalled", "dead"]}"##,
    parts: &[],
};

pub(super) static SHUTDOWN_SCHEMA: Schema = Schema {
    name: "Shutdown",
    json: r##"{
  "type": "object",
  "required": ["status"],
  "properties": {"status": {"type": "string", "const": "shutting_down"}},
  "additionalProperties": false
}"##,
    parts: &[],
};
