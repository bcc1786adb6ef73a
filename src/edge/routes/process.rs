//! The process itself: health, threads, metrics, shutdown, preflight.

use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::diag::watchdog::{Snapshot, ThreadState, export};
use crate::json;
use crate::payload::Body;
use crate::runtime::clock::system_ms;

use super::context::{Command, Context, HttpConfig};
use super::param::{Args, BadRequest};
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
