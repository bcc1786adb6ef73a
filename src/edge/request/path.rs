//! Request targets, taken apart. Pure.

use std::borrow::Cow;

/// The segments of a path, each percent-decoded by itself, so that `%2F` stays part of its segment.
/// Empty segments at the end are dropped. `None` when an escape is broken or is not UTF-8.
#[must_use]
pub fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let path = path.strip_prefix('/')?;
    path.trim_end_matches('/')
        .split('/')
        .map(|s| percent_decode(s, false))
        .collect()
}

/// The first value of a query parameter, decoded. `None` when it is not there or its escapes are
/// broken.
#[must_use]
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode(key, true)?.as_ref() == name {
            percent_decode(value, true)
        } else {
            None
        }
    })
}

fn percent_decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    let plain = |b: u8| b != b'%' && !(plus_is_space && b == b'+');
    if text.bytes().all(plain) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(b) = bytes.next() {
        match b {
            b'%' => {
                let hi = char::from(bytes.next()?).to_digit(16)?;
                let lo = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(hi * 16 + lo).ok()?);
            }
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_escaped_slash_stays_in_its_segment() {
        let got = segments("/api/quote/BRK%2FB").unwrap();
        assert_eq!(got, ["api", "quote", "BRK/B"]);
        assert_eq!(segments("/api/health/").unwrap(), ["api", "health"]);
    }

    #[test]
    fn broken_escapes_are_refused() {
        for bad in ["/a%2", "/a%zz", "/%ff", "no-slash"] {
            assert_eq!(segments(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_first_value_of_a_parameter_counts() {
        assert_eq!(
            query_value("timeframe=5m&timeframe=D", "timeframe").unwrap(),
            "5m"
        );
        assert_eq!(query_value("a=1&b", "b").unwrap(), "");
        assert_eq!(query_value("q=a+b%26c", "q").unwrap(), "a b&c");
        assert_eq!(query_value("a=1", "timeframe"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "/?.{0,80}", name in ".{0,8}") {
            let _ = segments(&text);
            let _ = query_value(&text, &name);
        }

        #[test]
        fn what_was_escaped_comes_back(text in ".{0,30}") {
            let escaped: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(percent_decode(&escaped, true).unwrap(), text);
        }
    }
}
