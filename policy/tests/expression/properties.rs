//! What holds for every source and every value.

use fedcar_policy::expression::quantity::Quantity;
use fedcar_policy::expression::template::Template;
use fedcar_policy::expression::{Budget, Expression};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Names;

/// Sources from pieces of the language, so that many of them are understood.
fn source() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1"),
        Just("-9223372036854775808"),
        Just("0u"),
        Just("1.5"),
        Just("'é$'"),
        Just("null"),
        Just("true"),
        Just("x"),
        Just("x.a"),
        Just("x.?b"),
        Just("[]"),
        Just("{}"),
        Just("x.list"),
        Just("quantity('1Gi')"),
        Just("double('NaN')"),
        Just("1e308"),
        Just("18446744073709551615u"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("=="),
            Just("<"),
            Just(">="),
            Just("&&"),
            Just("||"),
            Just(" in "),
        ];
        let method = prop_oneof![
            Just("size"),
            Just("sort"),
            Just("min"),
            Just("sum"),
            Just("reverse"),
            Just("distinct"),
            Just("flatten"),
            Just("first"),
            Just("trim"),
            Just("value"),
            Just("sign"),
            Just("asInteger"),
            Just("join"),
            Just("isSorted"),
        ];
        let with_one = prop_oneof![
            Just("contains"),
            Just("split"),
            Just("substring"),
            Just("indexOf"),
            Just("lastIndexOf"),
            Just("charAt"),
            Just("add"),
            Just("sub"),
            Just("compareTo"),
            Just("orValue"),
            Just("join"),
            Just("flatten"),
            Just("merge"),
        ];
        let global = prop_oneof![
            Just("string"),
            Just("int"),
            Just("uint"),
            Just("double"),
            Just("bool"),
            Just("toJson"),
            Just("fromJson"),
            Just("size"),
            Just("math.greatest"),
            Just("lists.range"),
            Just("quantity"),
            Just("!"),
            Just("-"),
        ];
        let loops =
            prop_oneof![Just("map"), Just("filter"), Just("all"), Just("exists"), Just("exists_one"), Just("optMap"),];
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, operator, b)| format!("({a}{operator}{b})")),
            (inner.clone(), method).prop_map(|(a, name)| format!("{a}.{name}()")),
            (inner.clone(), with_one, inner.clone()).prop_map(|(a, name, b)| format!("{a}.{name}({b})")),
            (global, inner.clone()).prop_map(|(name, a)| format!("{name}({a})")),
            (inner.clone(), loops, inner.clone()).prop_map(|(a, name, b)| format!("{a}.{name}(x, {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            inner.prop_map(|a| format!("{{'k': {a}}}")),
        ]
    })
}

fn json_value(text: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text, inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn evaluate(source: &str, scope: &Value) -> Option<Value> {
    Expression::parse(source).ok()?.evaluate(&Names(scope), &mut Budget::new(10_000)).ok()?
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_text_is_answered(source in "\\PC*") {
        evaluate(&source, &json!({ "x": 1 }));
    }

    #[test]
    fn any_tokens_are_answered(tokens in prop::collection::vec(
        prop::sample::select(vec!["x", ".", ".?", "[", "[?", "]", "(", ")", "{", "}", ",", ":", "?", "+", "-", "!", "1",
            "'a'", "&&", "==", "in", "map", "has", "all", "true", "1u", "1.5", "`a`", "cel", "math", "bind", "orValue"]), 0..24)) {
        evaluate(&tokens.join(" "), &json!({ "x": { "a": [1] } }));
        evaluate(&tokens.concat(), &json!({ "x": { "a": [1] } }));
    }

    #[test]
    fn any_expression_is_answered_twice_the_same(source in source(), x in json_value("[a-c]")) {
        let scope = json!({ "x": { "a": x, "list": [1, 2.5, "s", null] } });
        prop_assert_eq!(evaluate(&source, &scope), evaluate(&source, &scope));
    }

    /// Folding what is known changes no value.
    #[test]
    fn folding_changes_nothing(source in source(), x in json_value("[a-c]")) {
        let scope = json!({ "x": { "a": x, "list": [1, 2.5, "s", null] } });
        let value = json!(["${ ".to_owned() + &source + " }"]);
        let nothing = json!({});
        if let Ok(open) = Template::compile(&value, &["x"], &Names(&nothing)) {
            let late = open.render(&Names(&scope), &mut Budget::new(1_000_000)).ok().flatten();
            let early = Template::compile(&value, &["x"], &Names(&scope)).ok().and_then(|template| template.constant().cloned());
            prop_assert_eq!(late, early);
        }
    }

    #[test]
    fn values_without_expressions_render_to_themselves(value in json_value("[a-z{}' .]{0,8}")) {
        let plain = without_special_items(value);
        let template = Template::compile(&plain, &[], &Names(&json!({}))).unwrap();
        prop_assert_eq!(template.constant(), Some(&plain));
        let rendered = template.render(&Names(&json!({})), &mut Budget::new(1_000_000)).unwrap();
        prop_assert_eq!(rendered.map(|value| value.to_string()), Some(plain.to_string()));
    }

    #[test]
    fn any_text_is_a_template_or_a_problem(text in "(\\$|\\{|\\}|[a-c.'\"]|\\PC){0,12}") {
        if let Ok(template) = Template::compile(&json!([text]), &["a"], &Names(&json!({}))) {
            template.render(&Names(&json!({ "a": { "b": 1 } })), &mut Budget::new(1000)).ok();
        }
    }

    #[test]
    fn quantities_are_total_and_canonical_forms_are_stable(text in "[+-]?[0-9]{0,30}\\.?[0-9]{0,30}([numkKMGTPE]i?|[eE][+-]?[0-9]{0,4}|\\PC{0,2})") {
        if let Ok(quantity) = Quantity::parse(&text) {
            let canonical = quantity.canonical();
            let again = Quantity::parse(&canonical);
            prop_assert_eq!(again, Ok(quantity));
            prop_assert_eq!(again.map(|quantity| quantity.canonical()), Ok(canonical));
            quantity.scale_percent(Quantity::from_units(1_000_000)).round_up_to_milli().checked_add(quantity.round_up_to_unit());
        }
    }
}

/// `when` and `forEach` mean something on list items.
fn without_special_items(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_special_items).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| ("k".to_owned() + &key, without_special_items(value))).collect()
        }
        other => other,
    }
}
