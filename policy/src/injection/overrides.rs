//! What an application team asks of a sidecar by annotations, as values.

use serde_json::{Map, Value};

use super::fingerprint::merge_key;
use super::reason::Reason;
use super::render::Failure;
use crate::read::{clip, describe, did_you_mean};
use crate::settings::overrides::domain;
use crate::settings::{Override, Sidecar};

/// The values of all overrides for a pod with these annotations, by name; one without a value is missing. A failure tells
/// of every annotation that does not fit.
pub(super) fn evaluate(
    overrides: &[Override],
    annotations: Option<&Map<String, Value>>,
) -> Result<Map<String, Value>, Failure> {
    let mut values = Map::new();
    let mut details = Vec::new();
    for one in overrides {
        let found = annotations.and_then(|annotations| annotations.get(&one.annotation));
        let read = match found {
            None | Some(Value::Null) => Ok(one.default.clone()),
            Some(Value::String(text)) => one.kind.read(text).map(Some),
            Some(other) => Err(format!("expected text, found {}", describe(other))),
        };
        match read {
            Ok(value) => values.extend(value.map(|value| (one.name.clone(), value))),
            Err(message) => details.push(format!("annotation `{}`: {message}", one.annotation)),
        }
    }
    if details.is_empty() { Ok(values) } else { Err(Failure::new(Reason::OverrideInvalid, details)) }
}

/// Warnings about annotations that look like overrides of a sidecar and are none.
pub(super) fn unknown(sidecar: &Sidecar, annotations: Option<&Map<String, Value>>) -> Vec<String> {
    let domain = domain(&sidecar.name);
    let declared: Vec<&str> = sidecar.overrides.iter().filter_map(|one| one.annotation.strip_prefix(&domain)).collect();
    let asked = annotations.into_iter().flat_map(Map::keys).filter_map(|key| key.strip_prefix(&domain));
    let unknown = asked.filter(|asked| !declared.contains(asked));
    let warning = |asked: &str| {
        let hint = did_you_mean(asked, declared.iter().copied()).map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("annotation `{domain}{}` counts as absent: the sidecar has no such override{hint}", clip(asked))
    };
    unknown.map(warning).collect()
}

/// Puts a value into a container. Missing maps and named items of lists are made on the way; what stands in the way says
/// why not.
pub(super) fn set(container: &mut Value, path: &[String], value: &Value) -> Result<(), String> {
    let mut here = container;
    // The list that has just been reached, which says how its items are known.
    let mut list = None;
    for key in path {
        let known_by = list.and_then(merge_key);
        if here.is_null() {
            *here = if known_by.is_some() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        }
        (here, list) = match (here, known_by) {
            (Value::Object(map), None) => (map.entry(key.as_str()).or_insert(Value::Null), Some(key.as_str())),
            (Value::Array(items), Some(known_by)) => (item(items, known_by, key)?, None),
            (other, _) => return Err(format!("`{key}` has no place in {}", describe(other))),
        };
    }
    *here = match path {
        [env, _, field] if env == "env" && field == "value" => Value::from(text(value)),
        _ => value.clone(),
    };
    Ok(())
}

/// The item that is known by a key, made where it is missing.
fn item<'v>(items: &'v mut Vec<Value>, known_by: &str, name: &str) -> Result<&'v mut Value, String> {
    let is_named = |item: &Value| item.get(known_by).is_some_and(|found| text(found) == name);
    let index = items.iter().rposition(is_named).unwrap_or(items.len());
    if index == items.len() {
        // The only merge key of a container's lists that is a number.
        let name = match known_by {
            "containerPort" => Value::from(name.parse::<u16>().map_err(|_| format!("`{}` is no port", clip(name)))?),
            _ => Value::from(name),
        };
        items.push(Value::Object(Map::from_iter([(known_by.to_owned(), name)])));
    }
    items.get_mut(index).ok_or_else(|| format!("no item `{}`", clip(name)))
}

/// A value as the value of an environment variable.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_where_the_path_leads() {
        let container = || {
            json!({
                "name": "a", "image": "i", "args": ["x"], "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                "ports": [{"containerPort": 80}], "tty": null,
            })
        };
        for (path, value, pointer, expected) in [
            ("image", json!("other"), "/image", json!("other")),
            ("tty", json!(true), "/tty", json!(true)),
            ("resources.limits.memory", json!("64Mi"), "/resources", json!({"limits": {"memory": "64Mi"}})),
            ("env.A.value", json!(7), "/env/1", json!({"name": "A", "value": "7"})),
            ("env.A.value", json!(false), "/env/1/value", json!("false")),
            ("env.B.value", json!({"a": [1]}), "/env/2", json!({"name": "B", "value": "{\"a\":[1]}"})),
            ("env.B.value", json!("${pod}"), "/env/2/value", json!("${pod}")),
            ("env.B.valueFrom", json!({"x": 1}), "/env/2", json!({"name": "B", "valueFrom": {"x": 1}})),
            ("ports.80.name", json!("http"), "/ports/0", json!({"containerPort": 80, "name": "http"})),
            ("ports.81.name", json!("alt"), "/ports/1", json!({"containerPort": 81, "name": "alt"})),
            (
                "volumeMounts./tmp.readOnly",
                json!(true),
                "/volumeMounts",
                json!([{"mountPath": "/tmp", "readOnly": true}]),
            ),
            ("args", json!(["y"]), "/args", json!(["y"])),
        ] {
            let mut changed = container();
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            set(&mut changed, &path, &value).unwrap();
            assert_eq!(changed.pointer(pointer), Some(&expected), "{path:?}");
        }
    }

    #[test]
    fn what_stands_in_the_way_is_told() {
        for (path, message) in [
            ("image.tag", "`tag` has no place in text `i`"),
            ("args.0", "`0` has no place in a list of 1"),
            ("env.A.value", "`A` has no place in an object with 0 keys"),
            ("ports.web.name", "`web` is no port"),
            ("ports.65536.name", "`65536` is no port"),
        ] {
            let mut container = json!({"name": "a", "image": "i", "args": ["x"], "env": {}});
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            assert_eq!(set(&mut container, &path, &json!("v")), Err(message.to_owned()), "{path:?}");
        }
    }
}
