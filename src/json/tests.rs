use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read_value(bytes: &[u8]) -> (Value, Mended) {
    read(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn numbers_that_json_does_not_have_are_null_and_their_neighbours_stay() {
    let odd = [
        "NaN",
        "-NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "+Infinity",
        "inf",
        "-inf",
        "1e400",
        "-1e999",
        "1.#INF",
        "-1.#IND",
        "1.#QNAN",
    ];
    for word in odd {
        let text = format!(r#"{{"a":1.5,"b":{word},"c":[{word},"NaN, 1e400"]}}"#);
        let (value, mended) = read_value(text.as_bytes());
        assert_eq!(
            value,
            json!({"a":1.5,"b":null,"c":[null,"NaN, 1e400"]}),
            "{word}"
        );
        assert_eq!(
            (mended.numbers, mended.lost(), mended.form),
            (2, 2, 0),
            "{word}"
        );
        let passed = pass(text.as_bytes()).unwrap();
        assert_eq!((passed.kind, passed.mended), (Kind::Object, mended));
    }
}

#[test]
fn numbers_of_any_size_that_a_double_holds_are_kept_as_they_stand() {
    let text = r#"[123456789012345678901234567890,-18446744073709551617,1e-400,9007199254740993]"#;
    let passed = pass(text.as_bytes()).unwrap();
    assert_eq!(
        (&*passed.json, passed.mended),
        (text.as_bytes(), Mended::default())
    );
    assert_eq!(read_value(text.as_bytes()).0[3], 9_007_199_254_740_993_u64);
}

#[test]
fn half_a_character_is_replaced_and_whole_ones_stay() {
    let text = br#"{"a":"x \ud83d","b":"\udc00\ud83d\ude00 \ud83dA","c":"\\ud83d"}"#;
    let want = json!({"a":"x \u{fffd}","b":"\u{fffd}\u{1f600} \u{fffd}A","c":"\\ud83d"});
    let (value, mended) = read_value(text);
    assert_eq!((value, mended.surrogates), (want.clone(), 3));
    // serde_json's raw values let them pass, and clients would choke on them.
    let passed = pass(text).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&passed.json).unwrap(), want);
    assert_eq!(passed.mended.header().unwrap(), "surrogates=3");
}

#[test]
fn marks_utf16_padding_and_odd_blanks_are_read_past() {
    let text = r#"{"a":"é – 上","b":[1,2]}"#;
    let want: Value = serde_json::from_str(text).unwrap();
    let with = |before: &str, after: &str| format!("{before}{text}{after}").into_bytes();
    let forms = [
        with("\u{feff}", ""),
        with("\u{feff}\u{feff}", "\u{feff}\n"),
        with("\0\0", "\0\0\0\0"),
        with("\u{2028}\u{a0}", "\u{2029}\x0c\x1a"),
        utf16(text),
        utf16(&format!("\u{feff}{text}\r\n")),
        text.replace('é', "\u{feff}é").into_bytes(),
    ];
    for bytes in forms {
        let (value, mended) = read_value(&bytes);
        let got = value["a"].as_str().unwrap().replace('\u{feff}', "");
        assert_eq!(
            (got.as_str(), &value["b"]),
            ("é – 上", &want["b"]),
            "{bytes:?}"
        );
        assert_eq!(mended.lost(), 0, "{bytes:?}");
    }
}

#[test]
fn what_is_no_utf8_is_replaced_and_the_rest_of_it_kept() {
    // "José – 5 €" as Windows programs of the West write it.
    let (value, mended) = read_value(b"{\"a\":\"Jos\xe9 \x96 5 \x80\",\"b\":2}");
    assert_eq!(value, json!({"a":"Jos\u{fffd} \u{fffd} 5 \u{fffd}","b":2}));
    assert_eq!(mended.bytes, 3);
    // Halves of characters as bytes, which UTF-8 does not have either.
    let (value, _) = read_value(b"{\"a\":\"\xed\xa0\xbd\",\"b\":2}");
    assert_eq!(value["b"], 2);
}

#[test]
fn raw_characters_and_backslashes_in_strings_mean_themselves() {
    let text = "{\"a\":\"one\ntwo\tthree\0\u{1}\",\"b\":\"C:\\Users\\x\",\"c\":\"it\\'s\",\"d\":\"\u{2028}\\u12\"}";
    let (value, mended) = read_value(text.as_bytes());
    let want =
        json!({"a":"one\ntwo\tthree\0\u{1}","b":"C:\\Users\\x","c":"it's","d":"\u{2028}\\u12"});
    assert_eq!((value, mended.lost()), (want, 0));
}

#[test]
fn words_of_other_languages_mean_what_they_mean_there() {
    let (value, _) = read_value(br#"[True,False,None,undefined,+1,.5,5.,01,-.25]"#);
    assert_eq!(
        value,
        json!([true, false, null, null, 1.0, 0.5, 5.0, 1.0, -0.25])
    );
}

#[test]
fn a_value_nested_beyond_all_readers_is_null_and_its_neighbours_stay() {
    let deep = format!("{}\"]\"{}", "[".repeat(5_000), "]".repeat(5_000));
    let text = format!(r#"{{"a":{deep},"b":2}}"#);
    let (value, mended) = read_value(text.as_bytes());
    assert_eq!((&value["b"], mended.deep), (&json!(2), 1));
    assert!(serde_json::from_slice::<Value>(&pass(text.as_bytes()).unwrap().json).is_ok());
}

#[test]
fn what_is_no_json_stays_none_and_says_where() {
    let bad = [
        "",
        "hello",
        "<html>",
        "{\"a\":1",
        "{'a':1}",
        "{\"a\":1,}",
        "[1 2]",
        "{\"a\":NaNa}",
        "{\"a\":\"\\ud83d",
        "{a:1}",
    ];
    for text in bad {
        assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        assert!(pass(text.as_bytes()).is_err(), "{text}");
    }
    let words = read::<Value>(&utf16("{\"a\":1,\"b\":"))
        .unwrap_err()
        .to_string();
    assert!(words.contains("UTF-16") && words.contains("EOF"), "{words}");
}

#[test]
fn models_may_write_more_loosely() {
    for (text, want) in [
        (r#"{"a":1,"b":[1,2,],}"#, json!({"a":1,"b":[1,2]})),
        (
            r#"{'a':'it's "so"','b':2}"#,
            json!({"a":"it's \"so\"","b":2}),
        ),
        (
            "{a: buy, 'b': 1,234.50, c: $4.20} ",
            json!({"a":"buy","b":1234.5,"c":"$4.20"}),
        ),
        (
            "{\"a\":85%, // sure\n \"b\":85/100 /* of it */, \"c\":[1,200]}",
            json!({"a":"85%","b":"85/100","c":[1,200]}),
        ),
        ("{“a”: “b”}", json!({"a":"b"})),
    ] {
        let (value, _) = read_by::<Value>(Rules::Models, text.as_bytes())
            .unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(value, want, "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 64.0)),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\\\\\"'NaInfty,:{}\u{feff}\u{2028}\u{0}-\u{1f}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z\"\\\\']{0,4}", inner), 0..6)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// A document of values, some of them damaged; and it as it should be read.
fn damaged() -> impl Strategy<Value = (Vec<u8>, Value)> {
    let value = prop_oneof![
        any_json().prop_map(|v| (v.to_string().into_bytes(), v)),
        prop::sample::select(vec!["NaN", "-Infinity", "1e999", "1.#IND"])
            .prop_map(|word| (word.as_bytes().to_vec(), Value::Null)),
        Just((br#""a\ud83d""#.to_vec(), json!("a\u{fffd}"))),
        Just((b"\"\xe9\"".to_vec(), json!("\u{fffd}"))),
        Just((b"\"\n\t\x01\"".to_vec(), json!("\n\t\u{1}"))),
    ];
    let blank = prop::sample::select(vec!["", " ", "\r\n", "\u{feff}", "\u{2028}", "\u{a0}"]);
    prop::collection::vec((value, blank), 0..6).prop_map(|all| {
        let mut bytes = b"[".to_vec();
        let mut values = Vec::new();
        for (n, ((raw, value), blank)) in all.into_iter().enumerate() {
            bytes.extend_from_slice(if n > 0 { b"," } else { b"" });
            bytes.extend_from_slice(blank.as_bytes());
            bytes.extend_from_slice(&raw);
            values.push(value);
        }
        bytes.push(b']');
        (bytes, Value::from(values))
    })
}

proptest! {
    #[test]
    fn sound_json_is_never_changed(value in any_json(), is_pretty: bool) {
        let text = if is_pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        for rules in [Rules::Programs, Rules::Models] {
            let (mended, what) = mend(&text, rules);
            prop_assert_eq!(&mended, &text);
            prop_assert!(what.is_none());
        }
        let passed = pass(text.as_bytes()).unwrap();
        prop_assert_eq!(&*passed.json, text.as_bytes());
    }

    #[test]
    fn damaged_json_is_read_and_passed_on_as_what_is_well_in_it((bytes, want) in damaged()) {
        let (value, mended) = read_value(&bytes);
        prop_assert_eq!(&value, &want);
        let passed = pass(&bytes).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<Value>(&passed.json).unwrap(), &want);
        prop_assert_eq!(passed.mended, mended);
    }

    #[test]
    fn mending_twice_is_mending_once(text in "([\\[\\]{},:\"'\\\\ u]|\\\\u[d89]{4}|NaN|1e999|-?[0-9]{1,3}|\u{feff}|\u{0}|//|[a-z]{1,3}){0,30}") {
        for rules in [Rules::Programs, Rules::Models] {
            let (once, _) = mend(&text, rules);
            let (twice, _) = mend(&once, rules);
            // Where it parses; what is no JSON may be read otherwise the second time.
            if serde_json::from_str::<Value>(&once).is_ok() {
                prop_assert_eq!(&twice, &once);
            }
        }
    }

    #[test]
    fn whatever_comes_what_is_passed_on_is_sound(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(passed) = pass(&bytes) {
            prop_assert!(serde_json::from_slice::<Value>(&passed.json).is_ok());
        }
    }
}
