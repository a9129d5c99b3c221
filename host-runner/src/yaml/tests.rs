//! What kubectl 1.32 made of the same text is the expectation, wherever it has one.

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_oneof, proptest};
use serde_json::{Value, json};

use super::*;

fn one(text: &str) -> Value {
    let mut documents = read(text).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).value
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn plain_scalars_mean_what_kubectl_makes_of_them() {
    for (text, expected) in [
        ("y", "true"),
        ("n", "false"),
        ("yes", "true"),
        ("On", "true"),
        ("off", "false"),
        ("yEs", "\"yEs\""),
        ("~", "null"),
        ("Null", "null"),
        ("0644", "420"),
        ("0o7", "7"),
        ("-0644", "-420"),
        ("08", "8"),
        ("0x1F", "31"),
        ("0x_1", "1"),
        ("-0x1", "-1"),
        ("0b11", "3"),
        ("-0b11", "-3"),
        ("0b2", "\"0b2\""),
        ("1_000", "1000"),
        ("1__0", "10"),
        ("+12", "12"),
        ("++1", "\"++1\""),
        ("+-1", "\"+-1\""),
        (".5", "0.5"),
        ("+.5", "0.5"),
        ("-.5", "-0.5"),
        ("._5", "\"._5\""),
        ("5_0.1", "50.1"),
        (".7_3", "0.73"),
        (".7__3", "\".7__3\""),
        (".7_", "\".7_\""),
        (".7_e1", "\".7_e1\""),
        (".7e1_0", "0.7e+10"),
        ("1.", "1"),
        ("-0", "0"),
        (".", "\".\""),
        ("2001-01-01", "\"2001-01-01\""),
        ("1:30", "\"1:30\""),
        ("=", "\"=\""),
        ("10m", "\"10m\""),
        ("1.10", "1.10"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("'0644'", "\"0644\""),
        ("!!str 5", "\"5\""),
        ("!!int \"5\"", "5"),
    ] {
        assert_eq!(one(&format!("[{text}]")).to_string(), format!("[{expected}]"), "{text}");
    }
}

#[test]
fn exponents_stay_numbers() {
    for text in ["1e3", "1E-3", "1e400", "-1.5e+10"] {
        assert!(one(&format!("[{text}]"))[0].is_number(), "{text}");
    }
}

#[test]
fn keys_are_text() {
    assert_eq!(
        one("{1: a, 1.5: b, yes: c, 0x10: d, 1e3: e, '2': f}"),
        json!({"1": "a", "1.5": "b", "true": "c", "16": "d", "1000": "e", "2": "f"})
    );
}

#[test]
fn merge_keys_merge() {
    assert_eq!(one("a: &a {x: 1, w: 2}\nb: {<<: *a, x: 9}")["b"], json!({"x": 9, "w": 2}));
    assert_eq!(
        one("a: &a {x: 1, w: 2}\nb:\n  <<: [{x: 7, z: 7}, *a]\n  v: 1")["b"],
        json!({"x": 7, "z": 7, "w": 2, "v": 1})
    );
    assert_eq!(one("'<<': {a: 1}"), json!({"<<": {"a": 1}}));
}

#[test]
fn bytes_of_documents_leave_separators_and_comments_out() {
    let cases: [(&str, &[&str]); 14] = [
        ("a: 1\n", &["a: 1\n"]),
        ("a: 1", &["a: 1"]),
        ("# c\n---\n# d\na: 1 # e\n# f\n---\nb:\n- 2\n", &["a: 1 # e\n", "b:\n- 2\n"]),
        ("--- {a: 1}\n--- # c\nb: 2\n...\n", &["{a: 1}\n", "b: 2\n"]),
        ("---\n---\n\n---\na: 1\n---\n", &["a: 1\n"]),
        ("a: |+\n  x\n\n---\nb: >-\n  y\n# c\n", &["a: |+\n  x\n\n", "b: >-\n  y\n"]),
        ("a:\n---\nb:\n# c\n", &["a:\n", "b:\n"]),
        ("  a: 1\n  b: 2\n", &["  a: 1\n  b: 2\n"]),
        ("a: 1\r\n---\r\n# c\r\nb: 2\r\n", &["a: 1\r\n", "b: 2\r\n"]),
        ("\u{feff}a: 1\n", &["a: 1\n"]),
        ("---\na: ä\n---\nb: ö\n", &["a: ä\n", "b: ö\n"]),
        ("--- &x\na: 1\n", &["&x\na: 1\n"]),
        ("a: [1,\n  2]\n\n\n# end", &["a: [1,\n  2]\n"]),
        ("- &x a\n- *x\n--- 'b'\n", &["- &x a\n- *x\n", "'b'\n"]),
    ];
    for (text, expected) in cases {
        let found: Vec<&str> = read(text).unwrap().into_iter().map(|document| &text[document.range]).collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn nothing_is_no_document() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "---\n---\n...\n", "~\n", "\u{feff}"] {
        assert_eq!(read(text).unwrap().len(), 0, "{text:?}");
    }
}

#[test]
fn lines_of_documents_count_from_one() {
    let lines: Vec<u32> =
        read("# c\na: 1\n---\n\n# d\nb: 2\n--- {c: 3}\n").unwrap().into_iter().map(|document| document.line).collect();
    assert_eq!(lines, [2, 6, 7]);
}

#[test]
fn places_are_those_of_keys_and_items() {
    let text = "# c\nspec:\n  containers:\n  - name: a\n    a/b~c: {x: 1, w: [2]}\n  - b\n---\nz: 1\n";
    let documents = read_located(text).unwrap();
    for (pointer, place) in [
        ("", (2, 1)),
        ("/spec", (2, 1)),
        ("/spec/containers", (3, 3)),
        ("/spec/containers/0", (4, 5)),
        ("/spec/containers/0/name", (4, 5)),
        ("/spec/containers/0/name/not/there", (4, 5)),
        ("/spec/containers/0/a~1b~0c/w/0", (5, 23)),
        ("/spec/containers/1", (6, 5)),
        ("/spec/volumes", (2, 1)),
        ("/other", (2, 1)),
    ] {
        assert_eq!(documents[0].1.find(pointer), place, "{pointer}");
    }
    assert_eq!(documents[1].1.find("/z"), (8, 1));
}

#[test]
fn refusals_name_the_place() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: duplicate key `a`"),
        ("{x: {b: 1, 'b': 2}}", "line 1, column 12: duplicate key `b`"),
        ("a: .inf\n", "line 1, column 4: `.inf` has no JSON form"),
        ("a: !foo bar\n", "line 1, column 4: the tag `!foo` has no JSON form here"),
        ("a: !!int x\n", "line 1, column 10: expected int behind the tag, found `x`"),
        ("a: {{ .Values.x }}\n", "line 1, column 5: expected text as key, found an object"),
        ("~: 1\n", "line 1, column 1: expected text as key, found nothing"),
        ("a: &a [*a]\n", "line 1, column 8: the alias stands within its own anchor"),
        ("<<: 3\n", "line 1, column 1: expected an object or a list of objects behind `<<`"),
        (
            "a: &a {x: 1}\nb: {x: 2, <<: *a}\n",
            "line 2, column 11: `<<` would replace `x` when kubectl reads it, and keep it by the YAML rules",
        ),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
    for text in [
        "a: *nowhere",
        "a: [1",
        "a: 'x",
        "a: b: c",
        "a: \"\\q\"",
        "a\u{0}b: 1",
        "- a\nb: 1",
        "%YAML 1.1\n---\na: 1",
        "@",
    ] {
        assert!(refusal(text).starts_with("line 1") || refusal(text).starts_with("line 2"), "{text}");
    }
}

#[test]
fn depth_is_limited() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(read(&deep(MAX_DEPTH)).unwrap().len(), 1);
    assert_eq!(refusal(&deep(MAX_DEPTH + 1)), "line 1, column 121: nested deeper than 120 levels");
    for text in [deep(100_000), "- ".repeat(100_000), "? ".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(read(&text).is_err());
    }
}

#[test]
fn aliases_may_not_multiply() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..20 {
        let before = format!("*a{}", level - 1);
        let list = [before.as_str(); 9].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{list}]\n");
    }
    assert!(refusal(&bomb).contains("aliases multiply to more than 16 MiB"), "{}", refusal(&bomb));
}

#[test]
fn long_strings_are_read_and_written() {
    let text = "x".repeat(4 << 20);
    let value = json!({ text.as_str(): text });
    assert_eq!(one(&write(&value)), value);
}

#[test]
fn what_is_written_looks_like_kubectl() {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"app": "a", "on": "yes"}, "annotations": {}},
        "spec": {
            "containers": [
                {"name": "a", "args": ["--config=x", "-c", "a: b", "80", "0644", ""], "env": []},
                {"command": ["sh", "-c", "set -e\nexec x\n"], "cpu": "10m", "memory": "64Mi", "note": "a\n\n  b"},
            ],
            "nested": [[1, [2]], [], {}],
            "grace": null,
            "big": 123,
        }
    });
    let text = "\
apiVersion: v1
kind: Pod
metadata:
  labels:
    app: a
    \"on\": \"yes\"
  annotations: {}
spec:
  containers:
  - name: a
    args:
    - --config=x
    - -c
    - \"a: b\"
    - \"80\"
    - \"0644\"
    - \"\"
    env: []
  - command:
    - sh
    - -c
    - |
      set -e
      exec x
    cpu: 10m
    memory: 64Mi
    note: |-
      a

        b
  nested:
  - - 1
    - - 2
  - []
  - {}
  grace: null
  big: 123
";
    assert_eq!(write(&value), text);
    assert_eq!(one(text), value);
}

#[test]
fn strings_that_look_like_something_else_are_quoted() {
    for text in [
        "",
        " ",
        "y",
        "NO",
        "on",
        "~",
        "null",
        "1e3",
        "0644",
        "0o7",
        "0x1",
        "1_000",
        "1:30",
        "2001-01-01",
        "2024-01-01T00:00:00Z",
        "1.2.3",
        "-1",
        "+1",
        ".5",
        ".inf",
        "=",
        "<<",
        "- a",
        "-",
        "---",
        "...",
        "a: b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "'a'",
        "\"a\"",
        "[a]",
        "{a}",
        "a:",
        "a ",
        " a",
        "?",
        "? a",
        "a\tb",
        "a\r\nb",
        "\u{85}",
        "\u{2028}",
        "\u{feff}a",
        "\u{7f}",
        "\u{0}",
        "a\n ",
        " a\nb",
        "\na",
        "a\n\n",
        "\n",
    ] {
        let value = json!({"k": text, text: [text]});
        let written = write(&value);
        assert_eq!(one(&written), value, "{text:?}");
        assert!(written.starts_with("k: \""), "{text:?} is written plain: {written}");
    }
}

#[test]
fn numbers_keep_their_text() {
    for text in ["123456789012345678901234567890", "1.10", "0.1", "-5", "1.0"] {
        let value: Value = serde_json::from_str(&format!("{{\"k\":{text}}}")).unwrap();
        assert_eq!(write(&value), format!("k: {text}\n"));
        assert_eq!(one(&write(&value)), value);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[ -~]{0,12}", "[a-z\n \t#:-]{0,12}", "[0-9eExob_:.+-]{1,8}", any::<String>()];
    let leaf = prop_oneof![
        prop::strategy::Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in any_value()) {
        let document = json!({ "value": value });
        assert_eq!(one(&write(&document)), document);
    }

    #[test]
    fn no_text_panics(text in "[-a-z0-9 \n:{}\\[\\],&*!|>'\"%@?#~<.\t]{0,60}") {
        let _ = read_located(&text);
    }
}
