//! The patch between two objects, for the cases where edits alone do not tell it: a second admission, and restoring.
//!
//! Lists whose items have a merge key are compared by it, so that an item that stays where it is costs nothing and one
//! that moves is one `move`. Linear in the size of the objects but for lists whose order has changed.

use serde_json::{Map, Value};

use super::fingerprint::merge_key;
use super::patch::Patch;
use crate::read::child;

/// The patch that leads from one value to the other.
pub(super) fn difference(from: &Value, to: &Value) -> Patch {
    let mut patch = Patch::default();
    compare(from, to, "", "", &mut patch);
    patch
}

fn compare(from: &Value, to: &Value, pointer: &str, key: &str, patch: &mut Patch) {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => compare_objects(from, to, pointer, patch),
        (Value::Array(from), Value::Array(to)) => match keyed(key, from).zip(keyed(key, to)) {
            Some((before, after)) => compare_keyed(from, &before, to, &after, pointer, patch),
            None => compare_atomic(from, to, pointer, patch),
        },
        _ if from == to => {}
        _ => patch.set(pointer, to, true),
    }
}

fn compare_objects(from: &Map<String, Value>, to: &Map<String, Value>, pointer: &str, patch: &mut Patch) {
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.remove(&child(pointer, key));
    }
    for (key, value) in to {
        match from.get(key) {
            Some(before) => compare(before, value, &child(pointer, key), key, patch),
            None => patch.set(&child(pointer, key), value, false),
        }
    }
}

fn compare_atomic(from: &[Value], to: &[Value], pointer: &str, patch: &mut Patch) {
    if from == to {
        return;
    }
    if from.len() != to.len() {
        // An appended tail is told item by item; anything else as a whole.
        match to.strip_prefix(from) {
            Some(tail) => {
                for (index, item) in tail.iter().enumerate() {
                    patch.set(&format!("{pointer}/{}", from.len() + index), item, false);
                }
            }
            None => patch.set(pointer, &Value::Array(to.to_vec()), true),
        }
        return;
    }
    for (index, (before, after)) in from.iter().zip(to).enumerate() {
        compare(before, after, &format!("{pointer}/{index}"), "", patch);
    }
}

/// The merge keys of a list's items, where it has them and they are unique.
fn keyed<'v>(key: &str, items: &'v [Value]) -> Option<Vec<&'v str>> {
    let merge_key = merge_key(key)?;
    let keys: Vec<&str> = items.iter().map(|item| item.get(merge_key)?.as_str()).collect::<Option<_>>()?;
    let mut ordered = keys.clone();
    ordered.sort_unstable();
    ordered.windows(2).all(|pair| matches!(pair, [left, right] if left != right)).then_some(keys)
}

fn compare_keyed(from: &[Value], before: &[&str], to: &[Value], after: &[&str], pointer: &str, patch: &mut Patch) {
    let mut kept_keys: Vec<&str> = after.to_vec();
    kept_keys.sort_unstable();
    // The list as it is after each operation: keys with the item they came from.
    let mut current: Vec<(&str, Option<&Value>)> = Vec::with_capacity(to.len());
    for (key, item) in before.iter().zip(from) {
        if kept_keys.binary_search(key).is_ok() {
            current.push((key, Some(item)));
        } else {
            patch.remove(&format!("{pointer}/{}", current.len()));
        }
    }
    for (index, (key, item)) in after.iter().zip(to).enumerate() {
        let place = format!("{pointer}/{index}");
        if current.get(index).is_none_or(|(there, _)| there != key) {
            let elsewhere = current.iter().skip(index).position(|(there, _)| there == key);
            if let Some(offset) = elsewhere {
                patch.relocate(&format!("{pointer}/{}", index + offset), &place);
                let moved = current.remove(index + offset);
                current.insert(index, moved);
            } else {
                patch.set(&place, item, false);
                current.insert(index, (key, None));
            }
        }
        if let Some((_, Some(old))) = current.get(index) {
            compare(old, item, &place, "", patch);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_lead_from_one_to_the_other() {
        let list = |names: &[&str]| json!({"containers": names.iter().map(|n| json!({"name": n, "v": 1})).collect::<Vec<_>>()});
        for (from, to, operations) in [
            (list(&["a", "b"]), list(&["a", "b"]), 0),
            (list(&["a", "b", "c"]), list(&["c"]), 2),
            (list(&["a", "b"]), list(&["b", "a"]), 1),
            (list(&["a"]), list(&["x", "a", "y"]), 2),
            (list(&["a", "b", "c", "d"]), list(&["d", "e", "b"]), 4),
            (json!({"a": [1, 2]}), json!({"a": [1, 2, 3]}), 1),
            (json!({"a": [1, 2]}), json!({"a": [2]}), 1),
            (json!({"a": [1, {"b": 1}]}), json!({"a": [1, {"b": 2}]}), 1),
            (json!({"a/b": 1, "m~n": {}}), json!({"m~n": {"x": null}}), 2),
            (json!({"env": [{"name": "A"}, {"name": "A"}]}), json!({"env": [{"name": "A"}]}), 1),
            (json!(1), json!("1"), 1),
        ] {
            let patch = difference(&from, &to);
            assert_eq!(patch.len(), operations, "{from} -> {to}: {patch:?}");
            let patch: json_patch::Patch = serde_json::from_value(serde_json::to_value(&patch).unwrap()).unwrap();
            let mut patched = from.clone();
            json_patch::patch(&mut patched, &patch).unwrap();
            assert_eq!(patched, to, "{from}");
        }
    }
}
