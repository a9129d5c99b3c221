//! A sidecar in which everything has been put in that is known before any pod, and what is left reads of the member.

use serde_json::Value;

use super::super::known::Known;
use crate::expression::Scope as _;

/// The value with every text worked out that is the same for every pod.
pub(super) fn resolve(known: &Known<'_>, value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("${") => known.constant(value).unwrap_or_else(|| value.clone()),
        Value::Array(items) => items.iter().map(|item| resolve(known, item)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), resolve(known, value))).collect(),
        other => other.clone(),
    }
}

/// What the expressions that are left read of the member: `vars.NAME`, and `cluster`.
pub(super) fn read_by(known: &Known<'_>, resolved: &Value) -> Vec<(String, Value)> {
    let mut texts = Vec::new();
    expressions(resolved, &mut texts);
    let reads = |name: &str| texts.iter().any(|text| words(text).any(|word| word == name));
    let variables = known.get("vars").and_then(Value::as_object).filter(|_| reads("vars"));
    let variables = variables.into_iter().flatten().filter(|(name, _)| reads(name));
    let mut found: Vec<_> = variables.map(|(name, value)| (format!("vars.{name}"), value.clone())).collect();
    if let Some(cluster) = known.get("cluster").filter(|_| reads("cluster")) {
        found.push(("cluster".to_owned(), cluster.clone()));
    }
    found
}

fn expressions<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if text.contains("${") => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Object(map) => map.values().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !(character.is_alphanumeric() || character == '_' || character == '-'))
}
