//! A prompt's template: text with places, in the notation of Python's `str.format`. Pure.
//!
//! | written | means |
//! |---|---|
//! | `{price}` | the place's value in its usual form |
//! | `{price:.2f}`, `{volume_ratio:,}`, `{gap_percent:+.1f}`, `{symbol:>6}` | the same in this form |
//! | `{{` and `}}` | a brace |
//! | `{` before anything but a name | a brace: JSON in a plain text needs no doubling |
//!
//! A form is `[[fill]align][+][0][width][,][.precision][f | d | % | s]`.

use std::fmt::Write;

use crate::config::nearest;

use super::places::{Kind, PLACES, PromptInputs, Value};
use super::words::NOT_AVAILABLE;

/// The longest piece put into a prompt, in characters.
const PIECE_CHARS_MAX: usize = 4_000;

/// The longest name of a place that is looked for.
const NAME_CHARS_MAX: usize = 64;

/// How wide a form may make a value.
const WIDTH_MAX: usize = 200;

/// A template whose places are all known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place { nth: usize, form: Form },
}

/// How a value is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Form {
    fill: Option<char>,
    align: Option<char>,
    plus: bool,
    width: usize,
    comma: bool,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Template {
    /// Takes a template apart.
    ///
    /// # Errors
    /// Every place that is unknown or has a form that it cannot have, in one sentence each.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut faults: Vec<String> = Vec::new();
        // Doubled braces that are open: only these end with a doubled one.
        let mut open = 0_u32;
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{") {
                plain.push('{');
                open += 1;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("}}").filter(|_| open > 0) {
                plain.push('}');
                open -= 1;
                rest = after;
            } else if let Some((inner, after)) = place(rest) {
                match understood(inner) {
                    Ok(piece) => {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                        pieces.push(piece);
                    }
                    Err(fault) if !faults.contains(&fault) => faults.push(fault),
                    Err(_) => {}
                }
                rest = after;
            } else {
                plain.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        if faults.is_empty() {
            return Ok(Self { pieces });
        }
        let known: Vec<&str> = PLACES.iter().map(|p| p.name).collect();
        Err(format!(
            "{}. Write {{{{ for a brace that is meant as one. The places are: {}",
            faults.join("; "),
            known.join(", ")
        ))
    }

    /// Whether it has this place.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.pieces
            .iter()
            .any(|p| matches!(p, Piece::Place { nth, .. } if PLACES[*nth].name == name))
    }

    /// Fills the places, each once: braces in the data are data. What cannot be had is said so, and named
    /// again at the end.
    #[must_use]
    pub fn render(&self, inputs: &PromptInputs<'_>) -> String {
        let mut out = String::new();
        let mut missing: Vec<&str> = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Place { nth, form } => match (PLACES[*nth].value)(inputs) {
                    Some(value) => out.extend(form.write(&value).chars().take(PIECE_CHARS_MAX)),
                    None => {
                        out.push_str(NOT_AVAILABLE);
                        if !missing.contains(&PLACES[*nth].name) {
                            missing.push(PLACES[*nth].name);
                        }
                    }
                },
            }
        }
        if !missing.is_empty() {
            let _ = write!(
                out,
                "\n\nThese values are not available now: {}. Judge without them, do not guess them, and name the lack of one that matters in key_concern.\n",
                missing.join(", ")
            );
        }
        out
    }
}

/// What stands between a brace before a name and the next one; and what comes after.
fn place(rest: &str) -> Option<(&str, &str)> {
    let inner = &rest.strip_prefix('{')?;
    let is_name = inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = inner.find(['}', '{', '\n'])?;
    let is_closed = inner[end..].starts_with('}');
    (is_name && is_closed && end <= NAME_CHARS_MAX).then(|| (&inner[..end], &inner[end + 1..]))
}

fn understood(inner: &str) -> Result<Piece, String> {
    let (name, form) = inner.split_once(':').unwrap_or((inner, ""));
    let Some(nth) = PLACES.iter().position(|p| p.name == name) else {
        let near = nearest(name, PLACES.iter().map(|p| p.name))
            .map(|n| format!(", did you mean {{{n}}}?"))
            .unwrap_or_default();
        return Err(format!("there is no place {{{name}}}{near}"));
    };
    let kind = PLACES[nth].kind;
    let form = Form::parse(form).filter(|f| f.fits(kind)).ok_or_else(|| {
        let (what, such) = match kind {
            Kind::Text => ("a text", ">8"),
            Kind::Number => ("a number", ".2f or ,"),
        };
        format!("{{{inner}}} has the form {form:?}, and {name} is {what}: use one such as {such}")
    })?;
    Ok(Piece::Place { nth, form })
}

impl Form {
    fn parse(text: &str) -> Option<Self> {
        let mut form = Self::default();
        let mut chars: Vec<char> = text.chars().collect();
        let is_align = |c: Option<&char>| c.is_some_and(|c| matches!(c, '<' | '>' | '^'));
        if is_align(chars.get(1)) {
            form.fill = Some(chars.remove(0));
        }
        if is_align(chars.first()) {
            form.align = Some(chars.remove(0));
        }
        let rest: String = chars.into_iter().collect();
        let mut rest = rest.as_str();
        let mut take = |c: char| match rest.strip_prefix(c) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        };
        form.plus = take('+');
        // What a number has without a plus.
        let _minus = take('-');
        if take('0') {
            form.fill.get_or_insert('0');
        }
        let (width, rest) = digits(rest);
        form.width = width.unwrap_or(0);
        let after = rest.strip_prefix([',', '_']);
        form.comma = after.is_some();
        let rest = after.unwrap_or(rest);
        let rest = match rest.strip_prefix('.') {
            Some(after) => {
                let (precision, rest) = digits(after);
                form.precision = Some(precision?);
                rest
            }
            None => rest,
        };
        form.kind = rest.chars().next();
        let is_whole = rest.chars().count() <= 1
            && form.width <= WIDTH_MAX
            && form.precision.is_none_or(|p| p <= 12)
            && form.kind.is_none_or(|k| "fFd%sg".contains(k));
        is_whole.then_some(form)
    }

    fn fits(&self, kind: Kind) -> bool {
        match kind {
            Kind::Text => !self.plus && !self.comma && matches!(self.kind, None | Some('s')),
            Kind::Number => self.kind != Some('s'),
        }
    }

    fn write(&self, value: &Value) -> String {
        let text = match value {
            Value::Text(text) => match self.precision {
                Some(most) => text.chars().take(most).collect(),
                None => text.clone().into_owned(),
            },
            Value::Number { value, decimals } => self.number(*value, *decimals),
        };
        let width = text.chars().count();
        let pad = self.width.saturating_sub(width);
        let left = match (self.align, value) {
            (Some('<'), _) | (None, Value::Text(_)) => 0,
            (Some('^'), _) => pad / 2,
            _ => pad,
        };
        let fill = |n| std::iter::repeat_n(self.fill.unwrap_or(' '), n).collect::<String>();
        format!("{}{text}{}", fill(left), fill(pad - left))
    }

    fn number(&self, value: f64, decimals: usize) -> String {
        let (value, decimals, unit) = match self.kind {
            Some('d') => (value, 0, ""),
            Some('%') => (value * 100.0, self.precision.unwrap_or(6), "%"),
            Some('f' | 'F') => (value, self.precision.unwrap_or(6), ""),
            _ => (value, self.precision.unwrap_or(decimals), ""),
        };
        let mut text = format!("{:.decimals$}", value.abs());
        if self.comma {
            text = grouped(&text);
        }
        let is_zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
        let sign = match (value < 0.0 && !is_zero, self.plus) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        format!("{sign}{text}{unit}")
    }
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    (text[..end].parse().ok(), &text[end..])
}

/// "1234567.5" → "1,234,567.5"
fn grouped(text: &str) -> String {
    let whole = text.find('.').unwrap_or(text.len());
    let mut out = String::with_capacity(text.len() + 4);
    for (n, c) in text[..whole].chars().enumerate() {
        if n > 0 && (whole - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out + &text[whole..]
}

#[cfg(test)]
mod tests {
    use super::super::places::testing::inputs;
    use super::*;
    use proptest::prelude::*;

    fn rendered(text: &str) -> String {
        inputs(|inputs| Template::parse(text).unwrap().render(inputs))
    }

    #[test]
    fn places_are_filled_in_the_form_that_is_asked_for() {
        for (text, want) in [
            ("{symbol}: ${price}", "TOYO: $4.50"),
            ("{price:.4f}", "4.5000"),
            ("{price:8.2f}|", "    4.50|"),
            ("{price:<8.2f}|", "4.50    |"),
            ("{price:08.2f}", "00004.50"),
            ("{gap_percent:+.1f}", "+40.5"),
            ("{float:,}", "1,234,567"),
            ("{float:,.1f}", "1,234,567.0"),
            ("{volume_ratio:.0f}x", "12x"),
            ("{minutes_since_open:d}", "17"),
            ("{symbol:>6}", "  TOYO"),
            ("{symbol:*^8}", "**TOYO**"),
            ("{symbol:.2}", "TO"),
        ] {
            assert_eq!(rendered(text), want, "{text}");
        }
    }

    #[test]
    fn braces_are_doubled_as_in_python_or_stand_before_what_is_no_name() {
        for (text, want) in [
            (r#"{{"a": {{"b": "{symbol}"}}}}"#, r#"{"a": {"b": "TOYO"}}"#),
            (r#"{"a": {"b": "{symbol}"}}"#, r#"{"a": {"b": "TOYO"}}"#),
            ("{{symbol}}", "{symbol}"),
            ("{\n}  {} {3} } {", "{\n}  {} {3} } {"),
        ] {
            assert_eq!(rendered(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_by_name_with_what_is_near_and_what_there_is() {
        let e = Template::parse("{symbol} {pric} {xyzzy} {pric} {price!r}").unwrap_err();
        assert!(e.contains("{pric}, did you mean {price}?"), "{e}");
        assert!(e.contains("{xyzzy}") && e.contains("{price!r}"), "{e}");
        assert_eq!(e.matches("{pric},").count(), 1, "each once: {e}");
        assert!(e.contains("The places are: symbol, price"), "{e}");
        for bad in [
            "{symbol:.2f}",
            "{symbol:,}",
            "{price:x}",
            "{price:s}",
            "{price:.f}",
        ] {
            let e = Template::parse(bad).unwrap_err();
            assert!(e.contains(bad) && e.contains("use one such as"), "{e}");
        }
    }

    #[test]
    fn what_cannot_be_had_is_said_in_its_place_and_at_the_end() {
        let said = rendered("VWAP ${vwap:.2f}, {ema9}, {vwap}");
        let (text, end) = said.split_once("\n\n").unwrap();
        assert_eq!(text, "VWAP $not available, not available, not available");
        assert!(end.contains("not available now: vwap, ema9."), "{end}");
    }

    #[test]
    fn braces_in_the_data_are_data() {
        let said = rendered("{watchlist_entry}");
        assert_eq!(said, r#"{"note":"{symbol}{quote}"}"#);
    }

    proptest! {
        #[test]
        fn no_template_makes_it_panic(text in "(\\{{0,2}(symbol|price|é|[a-z]{0,3})?(:[ -~é]{0,6})?\\}{0,2}|\\PC){0,12}") {
            if let Ok(template) = Template::parse(&text) {
                inputs(|inputs| template.render(inputs));
            }
        }
    }
}
