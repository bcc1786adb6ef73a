//! Numbers as models write them. Pure.

use serde_json::Value;

/// A finite number: `4.2`, `"$4.20"`, `"1,234.50"`, `"4,20"`, `"1.234,50 USD"`.
#[must_use]
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(n) => n.as_f64()?,
        Value::String(text) => decimal(text)?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A confidence in percent: `85`, `0.85`, `"85%"`, `"85/100"`, `"8.5/10"`, `"85 out of 100"`. Not clamped.
#[must_use]
pub fn percent(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => Some(of_fraction(n.as_f64()?, n.is_f64())),
        Value::String(text) => {
            let text = text.trim().to_ascii_lowercase();
            let text = text.trim_start_matches(['~', '≈']).trim();
            for part in ["out of", "of", "/"] {
                if let Some((n, all)) = text.split_once(part) {
                    let (n, all) = (decimal(n)?, decimal(all.trim_end_matches('%'))?);
                    return (all > 0.0).then(|| n / all * 100.0);
                }
            }
            for unit in ["%", "percent", "pct"] {
                if let Some(n) = text.strip_suffix(unit) {
                    return decimal(n);
                }
            }
            Some(of_fraction(decimal(text)?, text.contains(['.', ','])))
        }
        _ => None,
    }
}

/// Who writes 0.85 or 1.0 means a part of one; who writes 1 may not.
fn of_fraction(n: f64, is_written_with_decimals: bool) -> f64 {
    let is_fraction = (0.0 < n && n < 1.0) || (n == 1.0 && is_written_with_decimals);
    // Of 0.07 × 100 too much would be left behind the point.
    if is_fraction {
        (n * 1e6).round() / 1e4
    } else {
        n
    }
}

/// A number in text, with its currency and marks between thousands, in either custom.
fn decimal(text: &str) -> Option<f64> {
    let text = text
        .trim()
        .trim_start_matches(['$', '€', '£', '~', '≈'])
        .trim();
    let end = text.trim_end_matches(|c: char| c.is_alphabetic() || matches!(c, '$' | '€' | '£'));
    let text = if end.is_empty() { text } else { end.trim_end() };
    let is_plain =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',' | ' ' | '_' | '\'');
    if !text.contains(|c: char| c.is_ascii_digit()) || !text.chars().all(is_plain) {
        return None;
    }
    let (whole, rest) = match (text.rfind(','), text.rfind('.')) {
        (Some(comma), Some(dot)) => text.split_at(comma.max(dot)),
        (Some(comma), None) if !are_thousands(text, ',') => text.split_at(comma),
        (None, Some(dot)) => text.split_at(dot),
        _ => (text, ""),
    };
    let mark = whole
        .chars()
        .find(|c| !c.is_ascii_digit() && !matches!(c, '+' | '-'));
    if mark.is_some_and(|mark| !are_thousands(whole, mark)) {
        return None;
    }
    let mut plain: String = whole
        .chars()
        .filter(|c| c.is_ascii_digit() || matches!(c, '+' | '-'))
        .collect();
    if let Some(decimals) = rest.get(1..) {
        plain.push('.');
        plain.push_str(decimals);
    }
    plain.parse().ok()
}

/// Whether `mark` stands before every three digits from the end, and nowhere else.
fn are_thousands(text: &str, mark: char) -> bool {
    let mut groups = text.trim_start_matches(['+', '-']).split(mark);
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    let first = groups.next().unwrap_or("");
    (1..=3).contains(&first.len()) && digits(first) && groups.all(|g| g.len() == 3 && digits(g))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn prices_are_read_in_every_custom_and_nothing_is_guessed() {
        for (text, want) in [
            ("4.20", 4.2),
            ("$4.20", 4.2),
            ("1,234.50", 1234.5),
            ("1,234", 1234.0),
            ("1,234,567.5", 1_234_567.5),
            ("1.234,50 €", 1234.5),
            ("4,20", 4.2),
            ("$ 1 234.50", 1234.5),
            ("4.20 USD", 4.2),
            ("-0.5", -0.5),
            (".5", 0.5),
        ] {
            assert_eq!(number(&json!(text)), Some(want), "{text}");
        }
        for text in [
            "",
            "N/A",
            "none",
            "4.20-4.30",
            "4.20 to 4.30",
            "1,23,4",
            "1.2.3",
            "1,2345.6",
            "12/5",
            "NaN",
            "inf",
            "above 4",
            ".",
        ] {
            assert_eq!(number(&json!(text)), None, "{text}");
        }
        assert_eq!(
            [json!(null), json!([4]), json!(true)]
                .iter()
                .find_map(number),
            None
        );
    }

    #[test]
    fn confidence_is_in_percent_however_it_is_written() {
        for (value, want) in [
            (json!(85), 85.0),
            (json!(0.85), 85.0),
            (json!(0.07), 7.0),
            (json!(1.0), 100.0),
            (json!(1), 1.0),
            (json!(0), 0.0),
            (json!(72.5), 72.5),
            (json!("85"), 85.0),
            (json!("0.85"), 85.0),
            (json!("0,85"), 85.0),
            (json!("85%"), 85.0),
            (json!("~ 85 %"), 85.0),
            (json!("85 percent"), 85.0),
            (json!("0.5%"), 0.5),
            (json!("85/100"), 85.0),
            (json!("8.5/10"), 85.0),
            (json!("85 out of 100"), 85.0),
            (json!("7 of 10"), 70.0),
        ] {
            assert_eq!(percent(&value), Some(want), "{value}");
        }
        for value in [
            json!("high"),
            json!(null),
            json!("5/0"),
            json!(""),
            json!({"value": 5}),
            json!("%"),
        ] {
            assert_eq!(percent(&value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_finite(text in "[-+$€0-9,. '_%/a-f]{0,12}") {
            let value = json!(text);
            prop_assert!(number(&value).is_none_or(f64::is_finite));
            let _ = percent(&value);
        }

        #[test]
        fn what_is_plain_is_read_as_it_is(n in 0_u32..10_000_000) {
            let plain = f64::from(n) / 100.0;
            prop_assert_eq!(number(&json!(format!("{plain:.2}"))), Some(plain));
        }
    }
}
