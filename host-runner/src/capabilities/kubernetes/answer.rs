//! Objects and lists as policies get them.

use bytes::Bytes;
use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject, TypeMeta};
use serde_json::Value;

use super::super::objects::Rendered;
use super::mask::Mask;

/// Repeats the whole object as text; `kubectl apply` writes it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as text, without what only its writers need. Always with `apiVersion` and `kind`, which the items of a
/// list do not have when they come from the API server.
pub(super) fn render(resource: &ApiResource, mut object: DynamicObject) -> Option<Rendered> {
    object.types = Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
    object.metadata.managed_fields = None;
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    let json = serde_json::to_vec(&object).ok()?;
    Some(Rendered {
        namespace: object.namespace().unwrap_or_default().into(),
        name: object.name_any().into(),
        json: json.into(),
    })
}

/// An object as the mask shows it.
pub(super) fn object(object: &Bytes, mask: Option<&Mask>) -> Vec<u8> {
    let Some(mask) = mask else { return object.to_vec() };
    let Ok(mut value) = serde_json::from_slice::<Value>(object) else { return object.to_vec() };
    mask.apply(&mut value);
    value.to_string().into_bytes()
}

/// Objects in a list object.
pub(super) fn list(api_version: &str, kind: &str, objects: &[Bytes], mask: Option<&Mask>) -> Vec<u8> {
    let types = Value::from(api_version);
    let kind = Value::from(format!("{kind}List"));
    let mut text = format!(r#"{{"apiVersion":{types},"kind":{kind},"metadata":{{}},"items":["#).into_bytes();
    if mask.is_none() {
        text.reserve(objects.iter().map(|item| item.len() + 1).sum::<usize>() + 1);
    }
    for (index, item) in objects.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        match mask {
            None => text.extend_from_slice(item),
            Some(_) => text.append(&mut object(item, mask)),
        }
    }
    text.extend_from_slice(b"]}");
    text
}
