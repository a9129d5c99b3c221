//! What others do to a pod between two of our calls: webhooks that come after us, and the API server itself.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::pod_mut;

/// One thing that somebody else does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    PrependContainer,
    AppendContainer,
    PrependInitContainer,
    AppendInitContainer,
    PrependVolume,
    AppendVolume,
    EnvIntoEveryContainer,
    ReverseContainers,
    ReverseInitContainers,
    ReverseVolumes,
    ReverseEnv,
    LabelsAndAnnotations,
    PodFields,
    ApiServer,
}

/// Deeds that only add: what they add must stay when ours is taken out.
pub(crate) const ADDITIONS: [Deed; 8] = [
    Deed::PrependContainer,
    Deed::AppendContainer,
    Deed::PrependInitContainer,
    Deed::AppendInitContainer,
    Deed::PrependVolume,
    Deed::AppendVolume,
    Deed::LabelsAndAnnotations,
    Deed::PodFields,
];

/// Every deed.
const ALL: [Deed; 14] = [
    Deed::PrependContainer,
    Deed::AppendContainer,
    Deed::PrependInitContainer,
    Deed::AppendInitContainer,
    Deed::PrependVolume,
    Deed::AppendVolume,
    Deed::EnvIntoEveryContainer,
    Deed::ReverseContainers,
    Deed::ReverseInitContainers,
    Deed::ReverseVolumes,
    Deed::ReverseEnv,
    Deed::LabelsAndAnnotations,
    Deed::PodFields,
    Deed::ApiServer,
];

/// Some deeds of any kind.
pub(crate) fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    vec(proptest::sample::select(ALL.to_vec()), 1..4)
}

/// Some deeds that only add.
pub(crate) fn additions() -> impl Strategy<Value = Vec<Deed>> {
    proptest::sample::subsequence(ADDITIONS.to_vec(), 1..4)
}

fn list<'v>(object: &'v mut Value, key: &str) -> &'v mut Vec<Value> {
    let map = object.as_object_mut().unwrap();
    let list = map.entry(key).or_insert(Value::Null);
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut().unwrap()
}

fn map<'v>(object: &'v mut Value, key: &str) -> &'v mut Map<String, Value> {
    let outer = object.as_object_mut().unwrap();
    let map = outer.entry(key).or_insert(Value::Null);
    if map.is_null() {
        *map = json!({});
    }
    map.as_object_mut().unwrap()
}

fn each_container(spec: &mut Value, mut change: impl FnMut(&mut Value)) {
    for key in ["containers", "initContainers"] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            change(container);
        }
    }
}

impl Deed {
    /// Does it.
    pub(crate) fn apply(self, object: &mut Value) {
        let pod = pod_mut(object);
        if matches!(self, Self::LabelsAndAnnotations) {
            map(pod, "metadata");
            map(&mut pod["metadata"], "labels").insert("foreign".to_owned(), json!("yes"));
            map(&mut pod["metadata"], "annotations").insert("foreign.example/a".to_owned(), json!("yes"));
            return;
        }
        let spec = &mut pod["spec"];
        let container = |name: &str| json!({"name": name, "image": "f", "unknownInForeign": 1});
        match self {
            Self::PrependContainer => list(spec, "containers").insert(0, container("foreign-first")),
            Self::AppendContainer => list(spec, "containers").push(container("foreign-last")),
            Self::PrependInitContainer => list(spec, "initContainers").insert(0, container("foreign-init-first")),
            Self::AppendInitContainer => list(spec, "initContainers").push(container("foreign-init-last")),
            Self::PrependVolume => list(spec, "volumes").insert(0, json!({"name": "foreign-first", "emptyDir": {}})),
            Self::AppendVolume => list(spec, "volumes").push(json!({"name": "foreign-last", "emptyDir": {}})),
            Self::EnvIntoEveryContainer => each_container(spec, |container| {
                list(container, "env").insert(0, json!({"name": "FOREIGN", "value": "f"}));
            }),
            Self::ReverseContainers => list(spec, "containers").reverse(),
            Self::ReverseInitContainers => list(spec, "initContainers").reverse(),
            Self::ReverseVolumes => list(spec, "volumes").reverse(),
            Self::ReverseEnv => each_container(spec, |container| {
                // Of two variables of one name the later one counts, so their order is nothing to play with.
                let names =
                    |items: &[Value]| items.iter().map(|one| one["name"].to_string()).collect::<BTreeSet<_>>().len();
                let items = list(container, "env");
                if names(items) == items.len() {
                    items.reverse();
                }
            }),
            Self::PodFields => {
                map(spec, "securityContext").insert("foreignContext".to_owned(), json!({"x": 1}));
                map(spec, "dnsConfig").insert("foreignDns".to_owned(), json!(true));
                list(spec, "tolerations").push(json!({"key": "foreign", "operator": "Exists"}));
                spec["foreignField"] = json!([1]);
            }
            Self::ApiServer => api_server(spec),
            Self::LabelsAndAnnotations => {}
        }
    }
}

/// What an API server does when it reads, defaults and writes a pod: see `pkg/apis/core/v1/defaults.go`.
fn api_server(spec: &mut Value) {
    each_container(spec, |container| {
        let map = container.as_object_mut().unwrap();
        for (key, value) in [
            ("terminationMessagePath", json!("/dev/termination-log")),
            ("terminationMessagePolicy", json!("File")),
            ("imagePullPolicy", json!("IfNotPresent")),
            ("resources", json!({})),
        ] {
            map.entry(key).or_insert(value);
        }
        for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().unwrap().entry("protocol").or_insert(json!("TCP"));
        }
        for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
                field.entry("apiVersion").or_insert(json!("v1"));
            }
            if let Some(divisor) = variable.pointer_mut("/valueFrom/resourceFieldRef/divisor") {
                *divisor = json!("1");
            }
        }
        let resources = container["resources"].as_object_mut();
        for side in resources.into_iter().flat_map(|map| map.values_mut()).filter_map(Value::as_object_mut) {
            for quantity in side.values_mut() {
                *quantity = canonical(quantity);
            }
        }
        if let Some(resources) = container["resources"].as_object_mut()
            && let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned()
        {
            let requests = resources.entry("requests").or_insert(json!({}));
            for (key, value) in limits {
                requests.as_object_mut().unwrap().entry(key).or_insert(value);
            }
        }
    });
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(source) = volume.get_mut("configMap").and_then(Value::as_object_mut) {
            source.entry("defaultMode").or_insert(json!(420));
        }
        if let Some(limit) = volume.pointer_mut("/emptyDir/sizeLimit") {
            *limit = canonical(limit);
        }
    }
    if let Some(memory) = spec.pointer_mut("/overhead/memory") {
        *memory = canonical(memory);
    }
    drop_zeroes(spec, "spec");
    let spec = spec.as_object_mut().unwrap();
    for (key, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("terminationGracePeriodSeconds", json!(30)),
        ("schedulerName", json!("default-scheduler")),
    ] {
        spec.entry(key).or_insert(value);
    }
}

fn canonical(quantity: &Value) -> Value {
    match quantity.to_string().trim_matches('"') {
        "0.5" => json!("500m"),
        "0.1" => json!("100m"),
        "1024Mi" => json!("1Gi"),
        "1e3" => json!("1e3"),
        other => json!(other),
    }
}

/// Typed structs with `omitempty` lose what is empty; pointers, as in all of `securityContext` and most switches of the
/// pod itself, keep it.
fn drop_zeroes(value: &mut Value, key: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| drop_zeroes(item, "")),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                drop_zeroes(value, key);
            }
            map.retain(|_, value| match value {
                Value::Array(items) => !items.is_empty(),
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Bool(false) => matches!(key, "spec" | "securityContext"),
                _ => true,
            });
        }
        _ => {}
    }
}
