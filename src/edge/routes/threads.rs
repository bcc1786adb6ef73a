//! The watchdog's report on demand, and drills.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::diag::watchdog::ToWatchdog;
use crate::runtime::{Drill, ThreadKind, one_shot};

use super::context::Context;
use super::param::{Args, BadRequest, DUMP_FORM, FOR, Form, HOW, STALL};
use super::schema::Schema;
use crate::edge::answer::Answer;

/// How long a report may take; the watchdog makes one without stacks before this has passed.
const REPORT_PATIENCE: Duration = Duration::from_secs(8);

/// `GET /api/threads/dump?format=text|json|folded`: every thread's stack, now.
pub fn dump(args: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
    Ok(report(context, args.get(&DUMP_FORM)?))
}

fn report(context: &Context<'_>, form: Form) -> Answer {
    let by = context.deadline.min(Instant::now() + REPORT_PATIENCE);
    let (reply, report) = one_shot();
    let why = context.what.to_owned();
    let wanted = ToWatchdog::Dump {
        why,
        reply: Some(reply),
    };
    if context.config.watchdog.offer(wanted).is_err() {
        return Answer::error(
            503,
            "Many reports are asked for already; try again in a second",
        )
        .with_retry_after(Some(Duration::from_secs(1)));
    }
    let Some(forms) = context.hear(ThreadKind::Watchdog, &report, by, Duration::ZERO) else {
        return Answer::error(
            504,
            "The watchdog did not make a report in time; see logs/watchdog.log, or use kill -QUIT",
        );
    };
    let body = match form {
        Form::Text => &forms.text,
        Form::Json => &forms.json,
        Form::Folded => &forms.folded,
    };
    let mut answer = Answer::json(body.as_bytes());
    answer.content_type = form.content_type();
    answer
}

/// `POST /api/drill?stall=THREAD&how=HOW&for=20s`: a real stall, where the settings allow it and only
/// from this machine.
pub fn drill(args: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
    let (how, time) = (args.get(&HOW)?, args.get(&FOR)?);
    Ok(order(context, args.get(&STALL)?, Drill { how, time }))
}

fn order(context: &Context<'_>, thread: String, drill: Drill) -> Answer {
    if !context.config.allow_drills {
        return Answer::error(
            403,
            "Drills are not allowed here; set watchdog.allow_drills = true",
        );
    }
    if !context.is_local {
        return Answer::error(
            403,
            "Only callers on the server's own machine may order drills",
        );
    }
    let by = context.deadline;
    let (reply, answer) = one_shot();
    let order = ToWatchdog::Drill {
        thread: thread.clone(),
        drill,
        reply,
    };
    if context.config.watchdog.offer(order).is_err() {
        return Answer::error(503, "The watchdog is busy; try again in a second");
    }
    match context.hear(ThreadKind::Watchdog, &answer, by, Duration::ZERO) {
        Some(Ok(())) => Answer::value(&json!({
            "ordered": {"stall": thread, "how": drill.how.to_string(), "for_s": drill.time.as_secs()},
            "log": context.config.watchdog_log,
        })),
        Some(Err(why)) => Answer::error(404, &why),
        None => Answer::error(504, "The watchdog did not take the order in time"),
    }
}

pub(super) static REPORT_SCHEMA: Schema = Schema {
    name: "Report",
    json: r##"{
  "type": "object",
  "description": "As the text form says it, by thread",
  "required": ["reason", "time", "version", "pid", "uptime_s", "threads"],
  "properties": {
    "reason": {"type": "string"},
    "time": {"type": "string"},
    "version": {"type": "string"},
    "pid": {"type": "integer", "minimum": 0},
    "uptime_s": {"type": "integer", "minimum": 0},
    "threads": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["name", "state", "activity", "beat_age_ms"],
        "properties": {
          "name": {"type": "string"},
          "state": {"$ref": "#/components/schemas/ThreadState"},
          "activity": {"type": "string"},
          "beat_age_ms": {"type": "integer", "minimum": 0}
        }
      }
    }
  }
}"##,
    parts: &[&super::process::THREAD_STATE_SCHEMA],
};

pub(super) static DRILL_SCHEMA: Schema = Schema {
    name: "Drill",
    json: r##"{
  "type": "object",
  "required": ["ordered", "log"],
  "properties": {
    "ordered": {
      "type": "object",
      "required": ["stall", "how", "for_s"],
      "properties": {"stall": {"type": "string"}, "how": {"type": "string"}, "for_s": {"type": "integer", "minimum": 0}},
      "additionalProperties": false
    },
    "log": {"type": "string", "description": "Where the report will be told of"}
  },
  "additionalProperties": false
}"##,
    parts: &[],
};
