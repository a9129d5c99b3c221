//! A field that fedcar has never heard of, in every object of a value, and whether each is still on the item that it was
//! put on (promise P1).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The field.
const FIELD: &str = "fieldOfTomorrow";

/// Below these stands the user's own map, where every key has a meaning.
const MAPS: [&str; 7] = ["annotations", "labels", "limits", "matchLabels", "nodeSelector", "overhead", "requests"];

/// The keys by which Kubernetes tells the items of a list apart.
const NAMES: [&str; 6] = ["name", "mountPath", "devicePath", "containerPort", "ip", "topologyKey"];

/// The value with the field in every object; the field says where it was put.
pub(crate) fn with_unknown_fields(value: &Value) -> Value {
    fn walk(value: &mut Value, at: &str) {
        match value {
            Value::Object(map) => {
                for (key, value) in map.iter_mut().filter(|(key, _)| !MAPS.contains(&key.as_str())) {
                    walk(value, &format!("{at}/{}", alike(key)));
                }
                map.insert(FIELD.to_owned(), json!({"at": at, "amount": amount()}));
            }
            Value::Array(items) => {
                let names = named(items);
                for (item, name) in items.iter_mut().zip(names) {
                    walk(item, &format!("{at}/{name}"));
                }
            }
            _ => {}
        }
    }
    let mut value = value.clone();
    walk(&mut value, "");
    value
}

/// The places for which the field was written and that neither hold it any more nor are told of in the record of what
/// was replaced, where a value takes its inside with it.
pub(crate) fn lost(before: &Value, after: &Value, record: Option<&str>) -> Vec<String> {
    let kept = held(after);
    let told = |place: &String| {
        // With sorted keys, as in the record.
        let field = json!({"amount": amount(), "at": place}).to_string();
        record.is_some_and(|record| record.contains(&field))
    };
    held(before).into_iter().filter(|place| !kept.contains(place) && !told(place)).collect()
}

/// Every place that holds the field which was written for it.
fn held(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, at: &str, held: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if map.get(FIELD).is_some_and(|field| field.get("at").is_some_and(|place| place == at)) {
                    held.insert(at.to_owned());
                }
                for (key, value) in map.iter().filter(|(key, _)| *key != FIELD) {
                    walk(value, &format!("{at}/{}", alike(key)), held);
                }
            }
            Value::Array(items) => {
                for (item, name) in items.iter().zip(named(items)) {
                    walk(item, &format!("{at}/{name}"), held);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}

/// A placeholder may be moved from one list of containers to the other.
fn alike(key: &str) -> &str {
    if key == "initContainers" { "containers" } else { key }
}

/// Each item's name, or its position among those that have none of their own.
fn named(items: &[Value]) -> Vec<String> {
    let name = |map: &Map<String, Value>| {
        let key = NAMES.iter().find(|key| map.contains_key(**key))?;
        map.get(*key).map(|value| format!("{key}={value}"))
    };
    let mut names = Vec::new();
    for item in items {
        let name = item.as_object().and_then(name).unwrap_or_default();
        let twins = names.iter().filter(|(one, _)| *one == name).count();
        names.push((name, twins));
    }
    names.into_iter().map(|(name, twins)| if twins == 0 { name } else { format!("{name}#{twins}") }).collect()
}

/// A number that a reader of doubles would spoil.
fn amount() -> Value {
    serde_json::from_str("1.10").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_on_another_item_is_lost() {
        let list = |items: Value| json!({"containers": items});
        let before = with_unknown_fields(&list(json!([{"name": "a"}, {"name": "b", "labels": {"x": "y"}}])));
        assert_eq!(lost(&before, &before, None), Vec::<String>::new());
        let moved = json!({"initContainers": before["containers"], FIELD: before[FIELD]});
        assert_eq!(lost(&before, &moved, None), Vec::<String>::new());
        let mut swapped = before.clone();
        swapped["containers"][0]["name"] = json!("b");
        swapped["containers"][1]["name"] = json!("a");
        assert_eq!(lost(&before, &swapped, None).len(), 2);
        let record = before["containers"][0].to_string();
        assert!(record.contains("1.10"), "{record}");
        let without = json!({"containers": [before["containers"][1]], FIELD: before[FIELD]});
        assert_eq!(lost(&before, &without, None).len(), 1);
    }
}
