//! What does not count when two objects are compared.
//!
//! * `resources: {}`, `strategy: {}`, `updateStrategy: {}`, `status: {}` and a `status` of zeros: Go's typed round trip adds
//!   them.
//! * Keys that hold `null`: Go writes them for what is not there (`creationTimestamp`, `selector`, the `service` of a gRPC
//!   probe), and an API server reads them as not there.
//! * `false` for the flags of a workload, pod or container, zero seconds, an empty `value` of a variable: defaults that Go
//!   leaves out of some types and writes in others.
//! * The spelling of quantities below `limits`, `requests`, `sizeLimit` and `divisor`: the same amount is the same.
//! * The spelling of JSON objects and lists that stand as text in annotations and in the values of variables.

use fedcar_policy::expression::quantity::Quantity;
use serde_json::{Map, Value, json};

/// Empty objects under these keys say nothing.
const EMPTY: [&str; 4] = ["resources", "status", "strategy", "updateStrategy"];

/// Flags that are `false` where they are not there.
const FLAGS: [&str; 9] =
    ["hostIPC", "hostNetwork", "hostPID", "paused", "readOnly", "stdin", "stdinOnce", "test", "tty"];
/// Numbers that are 0 where they are not there.
const NUMBERS: [&str; 2] = ["initialDelaySeconds", "minReadySeconds"];

/// The value as it is compared.
pub(super) fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().filter_map(|(key, value)| field(key, value)).collect()),
        Value::Array(items) => items.iter().map(normal).collect(),
        other => other.clone(),
    }
}

fn field(key: &str, value: &Value) -> Option<(String, Value)> {
    let value = match (key, value) {
        (_, Value::Null) => return None,
        (flag, Value::Bool(false)) if FLAGS.contains(&flag) => return None,
        (number, value) if NUMBERS.contains(&number) && is_zero(value) => return None,
        ("status", Value::Object(counters)) if counters.values().all(is_zero) => return None,
        ("limits" | "requests", Value::Object(map)) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), amount(value))).collect())
        }
        ("sizeLimit" | "divisor", value) => amount(value),
        ("annotations", Value::Object(map)) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), embedded(value))).collect())
        }
        ("env", Value::Array(items)) => items.iter().map(variable).collect(),
        _ => normal(value),
    };
    let says_nothing = EMPTY.contains(&key) && value.as_object().is_some_and(Map::is_empty);
    (!says_nothing).then(|| (key.to_owned(), value))
}

fn is_zero(value: &Value) -> bool {
    value.as_u64() == Some(0)
}

fn variable(variable: &Value) -> Value {
    let mut variable = normal(variable);
    if let Some(fields) = variable.as_object_mut() {
        fields.retain(|key, value| key != "value" || value != "");
        fields.entry("value").and_modify(|value| *value = embedded(value));
    }
    variable
}

/// Text that is a JSON object or list, as data.
fn embedded(value: &Value) -> Value {
    let data = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match data {
        Some(mut data @ (Value::Object(_) | Value::Array(_))) => {
            data.sort_all_objects();
            json!({"JSON in text": data})
        }
        _ => value.clone(),
    }
}

fn amount(value: &Value) -> Value {
    Quantity::of(value).map_or_else(|| value.clone(), |quantity| Value::from(spelt_alike(quantity)))
}

/// Binary and decimal suffixes of one amount become the same text.
fn spelt_alike(quantity: Quantity) -> String {
    Quantity::from_units(0).checked_add(quantity).map_or_else(
        || quantity.canonical(),
        |sum| sum.as_integer().map_or_else(|| sum.canonical(), |units| units.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_counts_for_nothing() {
        for (left, right, equal) in [
            (json!({"resources": {}, "status": {}, "a": 1}), json!({"a": 1}), true),
            (json!({"resources": {"limits": {}}}), json!({}), false),
            (json!({"status": {"replicas": 0, "availableReplicas": 0}}), json!({}), true),
            (json!({"status": {"replicas": 1}}), json!({}), false),
            (json!({"status": {"phase": "Running"}}), json!({}), false),
            (json!({"metadata": {"creationTimestamp": null}}), json!({"metadata": {}}), true),
            (json!({"args": [null]}), json!({"args": []}), false),
            (json!({"emptyDir": {}}), json!({}), false),
            (json!({"limits": {"cpu": "1000m"}}), json!({"limits": {"cpu": 1}}), true),
            (json!({"limits": {"memory": "1Gi"}}), json!({"limits": {"memory": "1024Mi"}}), true),
            (json!({"limits": {"memory": "1Gi"}}), json!({"limits": {"memory": "1073741824"}}), true),
            (json!({"limits": {"memory": "1Gi"}}), json!({"limits": {"memory": "1G"}}), false),
            (json!({"cpu": "1000m"}), json!({"cpu": "1"}), false),
            (json!({"annotations": {"a": "{\"b\": 1}"}}), json!({"annotations": {"a": "{\"b\":1}"}}), true),
            (json!({"annotations": {"a": "\"b\" "}}), json!({"annotations": {"a": "\"b\""}}), false),
            (
                json!({"env": [{"name": "A", "value": "[1, 2]"}]}),
                json!({"env": [{"name": "A", "value": "[1,2]"}]}),
                true,
            ),
            (json!({"env": [{"name": "A", "value": ""}]}), json!({"env": [{"name": "A"}]}), true),
            (json!({"hostNetwork": false}), json!({}), true),
            (json!({"hostNetwork": true}), json!({}), false),
            (json!({"initialDelaySeconds": 0, "periodSeconds": 1}), json!({"periodSeconds": 1}), true),
            (json!({"periodSeconds": 0}), json!({}), false),
            (json!({"allowPrivilegeEscalation": false}), json!({}), false),
            (json!({"args": ["[1, 2]"]}), json!({"args": ["[1,2]"]}), false),
        ] {
            assert_eq!(normal(&left) == normal(&right), equal, "{left} {right}");
        }
    }
}
