//! A read-only view of a pod, for the questions that selection and rendering ask.

use serde_json::{Map, Value};

/// A pod or pod template: `metadata` and `spec`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PodView<'v>(pub(super) &'v Value);

impl<'v> PodView<'v> {
    pub(super) fn metadata(self) -> Option<&'v Map<String, Value>> {
        self.0.get("metadata").and_then(Value::as_object)
    }

    pub(super) fn labels(self) -> Option<&'v Map<String, Value>> {
        self.metadata()?.get("labels").and_then(Value::as_object)
    }

    pub(super) fn annotations(self) -> Option<&'v Map<String, Value>> {
        self.metadata()?.get("annotations").and_then(Value::as_object)
    }

    pub(super) fn spec(self, key: &str) -> Option<&'v Value> {
        self.0.get("spec").and_then(|spec| spec.get(key))
    }

    /// A list of the spec, where it is one.
    pub(super) fn list(self, key: &str) -> &'v [Value] {
        self.spec(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub(super) fn host_network(self) -> bool {
        self.spec("hostNetwork") == Some(&Value::Bool(true))
    }

    /// The operating system that the pod says it is for; Linux where it says nothing.
    pub(super) fn os(self) -> &'v str {
        let declared = self.spec("os").and_then(|os| os.get("name")).and_then(Value::as_str);
        declared.or_else(|| self.node_selector("kubernetes.io/os")).unwrap_or("linux")
    }

    /// The architecture that the pod says it is for, by its node selector alone.
    pub(super) fn architecture(self) -> Option<&'v str> {
        self.node_selector("kubernetes.io/arch")
    }

    fn node_selector(self, key: &str) -> Option<&'v str> {
        self.spec("nodeSelector").and_then(|selector| selector.get(key)).and_then(Value::as_str)
    }

    /// The service account; a pod that names none runs as `default`.
    pub(super) fn service_account(self) -> &'v str {
        let named = |key| self.spec(key).and_then(Value::as_str).filter(|name| !name.is_empty());
        named("serviceAccountName").or_else(|| named("serviceAccount")).unwrap_or("default")
    }

    /// Whether the kubelet made this pod to show a static one.
    pub(super) fn is_mirror(self) -> bool {
        self.annotations().is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"))
    }
}
