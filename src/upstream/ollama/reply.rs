//! From a model's text to the one object that is its verdict. Pure.
//!
//! Models think aloud before they answer, put words and fences around it, answer for each symbol, in a list,
//! one level down, and in nearly JSON.

use serde_json::{Map, Value};

use crate::json::{Depth, Rules, mend, read_by};
use crate::market::Symbol;

/// Objects in one text that are looked at; each start is one.
const OBJECTS_MAX: usize = 64;

/// How far below an object's surface a verdict is looked for.
const LEVELS_MAX: usize = 3;

/// The longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Tags between which models think.
const THOUGHTS: [&str; 4] = ["think", "thinking", "thought", "reasoning"];

/// The verdict in a model's text: the object with a `signal`.
///
/// # Errors
/// Why there is none, or not one.
pub fn verdict(text: &str, symbol: &Symbol) -> Result<Map<String, Value>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err("it is longer than a verdict can be".into());
    }
    let said = after_thoughts(text)?;
    // A whole answer as one JSON string.
    let unwrapped = read_by::<String>(Rules::Programs, said.trim().as_bytes()).ok();
    let said = unwrapped.as_ref().map_or(said, |(text, _)| text.as_str());
    let (objects, broken) = objects(said);
    let has_objects = !objects.is_empty();
    let mut verdicts = Vec::new();
    for object in objects {
        collect(Value::Object(object), None, 0, &mut verdicts);
    }
    if verdicts.len() > 1 {
        let is_ours = |name: &Option<String>| {
            let name = name.as_deref().unwrap_or("");
            symbol.is_written(name)
        };
        if verdicts.iter().any(|(name, _)| is_ours(name)) {
            verdicts.retain(|(name, _)| is_ours(name));
        }
        verdicts.dedup_by(|a, b| a.1 == b.1);
    }
    match verdicts.len() {
        1 => Ok(verdicts.swap_remove(0).1),
        0 if has_objects => Err("its signal is missing: none of buy, wait, no_trade".into()),
        0 => Err(match broken {
            Some(why) => format!("it is not JSON ({why})"),
            None => "there is no JSON object in it".into(),
        }),
        n => Err(format!("there are {n} different verdicts in it")),
    }
}

/// The text behind what the model thought.
fn after_thoughts(text: &str) -> Result<&str, String> {
    let mut said = text;
    for tag in THOUGHTS {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        // The beginning is often part of the prompt.
        if let Some(at) = find_last(said, &close) {
            said = &said[at + close.len()..];
        } else if said
            .trim_start()
            .get(..open.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(&open))
        {
            return Err("it was still thinking when its words ended".into());
        }
    }
    Ok(said)
}

fn find_last(text: &str, what: &str) -> Option<usize> {
    text.to_ascii_lowercase().rfind(what)
}

/// The objects in a text, outermost ones only, and what is wrong with the first that is none.
fn objects(text: &str) -> (Vec<Map<String, Value>>, Option<String>) {
    let (mut objects, mut broken) = (Vec::new(), None);
    let mut at = 0;
    for _ in 0..OBJECTS_MAX {
        let Some(start) = text[at..].find('{') else {
            break;
        };
        at += start;
        match object(&text[at..]) {
            Ok((object, length)) => {
                objects.push(object);
                at += length;
            }
            Err(why) => {
                broken.get_or_insert(why);
                at += 1;
            }
        }
    }
    (objects, broken)
}

/// The object at the beginning of a text, and its length.
fn object(text: &str) -> Result<(Map<String, Value>, usize), String> {
    if let Some(end) = Depth::default().end(text.as_bytes())
        && let Ok((object, _)) = read_by(Rules::Models, &text.as_bytes()[..end])
    {
        return Ok((object, end));
    }
    // Brackets within single quotes are seen once those are double; what is behind the object, then too.
    let (mended, _) = mend(text, Rules::Models);
    #[expect(clippy::disallowed_types, reason = "what is mended already")]
    let mut stream = serde_json::Deserializer::from_str(&mended).into_iter();
    match stream.next() {
        Some(Ok(object)) => Ok((object, text.len())),
        Some(Err(e)) => Err(e.to_string()),
        None => Err("it is empty".into()),
    }
}

/// Every verdict in a value, with the name under which it stands.
fn collect(
    value: Value,
    name: Option<String>,
    level: usize,
    found: &mut Vec<(Option<String>, Map<String, Value>)>,
) {
    match value {
        Value::Object(map) if field(&map, "signal").is_some() => {
            let own = field(&map, "symbol").and_then(Value::as_str);
            let name = own.map(str::to_owned).or(name);
            found.push((name, map));
        }
        Value::Object(map) if level < LEVELS_MAX => {
            for (key, value) in map {
                collect(value, Some(key), level + 1, found);
            }
        }
        Value::Array(list) if level < LEVELS_MAX => {
            for value in list {
                collect(value, name.clone(), level + 1, found);
            }
        }
        _ => {}
    }
}

/// A field, however its name is written: `entry_price`, `Entry Price`, `entryPrice`.
#[must_use]
pub fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| {
        let wanted = bare(name);
        let mut fields = map.iter();
        fields.find_map(|(key, value)| (bare(key) == wanted).then_some(value))
    })
}

/// A word's letters and digits, in small ones.
#[must_use]
pub fn bare(word: &str) -> String {
    let letters = word.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Result<i64, String> {
        verdict(text, &"TOYO".parse().unwrap()).map(|v| v["n"].as_i64().unwrap())
    }

    #[test]
    fn the_verdict_is_found_wherever_it_stands() {
        let v = r#"{"signal":"wait","n":7}"#;
        for text in [
            v.to_owned(),
            format!("Sure! {{entry}} is a limit.\n```json\n{v}\n```\nNote: {{stop}} holds."),
            format!(
                "<think>\nWeigh {{entry, stop}}: {{\"signal\":\"buy\",\"n\":1}}\n</think>\n\n{v}"
            ),
            format!("so {{x}} it is</think>{v}"),
            format!("<THINK>{{</THINK>{v}"),
            format!("[{v}]"),
            format!("{{\"TOYO\":{v}}}"),
            format!("{{\"verdict\":{v},\"model\":\"x\"}}"),
            format!("{{\"response\":{{\"verdict\":[{v}]}}}}"),
            format!("{v}\n{{\"note\":1}}"),
            format!("{{\"note\":1}}{v}{v}"),
            format!("{{\"ELPW\":{{\"signal\":\"buy\",\"n\":1}},\"toyo\":{v}}}"),
            r#"[{"symbol":"ELPW","signal":"buy","n":1},{"symbol":"TOYO","signal":"wait","n":7}]"#
                .to_owned(),
            serde_json::Value::from(v).to_string(),
            "{'signal':'wait','why':'a } in it','n':7,} and so on".to_owned(),
            "{\"signal\":\"wait\", // sure\n n: 7}".to_owned(),
            "{“signal”: “wait”, “n”: 7}".to_owned(),
            "{\"Signal\":\"wait\",\"n\":7,\"why\":\"it\\'s \\$5\\%\"}".to_owned(),
        ] {
            assert_eq!(found(&text), Ok(7), "{text}");
        }
    }

    #[test]
    fn what_is_none_or_not_one_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "no JSON object"),
            ("I would buy.", "no JSON object"),
            ("<think>\nhm {\"signal\":\"buy\",\"n\":1}", "still thinking"),
            (
                "<think>{\"signal\":\"buy\",\"n\":1}</think>",
                "no JSON object",
            ),
            ("{\"signal\":\"buy\",\"n\":1", "not JSON (EOF"),
            ("{\"n\":1}", "signal is missing"),
            (
                "{\"signal\":\"buy\",\"n\":1} or {\"signal\":\"wait\",\"n\":2}",
                "2 different verdicts",
            ),
            (
                "{\"A\":{\"signal\":\"buy\",\"n\":1},\"B\":{\"signal\":\"wait\",\"n\":2}}",
                "2 different verdicts",
            ),
        ] {
            let got = found(text).unwrap_err();
            assert!(got.contains(why), "{text}: {got}");
        }
        assert!(found(&"{".repeat(TEXT_BYTES_MAX)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC{0,6}|<think>|</think>|\\{|\\}|\"signal\":|'|\"|,|\\[|\\]){0,20}") {
            let _ = verdict(&text, &"TOYO".parse().unwrap());
        }
    }
}
