//! Past stall reports, from the thread that reads them.

use std::time::{Duration, Instant};

use crate::diag::{NoReport, ReportQuery, ToReports};
use crate::runtime::{ThreadKind, one_shot};

use super::context::Context;
use super::param::{Args, BadRequest, Form, STALL_FORM, STALL_NAME};
use super::schema::Schema;
use crate::edge::answer::Answer;

/// How long a disk may take.
const DISK_PATIENCE: Duration = Duration::from_secs(4);

/// `GET /api/stalls`: `[{"name","verdict"}]`, the newest first.
pub fn list(_: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
    Ok(ask(context, ReportQuery::List, Form::Json))
}

/// `GET /api/stalls/{name}?format=json|text|folded`: one report.
pub fn report(args: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
    let (name, form) = (args.get(&STALL_NAME)?, args.get(&STALL_FORM)?);
    let ending = match form {
        Form::Text => "txt",
        Form::Json => "json",
        Form::Folded => "folded",
    };
    Ok(ask(context, ReportQuery::Form { name, ending }, form))
}

fn ask(context: &Context<'_>, wanted: ReportQuery, form: Form) -> Answer {
    let deadline = context.deadline.min(Instant::now() + DISK_PATIENCE);
    let (reply, answer) = one_shot();
    let question = ToReports {
        wanted,
        deadline,
        reply,
    };
    if context.config.reports.offer(question).is_err() {
        return Answer::error(503, "Many reports are asked for; try again in a second")
            .with_retry_after(Some(Duration::from_secs(1)));
    }
    match context.hear(ThreadKind::ReportReader, &answer, deadline, Duration::ZERO) {
        Some(Ok(bytes)) => {
            let mut answer = Answer::json(bytes);
            answer.content_type = form.content_type();
            answer
        }
        Some(Err(NoReport::Unknown)) => Answer::error(
            404,
            "There is no such report (any more); /api/stalls lists those that are kept",
        ),
        Some(Err(NoReport::Unreadable(why))) => Answer::error(500, &why),
        None => Answer::error(
            504,
            "The disk did not give the reports in time; they are in the folder reports beside the logs",
        ),
    }
}

pub(super) static STALLS_SCHEMA: Schema = Schema {
    name: "Stalls",
    json: r##"{
  "type": "array",
  "items": {
    "type": "object",
    "required": ["name", "verdict"],
    "properties": {"name": {"type": "string"}, "verdict": {"type": "string"}},
    "additionalProperties": false
  },
  "description": "The newest first"
}"##,
    parts: &[],
};
