//! Resources of a pod as a whole: do those of our containers fit into them (promise P7)?
//!
//! From `k8s.io/kubernetes/pkg/apis/core/validation`, `validatePodResourceConsistency`: the containers together may not
//! request more of a resource than the pod does, and none of `containers` may have a limit above the pod's. What the
//! containers request together is `AggregateContainerRequests` of `k8s.io/component-helpers/resource`. Where the pod has a
//! limit alone, its request becomes the sum and must be within that limit (`k8s.io/kubernetes/pkg/apis/core/v1`,
//! `setDefaultPodRequests`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::draft::Draft;
use super::pod::PodView;
use super::sizing::{amount, requested};
use crate::expression::quantity::Quantity;

/// Where the resources of a pod stand.
const ADDRESS: &str = "/spec/resources";

/// What is wrong with the containers that a sidecar has put in, each a list and a name. A pod that asked for too much
/// without them is not judged, unless its resources are ours too.
pub(super) fn faults(draft: &Draft, placed: &[(&'static str, String)]) -> Vec<String> {
    let pod = draft.pod();
    let Some(resources) = PodView(pod).spec("resources").and_then(Value::as_object) else { return Vec::new() };
    let below =
        |address: &str| address.strip_prefix(ADDRESS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let level_is_ours = draft.edits().iter().any(|edit| below(edit.address()));
    let of_pod = |side: &str, resource: &str| amount(resources.get(side)?, resource);
    let is_placed = |list: &str, container: &Value| {
        placed.iter().any(|(of, name)| *of == list && container.get("name").is_some_and(|found| found == name))
    };
    // Only what ours name can be a fault of theirs; beside that, what every pod has.
    let mut named = BTreeSet::from(["cpu", "memory"]);
    for (list, name) in placed {
        let ours = PodView(pod).list(list).iter().filter(|one| one.get("name").is_some_and(|found| found == name));
        let sides =
            ours.filter_map(|one| one.get("resources")).flat_map(|own| [own.get("requests"), own.get("limits")]);
        let maps = sides.flatten().filter_map(Value::as_object);
        named.extend(maps.flat_map(|map| map.keys()).map(String::as_str));
    }
    let mut faults = Vec::new();
    for resource in named {
        if let Some(room) = of_pod("requests", resource).or_else(|| of_pod("limits", resource)) {
            let all = together(pod, resource, |_, _| true);
            let theirs = together(pod, resource, |list, container| !is_placed(list, container));
            if all > room && (theirs <= room || level_is_ours) {
                let [all, room] = [all, room].map(|amount| amount.canonical());
                faults.push(format!("all containers together request {all} of `{resource}`, and the pod has {room}"));
            }
        }
        let Some(limit) = of_pod("limits", resource) else { continue };
        for container in PodView(pod).list("containers").iter().filter(|one| is_placed("containers", one)) {
            let own = container.get("resources").and_then(|own| amount(own.get("limits")?, resource));
            if let Some(own) = own.filter(|own| *own > limit) {
                let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
                let [own, limit] = [own, limit].map(|amount| amount.canonical());
                faults.push(format!(
                    "container `{name}`: its limit of {own} of `{resource}` is above the pod's, {limit}"
                ));
            }
        }
    }
    faults
}

/// What the counted containers request together: those that run beside each other, or one that runs before them with the
/// native sidecars that have started until then, whichever is more.
fn together(pod: &Value, resource: &str, counts: impl Fn(&str, &Value) -> bool + Copy) -> Quantity {
    let nothing = Quantity::from_units(0);
    let counted = |list| PodView(pod).list(list).iter().filter(move |one| counts(list, one));
    let mut sidecars = nothing;
    let mut most = nothing;
    for container in counted("initContainers") {
        let request = requested(container, resource);
        let running = sidecars.saturating_add(request);
        if container.get("restartPolicy").is_some_and(|policy| policy == "Always") {
            sidecars = running;
        }
        most = most.max(running);
    }
    counted("containers").fold(sidecars, |sum, one| sum.saturating_add(requested(one, resource))).max(most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(name: &str, cpu: &str) -> Value {
        json!({"name": name, "resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn requests_together_are_those_of_the_scheduler() {
        let native = |name: &str, cpu: &str| {
            let mut container = container(name, cpu);
            container["restartPolicy"] = json!("Always");
            container
        };
        for (containers, init, expected) in [
            (json!([container("a", "1"), container("b", "500m")]), json!([]), "1500m"),
            (json!([container("a", "1")]), json!([container("i", "3")]), "3"),
            (json!([container("a", "1")]), json!([native("n", "500m")]), "1500m"),
            (json!([container("a", "1")]), json!([native("n", "500m"), container("i", "2")]), "2500m"),
            (json!([container("a", "1")]), json!([container("i", "2"), native("n", "500m")]), "2"),
            (json!([{"name": "a", "resources": {"limits": {"cpu": "2"}}}]), json!([]), "2"),
        ] {
            let pod = json!({"spec": {"containers": containers, "initContainers": init}});
            assert_eq!(together(&pod, "cpu", |_, _| true).canonical(), expected, "{pod}");
        }
    }

    #[test]
    fn only_what_ours_cause_is_a_fault() {
        let ours = |resources: Value| json!({"name": "ours", "resources": resources});
        let request = |cpu: &str| ours(json!({"requests": {"cpu": cpu}}));
        let limit = |cpu: &str| ours(json!({"requests": {"cpu": "0"}, "limits": {"cpu": cpu}}));
        for (level, container, expected) in [
            (json!({"requests": {"cpu": "2"}}), request("1"), None),
            (
                json!({"requests": {"cpu": "2"}}),
                request("1001m"),
                Some("all containers together request 2001m of `cpu`, and the pod has 2"),
            ),
            (json!({"requests": {"memory": "1"}}), request("8"), None),
            // Theirs alone are above it already.
            (json!({"requests": {"cpu": "500m"}}), request("1"), None),
            (
                json!({"limits": {"cpu": "2"}}),
                request("1001m"),
                Some("all containers together request 2001m of `cpu`, and the pod has 2"),
            ),
            (json!({"requests": {"cpu": "3"}, "limits": {"cpu": "2"}}), request("1001m"), None),
            (json!({"limits": {"cpu": "2"}}), limit("2"), None),
            (
                json!({"limits": {"cpu": "2"}}),
                limit("2001m"),
                Some("container `ours`: its limit of 2001m of `cpu` is above the pod's, 2"),
            ),
            (json!("odd"), request("1"), None),
            (json!({"requests": "odd", "limits": {"cpu": "odd"}}), request("1"), None),
        ] {
            let object = json!({"spec": {"resources": level, "containers": [self::container("app", "1"), container]}});
            let draft = Draft::new(object, &[]);
            let found = faults(&draft, &[("containers", "ours".to_owned())]);
            assert_eq!(found.first().map(String::as_str), expected, "{level}");
            assert!(found.len() <= 1 && faults(&draft, &[]).is_empty(), "{found:?}");
        }
    }
}
