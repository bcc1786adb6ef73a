//! The settings file: TOML, flattened to keys with the lines that they stand on. Pure.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::values::Raw;

/// What stands in a file.
pub type Given = BTreeMap<String, (Raw, usize)>;

/// Reads a file's text: each key with its value and its line.
///
/// # Errors
/// The line, where it is known, and what is wrong with it.
pub fn parse(text: &str) -> Result<Given, (Option<usize>, String)> {
    let table = DeTable::parse(text).map_err(|e| {
        let line = e.span().map(|span| line_of(text, span.start));
        (line, e.message().to_owned())
    })?;
    let mut given = Given::new();
    flatten(text, "", table.get_ref(), &mut given);
    Ok(given)
}

fn flatten(text: &str, prefix: &str, table: &DeTable<'_>, given: &mut Given) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(text, &format!("{key}."), inner, given);
        } else {
            let line = line_of(text, name.span().start);
            given.insert(key, (raw(value.get_ref()), line));
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    let other = Raw::Other(value.type_str());
    match value {
        DeValue::String(s) => Raw::Text(s.to_string()),
        DeValue::Boolean(b) => Raw::Bool(*b),
        DeValue::Integer(n) => {
            i64::from_str_radix(n.as_str(), n.radix()).map_or(other, Raw::Number)
        }
        DeValue::Float(n) => Raw::Decimal(n.as_str().to_owned()),
        DeValue::Array(list) => list
            .iter()
            .map(|v| v.get_ref().as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map_or(other, Raw::List),
        _ => other,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    1 + before.iter().filter(|b| **b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_flat_and_know_their_lines() {
        let given =
            parse("listen = \"x\"\n\n[gate]\n# hi\nhead_bytes_max = 9\nws.a = true\n").unwrap();
        assert_eq!(given["listen"], (Raw::Text("x".into()), 1));
        assert_eq!(given["gate.head_bytes_max"], (Raw::Number(9), 5));
        assert_eq!(given["gate.ws.a"], (Raw::Bool(true), 6));
        let (line, _) = parse("a = 1\nb = \n").unwrap_err();
        assert_eq!(line, Some(2));
        let (line, why) = parse("a = 1\na = 2\n").unwrap_err();
        assert_eq!(line, Some(2), "{why}");
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in "(\\PC{0,12}[=\\[\\]\n\"]){0,12}") {
            let _ = parse(&text);
        }
    }
}
