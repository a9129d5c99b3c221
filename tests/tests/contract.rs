//! Our wire types and those of Kubewarden's SDK agree, in both directions.
//!
//! The module has its own, because the SDK's double its size; so what the SDK reads and writes must be what we mean.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use fedcar_policy::protocol::{self, Namespaces};
use kubewarden_policy_sdk::request::{KubernetesAdmissionRequest, ValidationRequest};
use kubewarden_policy_sdk::response::ValidationResponse;
use kubewarden_policy_sdk::settings::SettingsValidationResponse;
use serde_json::{Value, json};

struct NoNamespaces;

impl Namespaces for NoNamespaces {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }
}

fn settings() -> Value {
    json!({
        "schemaVersion": 1, "cluster": {"name": "c"},
        "sidecars": [{
            "name": "cache", "mode": "required",
            "match": {"callers": {"users": ["alice"], "groups": ["builders"]}},
            "inject": {"containers": [{"name": "cache", "image": "cache:1"}]},
        }],
    })
}

/// A request as policy-server hands it over: camel case, absent fields left out.
fn request(user: &str) -> Value {
    json!({
        "uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"}, "operation": "CREATE", "namespace": "shop",
        "userInfo": {"username": user, "groups": ["builders"]}, "dryRun": true,
        "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}},
    })
}

fn validate(request: &Value) -> ValidationResponse {
    let payload = json!({"request": request, "settings": settings()});
    serde_json::from_slice(&protocol::validate(payload.to_string().as_bytes(), &NoNamespaces)).expect("an SDK response")
}

#[test]
fn both_read_the_same_request() {
    let payload = json!({"request": request("alice"), "settings": settings()}).to_string();
    let theirs: KubernetesAdmissionRequest =
        ValidationRequest::<Value>::new(payload.as_bytes()).expect("a request").request;
    let ours: fedcar_policy::injection::AdmissionRequest = serde_json::from_value(request("alice")).expect("a request");
    let (kind, user) = (ours.kind.unwrap_or_default(), ours.user_info.unwrap_or_default());
    assert_eq!(ours.operation, Some(theirs.operation));
    assert_eq!(ours.namespace, Some(theirs.namespace));
    assert_eq!(ours.object, Some(theirs.object));
    assert_eq!((kind.group, kind.kind), (Some(theirs.kind.group), Some(theirs.kind.kind)));
    assert_eq!(user.username, Some(theirs.user_info.username));
    assert_eq!(user.groups.map(|groups| groups.into_iter().collect()), Some(theirs.user_info.groups));
    assert_eq!(ours.sub_resource.unwrap_or_default(), theirs.sub_resource);
}

#[test]
fn the_sdk_reads_what_we_answer() {
    let injected = validate(&request("alice"));
    assert!(injected.accepted);
    assert_eq!(injected.mutated_object.expect("an object")["spec"]["containers"][1]["name"], "cache");
    assert_eq!(injected.audit_annotations.expect("annotations")["injected"], "cache=0");

    let mut shared = request("alice");
    shared["object"]["spec"]["hostNetwork"] = json!(true);
    let denied = validate(&shared);
    assert_eq!((denied.accepted, denied.code), (false, Some(403)));
    assert!(denied.mutated_object.is_none() && denied.message.expect("a message").contains("cache"));

    let fault = validate(&json!({"operation": "CREATE", "kind": {"kind": "Pod"}, "object": {"spec": 7}}));
    assert_eq!((fault.accepted, fault.code), (false, Some(500)));

    let valid: SettingsValidationResponse =
        serde_json::from_slice(&protocol::validate_settings(settings().to_string().as_bytes())).expect("a reply");
    assert_eq!((valid.valid, valid.message), (true, None));
    let wrong: SettingsValidationResponse =
        serde_json::from_slice(&protocol::validate_settings(b"{}")).expect("a reply");
    assert!(!wrong.valid && wrong.message.expect("a message").contains("schemaVersion"));
}

#[test]
fn we_read_what_the_sdk_writes() {
    // The SDK writes snake case, which no Kubewarden host sends; what decides here is spelt the same in both.
    let theirs = KubernetesAdmissionRequest {
        operation: "CREATE".to_owned(),
        namespace: "shop".to_owned(),
        object: request("bob")["object"].clone(),
        ..KubernetesAdmissionRequest::default()
    };
    let ours: fedcar_policy::injection::AdmissionRequest =
        serde_json::from_value(serde_json::to_value(&theirs).expect("JSON")).expect("a request");
    assert_eq!(ours.operation, Some(theirs.operation));
    assert_eq!(ours.object, Some(theirs.object));
}
