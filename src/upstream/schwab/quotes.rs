//! What Schwab's answer to a question for quotes says of each symbol that was asked for. Pure.
//!
//! The answer is a map by symbol. What is asked for by one name may come under another: a future's root
//! (`/ES`) under its active contract (`/ESZ26`), `BRK.B` under `BRK/B`.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::parse::read;
use crate::json::Mended;
use crate::market::Symbol;

/// The entry that names the symbols which Schwab does not know, inside a 200.
const ERRORS: &str = "errors";

/// What an answer says of one symbol.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Its `quote` object.
    Quote(Map<String, Value>),
    /// There is no such symbol: `errors` names it, or its entry has `QuoteError` in place of `quote`.
    Unknown,
    /// Its entry is not what an entry is.
    Unusable(String),
    /// Nothing that can be told from what is said of others: it must be asked for by itself.
    Nothing,
}

/// Where the list of quotes is not known it is tried again after this.
pub(super) const NO_LISTS_FOR: Duration = Duration::from_secs(600);

/// Whether `/quotes?symbols=` is known where quotes are asked for; some stand-ins know only
/// `/{symbol}/quotes`.
#[derive(Debug, Default)]
pub(super) struct ListForm {
    missing_until: Option<Instant>,
}

impl ListForm {
    pub(super) fn is_tried(&self, now: Instant) -> bool {
        self.missing_until.is_none_or(|until| now >= until)
    }

    pub(super) fn is_missing(&mut self, now: Instant) {
        self.missing_until = Some(now + NO_LISTS_FOR);
    }
}

/// What the answer says of these symbols, in their order, and what was mended in all of it. An entry is a
/// symbol's by its key, however that is written; by its `reference.product`, of a future's root; or because
/// it is the only one that is nobody else's. One symbol alone always has an answer.
///
/// # Errors
/// What is wrong with the answer as a whole.
pub fn quotes(body: &[u8], symbols: &[Symbol]) -> Result<(Vec<Said>, Mended), String> {
    let (value, mended): (Value, Mended) = read(body)?;
    let Value::Object(all) = value else {
        return Err("it is not an object by symbol".into());
    };
    let unknown = all.get(ERRORS).map(named).unwrap_or_default();
    let entries: Vec<(&String, &Value)> = all.iter().filter(|(key, _)| *key != ERRORS).collect();
    let by_key = index(&entries, |key, _| Some(key));
    let by_product = index(&entries, product);
    let mut nobodys: BTreeSet<usize> = (0..entries.len()).collect();
    let mut found: Vec<Option<Said>> = symbols
        .iter()
        .map(|symbol| {
            let own = by_key.get(symbol).copied().flatten();
            if own.is_none() && unknown.contains(symbol) {
                return Some(Said::Unknown);
            }
            let n = own.or_else(|| by_product.get(symbol).copied().flatten())?;
            nobodys.remove(&n);
            Some(said(entries[n].1))
        })
        .collect();
    nobodys.retain(|n| entries[*n].1.get("quote").is_some());
    let mut missing = found.iter_mut().filter(|said| said.is_none());
    if let (Some(one), None) = (missing.next(), missing.next())
        && let (Some(n), 1) = (nobodys.first(), nobodys.len())
    {
        *one = Some(said(entries[*n].1));
    }
    let otherwise = match symbols {
        [_] => Said::Unknown,
        _ => Said::Nothing,
    };
    let found = found.into_iter();
    let found = found.map(|said| said.unwrap_or_else(|| otherwise.clone()));
    Ok((found.collect(), mended))
}

/// Entries by what `name` makes of them; none where that is several's.
fn index<'a>(
    entries: &[(&'a String, &'a Value)],
    name: impl Fn(&'a str, &'a Value) -> Option<&'a str>,
) -> HashMap<Symbol, Option<usize>> {
    let mut index = HashMap::new();
    for (n, (key, entry)) in entries.iter().enumerate() {
        let name = name(key, entry).and_then(|name| name.parse::<Symbol>().ok());
        let Some(name) = name else { continue };
        index
            .entry(name)
            .and_modify(|several| *several = None)
            .or_insert(Some(n));
    }
    index
}

/// The root of a future, of its active contract.
fn product<'a>(key: &str, entry: &'a Value) -> Option<&'a str> {
    let reference = entry.get("reference")?;
    let active = reference.get("futureActiveSymbol").and_then(Value::as_str);
    let product = reference.get("product")?.as_str()?;
    active.is_none_or(|active| active == key).then_some(product)
}

/// The symbols in `invalidSymbols`, `invalidCusips`, `invalidSSIDs`.
fn named(errors: &Value) -> BTreeSet<Symbol> {
    let lists = errors.as_object().into_iter().flatten();
    lists
        .filter_map(|(_, list)| list.as_array())
        .flatten()
        .filter_map(|name| name.as_str()?.parse().ok())
        .collect()
}

fn said(entry: &Value) -> Said {
    match entry.get("quote") {
        Some(Value::Object(quote)) if !quote.is_empty() => Said::Quote(quote.clone()),
        Some(Value::Object(_) | Value::Null) | None => Said::Unknown,
        Some(_) => Said::Unusable("its quote is not an object".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|n| n.parse().unwrap()).collect()
    }

    fn read_of(body: &Value, names: &[&str]) -> Vec<Said> {
        quotes(body.to_string().as_bytes(), &symbols(names))
            .unwrap()
            .0
    }

    fn one(body: &Value, name: &str) -> Said {
        read_of(body, &[name]).remove(0)
    }

    fn price(price: f64) -> Said {
        let Value::Object(quote) = json!({ "lastPrice": price }) else {
            unreachable!("an object");
        };
        Said::Quote(quote)
    }

    fn entry(price: f64) -> Value {
        json!({"quote": {"lastPrice": price}})
    }

    #[test]
    fn an_unknown_symbol_is_told_inside_a_200_in_three_ways() {
        for body in [
            json!({"errors":{"invalidSymbols":["X"]}}),
            json!({"X":{"description":"QuoteError"}}),
            json!({"errors":{"invalidSymbols":["X"]}, "Y": entry(1.0)}),
            json!({"Y": entry(1.0), "Z": entry(2.0)}),
            json!({}),
        ] {
            assert_eq!(one(&body, "X"), Said::Unknown, "{body}");
        }
        assert!(quotes(b"[]", &symbols(&["X"])).is_err());
        let odd = json!({"X":{"quote":7}});
        assert!(matches!(one(&odd, "X"), Said::Unusable(_)));
    }

    #[test]
    fn a_quote_is_found_whatever_it_is_called() {
        let future =
            json!({"/ESZ26": {"quote": {"lastPrice": 1.5}, "reference": {"product": "/ES"}}});
        assert_eq!(one(&future, "/ES"), price(1.5));
        assert_eq!(one(&json!({"/ESZ26": entry(1.5)}), "/ES"), price(1.5));
        assert_eq!(one(&json!({"BRK/B": entry(1.5)}), "BRK.B"), price(1.5));
        let beside = json!({"errors": {"invalidSymbols": []}, "$SPX": entry(1.5)});
        assert_eq!(one(&beside, "$SPX.X"), price(1.5));
        let other = json!({"Y": entry(2.0), "brk/b": entry(1.5)});
        assert_eq!(one(&other, "BRK/B"), price(1.5));
        let option = json!({"Y": entry(2.0), "AMZN 230317C01360000": entry(1.5)});
        assert_eq!(one(&option, "AMZN  230317C01360000"), price(1.5));
        // A symbol of that name is not the list of errors.
        let errors = json!({"errors": {"invalidSymbols": ["X"]}, "ERRORS": entry(1.5)});
        assert_eq!(one(&errors, "ERRORS"), price(1.5));
    }

    #[test]
    fn each_of_several_has_its_own_and_what_cannot_be_told_is_asked_again() {
        let body = json!({
            "A": entry(1.0), "B": {"quote": 7}, "BRK/B": entry(4.0),
            "/ESZ26": {"quote": {"lastPrice": 2.0}, "reference": {"product": "/ES", "futureActiveSymbol": "/ESZ26"}},
            "/ESH27": {"quote": {"lastPrice": 9.0}, "reference": {"product": "/ES", "futureActiveSymbol": "/ESZ26"}},
            "errors": {"invalidSymbols": ["NOPE"]},
        });
        let got = read_of(
            &body,
            &["/ES", "NOPE", "A", "/ESZ26", "/ESH27", "B", "BRK.B"],
        );
        let quotes = [&got[0], &got[2], &got[3], &got[4], &got[6]];
        let want = [2.0, 1.0, 2.0, 9.0, 4.0].map(price);
        assert_eq!(quotes, want.each_ref());
        assert_eq!(got[1], Said::Unknown);
        assert!(matches!(got[5], Said::Unusable(_)));
        // Two names and two entries: nobody can say which is whose.
        let two = json!({"BRK/B": entry(1.0), "BF/B": entry(2.0)});
        assert_eq!(
            read_of(&two, &["BRK.B", "BF.B"]),
            [Said::Nothing, Said::Nothing]
        );
        // Both names are one symbol's: its entry is taken.
        let got = read_of(&json!({"BRK/B": entry(1.0)}), &["BRK/B", "BRK.B"]);
        assert_eq!(got, [price(1.0), Said::Nothing]);
    }

    #[test]
    fn what_is_odd_costs_that_alone_and_is_counted() {
        let body = br#"{"FIRE":{"quote":{"lastPrice":3.1,"netChange":NaN,"odd":[1]},"reference":{"description":"Fire Co \ud83d"}}}"#;
        let (got, mended) = quotes(body, &symbols(&["FIRE"])).unwrap();
        let Said::Quote(quote) = &got[0] else {
            panic!("{got:?}");
        };
        let want = json!({"lastPrice":3.1,"netChange":null,"odd":[1]});
        assert_eq!(Value::from(quote.clone()), want);
        assert_eq!(mended.header().unwrap(), "numbers=1, surrogates=1");
    }

    #[test]
    fn a_list_that_is_missing_is_tried_again_after_a_while() {
        let mut form = ListForm::default();
        let now = Instant::now();
        assert!(form.is_tried(now));
        form.is_missing(now);
        let again = now + NO_LISTS_FOR;
        assert!(!form.is_tried(again - Duration::from_secs(1)) && form.is_tried(again));
    }

    proptest! {
        #[test]
        fn every_symbol_has_its_own_in_any_order_beside_unknown_ones(
            names in prop::collection::btree_set("[A-Z]{1,4}(/[A-Z])?|/[A-Z]{2}[FGHZ]2[67]|[A-Z]{4}  2[67]0[1-9]1[0-9][CP]000[0-9]{5}", 1..20),
            known in prop::collection::vec(any::<bool>(), 20), turn in 0_usize..20
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let listed = |n: usize| known[n];
            let mut body = Map::new();
            for (n, name) in names.iter().enumerate().filter(|(n, _)| listed(*n)) {
                body.insert(name.clone(), entry(n as f64));
            }
            let unknown: Vec<&String> = (0..names.len()).filter(|n| !listed(*n)).map(|n| &names[n]).collect();
            body.insert("errors".into(), json!({ "invalidSymbols": unknown }));
            let mut order: Vec<usize> = (0..names.len()).collect();
            order.rotate_left(turn % names.len());
            let asked: Vec<&str> = order.iter().map(|n| names[*n].as_str()).collect();
            let got = read_of(&Value::Object(body), &asked);
            for (n, said) in order.into_iter().zip(got) {
                let want = if listed(n) { price(n as f64) } else { Said::Unknown };
                prop_assert_eq!(said, want);
            }
        }

        #[test]
        fn no_answer_panics_and_each_symbol_has_one_word(
            text in "\\PC{0,200}", keys in prop::collection::vec("[A-Z./]{1,4}|errors", 0..6), asked in 1_usize..4
        ) {
            let symbols = &symbols(&["A", "B/C", "/ES"])[..asked];
            let entries: Map<String, Value> = keys.into_iter().map(|k| (k, entry(1.0))).collect();
            for body in [text, Value::Object(entries).to_string()] {
                if let Ok((said, _)) = quotes(body.as_bytes(), symbols) {
                    prop_assert_eq!(said.len(), asked);
                    prop_assert!(asked > 1 || said[0] != Said::Nothing);
                }
            }
        }
    }
}
