//! Drives the protocol from bytes to bytes, as every face does, and looks at pods the way people do.

#![allow(dead_code, reason = "each test binary uses its own part")]

use fedcar_policy::protocol::{self, Prepared};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Value, json};

/// `apiVersion`, kind, and where the pod stands.
pub(crate) const KINDS: [(&str, &str, &str); 8] = [
    ("v1", "Pod", ""),
    ("apps/v1", "Deployment", "/spec/template"),
    ("apps/v1", "StatefulSet", "/spec/template"),
    ("apps/v1", "DaemonSet", "/spec/template"),
    ("apps/v1", "ReplicaSet", "/spec/template"),
    ("v1", "ReplicationController", "/spec/template"),
    ("batch/v1", "Job", "/spec/template"),
    ("batch/v1", "CronJob", "/spec/jobTemplate/spec/template"),
];

/// The prepared settings, or a panic that shows every problem.
pub(crate) fn prepare(settings: &Value) -> Prepared {
    let (reply, prepared) = protocol::prepare(settings.to_string().as_bytes());
    prepared.unwrap_or_else(|| panic!("{}\n{settings:#}", String::from_utf8_lossy(&reply)))
}

/// Settings of a cluster with native sidecars.
pub(crate) fn settings(sidecars: Value) -> Value {
    json!({"schemaVersion": 1, "cluster": {"name": "eu-1", "capabilities": {"nativeSidecars": true}}, "sidecars": sidecars})
}

/// The request that creates an object.
pub(crate) fn request(object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    json!({
        "uid": "u", "operation": "CREATE", "namespace": "shop", "object": object,
        "kind": {"group": group, "version": "v1", "kind": object["kind"]},
        "userInfo": {"username": "jo", "groups": ["system:authenticated"]},
    })
}

/// The answer of `fedcar.admit` to any payload.
pub(crate) fn answer(prepared: &Prepared, payload: &Value) -> Value {
    let reply = protocol::admit(prepared, payload.to_string().as_bytes());
    serde_json::from_slice(&reply).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&reply)))
}

/// The answer for an object that is injected as the pod that it is or creates.
pub(crate) fn admit(prepared: &Prepared, object: &Value) -> Value {
    answer(prepared, &json!({"request": request(object), "offline": true, "explain": true}))
}

/// The object after the patch of an answer.
pub(crate) fn patched(object: &Value, reply: &Value) -> Value {
    let mut object = object.clone();
    if let Some(patch) = reply.get("patch") {
        json_patch::patch(&mut object, &operations(patch))
            .unwrap_or_else(|error| panic!("{error}: {reply:#}\n{object:#}"));
    }
    object
}

/// The operations of a patch; by hand, because the reader of `json-patch` stumbles over numbers beyond 64 bits.
pub(crate) fn operations(list: &Value) -> json_patch::Patch {
    let operation = |one: &Value| {
        let pointer = |key: &str| PointerBuf::parse(one[key].as_str().unwrap()).unwrap();
        let (path, content) = (pointer("path"), || one["value"].clone());
        match one["op"].as_str().unwrap() {
            "add" => PatchOperation::Add(AddOperation { path, value: content() }),
            "replace" => PatchOperation::Replace(ReplaceOperation { path, value: content() }),
            "remove" => PatchOperation::Remove(RemoveOperation { path }),
            "move" => PatchOperation::Move(MoveOperation { from: pointer("from"), path }),
            other => panic!("unexpected operation {other}"),
        }
    };
    json_patch::Patch(list.as_array().unwrap().iter().map(operation).collect())
}

/// The answer of `fedcar.restore`.
pub(crate) fn restore(object: &Value) -> Value {
    let reply = protocol::restore(json!({"object": object}).to_string().as_bytes());
    serde_json::from_slice(&reply).unwrap()
}

/// The object without what was injected, or a panic that says why not.
pub(crate) fn restored(object: &Value) -> Value {
    let reply = restore(object);
    assert!(reply.get("patch").is_some(), "{reply:#}\n{object:#}");
    patched(object, &reply)
}

/// The injected object, held to the promises that a second admission changes nothing and that the original comes back.
pub(crate) fn round_trip(prepared: &Prepared, object: &Value) -> Value {
    let reply = admit(prepared, object);
    assert_eq!(reply["code"], "injected", "{reply:#}");
    let once = patched(object, &reply);
    let again = admit(prepared, &once);
    assert_eq!((again.get("patch"), &again["code"]), (None, &json!("unchanged")), "{again:#}");
    assert_eq!(restored(&once), *object);
    once
}

fn pod_pointer(object: &Value) -> &'static str {
    KINDS.iter().find(|(_, kind, _)| object["kind"] == *kind).map_or("", |(_, _, pointer)| pointer)
}

/// The pod in an object.
pub(crate) fn pod_of(object: &Value) -> &Value {
    object.pointer(pod_pointer(object)).unwrap_or(&Value::Null)
}

/// The pod in an object, to be changed.
pub(crate) fn pod_mut(object: &mut Value) -> &mut Value {
    let pointer = pod_pointer(object);
    object.pointer_mut(pointer).unwrap()
}

/// An object of one of [`KINDS`] around a pod.
pub(crate) fn wrap(kind: usize, pod: &Value) -> Value {
    let (api_version, kind, pointer) = KINDS[kind];
    let tokens: Vec<&str> = pointer.split('/').skip(1).collect();
    let mut object = tokens.iter().rev().fold(pod.clone(), |value, key| json!({*key: value}));
    let map = object.as_object_mut().unwrap();
    map.insert("apiVersion".to_owned(), json!(api_version));
    map.insert("kind".to_owned(), json!(kind));
    if !pointer.is_empty() {
        map.insert("metadata".to_owned(), json!({"name": "web", "unknownInMetadata": [1.10]}));
        object["spec"]["unknownInSpec"] = json!({"deep": [null, {"x": 1}]});
    }
    object
}

/// The containers and init containers of a pod.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
}

/// Every place of a value as a JSON pointer, the root first.
pub(crate) fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: String, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    walk(value, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(value, format!("{pointer}/{index}"), found);
                }
            }
            _ => {}
        }
        found.push(pointer);
    }
    let mut found = Vec::new();
    walk(value, String::new(), &mut found);
    found.reverse();
    found
}

/// JSON text as a value, for numbers that `json!` cannot say.
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
