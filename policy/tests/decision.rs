//! One decision from bytes to bytes: what a person would check first.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests: they end a test by panicking, read files and clocks, and take `json!` as it comes"
)]

use fedcar_policy::protocol::{self, Prepared};
use serde_json::{Value, json};

/// Settings with these sidecars, or a panic that shows every problem.
fn prepare(settings: &Value) -> Prepared {
    let (reply, prepared) = protocol::prepare(settings.to_string().as_bytes());
    prepared.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&reply)))
}

fn settings(sidecar: Value) -> Value {
    json!({"schemaVersion": 1, "cluster": {"name": "eu-1", "capabilities": {"nativeSidecars": true}}, "sidecars": [sidecar]})
}

fn admit(prepared: &Prepared, object: &Value) -> Value {
    let group = object["apiVersion"].as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group);
    let payload = json!({
        "request": {"operation": "CREATE", "namespace": "shop", "kind": {"group": group, "kind": object["kind"]}, "object": object},
        "offline": true, "explain": true,
    });
    serde_json::from_slice(&protocol::admit(prepared, payload.to_string().as_bytes())).unwrap()
}

fn patched(object: &Value, reply: &Value) -> Value {
    let mut object = object.clone();
    if let Some(patch) = reply.get("patch") {
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
    }
    object
}

fn restored(object: &Value) -> Value {
    let reply = protocol::restore(json!({"object": object}).to_string().as_bytes());
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert!(reply.get("patch").is_some(), "{reply}");
    patched(object, &reply)
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "app", "image": "app:1", "futureField": {"x": 1.10}}], "alsoUnknown": true},
    })
}

fn otel() -> Value {
    json!({
        "name": "otel", "version": "1.2.3", "mode": "opt-out",
        "inject": {
            "containers": [{"name": "otel", "form": "sidecar", "image": "otel:1", "ports": [{"containerPort": 4317}],
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "labels": {"otel": "yes"},
            "pod": {"tolerations": [{"key": "spot", "operator": "Exists"}], "terminationGracePeriodSeconds": 40},
            "applications": [{"env": [
                {"name": "OTEL", "value": "http://127.0.0.1:4317"},
                {"name": "SERVICE", "value": "${workload.name}/${container.name}"},
            ]}],
        },
    })
}

#[test]
fn a_pod_gets_everything_and_gives_it_back() {
    let prepared = prepare(&settings(otel()));
    let reply = admit(&prepared, &pod());
    assert_eq!(reply["code"], "injected", "{reply:#}");
    let injected = patched(&pod(), &reply);
    assert_eq!(injected["spec"]["initContainers"][0]["restartPolicy"], "Always");
    assert_eq!(injected["spec"]["containers"][0]["env"][1], json!({"name": "SERVICE", "value": "web/app"}));
    assert_eq!(injected["spec"]["containers"][0]["futureField"], json!({"x": 1.10}));
    assert_eq!(injected["metadata"]["labels"], json!({"otel": "yes"}));
    let again = admit(&prepared, &injected);
    assert_eq!((again.get("patch"), &again["code"]), (None, &json!("unchanged")), "{again:#}");
    assert_eq!(restored(&injected), pod());
}

#[test]
fn a_second_admission_after_others_moves_only_ours() {
    let prepared = prepare(&settings(otel()));
    let mut injected = patched(&pod(), &admit(&prepared, &pod()));
    let containers = injected["spec"]["containers"].as_array_mut().unwrap();
    containers.insert(0, json!({"name": "foreign", "image": "f"}));
    injected["spec"]["initContainers"].as_array_mut().unwrap().push(json!({"name": "foreign-init", "image": "f"}));
    injected["spec"]["initContainers"][0]["terminationMessagePath"] = json!("/dev/termination-log");
    let reply = admit(&prepared, &injected);
    let second = patched(&injected, &reply);
    assert_eq!(second["spec"]["containers"][0]["env"][1]["value"], "web/foreign", "{reply:#}");
    assert_eq!(second["spec"]["initContainers"][0]["terminationMessagePath"], "/dev/termination-log");
    assert_eq!(admit(&prepared, &second).get("patch"), None);
    let mut without = pod();
    without["spec"]["containers"].as_array_mut().unwrap().insert(0, json!({"name": "foreign", "image": "f"}));
    without["spec"]["initContainers"] = json!([{"name": "foreign-init", "image": "f"}]);
    assert_eq!(restored(&second), without);
}

#[test]
fn conflicts_follow_the_rules_of_the_document() {
    let mut object = pod();
    object["spec"]["volumes"] = json!([{"name": "tmp", "hostPath": {"path": "/x"}}]);
    object["spec"]["terminationGracePeriodSeconds"] = json!(5);
    let prepared = prepare(&settings(otel()));
    let reply = admit(&prepared, &object);
    assert_eq!(reply["report"]["sidecars"][0]["code"], "conflict", "{reply:#}");
    assert_eq!(reply.get("patch"), None);

    let mut replacing = otel();
    replacing["conflicts"] = json!({"pod": "replace"});
    let prepared = prepare(&settings(replacing));
    let reply = admit(&prepared, &object);
    let injected = patched(&object, &reply);
    assert_eq!(injected["spec"]["terminationGracePeriodSeconds"], 40, "{reply:#}");
    assert_eq!(injected["spec"]["initContainers"][0]["volumeMounts"][0]["name"], "tmp-2");
    assert!(injected["metadata"]["annotations"]["fedcar.dev/original"].is_string());
    assert_eq!(admit(&prepared, &injected).get("patch"), None);
    assert_eq!(restored(&injected), object);

    let mut required = otel();
    required["mode"] = json!("required");
    let reply = admit(&prepare(&settings(required)), &object);
    assert_eq!(reply["verdict"], "denied", "{reply:#}");
}

#[test]
fn templates_are_injected_where_their_pods_are() {
    let prepared = prepare(&settings(otel()));
    for (api, kind, path) in [
        ("apps/v1", "Deployment", "/spec/template"),
        ("batch/v1", "CronJob", "/spec/jobTemplate/spec/template"),
        ("v1", "ReplicationController", "/spec/template"),
    ] {
        let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "web"}});
        let template = json!({"spec": {"containers": [{"name": "app", "image": "a"}]}});
        let tokens: Vec<&str> = path.split('/').skip(1).collect();
        let nested = tokens.iter().rev().fold(template, |value, key| json!({*key: value}));
        object["spec"] = nested["spec"].clone();
        let reply = admit(&prepared, &object);
        let injected = patched(&object, &reply);
        let name = injected.pointer(&format!("{path}/spec/initContainers/0/name"));
        assert_eq!(name, Some(&json!("otel")), "{kind}: {reply:#}");
        assert_eq!(restored(&injected), object, "{kind}");
    }
}

#[test]
fn settings_problems_come_all_at_once() {
    let wrong = json!({
        "schemaVersion": 2, "clustr": {}, "onFault": "maybe",
        "sidecars": [{"name": "A", "mode": "optout", "inject": {"containers": [{"name": "x"}], "volumes": [{"name": "V"}]}}],
        "guardrails": [{"name": "g", "required": ["gone"]}],
    });
    let reply: Value = serde_json::from_slice(&protocol::validate_settings(wrong.to_string().as_bytes())).unwrap();
    let message = reply["message"].as_str().unwrap();
    for part in
        ["schemaVersion", "clustr", "onFault", "sidecars[0].name", "sidecars[0].mode", "`image` is missing", "gone"]
    {
        assert!(message.contains(part), "{part} in {message}");
    }
}
