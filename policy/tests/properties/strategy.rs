//! Small parts from which the generators are made; all of them shrink.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::support::parse;

pub(crate) type Json = BoxedStrategy<Value>;

/// A strategy that is one of these values.
pub(crate) fn one_of(values: &[Value]) -> Json {
    select(values.to_vec()).boxed()
}

/// Always this value.
pub(crate) fn just(value: Value) -> Json {
    Just(value).boxed()
}

/// A field of an object: how likely it is to be there, in percent.
pub(crate) type Field = (&'static str, u32, Json);

/// An object with some of these fields, in any order.
pub(crate) fn object(fields: Vec<Field>) -> Json {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(key, percent, value)| {
            let present = f64::from(percent) / 100.0;
            match percent {
                100 => value.prop_map(move |value| Some((key, value))).boxed(),
                _ => proptest::option::weighted(present, value).prop_map(move |value| Some((key, value?))).boxed(),
            }
        })
        .collect();
    fields
        .prop_shuffle()
        .prop_map(|fields| {
            Value::Object(fields.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect())
        })
        .boxed()
}

/// A list with some of these items.
pub(crate) fn some_of(percent: u32, items: Vec<Json>) -> Json {
    let present = f64::from(percent) / 100.0;
    let items: Vec<_> = items.into_iter().map(|item| proptest::option::weighted(present, item)).collect();
    items.prop_shuffle().prop_map(|items| Value::Array(items.into_iter().flatten().collect())).boxed()
}

/// A list of up to `most` items.
pub(crate) fn list(item: Json, most: usize) -> Json {
    vec(item, 0..=most).prop_map(Value::Array).boxed()
}

/// The value, or now and then a `null`.
pub(crate) fn or_null(value: Json) -> Json {
    prop_oneof![9 => value, 1 => Just(Value::Null)].boxed()
}

/// A map with some of these keys.
pub(crate) fn map(keys: &[&'static str], value: &Json) -> Json {
    object(keys.iter().map(|key| (*key, 40, value.clone())).collect())
}

/// What fedcar has never heard of.
pub(crate) fn unknown() -> Json {
    one_of(&[
        json!({"x": [1, {"name": "a", "deep": null}], "name": "n"}),
        json!([]),
        json!({}),
        Value::Null,
        json!(["${not.ours}", "$${either}"]),
        parse("123456789012345678901234567890"),
        parse("1.10"),
        parse("-0.0"),
        parse("1e400"),
        json!("ünïcödé \u{0} \" \\ /~"),
    ])
}

/// Merges the keys of one object into another.
pub(crate) fn extend(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend::<Map<String, Value>>(more);
    }
    base
}
