//! The same tables through the `cel` crate, an evaluator of another origin.
//!
//! Where both have a value it must be the same, or the case is listed in `cel-crate.json` with the reason. Where only one
//! of them has one, the crate either lacks a function or is laxer; those are counted, so that the comparison cannot
//! shrink unnoticed.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::objects::Key;
use cel::{Context, Env, extensions};
use fedcar_policy::expression::{Budget, Expression};
use serde_json::Value;

use super::{Names, cases, same, table};

fn environment() -> Arc<Env> {
    let mut env = Env::stdlib();
    for extension in [extensions::strings, extensions::lists, extensions::math] {
        env.add_extension(extension).unwrap();
    }
    Arc::new(env)
}

/// What the crate answers, if it is JSON.
fn theirs(env: &Arc<Env>, source: &str, scope: &Value) -> Option<Value> {
    // A panic of the crate counts as no answer.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let program = env.compile(source).ok()?;
        let mut context = Context::with_env(Arc::clone(env));
        for (name, value) in scope.as_object().into_iter().flatten() {
            context.add_variable_from_value(name.as_str(), to_cel(value));
        }
        from_cel(&program.execute(&context).ok()?)
    }));
    result.ok().flatten()
}

fn ours(source: &str, scope: &Value) -> Option<Value> {
    Expression::parse(source).ok()?.evaluate(&Names(scope), &mut Budget::new(100_000)).ok()?
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => cel::Value::Int(value),
            (None, Some(value)) => cel::Value::UInt(value),
            (None, None) => cel::Value::Float(number.as_f64().unwrap_or(f64::INFINITY)),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(to_cel).collect::<Vec<_>>().into(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect::<HashMap<_, _>>().into()
        }
    }
}

fn from_cel(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(value) => Value::from(*value),
        cel::Value::Int(value) => Value::from(*value),
        cel::Value::UInt(value) => Value::from(*value),
        cel::Value::Float(value) if value.is_finite() => Value::from(*value),
        cel::Value::String(text) => Value::from(text.as_str()),
        cel::Value::List(items) => items.iter().map(from_cel).collect::<Option<Vec<_>>>()?.into(),
        cel::Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| match key {
                Key::String(key) => Some((key.to_string(), from_cel(value)?)),
                _ => None,
            });
            Value::Object(entries.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[test]
fn where_both_have_a_value_it_is_the_same() {
    let env = environment();
    let listed = table("cel-crate.json");
    let mut differ = Vec::new();
    let mut agree = 0;
    for name in ["cel-spec.json", "own.json"] {
        let table = table(name);
        for (_, case) in cases(&table) {
            let source = case["expr"].as_str().unwrap();
            let scope = case["scope"].as_str().map_or(&case["scope"], |shared| &table[shared]);
            match (ours(source, scope), theirs(&env, source, scope)) {
                (Some(ours), Some(theirs)) if same(&ours, &theirs) => agree += 1,
                (Some(_), Some(_)) if listed["differs"].get(source).is_some() => {}
                (Some(ours), Some(theirs)) => differ.push(format!("{source}: {ours}, the crate says {theirs}")),
                (None, _) | (_, None) => {}
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(agree >= listed["agree"].as_u64().unwrap(), "only {agree} cases have a value on both sides");
}
