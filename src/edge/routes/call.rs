//! Which route a request means, by the route table. Pure.
//!
//! `cargo bench --bench cores`: a poll of candles in 0.21 µs.

use std::borrow::Cow;

use crate::edge::answer::{Answer, page};
use crate::edge::request::path::{query_value, segments};

use super::param::{Args, BadRequest, Place};
use super::row::{ALLOW_ANY, Method, Row, Source};
use super::table::ROUTES;

/// A route, with what the request says of its parameters.
#[derive(Clone)]
pub struct Call {
    /// The route.
    pub row: &'static Row,
    /// Its parameters, found right.
    pub args: Args,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.row, other.row) && self.args == other.args
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { row, args } = self;
        write!(f, "{} {} {args:?}", row.method.name(), row.path)
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A route's answer.
    Call(Call),
    /// The methods of a path: `OPTIONS`.
    Options {
        /// As `Allow` has them.
        allow: &'static str,
    },
}

/// Why a request means no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// 404
    #[error("There is no route {path}{}; /docs shows the routes, /api/health is one", .near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
    Unknown {
        /// What was asked for, cut.
        path: String,
        /// The path of a route that looks like it.
        near: Option<&'static str>,
    },
    /// 405
    #[error("{method} is not a method of {path}; use {allow}")]
    Method {
        /// What was used.
        method: String,
        /// On which path, cut.
        path: String,
        /// What the route takes.
        allow: &'static str,
    },
    /// 400
    #[error(transparent)]
    Param(#[from] BadRequest),
    /// 400
    #[error("The path has a broken %-escape; write a slash in a symbol as / or %2F")]
    Escape,
}

impl NoRoute {
    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unknown { .. } => 404,
            Self::Method { .. } => 405,
            Self::Param(_) | Self::Escape => 400,
        }
    }

    /// What the client gets.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let mut answer = Answer::error(self.status(), &self.to_string());
        if let Self::Method { allow, .. } = self {
            answer.set("Allow", (*allow).to_owned());
        }
        answer
    }
}

/// How much of a path is repeated in an error.
const ECHO_CHARS_MAX: usize = 80;

/// How alike a path and a route must be for the route to be named: 1 is the same.
const NEAR: f64 = 0.85;

/// A parameter that takes all segments that follow: its slash may come without an escape.
const TAIL: &str = "{symbol}";

/// Finds what a request asks for.
///
/// # Errors
/// The status and sentence that the client gets.
pub fn call(method: &str, path: &str, query: &str) -> Result<Asked, NoRoute> {
    if path == "*" && method == "OPTIONS" {
        let allow = ALLOW_ANY;
        return Ok(Asked::Options { allow });
    }
    let segments = segments(path).ok_or(NoRoute::Escape)?;
    let row = find(&segments, path).ok_or_else(|| NoRoute::Unknown {
        path: echo(path),
        near: near(path),
    })?;
    let allow = row.method.allow();
    match (method, row.method) {
        ("OPTIONS", _) => return Ok(Asked::Options { allow }),
        ("GET" | "HEAD", Method::Get) | ("POST", Method::Post) => {}
        _ => {
            return Err(NoRoute::Method {
                method: method.chars().take(16).collect(),
                path: echo(path),
                allow,
            });
        }
    }
    let mut args = Args::default();
    for param in row.params {
        let text = match param.place() {
            Place::Query => query_value(query, param.name()),
            Place::Path => in_path(row, &segments, param.name()),
        };
        param.check(text.as_deref())?;
        args.push(param.name(), text.as_deref());
    }
    Ok(Asked::Call(Call { row, args }))
}

/// The row of a path. A page's row is that of a file which is there.
fn find(segments: &[Cow<'_, str>], path: &str) -> Option<&'static Row> {
    let row = ROUTES.iter().find(|row| is_of(row.path, segments))?;
    let is_there = !matches!(row.source, Source::Page) || page::find(path).is_some();
    is_there.then_some(row)
}

fn template(path: &'static str) -> impl Iterator<Item = &'static str> {
    path[1..].split('/')
}

fn is_of(path: &'static str, segments: &[Cow<'_, str>]) -> bool {
    let mut got = segments.iter();
    for want in template(path) {
        if want == TAIL {
            return got.next().is_some();
        }
        match got.next() {
            Some(got) if want.starts_with('{') || want == got => {}
            _ => return false,
        }
    }
    got.next().is_none()
}

/// What the path has in a parameter's place.
fn in_path<'a>(row: &Row, segments: &'a [Cow<'_, str>], name: &str) -> Option<Cow<'a, str>> {
    let is_it = |segment: &str| segment.get(1..segment.len() - 1) == Some(name);
    let at = template(row.path).position(|s| s.starts_with('{') && is_it(s))?;
    let there = segments.get(at..)?;
    if template(row.path).nth(at) == Some(TAIL) {
        return Some(there.join("/").into());
    }
    Some(Cow::Borrowed(there.first()?))
}

/// The path of the route that looks most like this one, if any does.
fn near(path: &str) -> Option<&'static str> {
    let path = echo(path);
    let alike = |row: &Row| strsim::jaro_winkler(row.path, &path);
    let alikes = ROUTES.iter().map(|row| (alike(row), row.path));
    let (most, path) = alikes.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (most >= NEAR).then_some(path)
}

fn echo(path: &str) -> String {
    path.chars().take(ECHO_CHARS_MAX).collect()
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
