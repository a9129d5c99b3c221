//! One value over another, as Kubernetes' strategic merge patch lays it: what a user-written container does to ours.

use serde_json::Value;

use crate::injection::fingerprint::merge_key;

/// Lays `over` on `base`: objects key by key, lists with a merge key item by item, everything else as a whole. `null` and
/// empty objects say nothing.
pub(super) fn overlay(base: &mut Value, over: &Value, key: &str) {
    match (base, over) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(over)) => {
            for (key, over) in over {
                match base.get_mut(key) {
                    Some(base) => overlay(base, over, key),
                    None if over.is_null() => {}
                    None => overlay(base.entry(key).or_insert(Value::Null), over, key),
                }
            }
        }
        (Value::Array(base), Value::Array(over)) if merge_key(key).is_some() => overlay_items(base, over, key),
        (base @ Value::Null, Value::Array(over)) if merge_key(key).is_some() => {
            let mut items = Vec::new();
            overlay_items(&mut items, over, key);
            *base = Value::Array(items);
        }
        (base, over) => *base = over.clone(),
    }
}

/// Items of one label become one. Ours keep their order; an item that only `over` has stands before the first of ours that
/// stands behind it there, else at the end; of two of one label the later one counts (kubernetes: apimachinery `strategicpatch`, `normalizeElementOrder`).
fn overlay_items(base: &mut Vec<Value>, over: &[Value], key: &str) {
    let label = |item: &Value| merge_key(key).and_then(|key| item.get(key)).cloned();
    let position = |items: &[Value], item: &Value| {
        let wanted = label(item)?;
        items.iter().position(|one| label(one).as_ref() == Some(&wanted))
    };
    let counts = |(index, item): &(usize, &Value)| {
        label(item).is_none() || !over.iter().skip(index + 1).any(|later| label(later) == label(item))
    };
    let over_items = over.iter().enumerate().filter(counts);
    let (theirs, both): (Vec<_>, Vec<_>) = over_items.partition(|(_, item)| position(base, item).is_none());
    for (_, item) in both {
        if let Some(ours) = position(base, item).and_then(|index| base.get_mut(index)) {
            overlay(ours, item, "");
        }
    }
    let mut theirs = theirs.into_iter().peekable();
    let mut merged = Vec::with_capacity(base.len() + over.len());
    for ours in base.drain(..) {
        let until = position(over, &ours).unwrap_or(0);
        while let Some((_, item)) = theirs.next_if(|(index, _)| *index < until) {
            merged.push(item.clone());
        }
        merged.push(ours);
    }
    merged.extend(theirs.map(|(_, item)| item.clone()));
    *base = merged;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_user_says_wins_and_the_rest_stays() {
        let mut base = json!({
            "args": ["a", "b"], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}, "securityContext": {"runAsUser": 1},
            "ports": [{"containerPort": 80, "name": "http"}],
        });
        let over = json!({
            "args": ["c"], "env": [{"name": "C", "value": "3"}, {"name": "A", "value": "4"}],
            "resources": {"limits": {"cpu": "2"}}, "securityContext": {}, "tty": true, "stdin": null,
            "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}],
        });
        overlay(&mut base, &over, "");
        assert_eq!(
            base,
            json!({
                "args": ["c"],
                "env": [{"name": "C", "value": "3"}, {"name": "A", "value": "4"}, {"name": "B", "value": "2"}],
                "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}, "securityContext": {"runAsUser": 1},
                "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}], "tty": true,
            })
        );
    }
}
