//! The objects in a document: itself, or the items of a `List`, at any depth.

use serde_json::Value;

/// Calls `look` with each object of a document, in order, and stops at the first error.
pub fn visit<E>(document: &mut Value, look: &mut impl FnMut(&mut Value) -> Result<(), E>) -> Result<(), E> {
    let is_list = document.get("kind").is_some_and(|kind| kind == "List");
    match document.get_mut("items") {
        Some(Value::Array(items)) if is_list => items.iter_mut().try_for_each(|item| visit(item, look)),
        _ => look(document),
    }
}

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
            (json!({"kind": "PodList", "items": [1]}), json!([{"kind": "PodList", "items": [1]}])),
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
