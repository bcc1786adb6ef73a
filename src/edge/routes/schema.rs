//! What an answer's JSON looks like, as `/api/openapi.json` says it. Pure.
//!
//! A schema stands in the file of the function that makes the answer.

/// A named schema.
#[derive(Debug)]
pub struct Schema {
    /// Its name among the document's schemas.
    pub name: &'static str,
    /// JSON Schema, as OpenAPI 3.1 has it.
    pub json: &'static str,
    /// Those that it refers to.
    pub parts: &'static [&'static Schema],
}

/// What is no JSON.
pub static TEXT_SCHEMA: Schema = Schema {
    name: "Text",
    json: r##"{"type": "string"}"##,
    parts: &[],
};

/// Every error.
pub static ERROR_SCHEMA: Schema = Schema {
    name: "Error",
    json: r##"{
  "type": "object",
  "required": ["detail"],
  "properties": {
    "detail": {"type": "string", "minLength": 1, "description": "What is wrong and what to do, in a sentence"}
  },
  "additionalProperties": false
}"##,
    parts: &[],
};
