//! The objects in a document: itself, or the items of a `List`, at any depth.

use serde_json::{Map, Value};

/// Calls `look` with each object of a document, in order, and stops at the first error.
///
/// A `PodList`, as API servers write it, is a `List` whose items need not say that they are Pods.
pub fn visit<E>(document: &mut Value, look: &mut impl FnMut(&mut Value) -> Result<(), E>) -> Result<(), E> {
    let Value::Object(fields) = document else { return look(document) };
    if !fields.get("kind").is_some_and(is_list) || !fields.get("items").is_some_and(Value::is_array) {
        return look(document);
    }
    let mut items = fields.get_mut("items").map(Value::take).unwrap_or_default();
    let visited = items.as_array_mut().into_iter().flatten().try_for_each(|item| {
        complete(item, fields);
        visit(item, look)
    });
    fields.insert("items".to_owned(), items);
    visited
}

/// Whether it is the kind of a list.
pub(super) fn is_list(kind: &Value) -> bool {
    kind.as_str().is_some_and(|kind| kind.ends_with(LIST))
}

/// Gives an item that does not say what it is the kind that its list is of.
pub(super) fn complete(item: &mut Value, list: &Map<String, Value>) {
    let kind = list.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix(LIST));
    let (Some(kind), Value::Object(fields)) = (kind.filter(|kind| !kind.is_empty()), item) else { return };
    if !fields.contains_key("kind") {
        if let Some(version) = list.get("apiVersion") {
            fields.entry("apiVersion").or_insert_with(|| version.clone());
        }
        fields.insert("kind".to_owned(), Value::from(kind));
    }
}

const LIST: &str = "List";

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_opened_and_nothing_else() {
        let list =
            json!({"kind": "List", "items": [1, {"kind": "List", "items": [2, 3]}, {"kind": "List", "items": 4}]});
        for (document, expected) in [
            (list, json!([1, 2, 3, {"kind": "List", "items": 4}])),
            (
                json!({"apiVersion": "v1", "kind": "PodList", "items": [{}, {"kind": "Pod"}, 1]}),
                json!([{"apiVersion": "v1", "kind": "Pod"}, {"kind": "Pod"}, 1]),
            ),
            (json!({"kind": "PodList", "items": {}}), json!([{"kind": "PodList", "items": {}}])),
            (json!({"kind": "Pods", "items": [1]}), json!([{"kind": "Pods", "items": [1]}])),
            (json!({"kind": "List", "items": []}), json!([])),
            (json!("text"), json!(["text"])),
        ] {
            let mut seen = Vec::new();
            let mut document = document;
            visit(&mut document, &mut |object| {
                seen.push(object.clone());
                Ok::<_, Infallible>(())
            })
            .unwrap();
            assert_eq!(Value::from(seen), expected);
        }
    }
}
