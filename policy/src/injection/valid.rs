//! Is what we add valid (promise P7)? Rules of the API server, each with its source; the user's own faults are not ours
//! to judge.

use serde_json::{Map, Value};

use crate::expression::quantity::Quantity;
use crate::settings::{Form, is_dns_label, is_label_value, is_qualified_name};

/// Annotations of one object share this many bytes, keys and values together
/// (`k8s.io/apimachinery/pkg/api/validation`: `TotalAnnotationSizeLimitB`).
pub(super) const ANNOTATION_BYTES_MAX: usize = 256 * 1024;

/// What is wrong with a container that we would add (`k8s.io/kubernetes/pkg/apis/core/validation`: `validateContainers`,
/// `validateInitContainers`).
pub(crate) fn container_faults(container: &Value, form: Form) -> Vec<String> {
    let Some(container) = container.as_object() else {
        return vec!["expected a container, found something else".to_owned()];
    };
    let mut faults = Vec::new();
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
    let mut fault = |text: String| faults.push(format!("container `{name}`: {text}"));
    if !is_dns_label(name) {
        fault("expected a name such as `otel-agent` (RFC 1123 label)".to_owned());
    }
    if container.get("image").and_then(Value::as_str).is_none_or(|image| image.trim().is_empty()) {
        fault("expected an image".to_owned());
    }
    match (container.get("restartPolicy").and_then(Value::as_str), form) {
        (None, _) | (Some("Always"), Form::Sidecar) => {}
        (Some(found), _) => fault(format!("`restartPolicy: {found}` is not for us to set: `form` says it")),
    }
    if form == Form::Init {
        for key in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
            if container.get(key).is_some_and(|value| !value.is_null()) {
                fault(format!("an init container that ends has no `{key}`"));
            }
        }
    }
    port_faults(container, &mut fault);
    resource_faults(container, &mut fault);
    let paths: Vec<&str> = texts(container, "volumeMounts", "mountPath").collect();
    for (index, path) in paths.iter().enumerate() {
        if paths.iter().take(index).any(|earlier| earlier == path) {
            fault(format!("`{path}` is mounted twice"));
        }
    }
    faults
}

fn port_faults(container: &Map<String, Value>, fault: &mut impl FnMut(String)) {
    for port in list(container, "ports") {
        for key in ["containerPort", "hostPort"] {
            let Some(number) = port.get(key).filter(|number| !number.is_null()) else { continue };
            if !number.as_u64().is_some_and(|number| (1..=u64::from(u16::MAX)).contains(&number)) {
                fault(format!("expected `{key}` from 1 to 65535, found {number}"));
            }
        }
    }
}

/// Requests may not be above limits, and both must be quantities.
fn resource_faults(container: &Map<String, Value>, fault: &mut impl FnMut(String)) {
    let resources = container.get("resources").and_then(Value::as_object);
    let side = |name: &str| resources.and_then(|resources| resources.get(name)).and_then(Value::as_object);
    for name in ["requests", "limits"] {
        for (resource, value) in side(name).into_iter().flatten() {
            if Quantity::of(value).is_none() {
                fault(format!("expected `resources.{name}.{resource}` to be a quantity such as `100m`"));
            }
        }
    }
    for (resource, request) in side("requests").into_iter().flatten() {
        let limit = side("limits").and_then(|limits| limits.get(resource)).and_then(Quantity::of);
        if let (Some(request), Some(limit)) = (Quantity::of(request), limit)
            && request > limit
        {
            fault(format!("its request of `{resource}` is above its limit"));
        }
    }
}

/// What is wrong with a label or annotation that we would add.
pub(super) fn entry_fault(kind: &str, key: &str, value: &Value) -> Option<String> {
    match value.as_str() {
        _ if !is_qualified_name(key) => Some(format!("{kind} `{key}`: the key is not valid")),
        None => Some(format!("{kind} `{key}`: expected text")),
        Some(text) if kind == "label" && !is_label_value(text) => {
            Some(format!("label `{key}`: `{}` is not a valid label value", crate::read::clip(text)))
        }
        Some(_) => None,
    }
}

/// The list of an object, where it is one.
pub(super) fn list<'v>(container: &'v Map<String, Value>, key: &str) -> &'v [Value] {
    container.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text field of every item of a list.
pub(super) fn texts<'v>(
    container: &'v Map<String, Value>,
    key: &str,
    field: &'static str,
) -> impl Iterator<Item = &'v str> {
    list(container, key).iter().filter_map(move |item| item.get(field)).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_follow_the_api_server() {
        for (container, form, faults) in [
            (json!({"name": "a", "image": "i"}), Form::Container, 0),
            (json!({"name": "A", "image": " "}), Form::Container, 2),
            (json!({"name": "a", "image": "i", "restartPolicy": "Always"}), Form::Sidecar, 0),
            (json!({"name": "a", "image": "i", "restartPolicy": "Always"}), Form::Container, 1),
            (json!({"name": "a", "image": "i", "readinessProbe": {}}), Form::Init, 1),
            (json!({"name": "a", "image": "i", "readinessProbe": {}}), Form::Sidecar, 0),
            (
                json!({"name": "a", "image": "i", "ports": [{"containerPort": 0}, {"containerPort": 65536}]}),
                Form::Init,
                2,
            ),
            (json!({"name": "a", "image": "i", "ports": [{"containerPort": "80"}]}), Form::Init, 1),
            (
                json!({"name": "a", "image": "i", "volumeMounts": [{"mountPath": "/a"}, {"mountPath": "/a"}]}),
                Form::Init,
                1,
            ),
            (
                json!({"name": "a", "image": "i", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}}}),
                Form::Init,
                1,
            ),
            (json!({"name": "a", "image": "i", "resources": {"requests": {"cpu": "lots"}}}), Form::Init, 1),
            (json!(7), Form::Init, 1),
        ] {
            let found = container_faults(&container, form);
            assert_eq!(found.len(), faults, "{container}: {found:?}");
        }
    }

    #[test]
    fn labels_and_annotations_follow_the_api_server() {
        assert_eq!(entry_fault("label", "a/b", &json!("ok")), None);
        assert_eq!(entry_fault("annotation", "a/b", &json!("any text / at all")), None);
        for (kind, key, value) in
            [("label", "a b", json!("x")), ("label", "a", json!("x y")), ("annotation", "a", json!(true))]
        {
            assert!(entry_fault(kind, key, &value).is_some(), "{key}");
        }
    }
}
