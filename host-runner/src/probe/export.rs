//! What `kubectl get … -A -o json`, `kubectl get --raw …` and `kubectl version -o json` print.

use fedcar_policy::federation::Observation;
use serde_json::Value;

/// A list of which a part is missing.
#[derive(Debug, thiserror::Error)]
#[error("expected a whole {kind}, found the first page of one: ask for it without `limit`")]
pub(crate) struct Incomplete {
    kind: String,
}

/// Adds what a document says, or each item of a `List`. A list of one kind says more than its items: that these are all.
pub(crate) fn add(observation: &mut Observation, mut document: Value) -> Result<(), Incomplete> {
    let version = document.pointer("/serverVersion/gitVersion").or_else(|| document.get("gitVersion"));
    if let Some(version) = version.and_then(Value::as_str) {
        observation.kubernetes = Some(version.to_owned());
        return Ok(());
    }
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    let Some(of) = kind.strip_suffix("List") else {
        observation.add(document);
        return Ok(());
    };
    if of.is_empty() {
        let items = document.get_mut("items").map(Value::take);
        let Some(Value::Array(items)) = items else { return Ok(()) };
        return items.into_iter().try_for_each(|item| add(observation, item));
    }
    let of = Value::from(of);
    let more = document.pointer("/metadata/continue").and_then(Value::as_str);
    if more.is_some_and(|more| !more.is_empty()) {
        return Err(Incomplete { kind: kind.to_owned() });
    }
    let api_version = document.get("apiVersion").cloned();
    observation.list_named(of.as_str().unwrap_or_default(), api_version.as_ref().and_then(Value::as_str));
    // The items of such a list say nowhere what they are.
    if let Some(Value::Array(items)) = document.get_mut("items").map(Value::take) {
        for mut item in items {
            if let Value::Object(fields) = &mut item {
                fields.insert("kind".to_owned(), of.clone());
                fields.extend(api_version.iter().map(|version| ("apiVersion".to_owned(), version.clone())));
            }
            observation.add(item);
        }
    }
    Ok(())
}
