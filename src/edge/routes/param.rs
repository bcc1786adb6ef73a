//! Parameters of routes: each says where it stands, what it may be, and how it is read. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::market::{BadSymbol, Symbol, Timeframe, UnknownTimeframe};
use crate::runtime::{DRILL_MAX, How};

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path, as `{name}`.
    Path,
    /// In the query.
    Query,
}

/// Why a request's parameters are refused: 400 with this sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// No symbol.
    #[error(transparent)]
    Symbol(#[from] BadSymbol),
    /// No timeframe.
    #[error(transparent)]
    Timeframe(#[from] UnknownTimeframe),
    /// Another parameter.
    #[error("{0}")]
    Other(String),
}

/// A parameter that is read as a `T`.
pub struct Param<T: 'static> {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it is if it is not there; without one it must be there.
    pub default: Option<&'static str>,
    /// One that works.
    pub example: &'static str,
    /// What it is, in a sentence.
    pub does: &'static str,
    /// Its JSON schema, as OpenAPI has it.
    pub schema: fn() -> Value,
    /// Reads its decoded text or its default; none if there is neither.
    pub read: fn(Option<&str>) -> Result<T, BadRequest>,
}

impl<T> Param<T> {
    /// Its value, by its decoded text in a request.
    fn value(&self, text: Option<&str>) -> Result<T, BadRequest> {
        (self.read)(text.or(self.default))
    }
}

/// A parameter, whatever it is read as.
pub trait Describe: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Where it stands.
    fn place(&self) -> Place;
    /// Whether it may be left out.
    fn may_be_absent(&self) -> bool;
    /// One that works.
    fn example(&self) -> &'static str;
    /// What it is, in a sentence.
    fn does(&self) -> &'static str;
    /// Its JSON schema.
    fn schema(&self) -> Value;
    /// Whether its decoded text can be read.
    ///
    /// # Errors
    /// Why not.
    fn check(&self, text: Option<&str>) -> Result<(), BadRequest>;
}

/// A text of a parameter as a value of its schema.
pub fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer") => text.parse::<u64>().map_or(Value::Null, Value::from),
        _ => text.into(),
    }
}

impl<T> Describe for Param<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn place(&self) -> Place {
        self.place
    }
    fn may_be_absent(&self) -> bool {
        self.value(None).is_ok()
    }
    fn example(&self) -> &'static str {
        self.example
    }
    fn does(&self) -> &'static str {
        self.does
    }
    fn schema(&self) -> Value {
        let mut schema = (self.schema)();
        if let Some(default) = self.default {
            schema["default"] = typed(&schema, default);
        }
        schema
    }
    fn check(&self, text: Option<&str>) -> Result<(), BadRequest> {
        self.value(text).map(drop)
    }
}

fn missing(name: &str, hint: &str) -> BadRequest {
    BadRequest::Other(format!("{name} is missing; {hint}"))
}

/// Much of a wrong value is repeated in its error, but not all of it.
fn echo(text: &str) -> String {
    text.chars().take(24).collect()
}

/// The blanks that are cut from both ends of a symbol.
const BLANKS: &str = r"[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*";

/// What [`Symbol`] reads, in words that every validator has.
fn symbol_schema() -> Value {
    let whole = |inner: &str| format!("^{BLANKS}{inner}{BLANKS}$");
    // One mark between letters and digits, never two; `./` begins an option on a future.
    let plain = r"(\./|[./$-])?[A-Za-z0-9]+([./$-][A-Za-z0-9]+)*[./$-]?";
    // An option: its root, filled to six characters at most, day, side, strike.
    let roots = (1..=6).map(|n| format!("[A-Za-z0-9]{{{n}}}[ +]{{0,{}}}", 6 - n));
    let root = roots.collect::<Vec<_>>().join("|");
    let option = format!("({root})[0-9]{{6}}[CPcp][0-9]{{8}}");
    json!({"anyOf": [
        {"type": "string", "pattern": whole(plain), "allOf": [{"pattern": whole(r"\S{1,24}")}]},
        {"type": "string", "pattern": whole(&option)},
    ]})
}

/// A symbol, at the end of a path. Its slash may have been a segment's end: `BRK/B` is two segments, `/ES` an
/// empty one and another.
pub static SYMBOL: Param<Symbol> = Param {
    name: "symbol",
    place: Place::Path,
    default: None,
    example: "TOYO",
    does: "A share (`TOYO`, `BRK/B`), index (`$SPX`), future (`/ES`), option or pair; a slash may be written `/` or `%2F`",
    schema: symbol_schema,
    read: |text| Ok(text.unwrap_or_default().parse()?),
};

/// How long each candle is.
pub static TIMEFRAME: Param<Timeframe> = Param {
    name: "timeframe",
    place: Place::Query,
    default: Some("1m"),
    example: "5m",
    does: "How long each candle is; `D` is a day",
    schema: || json!({"type": "string", "enum": ["1m", "5m", "15m", "D"]}),
    read: |text| Ok(text.unwrap_or_default().parse()?),
};

fn count(name: &str, text: Option<&str>) -> Result<Option<usize>, BadRequest> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        BadRequest::Other(format!(
            "{name}={}: write a whole number of trades",
            echo(text)
        ))
    })
}

/// Which trades a client has already.
pub static SINCE: Param<usize> = Param {
    name: "since",
    place: Place::Query,
    default: Some("0"),
    example: "1000",
    does: "Trades after the first so many: `X-Total-Count` of the answer before",
    schema: || json!({"type": "integer", "minimum": 0, "maximum": usize::MAX}),
    read: |text| Ok(count("since", text)?.unwrap_or(0)),
};

/// How many trades at most.
pub static LIMIT: Param<Option<usize>> = Param {
    name: "limit",
    place: Place::Query,
    default: None,
    example: "100",
    does: "The last so many trades; all of them without it",
    schema: || json!({"type": "integer", "minimum": 0, "maximum": usize::MAX}),
    read: |text| count("limit", text),
};

/// A form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For flame-graph tools.
    Folded,
}

impl Form {
    /// `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text | Self::Folded => "text/plain; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }
}

/// The form of a report; for people, where nothing is said.
const FORM: Param<Form> = Param {
    name: "format",
    place: Place::Query,
    default: Some("text"),
    example: "json",
    does: "For people, for programs, or one line for each stack as flame-graph tools read it",
    schema: || json!({"type": "string", "enum": ["text", "json", "folded"]}),
    read: |text| match text.unwrap_or_default() {
        "text" => Ok(Form::Text),
        "json" => Ok(Form::Json),
        "folded" => Ok(Form::Folded),
        other => Err(BadRequest::Other(format!(
            "{:?} is no format; use text, json or folded",
            echo(other)
        ))),
    },
};

/// The form of a report that is made now.
pub static DUMP_FORM: Param<Form> = FORM;

/// The form of a past report.
pub static STALL_FORM: Param<Form> = Param {
    default: Some("json"),
    example: "text",
    ..FORM
};

/// A past report's name.
pub static STALL_NAME: Param<String> = Param {
    name: "name",
    place: Place::Path,
    default: None,
    example: "2026-02-04_07-51-15-candle-cache",
    does: "A report's name, as `/api/stalls` lists it",
    schema: || json!({"type": "string", "minLength": 1}),
    read: |text| Ok(text.unwrap_or_default().to_owned()),
};

/// One of the page's files.
pub static FILE: Param<String> = Param {
    name: "file",
    place: Place::Path,
    default: None,
    example: "icon.svg",
    does: "A file that the page names",
    schema: || json!({"type": "string", "minLength": 1}),
    read: |text| Ok(text.unwrap_or_default().to_owned()),
};

const DRILL_HINT: &str = "use /api/drill?stall=candle-cache&how=mutex&for=20s";

/// Which threads are stalled.
pub static STALL: Param<String> = Param {
    name: "stall",
    place: Place::Query,
    default: None,
    example: "candle-cache",
    does: "A thread's name, or the beginning of several and `*`",
    schema: || json!({"type": "string"}),
    read: |text| Ok(text.ok_or_else(|| missing("stall", DRILL_HINT))?.to_owned()),
};

/// How they are stalled.
pub static HOW: Param<How> = Param {
    name: "how",
    place: Place::Query,
    default: None,
    example: "mutex",
    does: "What the thread is held up by",
    schema: || json!({"type": "string", "enum": How::ALL.map(|(_, name)| name)}),
    read: |text| {
        let text = text.ok_or_else(|| missing("how", DRILL_HINT))?;
        text.parse().map_err(BadRequest::Other)
    },
};

/// For how long they are stalled.
pub static FOR: Param<Duration> = Param {
    name: "for",
    place: Place::Query,
    default: None,
    example: "20s",
    does: "For how long",
    schema: || json!({"type": "string", "pattern": "^[0-9]+s$"}),
    read: |text| {
        let text = text.ok_or_else(|| missing("for", DRILL_HINT))?;
        text.strip_suffix('s')
            .and_then(|s| s.parse().ok())
            .map(Duration::from_secs)
            .filter(|time| *time <= DRILL_MAX)
            .ok_or_else(|| {
                BadRequest::Other(format!(
                    "for={}: write whole seconds, at most {}s",
                    echo(text),
                    DRILL_MAX.as_secs()
                ))
            })
    },
};

/// What a request says of its route's parameters: their decoded texts, in the order of the row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    texts: Vec<(&'static str, Option<String>)>,
}

impl Args {
    /// Adds a parameter's text.
    pub fn push(&mut self, name: &'static str, text: Option<&str>) {
        self.texts.push((name, text.map(str::to_owned)));
    }

    /// A parameter's value.
    ///
    /// # Errors
    /// When it cannot be read, or the route's row does not have it (a test asks each row for all of its).
    pub fn get<T>(&self, param: &'static Param<T>) -> Result<T, BadRequest> {
        let mut texts = self.texts.iter();
        match texts.find(|(name, _)| *name == param.name) {
            Some((_, text)) => param.value(text.as_deref()),
            None => Err(BadRequest::Other(format!(
                "The server's route table lacks the parameter {}",
                param.name
            ))),
        }
    }
}
