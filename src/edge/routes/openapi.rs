//! `GET /api/openapi.json`: the route table for programs, as OpenAPI 3.1. Pure.
//!
//! What a row says stands in the row; what every route may answer stands in [`COMMON`]; what an answer's JSON
//! looks like stands in the file of the function that makes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::edge::answer::Answer;
use crate::json;
use crate::payload::Body;

use super::param::{Describe, Place, typed};
use super::row::{Lead, Method, Reply, Row, Source};
use super::schema::{ERROR_SCHEMA, Schema, TEXT_SCHEMA};

/// Statuses from here on are not the client's fault.
const FIRST_OF_SERVER: u16 = 500;

/// What a header of an answer says.
struct Header {
    name: &'static str,
    schema: fn() -> Value,
    does: &'static str,
}

const fn text() -> fn() -> Value {
    || json!({"type": "string"})
}

const fn count() -> fn() -> Value {
    || json!({"type": "integer", "minimum": 0})
}

const HEADERS: &[Header] = &[
    Header {
        name: "ETag",
        schema: text(),
        does: "Names the answer's content and form; in `If-None-Match` it gets 304 while they are the same",
    },
    Header {
        name: "Age",
        schema: count(),
        does: "How many seconds ago the data came",
    },
    Header {
        name: "X-Data-Stale",
        schema: text(),
        does: "There where the data are older than they should be: why",
    },
    Header {
        name: "X-Data-Mended",
        schema: text(),
        does: "There where values of the source could not be kept as they were: how many, by kind",
    },
    Header {
        name: "X-Total-Count",
        schema: count(),
        does: "How many trades there are: the next `since`; absent where there is no file",
    },
    Header {
        name: "X-Lines-Left-Out",
        schema: count(),
        does: "There where lines of the file gave no trade: how many",
    },
    Header {
        name: "Retry-After",
        schema: || json!({"type": "integer", "minimum": 1}),
        does: "There where it is known: after how many seconds it is worth asking again",
    },
    Header {
        name: "Allow",
        schema: text(),
        does: "The methods that the path has",
    },
    Header {
        name: "WWW-Authenticate",
        schema: text(),
        does: "How the token may be shown",
    },
    Header {
        name: "Upgrade",
        schema: text(),
        does: "What the route speaks: `websocket`",
    },
];

/// Which routes a common answer is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Every,
    /// Those with a parameter in the path.
    InPath,
    /// Those that read.
    Reads,
}

/// An answer that routes give before they are asked.
struct Common {
    status: u16,
    of: Of,
    headers: &'static [&'static str],
    when: &'static str,
}

const fn common(status: u16, when: &'static str) -> Common {
    Common {
        status,
        of: Of::Every,
        headers: &[],
        when,
    }
}

/// What every route may answer besides its row's; where a row has the status too, its words come first.
const COMMON: &[Common] = &[
    common(
        400,
        "the request is not HTTP, its path has a broken escape, or a parameter is missing or wrong",
    ),
    Common {
        headers: &["WWW-Authenticate"],
        ..common(
            401,
            "the server wants its token (`http.token_file`) and the request does not show it",
        )
    },
    common(
        403,
        "a page of an origin that is not allowed, a proxy's request without a token, or a change asked for from another machine without one",
    ),
    Common {
        of: Of::InPath,
        ..common(404, "the path lacks its parameter")
    },
    Common {
        headers: &["Allow"],
        ..common(405, "the path has no such method")
    },
    Common {
        of: Of::Reads,
        ..common(
            406,
            "`Accept-Encoding` takes neither the answer as it is nor gzip",
        )
    },
    common(408, "the request did not arrive in time"),
    common(413, "the request's body is too long"),
    common(414, "the request's target is too long"),
    common(417, "an expectation other than `100-continue`"),
    common(
        421,
        "`Host` is no name of this server; its owner can add it (`http.hosts`)",
    ),
    common(431, "the request's head is too long"),
    common(500, "the thread that made the answer panicked"),
    common(
        501,
        "the request's body has a transfer coding other than `chunked`",
    ),
    Common {
        headers: &["Retry-After"],
        ..common(503, "the server has as many connections as it may have")
    },
    common(505, "a version other than HTTP/1.1 or HTTP/1.0"),
];

/// `GET /api/openapi.json`
pub fn answer(routes: &[Row]) -> Answer {
    let text = document(routes).to_string();
    Answer::built(Body::built(text.into_bytes()))
}

/// The document of these routes.
pub fn document(routes: &[Row]) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tapewarden",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A charting backend that cannot freeze",
            "description": "Each request is answered within `http.answer_deadline` (9 s), a validation within `model.deadline`. Errors are `{\"detail\": \"a sentence a person can act on\"}`. A symbol may be written in any case, its slash as `/` or `%2F`. Every path takes `OPTIONS`; an unknown path is answered with 404, an unknown method with 405.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        // Where the server has a token, every request shows it.
        "security": [{}, {"token": []}, {"password": []}],
        "paths": paths(routes),
        "components": {
            "schemas": schemas(routes),
            "headers": headers(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "The content of `http.token_file`"},
                "password": {"type": "http", "scheme": "basic", "description": "The same as a password; any user name"},
            },
        },
    })
}

fn schemas(routes: &[Row]) -> Map<String, Value> {
    let mut all = Map::new();
    let replies = routes.iter().flat_map(|row| row.answers);
    let named = replies.map(|reply| reply.schema);
    named
        .chain([&ERROR_SCHEMA, &TEXT_SCHEMA])
        .for_each(|schema| add_schema(schema, &mut all));
    all
}

fn add_schema(schema: &Schema, all: &mut Map<String, Value>) {
    if !all.contains_key(schema.name) {
        // A test holds that it can be read.
        let said = json::read(schema.json.as_bytes()).map_or(Value::Null, |(said, _)| said);
        all.insert(schema.name.to_owned(), said);
        schema.parts.iter().for_each(|part| add_schema(part, all));
    }
}

fn headers() -> Map<String, Value> {
    let one = |h: &Header| {
        let said = json!({"description": h.does, "schema": (h.schema)()});
        (h.name.to_owned(), said)
    };
    HEADERS.iter().map(one).collect()
}

fn paths(routes: &[Row]) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for row in routes {
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        match row.method {
            Method::Get => {
                path["get"] = operation(row, false);
                path["head"] = operation(row, true);
            }
            Method::Post => path["post"] = operation(row, false),
        }
    }
    paths
}

fn operation(row: &Row, head_only: bool) -> Value {
    let method = if head_only { "HEAD" } else { row.method.name() };
    let mut said = json!({
        "operationId": id(method, row.path),
        "tags": [tag(row)],
        "summary": if head_only { format!("{}: the head alone", row.does) } else { row.does.to_owned() },
        "responses": responses(row, head_only),
    });
    let parameters: Vec<Value> = row.params.iter().map(|p| parameter(*p)).collect();
    if !parameters.is_empty() {
        said["parameters"] = parameters.into();
    }
    if !row.degraded.is_empty() {
        let description = format!("When there is nothing fresh: {}.", row.degraded);
        said["description"] = description.into();
    }
    said
}

/// `get_api_candles_symbol`
fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    let all: Vec<&str> = std::iter::once(method).chain(words).collect();
    all.join("_").to_ascii_lowercase()
}

/// Under which heading a route stands.
fn tag(row: &Row) -> &'static str {
    match row.source {
        Source::Cached(from) => from.upstream(),
        Source::Page => "pages",
        Source::Stream => "stream",
        Source::Snapshot(_) | Source::Do(_) => "server",
    }
}

fn parameter(param: &dyn Describe) -> Value {
    let place = match param.place() {
        Place::Path => "path",
        Place::Query => "query",
    };
    let schema = param.schema();
    let example = typed(&schema, param.example());
    json!({
        "name": param.name(),
        "in": place,
        "required": place == "path" || !param.may_be_absent(),
        "description": param.does(),
        "schema": schema,
        "example": example,
    })
}

/// All that is said of one status.
#[derive(Default)]
struct Said {
    when: Vec<&'static str>,
    media: Vec<(&'static str, &'static Schema)>,
    headers: Vec<&'static str>,
    lead: Option<Lead>,
}

impl Said {
    fn add(&mut self, reply: &Reply) {
        self.when.push(reply.when);
        let of_one = |media: &&'static str| (*media, reply.schema);
        self.media.extend(reply.media.iter().map(of_one));
        self.headers.extend(reply.headers);
        self.lead = self.lead.or(reply.lead);
    }
}

fn responses(row: &Row, head_only: bool) -> Map<String, Value> {
    let mut all: BTreeMap<u16, Said> = BTreeMap::new();
    for reply in row.answers {
        let said = all.entry(reply.status).or_default();
        said.add(reply);
        said.headers.extend(headers_of(row.source, reply.status));
    }
    if all.contains_key(&200) && is_tagged(row.source) {
        let same = all.entry(304).or_default();
        same.when.push("`If-None-Match` names what it would be");
        same.headers.push("ETag");
    }
    for common in COMMON {
        let is_given = match common.of {
            Of::Every => true,
            Of::InPath => row.params.iter().any(|p| p.place() == Place::Path),
            Of::Reads => row.method == Method::Get,
        };
        if is_given {
            let said = all.entry(common.status).or_default();
            said.when.push(common.when);
            said.headers.extend(common.headers);
            if said.media.is_empty() {
                said.media.push(("application/json", &ERROR_SCHEMA));
            }
        }
    }
    let one = |(status, said): (u16, Said)| (status.to_string(), response(&said, head_only));
    all.into_iter().map(one).collect()
}

/// Whether its answers have an `ETag`.
fn is_tagged(source: Source) -> bool {
    !matches!(source, Source::Do(_) | Source::Stream)
}

/// The headers that an answer of this source has.
fn headers_of(source: Source, status: u16) -> Vec<&'static str> {
    let mut headers = Vec::new();
    if status == 200 {
        headers.extend(is_tagged(source).then_some("ETag"));
        if matches!(source, Source::Cached(_)) {
            headers.extend(["Age", "X-Data-Stale", "X-Data-Mended"]);
        }
    } else if matches!(status, 502..=504) {
        headers.push("Retry-After");
    }
    headers
}

fn response(said: &Said, head_only: bool) -> Value {
    let mut response = json!({ "description": sentence(&said.when.join("; or ")) });
    let mut content = Map::new();
    for (media, schema) in &said.media {
        // Whatever it says, it is text.
        let name = if media.ends_with("json") {
            schema.name
        } else {
            TEXT_SCHEMA.name
        };
        let named = json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
        content.insert((*media).to_owned(), named);
    }
    if !content.is_empty() && !head_only {
        response["content"] = content.into();
    }
    if let (Some(lead), false) = (said.lead, head_only) {
        let from = format!("$response.body#{}", lead.from);
        let to = id("GET", lead.to);
        response["links"] =
            json!({ lead.param: {"operationId": to, "parameters": {lead.param: from}} });
    }
    let headers: Map<String, Value> = said
        .headers
        .iter()
        .map(|name| {
            let named = json!({"$ref": format!("#/components/headers/{name}")});
            ((*name).to_owned(), named)
        })
        .collect();
    if !headers.is_empty() {
        response["headers"] = headers.into();
    }
    response
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// The documentation's table of routes.
#[must_use]
pub fn routes_markdown(routes: &[Row]) -> String {
    let mut table = String::from("| route | what | when there is nothing fresh |\n|---|---|---|\n");
    for row in routes {
        let errors: Vec<String> = row
            .answers
            .iter()
            .filter(|reply| reply.status >= FIRST_OF_SERVER)
            .map(|reply| reply.status.to_string())
            .filter(|status| !row.degraded.contains(status))
            .collect();
        let degraded = match (row.degraded, errors.is_empty()) {
            ("", true) => "–".to_owned(),
            ("", false) => errors.join(", "),
            (degraded, true) => degraded.to_owned(),
            (degraded, false) => format!("{degraded}; else {}", errors.join(", ")),
        };
        let query: Vec<&str> = row
            .params
            .iter()
            .filter(|p| p.place() == Place::Query)
            .map(|p| p.name())
            .collect();
        let query = match query.is_empty() {
            true => String::new(),
            false => format!("?{}=", query.join("=&")),
        };
        let (method, path) = (row.method.name(), row.path);
        table += &format!("| `{method} {path}{query}` | {} | {degraded} |\n", row.does);
    }
    table
}

pub(super) static OPEN_API_SCHEMA: Schema = Schema {
    name: "OpenApi",
    json: r##"{
  "type": "object",
  "required": ["openapi", "info", "paths", "components"],
  "properties": {
    "openapi": {"type": "string", "pattern": "^3\\.1\\."},
    "info": {"type": "object"},
    "paths": {"type": "object"},
    "components": {"type": "object"}
  }
}"##,
    parts: &[],
};

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
