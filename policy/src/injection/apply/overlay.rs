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
                    None => drop(base.insert(key.clone(), over.clone())),
                }
            }
        }
        (Value::Array(base), Value::Array(over)) if merge_key(key).is_some() => {
            for item in over {
                let label = |item: &Value| merge_key(key).and_then(|key| item.get(key)).cloned();
                match base.iter_mut().find(|one| label(one).is_some() && label(one) == label(item)) {
                    Some(one) => overlay(one, item, ""),
                    None => base.push(item.clone()),
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
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
                "env": [{"name": "A", "value": "4"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
                "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}, "securityContext": {"runAsUser": 1},
                "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}], "tty": true,
            })
        );
    }
}
