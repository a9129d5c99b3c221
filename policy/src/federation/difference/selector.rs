//! Selectors label by label, so that `matchLabels` and `matchExpressions` that ask the same are the same.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is asked of each label, in words; `None` where it is no selector.
pub(super) fn words(value: &Value) -> Option<BTreeMap<String, String>> {
    let map = value.as_object()?;
    if map.is_empty() || !map.keys().all(|key| key == "matchLabels" || key == "matchExpressions") {
        return None;
    }
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let labels = map.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    for (label, value) in labels {
        asked.entry(label.clone()).or_default().push(value.as_str().unwrap_or_default().to_owned());
    }
    for requirement in map.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let values = requirement.get("values").and_then(Value::as_array).into_iter().flatten();
        let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
        values.sort_unstable();
        let words = match requirement.get("operator").and_then(Value::as_str).unwrap_or_default() {
            "In" => values.join(" or "),
            "NotIn" => format!("not {}", values.join(" or ")),
            "Exists" => "any".to_owned(),
            _ => "absent".to_owned(),
        };
        asked.entry(requirement["key"].as_str().unwrap_or_default().to_owned()).or_default().push(words);
    }
    let joined = asked.into_iter().map(|(label, mut words)| {
        words.sort();
        words.dedup();
        (label, words.join(" and "))
    });
    Some(joined.collect())
}
