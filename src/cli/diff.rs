//! What changed between two reports (their JSON form): threads that came, went, or stand elsewhere. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::json;

/// One line for each difference.
///
/// # Errors
/// When one of them is no report.
pub fn diff(before: &str, after: &str) -> Result<String, String> {
    let (before, after) = (threads(before)?, threads(after)?);
    let mut out = String::new();
    for (key, was) in &before {
        match after.get(key) {
            None => {
                let _ = writeln!(out, "- {} ({}): gone; it was {was}", key.0, key.1);
            }
            Some(is) if is != was => {
                let _ = writeln!(out, "~ {} ({})\n    was {was}\n    is  {is}", key.0, key.1);
            }
            Some(_) => {}
        }
    }
    for (key, is) in &after {
        if !before.contains_key(key) {
            let _ = writeln!(out, "+ {} ({}): new; {is}", key.0, key.1);
        }
    }
    if out.is_empty() {
        out.push_str("no thread came, went or moved\n");
    }
    Ok(out)
}

/// By name and number: state, pace and innermost own function, or where the kernel holds it.
fn threads(report: &str) -> Result<BTreeMap<(String, u64), String>, String> {
    let report: Value = json::own_text(report).map_err(|e| {
        format!(
            "this is no report in JSON ({e}); use the .json file of a report, or dump --format json"
        )
    })?;
    let list = report["dump"]
        .as_array()
        .ok_or("there are no threads in this report")?;
    Ok(list
        .iter()
        .map(|t| {
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            let own = t["frames"].as_array().into_iter().flatten().find_map(|f| {
                let function = f["function"].as_str()?;
                function
                    .contains("tapewarden::")
                    .then(|| function.to_owned())
            });
            let at = own.unwrap_or_else(|| text(&t["waits"]));
            let state = text(&t["said"]["state"]);
            let key = (text(&t["name"]), t["tid"].as_u64().unwrap_or(0));
            (
                key,
                format!("{state} {} in {at}", text(&t["pace"]))
                    .trim()
                    .to_owned(),
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_came_went_or_moved_is_told() {
        let report = |threads: &[(&str, u64, &str)]| {
            let list: Vec<Value> = threads
                .iter()
                .map(|(name, tid, function)| json!({"name": name, "tid": tid, "pace": "blocked", "frames": [{"function": function}]}))
                .collect();
            json!({ "dump": list }).to_string()
        };
        let before = report(&[("a", 1, "tapewarden::x"), ("b", 2, "tapewarden::x")]);
        let after = report(&[("a", 1, "tapewarden::y"), ("c", 3, "tapewarden::x")]);
        let text = diff(&before, &after).unwrap();
        for words in [
            "~ a (1)",
            "is  blocked in tapewarden::y",
            "- b (2): gone",
            "+ c (3): new",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert!(diff(&before, &before).unwrap().contains("no thread came"));
        assert!(diff("text", "{}").is_err());
    }
}
