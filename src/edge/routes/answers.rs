//! A call's answer, by its row's source.

use super::call::Call;
use super::context::{Context, HttpConfig};
use super::param::BadRequest;
use super::row::Source;
use super::snapshots::Snapshots;
use super::stream;
use crate::edge::answer::{Answer, page};
use crate::edge::request::Handshake;

/// The answer to a call. Waits no longer than the context's deadline.
#[must_use]
pub fn answer(call: &Call, path: &str, context: &Context<'_>) -> Answer {
    let args = &call.args;
    let answered = match call.row.source {
        Source::Cached(from) => from.ask(args, context),
        Source::Snapshot(make) => make(args, context.snapshots, context.config),
        Source::Page => Ok(page::find(path).map_or_else(no_file, page::Asset::answer)),
        // One that asks as it should was given the stream.
        Source::Stream => {
            Ok(stream::not_a_stream(&Handshake::NotAsked).unwrap_or_else(Answer::empty))
        }
        Source::Do(handler) => handler(args, context),
    };
    answered.unwrap_or_else(|e| bad_request(&e))
}

/// The answer of a call whose source is a snapshot; none of another.
#[must_use]
pub fn from_snapshots(call: &Call, snapshots: &Snapshots, config: &HttpConfig) -> Option<Answer> {
    let Source::Snapshot(make) = call.row.source else {
        return None;
    };
    let made = make(&call.args, snapshots, config);
    Some(made.unwrap_or_else(|e| bad_request(&e)))
}

fn bad_request(error: &BadRequest) -> Answer {
    Answer::error(400, &error.to_string())
}

fn no_file() -> Answer {
    Answer::error(404, "The page has no such file")
}
