//! Expressions and their values.

use fedcar_policy::expression::{Budget, Expression};
use serde_json::Value;

use super::{Names, cases, report, same, table};

/// What an expression gives, in the words of the tables.
enum Found {
    Value(Value),
    Absent,
    Error(String),
}

fn evaluate(source: &str, scope: &Value) -> Found {
    let result = Expression::parse(source).and_then(|parsed| parsed.evaluate(&Names(scope), &mut Budget::new(100_000)));
    match result {
        Ok(Some(value)) => Found::Value(value),
        Ok(None) => Found::Absent,
        Err(error) => Found::Error(format!("{} at {}", error.message, error.offset)),
    }
}

/// A case names `value`, `absent: true`, or `error`: true for any, or the message and offset of it.
fn check(name: &str) -> usize {
    let table = table(name);
    let mut failures = Vec::new();
    let mut checked = 0;
    for (case_name, case) in cases(&table) {
        checked += 1;
        let source = case["expr"].as_str().unwrap();
        // A scope that many cases share stands once, under its name.
        let scope = case["scope"].as_str().map_or(&case["scope"], |shared| &table[shared]);
        let found = evaluate(source, scope);
        let holds = match &found {
            Found::Value(value) => case.get("value").is_some_and(|wanted| same(wanted, value)),
            Found::Absent => case.get("absent").is_some(),
            Found::Error(message) => match &case["error"] {
                Value::Bool(any) => *any,
                wanted => wanted.as_str() == Some(message),
            },
        };
        if !holds {
            let found = match found {
                Found::Value(value) => value.to_string(),
                Found::Absent => String::from("absent"),
                Found::Error(message) => format!("error: {message}"),
            };
            failures.push(format!("{case_name}: `{source}` gives {found}, the case is {case}"));
        }
    }
    report(&failures, checked);
    checked
}

#[test]
fn the_specification_holds_for_the_subset() {
    assert!(check("cel-spec.json") > 1000, "the table has shrunk");
}

#[test]
fn own_cases_hold() {
    check("own.json");
}
