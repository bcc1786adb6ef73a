//! What clients get with 200 when the trader app gives nothing: bodies that they understand. Pure.
//!
//! | failure | vwap `source` | `error` of health and rotation |
//! |---|---|---|
//! | not reachable | `unavailable` | `trader_app_unavailable` |
//! | too slow | `timeout` | `timeout` |
//! | an error status | `error` | `trader_app_error` |
//! | unusable, or our own limits | `error` | `fetch_error` |
//!
//! While the breaker is open the words are those of the last failure; what was known once and is too old
//! to be shown is `unavailable`.

use serde_json::{Map, Value, json};

use crate::json;
use crate::market::Symbol;
use crate::resilience::FetchError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Timeout,
    Error,
    Fetch,
}

fn kind(failure: &FetchError) -> Kind {
    match failure {
        FetchError::BreakerOpen { last, .. } => kind(last),
        FetchError::Timeout { .. } => Kind::Timeout,
        FetchError::Unreachable { .. }
        | FetchError::NoData { .. }
        | FetchError::Outdated { .. } => Kind::Unavailable,
        FetchError::Status { .. } | FetchError::Paused { .. } => Kind::Error,
        _ => Kind::Fetch,
    }
}

/// `{"symbol","vwap":null,"source"}`
#[must_use]
pub fn no_vwap(symbol: &Symbol, failure: &FetchError) -> Vec<u8> {
    let source = match kind(failure) {
        Kind::Unavailable => "unavailable",
        Kind::Timeout => "timeout",
        Kind::Error | Kind::Fetch => "error",
    };
    bytes(&json!({"symbol": symbol.as_str(), "vwap": null, "source": source}))
}

/// A VWAP object with `"stale":true` in it.
#[must_use]
pub fn stale_vwap(body: &[u8]) -> Vec<u8> {
    match json::read::<Map<String, Value>>(body) {
        Ok((mut map, _)) => {
            map.insert("stale".into(), Value::Bool(true));
            bytes(&Value::Object(map))
        }
        Err(_) => body.to_vec(),
    }
}

/// `{"connected":false,"error"}`
#[must_use]
pub fn no_stream_health(failure: &FetchError) -> Vec<u8> {
    bytes(&json!({"connected": false, "error": word(failure)}))
}

/// `{"enabled":false,"error"}`
#[must_use]
pub fn no_rotation(failure: &FetchError) -> Vec<u8> {
    bytes(&json!({"enabled": false, "error": word(failure)}))
}

fn word(failure: &FetchError) -> &'static str {
    match kind(failure) {
        Kind::Unavailable => "trader_app_unavailable",
        Kind::Timeout => "timeout",
        Kind::Error => "trader_app_error",
        Kind::Fetch => "fetch_error",
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_word() {
        let upstream = "the trader app";
        let cases = [
            (
                FetchError::Timeout {
                    upstream,
                    after_ms: 1,
                },
                "timeout",
                "timeout",
            ),
            (
                FetchError::Unreachable {
                    upstream,
                    why: String::new(),
                },
                "unavailable",
                "trader_app_unavailable",
            ),
            (
                FetchError::Status {
                    upstream,
                    code: 500,
                    detail: String::new(),
                    retry_after: None,
                },
                "error",
                "trader_app_error",
            ),
            (
                FetchError::Malformed {
                    upstream,
                    why: String::new(),
                },
                "error",
                "fetch_error",
            ),
            (
                FetchError::Outdated {
                    age: std::time::Duration::from_secs(16),
                    last: Box::new(FetchError::Timeout {
                        upstream,
                        after_ms: 1,
                    }),
                },
                "unavailable",
                "trader_app_unavailable",
            ),
        ];
        for (failure, source, error) in cases {
            let vwap: Value =
                serde_json::from_slice(&no_vwap(&"A".parse().unwrap(), &failure)).unwrap();
            assert_eq!(vwap, json!({"symbol":"A","vwap":null,"source":source}));
            let health: Value = serde_json::from_slice(&no_stream_health(&failure)).unwrap();
            assert_eq!(health, json!({"connected":false,"error":error}));
            let rotation: Value = serde_json::from_slice(&no_rotation(&failure)).unwrap();
            assert_eq!(rotation, json!({"enabled":false,"error":error}));
        }
    }

    #[test]
    fn a_stale_vwap_says_so_and_keeps_its_fields() {
        let got = stale_vwap(br#"{"symbol":"A","vwap":1.25,"x":[1]}"#);
        assert_eq!(got, br#"{"symbol":"A","vwap":1.25,"x":[1],"stale":true}"#);
    }
}
