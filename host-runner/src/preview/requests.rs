//! What the containers of a pod request, added up as it is charged while the pod runs.
//!
//! Ordinary init containers have ended by then and do not count. What has a limit and no request requests its limit, as
//! the API server writes it.

use fedcar_policy::expression::quantity::Quantity;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// An amount of CPU and of memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requests {
    cpu: Quantity,
    memory: Quantity,
}

impl Requests {
    /// Nothing.
    pub(crate) const NONE: Self = Self { cpu: Quantity::from_units(0), memory: Quantity::from_units(0) };

    /// Those of a pod's `spec`. A quantity that cannot be read is none: the pod was refused because of it, or will be.
    pub(super) fn of(spec: &Value) -> Self {
        let list = |key: &str| spec.get(key).and_then(Value::as_array).into_iter().flatten();
        let native = list("initContainers").filter(|one| one.get("restartPolicy").is_some_and(|when| when == "Always"));
        list("containers").chain(native).fold(Self::NONE, |sum, container| Self {
            cpu: sum.cpu.saturating_add(request(container, "cpu")),
            memory: sum.memory.saturating_add(request(container, "memory")),
        })
    }

    /// What is more than `before`, for each of some copies.
    pub(super) fn beyond(self, before: Self, copies: u64) -> Self {
        let percent = Quantity::from_units(i64::try_from(copies.saturating_mul(100)).unwrap_or(i64::MAX));
        let more = |after: Quantity, before: Quantity| {
            after.checked_sub(before).unwrap_or(Quantity::from_units(0)).scale_percent(percent)
        };
        Self { cpu: more(self.cpu, before.cpu), memory: more(self.memory, before.memory) }
    }

    /// Both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu.saturating_add(other.cpu), memory: self.memory.saturating_add(other.memory) }
    }

    /// `cpu 25m, memory 64Mi`.
    pub(crate) fn in_words(self) -> String {
        format!("cpu {}, memory {}", self.cpu.canonical(), self.memory.canonical())
    }
}

fn request(container: &Value, resource: &str) -> Quantity {
    let at = |key: &str| container.get("resources")?.get(key)?.get(resource);
    let text = match at("requests").or_else(|| at("limits")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Quantity::from_units(0),
    };
    Quantity::parse(&text).unwrap_or(Quantity::from_units(0))
}

impl Serialize for Requests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("cpu", self.cpu.canonical()), ("memory", self.memory.canonical())])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_runs_is_added_up() {
        let container = |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let mut native = container("10m", "16Mi");
        native["restartPolicy"] = json!("Always");
        let limited = json!({"resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"memory": "512Mi"}}});
        let spec = json!({
            "containers": [container("100m", "64Mi"), limited, {"name": "none"}, container("?", "")],
            "initContainers": [native, container("4", "4Gi")],
        });
        let found = Requests::of(&spec);
        assert_eq!(found.in_words(), "cpu 1110m, memory 592Mi");
        assert_eq!(found.beyond(Requests::NONE, 3).in_words(), "cpu 3330m, memory 1776Mi");
        assert_eq!(Requests::NONE.beyond(found, 2).in_words(), "cpu -2220m, memory -1184Mi");
        assert_eq!(Requests::of(&json!({})).in_words(), "cpu 0, memory 0");
    }
}
