//! The file that a prompt is read from: YAML with `system_prompt` and `user_prompt_template`, or a plain
//! text that is the template. Pure.
//!
//! In YAML the two stand at the top or in the section `validation`; everything else in the file is left
//! alone. Only the template has places: the system prompt goes to the model as it is.

use std::path::Path;

use serde::Deserialize;

use super::template::Template;

/// The template in the binary.
pub const BUILT_IN: &str = include_str!("prompt.txt");

/// What the model is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Who it is to be; none leaves the model's own.
    pub system: Option<String>,
    /// The question.
    pub template: Template,
}

#[derive(Deserialize)]
struct Yaml {
    #[serde(default)]
    validation: Option<Section>,
    #[serde(flatten)]
    top: Section,
}

#[derive(Default, Deserialize)]
struct Section {
    #[serde(default)]
    system_prompt: Option<String>,
    #[serde(default)]
    user_prompt_template: Option<String>,
}

impl Prompt {
    /// Understands a file by its name's ending (`.yaml`, `.yml`, or anything else for a plain text).
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn parse(path: &Path, text: &str) -> Result<Self, String> {
        // Windows tools put one before a text.
        let text = text.trim_start_matches('\u{feff}');
        let is_yaml = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
        let (system, template) = if is_yaml {
            let yaml: Yaml = serde_saphyr::from_str(text)
                .map_err(|e| format!("it is not YAML of the right form: {e}"))?;
            let section = yaml.validation.unwrap_or_default();
            let template = yaml
                .top
                .user_prompt_template
                .or(section.user_prompt_template);
            let template = template.ok_or("it has no user_prompt_template")?;
            (yaml.top.system_prompt.or(section.system_prompt), template)
        } else {
            (None, text.to_owned())
        };
        let template = Template::parse(&template)?;
        if !template.has("symbol") {
            return Err("its template has no {symbol} in it".to_owned());
        }
        Ok(Self { system, template })
    }

    /// The one in the binary.
    ///
    /// # Errors
    /// None; a test holds it.
    pub fn built_in() -> Result<Self, String> {
        Self::parse(Path::new("prompt.txt"), BUILT_IN)
    }
}

#[cfg(test)]
mod tests {
    use super::super::places::testing::inputs;
    use super::*;

    #[test]
    fn the_built_in_prompt_has_no_fault_and_asks_for_json() {
        let prompt = Prompt::built_in().unwrap();
        let said = inputs(|i| prompt.template.render(i));
        assert!(said.contains("\n{\"signal\": \"buy\""), "{said}");
        for place in ["symbol", "watchlist_entry", "quote", "candles"] {
            assert!(prompt.template.has(place), "{place}");
        }
    }

    #[test]
    fn yaml_has_its_parts_at_the_top_or_in_a_section() {
        let sectioned = "validation:\n  system_prompt: |\n    Be {strict}.\n  json_schema: x\nuser_prompt_template: |\n  {symbol} at ${price}\nfallback:\n  reasoning:\n    - none\n";
        let flat = "system_prompt: \"Be {strict}.\\n\"\nuser_prompt_template: \"{symbol} at ${price}\\n\"\n";
        let yaml = |text| Prompt::parse(Path::new("p.YAML"), text);
        let prompt = yaml(sectioned).unwrap();
        assert_eq!(prompt.system.as_deref(), Some("Be {strict}.\n"));
        let said = inputs(|i| prompt.template.render(i));
        assert_eq!(said, "TOYO at $4.50\n");
        assert_eq!(yaml(flat).unwrap(), prompt);
        assert_eq!(yaml(&format!("\u{feff}{flat}")).unwrap(), prompt);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_with_the_reason() {
        let refused = |name: &str, text: &str| Prompt::parse(Path::new(name), text).unwrap_err();
        for (name, text, why) in [
            ("p.yaml", "a: [", "not YAML"),
            ("p.yaml", "- a list", "not YAML"),
            ("p.yaml", "validation: {}", "no user_prompt_template"),
            (
                "p.yml",
                "user_prompt_template: '{symbol} {pricee}'",
                "{price}",
            ),
            ("p.txt", "no place", "{symbol}"),
            ("p.txt", "{symbol} {nothing_such}", "{nothing_such}"),
        ] {
            let said = refused(name, text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
