//! Where two values differ, place by place.

use std::fmt;

use serde_json::Value;

/// A place where two values differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The place as a JSON pointer; items of a list stand under their names where all have one.
    pub pointer: String,
    /// What should stand there.
    pub expected: Option<Value>,
    /// What does.
    pub found: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(
            formatter,
            "{}\n    expected {}\n    found    {}",
            self.pointer,
            shown(&self.expected),
            shown(&self.found)
        )
    }
}

/// Every place where two values differ, in the order of the expected one.
pub(super) fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(String::new(), Some(expected), Some(found), &mut differences);
    differences
}

fn compare(pointer: String, expected: Option<&Value>, found: Option<&Value>, differences: &mut Vec<Difference>) {
    match (expected, found) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let added = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(added) {
                compare(format!("{pointer}/{}", escape(key)), left.get(key), right.get(key), differences);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => match (names(left), names(right)) {
            (Some(expected), Some(found)) => {
                let find = |names: &[&str], items: &[Value], name: &str| {
                    names.iter().position(|one| *one == name).and_then(|index| items.get(index).cloned())
                };
                let added = found.iter().filter(|name| !expected.contains(name));
                for name in expected.iter().chain(added) {
                    let (left, right) = (find(&expected, left, name), find(&found, right, name));
                    compare(format!("{pointer}/{}", escape(name)), left.as_ref(), right.as_ref(), differences);
                }
                let common = |names: &[&str], other: &[&str]| -> Vec<String> {
                    names.iter().filter(|name| other.contains(name)).map(|name| (*name).to_owned()).collect()
                };
                if common(&expected, &found) != common(&found, &expected) {
                    let order = |names: &[&str]| Some(names.iter().copied().map(Value::from).collect());
                    differences.push(Difference {
                        pointer: format!("{pointer} (order)"),
                        expected: order(&expected),
                        found: order(&found),
                    });
                }
            }
            _ => {
                for index in 0..left.len().max(right.len()) {
                    compare(format!("{pointer}/{index}"), left.get(index), right.get(index), differences);
                }
            }
        },
        (left, right) if left == right => {}
        (left, right) => {
            differences.push(Difference { pointer, expected: left.cloned(), found: right.cloned() });
        }
    }
}

/// The names of items, where each has one of its own.
fn names(items: &[Value]) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for item in items {
        let name = item.get("name")?.as_str()?;
        if names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_told_by_name_and_order_counts() {
        let item = |name: &str, value: i32| json!({"name": name, "value": value});
        for (expected, found, places) in [
            (json!({"a/b": 1, "c": [1, 2]}), json!({"a/b": 2, "c": [1]}), vec!["/a~1b", "/c/1"]),
            (json!([item("x", 1), item("y", 1)]), json!([item("y", 2), item("x", 1)]), vec!["/y/value", " (order)"]),
            (json!([item("x", 1)]), json!([item("z", 0), item("x", 1)]), vec!["/z"]),
            (json!([item("x", 1), item("x", 2)]), json!([item("x", 2), item("x", 1)]), vec!["/0/value", "/1/value"]),
            (json!({"a": null}), json!({}), vec!["/a"]),
            (json!([]), json!([]), vec![]),
        ] {
            let told: Vec<_> = differences(&expected, &found).into_iter().map(|one| one.pointer).collect();
            assert_eq!(told, places, "{expected} {found}");
        }
    }
}
