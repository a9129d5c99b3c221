//! Asks the decision about an object as the command line does.

use fedcar::input::Namespaces;
use fedcar_policy::injection::{
    AdmissionInput, AdmissionRequest, Decision, GroupVersionKind, INJECTED, ORIGINAL, Report, UserInfo, WorkloadKind,
    decide,
};
use fedcar_policy::settings::Settings;
use serde_json::{Map, Value};

/// What became of an object.
pub(super) struct Injected {
    /// The object, with everything that was injected.
    pub(super) object: Value,
    /// Whether anything changed.
    pub(super) changed: bool,
    /// What was said of each sidecar, and every warning.
    pub(super) told: Vec<String>,
}

/// Injects one object, whatever its kind.
pub(super) fn inject(settings: &Settings, (namespaces, default): (&Namespaces, &str), object: &Value) -> Injected {
    let (group, kind) = group_and_kind(object);
    let own = object.pointer("/metadata/namespace").and_then(Value::as_str).filter(|name| !name.is_empty());
    let namespace = own.unwrap_or(default);
    let request = AdmissionRequest {
        kind: Some(GroupVersionKind { group: Some(group.to_owned()), kind: Some(kind.to_owned()) }),
        operation: Some("CREATE".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: object.pointer("/metadata/name").and_then(Value::as_str).map(ToOwned::to_owned),
        user_info: Some(UserInfo { username: Some("fedcar".to_owned()), groups: None }),
        object: Some(object.clone()),
        ..AdmissionRequest::default()
    };
    let namespace = namespaces.find(namespace).cloned();
    let untouched = |told| Injected { object: object.clone(), changed: false, told };
    match decide(settings, AdmissionInput { request, namespace, offline: true }) {
        Decision::Passed(pass, warnings) => untouched([vec![pass.code().to_owned()], warnings].concat()),
        Decision::Fault(fault) => untouched(vec![format!("fault: {}", fault.message())]),
        Decision::Denied { message, report, warnings } => {
            untouched([vec![format!("denied: {message}")], told(&report), warnings].concat())
        }
        Decision::Allowed(allowed) => Injected {
            told: [told(&allowed.report), allowed.warnings].concat(),
            changed: !allowed.patch.is_empty(),
            object: allowed.object,
        },
    }
}

fn told(report: &Report) -> Vec<String> {
    let value = serde_json::to_value(report).unwrap_or_default();
    let sidecars = value.get("sidecars").and_then(Value::as_array);
    let line = |one: &Value| {
        let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let details = one.get("details").and_then(Value::as_array).into_iter().flatten();
        let details: Vec<_> = details.filter_map(Value::as_str).collect();
        (text("result") != "injected" || !details.is_empty()).then(|| {
            format!(
                "{}: {} ({}): {} {}",
                text("name"),
                text("result"),
                text("code"),
                text("sentence"),
                details.join("; ")
            )
        })
    };
    sidecars.into_iter().flatten().filter_map(line).collect()
}

fn group_and_kind(object: &Value) -> (&str, &str) {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    (text("apiVersion").split_once('/').map_or("", |(group, _)| group), text("kind"))
}

/// Where the pod stands in an object; `None` where it holds none.
pub(super) fn template(object: &Value) -> Option<&'static [&'static str]> {
    let (group, kind) = group_and_kind(object);
    WorkloadKind::find(group, kind).map(WorkloadKind::template)
}

/// The pod of an object.
pub(super) fn pod(object: &Value) -> Option<&Value> {
    template(object)?.iter().try_fold(object, |value, key| value.get(key))
}

/// The annotations that say what is ours.
pub(super) fn record(object: &Value) -> Option<&str> {
    pod(object)?.get("metadata")?.get("annotations")?.get(ORIGINAL)?.as_str()
}

/// Takes our own two annotations out again, and the maps that hold nothing else and were not there before.
pub(super) fn without_marker(injected: &mut Value, input: &Value) {
    let had = |keys: &[&str]| {
        pod(input).and_then(|pod| keys.iter().try_fold(pod, |value, key| value.get(key))).is_some_and(Value::is_object)
    };
    let Some(template) = template(injected) else { return };
    let Some(Value::Object(pod)) = template.iter().try_fold(injected, |value, key| value.get_mut(key)) else { return };
    let Some(Value::Object(metadata)) = pod.get_mut("metadata") else { return };
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.retain(|key, _| key != INJECTED && key != ORIGINAL);
        if annotations.is_empty() && !had(&["metadata", "annotations"]) {
            metadata.shift_remove("annotations");
        }
    }
    if Map::is_empty(metadata) && !had(&["metadata"]) {
        pod.shift_remove("metadata");
    }
}
