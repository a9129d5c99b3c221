//! The admission request as an API server sends it, read leniently: what is not needed is skipped, not built.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::settings::NAMESPACE_NAME_LABEL;

/// The part of `admission.k8s.io/v1` `AdmissionRequest` that decides anything.
///
/// `oldObject` and `options` are skipped while parsing. Explicit nulls count as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AdmissionRequest {
    /// The kind of the object.
    pub kind: Option<GroupVersionKind>,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: Option<String>,
    /// Empty where the request is about the object itself.
    pub sub_resource: Option<String>,
    /// The namespace of the object.
    pub namespace: Option<String>,
    /// The name of the object, where it is known already.
    pub name: Option<String>,
    /// Who sent it.
    pub user_info: Option<UserInfo>,
    /// The object without its managed fields; absent on DELETE and CONNECT.
    #[serde(deserialize_with = "super::lean::deserialize")]
    pub object: Option<Value>,
}

/// A kind with its group and version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct GroupVersionKind {
    /// Empty for the core group.
    pub group: Option<String>,
    /// The kind.
    pub kind: Option<String>,
}

/// Who sent a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// User name.
    pub username: Option<String>,
    /// Groups.
    pub groups: Option<Vec<String>>,
}

impl UserInfo {
    /// Whether the caller is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().flatten().any(|one| one == group)
    }
}

/// A request with what the host knows about it.
#[derive(Debug, Default)]
pub struct AdmissionInput {
    /// The request.
    pub request: AdmissionRequest,
    /// The Namespace object of the request, where it is known.
    pub namespace: Option<Value>,
    /// A pod template is injected as the pod that it would create.
    pub offline: bool,
}

impl AdmissionInput {
    /// The namespace's labels, where the namespace is known, always with the label that holds its name.
    pub fn namespace_labels(&self, name: &str) -> Option<Map<String, Value>> {
        let namespace = self.namespace.as_ref()?.as_object()?;
        let labels = namespace.get("metadata").and_then(|metadata| metadata.get("labels"));
        let mut labels = labels.and_then(Value::as_object).cloned().unwrap_or_default();
        labels.entry(NAMESPACE_NAME_LABEL).or_insert_with(|| Value::from(name));
        Some(labels)
    }
}
