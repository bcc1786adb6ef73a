//! Requests as the embedded market's sites read them, and what they answer. Pure.

use percent_encoding::percent_decode_str;
use tiny_http::{Header, ResponseBox};

use crate::runtime::local_server::{Asked, response};

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path's parts, each decoded: `/a/ZQX%2FA` is `["a", "ZQX/A"]`.
    pub(super) path: Vec<String>,
    /// The query's pairs, decoded.
    query: Vec<(String, String)>,
    /// The value of its `Authorization`.
    pub(super) authorization: Option<String>,
}

impl Request {
    /// By the method and the target as they came.
    pub(super) fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path
                .split('/')
                .filter(|part| !part.is_empty())
                .map(decode)
                .collect(),
            query: query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| [k, v].map(|text| decode(&text.replace('+', " "))))
                .map(|[k, v]| (k, v))
                .collect(),
            authorization: None,
        }
    }

    /// The first value of a key of the query.
    pub(super) fn query(&self, key: &str) -> Option<&str> {
        let hit = self.query.iter().find(|(k, _)| k == key);
        hit.map(|(_, v)| v.as_str())
    }
}

impl From<&Asked> for Request {
    fn from(asked: &Asked) -> Self {
        Self {
            authorization: asked.header("authorization").map(str::to_owned),
            ..Self::new(asked.method.as_str(), &asked.target)
        }
    }
}

/// What is no escape stays as it is.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer with a JSON body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: serde_json::Value,
}

impl Answer {
    pub(super) fn new(status: u16, body: serde_json::Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }
}

impl From<Answer> for ResponseBox {
    fn from(answer: Answer) -> Self {
        let body = answer.body.to_string().into_bytes();
        let mut whole = response(answer.status, "application/json", body);
        let headers = answer.headers.iter();
        for header in headers.filter_map(|(name, value)| Header::from_bytes(*name, &**value).ok()) {
            whole.add_header(header);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_in_a_symbol_is_part_of_it() {
        let request = Request::new(
            "GET",
            "/v1/ZQX%2FA/quotes?symbols=A%2CB&x=1+2&bad=%zz%4&flag&&p=a%2Bb",
        );
        assert_eq!(request.path, ["v1", "ZQX/A", "quotes"]);
        assert_eq!(request.query("symbols"), Some("A,B"));
        assert_eq!(request.query("x"), Some("1 2"));
        assert_eq!(request.query("bad"), Some("%zz%4"));
        assert_eq!(request.query("flag"), Some(""));
        assert_eq!(request.query("p"), Some("a+b"));
        assert_eq!(request.query("none"), None);
    }
}
