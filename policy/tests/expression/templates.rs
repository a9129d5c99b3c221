//! Templates: what they compile to, what they render to, and what is wrong with them.

use fedcar_policy::expression::Budget;
use fedcar_policy::expression::template::{Condition, RenderError, Template, TemplateProblem};
use serde_json::{Value, json};

use super::{Names, cases, report, same, table};

/// The result in the words of the table: one of `constant`, `render`, `absent`, `error`, `problems`.
fn outcome(case: &Value) -> (&'static str, Value) {
    let nothing = json!({});
    let scope = case.get("scope").unwrap_or(&nothing);
    let names: Vec<&str> = match case.get("names") {
        Some(names) => names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect(),
        None => scope.as_object().unwrap().keys().map(String::as_str).collect(),
    };
    let known = Names(case.get("known").unwrap_or(&nothing));
    let template = match Template::compile(&case["template"], &names, &known) {
        Ok(template) => template,
        Err(problems) => return ("problems", problems.into_iter().map(problem).collect()),
    };
    if let Some(value) = template.constant() {
        return ("constant", value.clone());
    }
    match template.render(&Names(scope), &mut Budget::new(100_000)) {
        Ok(Some(value)) => ("render", value),
        Ok(None) => ("absent", json!(true)),
        Err(RenderError { path, message, expression, offset }) => ("error", json!([path, message, expression, offset])),
    }
}

fn problem(TemplateProblem { path, message, hint }: TemplateProblem) -> Value {
    json!({ "path": path, "message": message, "hint": hint })
}

#[test]
fn templates_hold() {
    let table = table("templates.json");
    let mut failures = Vec::new();
    let mut checked = 0;
    for (name, case) in cases(&table) {
        checked += 1;
        let (kind, found) = outcome(case);
        if !case.get(kind).is_some_and(|wanted| same(wanted, &found)) {
            failures.push(format!("{name}: {kind} {found}"));
        }
    }
    report(&failures, checked);
}

#[test]
fn numbers_keep_their_text() {
    let scope: Value =
        serde_json::from_str(r#"{"x": {"a": 1.50, "b": 1e400, "c": 123456789012345678901234567890}}"#).unwrap();
    let template = Template::compile(&json!({ "all": "${x}", "one": "${x.a}" }), &["x"], &Names(&json!({}))).unwrap();
    let rendered = template.render(&Names(&scope), &mut Budget::new(1000)).unwrap().unwrap();
    let expected = r#"{"all":{"a":1.50,"b":1e400,"c":123456789012345678901234567890},"one":1.50}"#;
    // serde_json normalises the exponent's sign when it reads.
    assert_eq!(rendered.to_string().replace("e+400", "e400"), expected);
}

#[test]
fn key_order_is_kept() {
    let value = json!({ "z": "${1}", "a": "${x}", "m": { "y": 1, "b": "${x}" } });
    let template = Template::compile(&value, &["x"], &Names(&json!({}))).unwrap();
    let rendered = template.render(&Names(&json!({ "x": 2 })), &mut Budget::new(1000)).unwrap().unwrap();
    assert_eq!(rendered.to_string(), r#"{"z":1,"a":2,"m":{"y":1,"b":2}}"#);
}

#[test]
fn conditions_hold_or_not() {
    let known = json!({ "vars": { "on": true } });
    let compile = |value: Value| Condition::compile(&value, &["vars", "pod"], &Names(&known));
    assert_eq!(compile(json!(false)).unwrap().constant(), Some(false));
    assert_eq!(compile(json!("${vars.on}")).unwrap().constant(), Some(true));
    let condition = compile(json!("${vars.on && pod.x == 1}")).unwrap();
    assert_eq!(condition.constant(), None);
    let mut budget = Budget::new(1000);
    assert_eq!(condition.holds(&Names(&json!({ "pod": { "x": 1 } })), &mut budget), Ok(true));
    assert_eq!(condition.holds(&Names(&json!({ "pod": { "x": 2 } })), &mut budget), Ok(false));
    let error = condition.holds(&Names(&json!({ "pod": {} })), &mut budget).unwrap_err();
    assert_eq!((error.message.as_str(), error.path.as_str()), ("no such key `x`", ""));
    assert_eq!(compile(json!("true")).unwrap_err().len(), 1);
    assert_eq!(compile(json!("${vars.nope}")).unwrap_err()[0].message, "no such key `nope` at byte 7");
}

#[test]
fn what_is_known_need_not_be_in_scope_later() {
    let known = json!({ "vars": { "a": { "b": [1, 2] }, "name": "x" } });
    let value = json!({ "v": "${vars.a.b[pod.i]}", "w": "${[vars.name, pod.s].join('-')}" });
    let template = Template::compile(&value, &["vars", "pod"], &Names(&known)).unwrap();
    let rendered = template.render(&Names(&json!({ "pod": { "i": 1, "s": "y" } })), &mut Budget::new(1000));
    assert_eq!(rendered.unwrap().unwrap(), json!({ "v": 2, "w": "x-y" }));
}
