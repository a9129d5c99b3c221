//! Requests of an injected container that follow those of the applications, in exact arithmetic.

use serde_json::{Map, Value};

use super::pod::PodView;
use crate::expression::quantity::Quantity;
use crate::settings::{Combine, Share, Sizing};

/// Sizes a container beside these applications of a pod.
pub(super) fn size(container: &mut Value, sizing: &Sizing, pod: PodView<'_>, applications: &[&Value]) {
    let Value::Object(container) = container else { return };
    let pod_level = pod.spec("resources").and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    if pod_level && sizing.omit_at_pod_level {
        container.shift_remove("resources");
        return;
    }
    for (resource, share) in &sizing.shares {
        let request = share_of(share, resource, applications);
        // Nothing to follow: what the document says stands.
        if request.sign() == 0 {
            continue;
        }
        put(container, "requests", resource, request);
        if let Some(percent) = share.limit_percent {
            put(container, "limits", resource, whole(resource, request.scale_percent(percent)));
        }
    }
}

fn share_of(share: &Share, resource: &str, applications: &[&Value]) -> Quantity {
    let requests = applications.iter().map(|container| requested(container, resource));
    let all = match share.combine {
        Combine::Sum => requests.fold(Quantity::from_units(0), Quantity::saturating_add),
        Combine::Max => requests.max().unwrap_or(Quantity::from_units(0)),
    };
    let request = all.scale_percent(share.percent);
    let request = share.min.map_or(request, |min| request.max(min));
    whole(resource, share.max.map_or(request, |max| request.min(max)))
}

/// The least amount that can be allotted and is not below.
fn whole(resource: &str, amount: Quantity) -> Quantity {
    if resource == "cpu" { amount.round_up_to_milli() } else { amount.round_up_to_unit() }
}

/// What a container requests, which is its limit where it says no request, as the API server takes it
/// (`k8s.io/kubernetes/pkg/apis/core/v1`: `SetDefaults_Pod`). What is no amount counts as nothing.
pub(super) fn requested(container: &Value, resource: &str) -> Quantity {
    let side = |name: &str| amount(container.get("resources")?.get(name)?, resource);
    side("requests").or_else(|| side("limits")).unwrap_or(Quantity::from_units(0))
}

/// The amount of a resource in a map, where it is one.
pub(super) fn amount(map: &Value, resource: &str) -> Option<Quantity> {
    Quantity::of(map.get(resource)?).filter(|quantity| quantity.sign() >= 0)
}

/// Writes an amount into `resources`; what is there and no map is replaced, as nothing could be kept of it.
fn put(container: &mut Map<String, Value>, side: &str, resource: &str, amount: Quantity) {
    let mut map = container;
    for key in ["resources", side] {
        let below = map.entry(key).or_insert(Value::Null);
        if !below.is_object() {
            *below = Value::Object(Map::new());
        }
        let Value::Object(inner) = below else { return };
        map = inner;
    }
    map.insert(resource.to_owned(), Value::from(amount.canonical()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::read::{Node, Problems};

    fn sized(sizing: &Value, pod: &Value, resources: &Value) -> Value {
        let mut problems = Problems::default();
        let sizing = Sizing::read(&Node::root(sizing), &mut problems).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let mut container = json!({"name": "proxy", "image": "p", "resources": resources});
        let applications: Vec<&Value> = PodView(pod).list("containers").iter().collect();
        size(&mut container, &sizing, PodView(pod), &applications);
        container["resources"].take()
    }

    fn pod(resources: &[Value]) -> Value {
        let containers: Vec<Value> = resources
            .iter()
            .enumerate()
            .map(|(index, one)| json!({"name": format!("app-{index}"), "resources": one}))
            .collect();
        json!({"spec": {"containers": containers}})
    }

    #[test]
    fn requests_follow_the_applications() {
        let cpu = |amount: &str| json!({"requests": {"cpu": amount}});
        let two = || pod(&[cpu("1"), cpu("500m")]);
        let of_cpu = |more: Value| {
            let mut share = json!({"percentOfApplications": 5});
            share.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"cpu": share})
        };
        let memory = |percent: Value| json!({"memory": {"percentOfApplications": percent}});
        let of_memory = |amount: &str| pod(&[json!({"requests": {"memory": amount}})]);
        for (sizing, pod, expected) in [
            (of_cpu(json!({})), two(), json!({"requests": {"cpu": "75m"}})),
            (of_cpu(json!({"combine": "max"})), two(), json!({"requests": {"cpu": "50m"}})),
            (of_cpu(json!({"min": "75m"})), two(), json!({"requests": {"cpu": "75m"}})),
            (of_cpu(json!({"min": "76m"})), two(), json!({"requests": {"cpu": "76m"}})),
            (of_cpu(json!({"max": "74m"})), two(), json!({"requests": {"cpu": "74m"}})),
            (
                of_cpu(json!({"limitPercent": 400})),
                two(),
                json!({"requests": {"cpu": "75m"}, "limits": {"cpu": "300m"}}),
            ),
            (
                of_cpu(json!({"limitPercent": 100.1})),
                two(),
                json!({"requests": {"cpu": "75m"}, "limits": {"cpu": "76m"}}),
            ),
            (
                of_cpu(json!({"max": "50m", "limitPercent": 400})),
                two(),
                json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "200m"}}),
            ),
            // Whole millicores, whole bytes.
            (of_cpu(json!({})), pod(&[cpu("1m")]), json!({"requests": {"cpu": "1m"}})),
            (of_cpu(json!({})), pod(&[cpu("0.021")]), json!({"requests": {"cpu": "2m"}})),
            (memory(json!(10)), of_memory("1Gi"), json!({"requests": {"memory": "107374183"}})),
            (memory(json!(12.5)), of_memory("1Gi"), json!({"requests": {"memory": "128Mi"}})),
            (memory(json!(50)), of_memory("1G"), json!({"requests": {"memory": "500M"}})),
            // A limit counts where there is no request, and a number is a quantity.
            (of_cpu(json!({})), pod(&[json!({"limits": {"cpu": 2}})]), json!({"requests": {"cpu": "100m"}})),
            (
                of_cpu(json!({})),
                pod(&[json!({"limits": {"cpu": "2"}, "requests": {"cpu": "1", "memory": "1Gi"}})]),
                json!({"requests": {"cpu": "50m"}}),
            ),
            // Without anything to follow only a bound says something.
            (of_cpu(json!({})), pod(&[json!({})]), json!({})),
            (of_cpu(json!({"limitPercent": 200})), json!({}), json!({})),
            (
                of_cpu(json!({"min": "10m", "limitPercent": 200})),
                json!({}),
                json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}}),
            ),
            (of_cpu(json!({"max": "0"})), two(), json!({})),
            // What no API server would take counts as nothing.
            (
                of_cpu(json!({})),
                pod(&[cpu("-8"), cpu("lots"), json!({"requests": 5}), json!(7), cpu("1")]),
                json!({"requests": {"cpu": "50m"}}),
            ),
        ] {
            assert_eq!(sized(&sizing, &pod, &json!({})), expected, "{sizing} {pod}");
        }
    }

    #[test]
    fn what_the_document_says_is_replaced_where_it_is_sized() {
        let pod = pod(&[json!({"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}})]);
        let sizing = json!({"cpu": {"percentOfApplications": 10}, "ephemeral-storage": {"percentOfApplications": 1}});
        let before = json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "7", "memory": "64Mi"}});
        assert_eq!(
            sized(&sizing, &pod, &before),
            json!({
                "limits": {"cpu": "2", "memory": "1Gi"},
                "requests": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "10737419"},
            })
        );
        assert_eq!(sized(&sizing, &pod, &json!("odd"))["requests"]["cpu"], "100m");
    }

    #[test]
    fn amounts_beyond_reason_stay_at_the_end_of_the_range() {
        let huge = json!({"requests": {"cpu": "99999999999E", "memory": "9223372036854775807Ei"}});
        let pod = pod(&[huge.clone(), huge.clone(), huge]);
        let sizing = json!({"cpu": {"percentOfApplications": 1000, "limitPercent": 1_000_000},
                            "memory": {"percentOfApplications": 1000, "max": "1Gi"}});
        let resources = sized(&sizing, &pod, &json!({}));
        assert_eq!(resources["requests"]["memory"], "1Gi");
        let amount = |side: &str| Quantity::parse(resources[side]["cpu"].as_str().unwrap()).unwrap();
        assert!(amount("limits") >= amount("requests"));
    }

    #[test]
    fn a_pod_with_resources_of_its_own_may_do_without_ours() {
        let omit = json!({"cpu": {"percentOfApplications": 10}, "podLevel": "omit"});
        let keep = json!({"cpu": {"percentOfApplications": 10}});
        for (sizing, level, expected) in [
            (&omit, json!({"limits": {"cpu": "2"}}), json!(null)),
            (&omit, json!({}), json!({"requests": {"cpu": "100m"}})),
            (&omit, json!(null), json!({"requests": {"cpu": "100m"}})),
            (&keep, json!({"limits": {"cpu": "2"}}), json!({"requests": {"cpu": "100m"}})),
        ] {
            let mut pod = pod(&[json!({"requests": {"cpu": "1"}})]);
            pod["spec"]["resources"] = level;
            assert_eq!(sized(sizing, &pod, &json!({})), expected, "{pod}");
        }
    }
}
