//! What a row of the route table says.

use crate::edge::answer::Answer;

use super::bulkhead::Bulkhead;
use super::cached::FromCache;
use super::context::{Context, HttpConfig};
use super::param::{Args, BadRequest, Describe};
use super::schema::Schema;
use super::snapshots::Snapshots;

/// What a client may do with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads; `HEAD` too.
    Get,
    /// Does something.
    Post,
}

impl Method {
    /// As a request has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// The methods that a route of this one takes, as `Allow` has them.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD, OPTIONS",
            Self::Post => "POST, OPTIONS",
        }
    }
}

/// The methods of all routes together.
pub const ALLOW_ANY: &str = "GET, HEAD, POST, OPTIONS";

/// Where a route's answer comes from.
#[derive(Clone, Copy)]
pub enum Source {
    /// The cache before an upstream.
    Cached(&'static dyn FromCache),
    /// What the threads last published: nothing is waited for.
    Snapshot(fn(&Args, &Snapshots, &HttpConfig) -> Result<Answer, BadRequest>),
    /// A file that is part of the program.
    Page,
    /// The quote stream, for a client that asks for a WebSocket; else an error that says how.
    Stream,
    /// A function that may wait for others.
    Do(fn(&Args, &Context<'_>) -> Result<Answer, BadRequest>),
}

/// What an answer names, and which route takes it.
#[derive(Clone, Copy, Debug)]
pub struct Lead {
    /// Where the name stands in the answer, as a JSON pointer.
    pub from: &'static str,
    /// The path of a route that reads.
    pub to: &'static str,
    /// Its parameter.
    pub param: &'static str,
}

/// One kind of answer of a route.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`s that it may have.
    pub media: &'static [&'static str],
    /// What it looks like as JSON.
    pub schema: &'static Schema,
    /// When it is given.
    pub when: &'static str,
    /// Its own headers, by their names in [`super::openapi`]; those of its row's source come besides.
    pub headers: &'static [&'static str],
    /// The route that its content leads to.
    pub lead: Option<Lead>,
}

impl Reply {
    /// With these headers of its own.
    pub(super) const fn telling(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }

    /// Leading to another route.
    pub(super) const fn leading(self, lead: Lead) -> Self {
        let lead = Some(lead);
        Self { lead, ..self }
    }
}

/// A reply with a status, media types, a schema and when it is given.
pub(super) const fn reply(
    status: u16,
    media: &'static [&'static str],
    schema: &'static Schema,
    when: &'static str,
) -> Reply {
    Reply {
        status,
        media,
        schema,
        when,
        headers: &[],
        lead: None,
    }
}

/// One route.
#[derive(Clone, Copy)]
pub struct Row {
    /// What a client may do.
    pub method: Method,
    /// `/api/candles/{symbol}`: a segment in braces stands for any, `{symbol}` for all that follow.
    pub path: &'static str,
    /// Its parameters.
    pub params: &'static [&'static dyn Describe],
    /// Whose permits it needs; none if it waits for nobody.
    pub bulkhead: Option<&'static Bulkhead>,
    /// Where its answer comes from.
    pub source: Source,
    /// Whether a client may send it again without harm.
    pub repeatable: bool,
    /// What is answered when there is nothing fresh.
    pub degraded: &'static str,
    /// Its answers besides those that every route may give.
    pub answers: &'static [Reply],
    /// What it is, in one sentence.
    pub does: &'static str,
}

impl Row {
    pub(super) const fn params(self, params: &'static [&'static dyn Describe]) -> Self {
        Self { params, ..self }
    }

    pub(super) const fn behind(self, bulkhead: &'static Bulkhead) -> Self {
        let bulkhead = Some(bulkhead);
        Self { bulkhead, ..self }
    }

    pub(super) const fn once_only(self) -> Self {
        let repeatable = false;
        Self { repeatable, ..self }
    }

    pub(super) const fn degraded(self, degraded: &'static str) -> Self {
        Self { degraded, ..self }
    }

    pub(super) const fn does(self, does: &'static str) -> Self {
        Self { does, ..self }
    }
}

pub(super) const fn row(
    method: Method,
    path: &'static str,
    source: Source,
    answers: &'static [Reply],
) -> Row {
    Row {
        method,
        path,
        params: &[],
        bulkhead: None,
        source,
        repeatable: true,
        degraded: "",
        answers,
        does: "",
    }
}

pub(super) const fn get(path: &'static str, source: Source, answers: &'static [Reply]) -> Row {
    row(Method::Get, path, source, answers)
}

pub(super) const fn post(path: &'static str, source: Source, answers: &'static [Reply]) -> Row {
    row(Method::Post, path, source, answers)
}
