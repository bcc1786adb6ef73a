//! Request targets, taken apart. Pure.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The segments of a path, each percent-decoded by itself, so that `%2F` stays part of its segment.
/// Empty segments at the end are dropped. `None` when an escape is broken or is not UTF-8.
#[must_use]
pub fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let path = path.strip_prefix('/')?;
    path.trim_end_matches('/')
        .split('/')
        .map(percent_decode)
        .collect()
}

/// The first value of a query parameter, decoded. `None` when it is not there or its escapes are
/// broken.
#[must_use]
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if query_decode(key)?.as_ref() == name {
            query_decode(value)
        } else {
            None
        }
    })
}

/// What the escapes stand for. The library leaves a broken one as it is; here it makes the whole text unusable.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// As [`percent_decode`], of a part of a query, where `+` is a blank.
fn query_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return percent_decode(text);
    }
    percent_decode(&text.replace('+', " ")).map(|text| Cow::Owned(text.into_owned()))
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
        for bad in ["/a%2", "/a%zz", "/a%+f", "/%", "/%%41", "/%ff", "no-slash"] {
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
            prop_assert_eq!(query_decode(&escaped).unwrap(), text);
        }
    }
}
