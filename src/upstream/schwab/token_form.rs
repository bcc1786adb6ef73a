//! What stands in a token file, whichever program wrote it. Pure.
//!
//! | written by | form |
//! |---|---|
//! | schwab-py | `{"creation_timestamp":s,"token":{"access_token","expires_at":s,…}}` |
//! | Schwabdev 2 | `{"access_token_issued":ISO,"token_dictionary":{"access_token","expires_in":s,…}}` |
//! | crate schwab_api | `{"access","access_expires_in":ISO,…}` |
//! | others | `{"access_token","expires_at":s, ms or ISO,…}` |
//!
//! Times without a zone are UTC. schwab-py's `creation_timestamp` is the birth of the refresh token and says
//! nothing about the access token.

use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::json::{self, Mended};

/// An access token, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub(super) String);

impl Token {
    /// The `Authorization` header's value.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What a token file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The access token.
    pub token: Token,
    /// When it expires, in milliseconds since the Unix epoch, where the file tells.
    pub expires_ms: Option<i64>,
    /// What was mended.
    pub mended: Mended,
}

/// Why there is no token in a file, and what to do; never with its content.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("({why}); {remedy}")]
pub struct NoToken {
    why: String,
    remedy: &'static str,
}

const WRITE_ANEW: &str = "let your login program write it anew";

const NAME_THE_FILE: &str = "set schwab.token_file to the JSON file that your login program writes once you have signed in \
     (schwab-py's schwab-generate-token.py writes one)";

const WRITE_JSON: &str = "set schwab.token_file to a JSON file: schwab-py's schwab-generate-token.py writes one, so does Schwabdev 2 \
     (pip install 'schwabdev<3')";

fn no_token(why: impl Into<String>, remedy: &'static str) -> NoToken {
    let why = why.into();
    NoToken { why, remedy }
}

/// The file is longer than any token file.
pub(super) fn too_long() -> NoToken {
    no_token("it is longer than a token file can be", NAME_THE_FILE)
}

/// Where programs put the object with the access token; then any other object in the file.
const HOLDERS: [&str; 2] = ["token", "token_dictionary"];

const TOKEN_KEYS: [&str; 3] = ["access_token", "access", "accessToken"];

const EXPIRY_KEYS: [&str; 11] = [
    "access_token_expires_at",
    "accessTokenExpiresAt",
    "access_expires_at",
    "access_expires_in",
    "access_token_expiry",
    "expires_at",
    "expiresAt",
    "expiry",
    "expires",
    "expiration",
    "expires_in",
];

const ISSUE_KEYS: [&str; 8] = [
    "access_token_issued",
    "accessTokenIssued",
    "issued_at",
    "issuedAt",
    "obtained_at",
    "created_at",
    "saved_at",
    "issued",
];

const LIFE_KEYS: [&str; 4] = [
    "expires_in",
    "expiresIn",
    "access_expires_in",
    "access_token_expires_in",
];

/// Reads a token file of any known form.
pub(crate) fn read(bytes: &[u8]) -> Result<Held, NoToken> {
    if bytes.starts_with(b"SQLite format 3") {
        let why = "it is a database of Schwabdev 3 or 4, which is not read here";
        return Err(no_token(why, WRITE_JSON));
    }
    // The words of a JSON error have places in them, and no content.
    let (value, mended) = json::read::<Value>(bytes)
        .map_err(|e| no_token(format!("it is not whole JSON: {e}"), WRITE_ANEW))?;
    let root = value
        .as_object()
        .ok_or_else(|| no_token("it is JSON but no object", NAME_THE_FILE))?;
    let (holder, token) = holder(root)
        .ok_or_else(|| no_token("there is no token.access_token in it", NAME_THE_FILE))?;
    if token.starts_with("enc:") {
        return Err(no_token("its access token is encrypted", WRITE_JSON));
    }
    if token.is_empty() || !token.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
        let why = "its access token is empty or has characters that no header may carry";
        return Err(no_token(why, WRITE_ANEW));
    }
    Ok(Held {
        token: Token(token.to_owned()),
        expires_ms: expires_ms(holder, root),
        mended,
    })
}

/// The object that holds the access token, and the token.
fn holder(root: &Map<String, Value>) -> Option<(&Map<String, Value>, &str)> {
    let known = HOLDERS.iter().filter_map(|key| root.get(*key)?.as_object());
    let others = root.values().filter_map(Value::as_object);
    let mut objects = known.chain([root]).chain(others);
    objects.find_map(|object| {
        let token = first(object, &TOKEN_KEYS, Value::as_str)?;
        Some((object, token))
    })
}

fn first<'a, T>(
    object: &'a Map<String, Value>,
    keys: &[&str],
    read: impl Fn(&'a Value) -> Option<T>,
) -> Option<T> {
    keys.iter().find_map(|key| object.get(*key).and_then(&read))
}

/// When the token expires: told as a moment, or as the time since its issue.
fn expires_ms(holder: &Map<String, Value>, root: &Map<String, Value>) -> Option<i64> {
    let either = |keys: &[&str], read: fn(&Value) -> Option<i64>| {
        first(holder, keys, read).or_else(|| first(root, keys, read))
    };
    either(&EXPIRY_KEYS, moment_ms).or_else(|| {
        let issued = either(&ISSUE_KEYS, moment_ms)?;
        issued.checked_add(either(&LIFE_KEYS, life_ms)?)
    })
}

/// 2001 to 5138 in seconds; in milliseconds, from 1973 on.
const SECONDS: std::ops::Range<f64> = 1e9..1e11;
const MILLISECONDS: std::ops::Range<f64> = 1e11..1e14;

/// A moment as seconds, milliseconds or text.
fn moment_ms(value: &Value) -> Option<i64> {
    let number = match value {
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => number,
            Err(_) => return spelled_ms(text.trim()),
        },
        other => other.as_f64()?,
    };
    #[expect(clippy::cast_possible_truncation, reason = "bounded")]
    match number {
        s if SECONDS.contains(&s) => Some((s * 1_000.0) as i64),
        ms if MILLISECONDS.contains(&ms) => Some(ms as i64),
        _ => None,
    }
}

/// ISO 8601 or RFC 2822; UTC where no zone is told.
fn spelled_ms(text: &str) -> Option<i64> {
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let zoneless = || {
        let time: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(time).ok()
    };
    let mail = || Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp());
    let moment = zoned.or_else(zoneless).or_else(mail)?;
    Some(moment.as_millisecond())
}

/// A life in seconds: of minutes to days.
fn life_ms(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    #[expect(clippy::cast_possible_truncation, reason = "bounded")]
    (0.0..1e9)
        .contains(&seconds)
        .then_some((seconds * 1_000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2036-11-27T20:00:00Z
    const AT_MS: i64 = 2_111_428_800_000;

    #[test]
    fn every_form_met_in_the_wild_is_read_and_its_expiry_told() {
        let half_hour = AT_MS + 1_800_000;
        for (text, want) in [
            (
                r#"{"creation_timestamp":1771590000,"token":{"access_token":"abc","expires_in":1800,"expires_at":2111428800}}"#,
                Some(AT_MS),
            ),
            (
                r#"{"access_token_issued":"2036-11-27T20:00:00.000+00:00","refresh_token_issued":"2026-11-27T20:00:00","token_dictionary":{"access_token":"abc","expires_in":1800}}"#,
                Some(half_hour),
            ),
            (
                r#"{"access_token_issued":"2036-11-27T20:00:00","token_dictionary":{"access_token":"abc","expires_in":1800}}"#,
                Some(half_hour),
            ),
            (
                r#"{"access_token_issued":"2036-11-27 13:00:00-0700","token_dictionary":{"access_token":"abc","expires_in":"1800"}}"#,
                Some(half_hour),
            ),
            (
                r#"{"access_token":"abc","expires_at":2111428800.5}"#,
                Some(AT_MS + 500),
            ),
            (
                r#"{"access_token":"abc","expires_at":2111428800000}"#,
                Some(AT_MS),
            ),
            (
                r#"{"access_token":"abc","expires_at":"2111428800"}"#,
                Some(AT_MS),
            ),
            (
                r#"{"access_token":"abc","expires_at":"2036-11-27T20:00:00Z","obtained_at":"2026-11-27T22:30:00Z"}"#,
                Some(AT_MS),
            ),
            (
                r#"{"access_token":"abc","expires_at":"2036-11-27 20:00:00"}"#,
                Some(AT_MS),
            ),
            (
                r#"{"access_token":"abc","expires_at":"2036-11-27T15:00:00-05:00"}"#,
                Some(AT_MS),
            ),
            (
                r#"{"access_token":"abc","expires":"Thu, 27 Nov 2036 20:00:00 GMT"}"#,
                Some(AT_MS),
            ),
            (
                r#"{"access_token":"abc","expires_in":1800,"obtained_at":2111428800.0}"#,
                Some(half_hour),
            ),
            (
                r#"{"refresh":"r","refresh_expires_in":"2036-12-04T00:00:00Z","access":"abc","access_expires_in":"2036-11-27T20:00:00Z"}"#,
                Some(AT_MS),
            ),
            (
                r#"{"schwab":{"accessToken":"abc","expiresAt":2111428800000}}"#,
                Some(AT_MS),
            ),
            (r#"{"access_token":"abc","expires_in":1800}"#, None),
            (
                r#"{"creation_timestamp":1771590000,"token":{"access_token":"abc","expires_in":1800}}"#,
                None,
            ),
            (r#"{"access_token":"abc","expires_at":NaN}"#, None),
            (r#"{"access_token":"abc","expires_at":"soon"}"#, None),
            (r#"{"access_token":"abc"}"#, None),
        ] {
            let held = read(text.as_bytes()).unwrap_or_else(|e| panic!("{e} {text}"));
            assert_eq!(
                (held.token, held.expires_ms),
                (Token("abc".into()), want),
                "{text}"
            );
        }
    }

    #[test]
    fn files_of_windows_tools_are_read() {
        let text = r#"{"token":{"access_token":"abc","expires_at":2111428800}}"#;
        let utf16: Vec<u8> = format!("\u{feff}{text}\r\n")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [
            format!("\u{feff}{text}").into_bytes(),
            utf16,
            format!("{text}\0\0").into_bytes(),
        ] {
            assert_eq!(read(&bytes).unwrap().expires_ms, Some(AT_MS), "{bytes:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_with_something_to_do_and_without_its_content() {
        let utf16: Vec<u8> =
            r#"{"access_token":"hu"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, why, remedy) in [
            (
                b"SQLite format 3\0hush".as_slice(),
                "Schwabdev 3 or 4",
                "schwab-generate-token.py",
            ),
            (
                br#"{"token":{"access_token":"enc:hush"}}"#,
                "encrypted",
                "schwabdev<3",
            ),
            (
                br#"{"token":{"refresh_token":"hush"}}"#,
                "no token.access_token",
                "schwab.token_file",
            ),
            (
                br#"{"token":{"access_token":"hu sh"}}"#,
                "characters",
                "write it anew",
            ),
            (br#"["hush"]"#, "no object", "schwab.token_file"),
            (
                br#"{"token":{"access_token":"hush"#,
                "not whole JSON",
                "write it anew",
            ),
            (&utf16, "UTF-16", "write it anew"),
        ] {
            let words = read(bytes).unwrap_err().to_string();
            assert!(words.contains(why) && words.contains(remedy), "{words}");
            assert!(
                !words.contains("hu sh") && !words.contains("hush"),
                "{words}"
            );
        }
        assert_eq!(format!("{:?}", Token("hush".into())), "Token(***)");
    }

    proptest! {
        #[test]
        fn no_file_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<f64>()) {
            let _ = read(&bytes);
            let _ = read(serde_json::json!({"access":"a","expires_at":at,"expires_in":at,"issued":at}).to_string().as_bytes());
        }
    }
}
