//! Hostile bytes: whatever comes in, a JSON answer comes out, soon, and a broken object never looks decided upon.

#![recursion_limit = "256"]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests: they end a test by panicking, read files and clocks, and take `json!` as it comes"
)]

mod support;

use std::time::{Duration, Instant};

use fedcar_policy::protocol::{self, Namespaces, Prepared};
use serde_json::{Value, json};
use support::{patched, places, prepare, request};

/// Debug builds on slow, shared machines; a release build takes a twentieth.
const SOON: Duration = Duration::from_secs(10);

struct Odd(Value);

impl Namespaces for Odd {
    fn get(&self, _: &str) -> Option<Value> {
        Some(self.0.clone())
    }
}

fn reply(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// Every operation answers JSON; the replies to `fedcar.admit` and `validate`.
fn all_answer(prepared: &Prepared, payload: &[u8]) -> (Value, Value) {
    let start = Instant::now();
    reply(&protocol::validate_settings(payload));
    reply(&protocol::prepare(payload).0);
    reply(&protocol::restore(payload));
    let replies = (reply(&protocol::admit(prepared, payload)), reply(&protocol::validate(payload, &Odd(json!({})))));
    let (elapsed, shown) =
        (start.elapsed(), String::from_utf8_lossy(payload.get(..200).unwrap_or(payload)).into_owned());
    assert!(elapsed < SOON, "{elapsed:?} for {shown}");
    replies
}

fn settings() -> Value {
    json!({
        "schemaVersion": 1,
        "cluster": {"name": "eu-1", "labels": {"a": "b"}, "capabilities": {"nativeSidecars": true}},
        "federation": {"name": "f", "revision": "r", "trustDomain": "t"},
        "let": [{"name": "shared", "value": {"list": ["${workload.name}"]}}],
        "variables": {"x": 1}, "onFault": "deny", "protectedNamespaces": ["p"], "engineNamespace": "e",
        "sidecars": [{
            "name": "s", "version": "1", "origin": {"file": "f", "line": 1}, "mode": "opt-out", "onConflict": "skip",
            "allowHostNetwork": false, "os": ["linux"], "architectures": ["amd64"],
            "match": {
                "namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
                "pods": {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]},
                "serviceAccounts": ["default"], "callers": {"users": ["jo"], "groups": ["g"]}, "workloads": ["Pod"],
            },
            "when": "${size(pod.spec.containers) > 0}",
            "overrides": [
                {"annotation": "n", "type": "integer", "min": 1, "max": 5, "default": 2, "sets": "containers.s.env.N.value"},
                {"annotation": "o/t", "name": "t", "type": "string", "oneOf": ["x", "y"], "maxLength": 9},
                {"annotation": "q", "type": "quantity", "min": "1Mi", "max": "1Gi", "sets": "containers.s.resources.limits.memory"},
                {"annotation": "d", "type": "duration", "max": "1h"}, {"annotation": "j", "type": "json", "default": [{}]},
            ],
            "let": [{"name": "own", "value": "${let.shared.list[0] + handlers.map(h, h.of).join()}"}],
            "validations": [{"expression": "${size(applications) > 0}", "message": "${let.own}"}],
            "rollout": {"salt": "r", "percent": 50, "previous": {"version": "0", "inject": {"labels": {"old": "yes"}}}},
            "inject": {
                "containers": [{
                    "name": "s", "form": "sidecar", "fallback": {"form": "container", "jobs": "skip"}, "image": "s:1",
                    "position": {"before": ["x"], "after": ["y"]}, "ports": [{"containerPort": 1}],
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}], "resources": {"limits": {"cpu": "1"}},
                    "sizing": {"cpu": {"percentOfApplications": 5, "combine": "max", "min": "1m", "max": "1", "limitPercent": 200},
                        "podLevel": "omit"},
                    "overridable": ["env", "image"], "fixed": {"env": [{"name": "F", "value": "${let.own}"}]},
                }, {"name": "t", "image": "t:1", "form": "${let.own == '' ? 'init' : 'container'}", "position": {"before": "${['app']}"}}],
                "remove": {"annotations": ["a"], "labels": ["b"]},
                "volumes": [{"name": "v", "emptyDir": {}, "position": {"before": ["*"]}}], "labels": {"l": "${workload.name}"}, "annotations": {"a": "b"},
                "pod": {"tolerations": [{"key": "k"}], "securityContext": {"fsGroup": 1}, "dnsConfig": {"options": [{"name": "n"}]}},
                "applications": [{
                    "select": {"include": ["app"], "exclude": ["no"], "init": true},
                    "env": [{"name": "E", "value": "${container.name}"}], "envFrom": [{"configMapRef": {"name": "c"}}],
                    "volumeMounts": [{"name": "v", "mountPath": "/e"}], "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
                    "when": "${container.name != 'x'}", "set": {"tty": true},
                    "handlers": [{"of": ["livenessProbe", "preStop"], "kinds": ["httpGet"], "when": "${handler.?port.orValue(1) > 0}",
                        "to": {"httpGet": {"path": "/${handler.of}", "port": 1}}}],
                }],
            },
            "conflicts": {"containers": "replace", "volumes": "replace", "env": "replace", "mounts": "replace",
                "labels": "replace", "annotations": "replace", "pod": "replace", "lifecycle": "replace", "ports": "keep"},
        }],
        "guardrails": [{"name": "g", "origin": {"file": "f", "line": 2}, "match": {"serviceAccounts": ["x"]}, "required": ["s"], "never": []}],
    })
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "labels": {"a": "c"}, "annotations": {"a": "z", "s.sidecar.fedcar.dev/n": "3", "o/t": "x", "s.sidecar.fedcar.dev/j": "{}"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "w", "controller": true}]},
        "spec": {
            "containers": [{
                "name": "app", "image": "a", "env": [{"name": "E", "value": "v"}], "envFrom": [{"secretRef": {"name": "x"}}],
                "volumeMounts": [{"name": "v", "mountPath": "/e"}], "ports": [{"containerPort": 1, "protocol": "TCP"}],
                "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1},
            }, {"name": "s", "image": "auto", "env": [{"name": "U", "value": "u"}]}],
            "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always"}],
            "volumes": [{"name": "v", "hostPath": {"path": "/"}}], "tolerations": [{"key": "t"}],
            "securityContext": {"fsGroup": 2}, "dnsConfig": {"options": [{"name": "n", "value": "1"}]},
            "hostNetwork": false, "os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "serviceAccountName": "default", "resources": {"requests": {"cpu": "8"}, "limits": {"cpu": "9"}},
        },
    })
}

const WRONG: [&str; 9] = ["null", "7", r#""x""#, "[]", "{}", "true", "[null]", r#"{"x":{}}"#, "1e999"];

#[test]
fn a_wrong_type_anywhere_in_a_request_is_answered() {
    let prepared = prepare(&settings());
    let settings = settings();
    let payload = json!({
        "request": request(&pod()), "namespace": {"metadata": {"labels": {"tier": "prod"}}}, "offline": false,
        "explain": true, "settings": settings,
    });
    for place in places(&payload).iter().filter(|place| !place.starts_with("/settings")) {
        for wrong in WRONG {
            let mut payload = payload.clone();
            *payload.pointer_mut(place).unwrap() = support::parse(wrong);
            let (reply, validation) = all_answer(&prepared, payload.to_string().as_bytes());
            assert!(["allowed", "denied", "fault"].contains(&reply["verdict"].as_str().unwrap()), "{place}: {reply}");
            assert!(validation["accepted"].is_boolean(), "{place}");
            // What comes out can be applied, taken back and admitted again.
            if reply.get("patch").is_some() {
                let object = &payload["request"]["object"];
                let once = patched(object, &reply);
                let back = support::restore(&once);
                if once["kind"] == "Pod" && once["apiVersion"] == "v1" {
                    assert!(back.get("patch").is_some(), "{place} = {wrong}: {back}\n{once:#}");
                    assert_eq!(patched(&once, &back), *object, "{place} = {wrong}");
                    payload["request"]["object"] = once.clone();
                    let again = protocol::admit(&prepared, payload.to_string().as_bytes());
                    assert_eq!(
                        self::reply(&again).get("patch"),
                        None,
                        "{place} = {wrong}\n{once:#}\n{:#}",
                        self::reply(&again)
                    );
                }
            }
        }
    }
}

#[test]
fn a_wrong_type_anywhere_in_settings_is_a_problem_or_can_be_meant() {
    let settings = settings();
    let payload = json!({"request": request(&pod()), "explain": true}).to_string();
    for place in places(&settings) {
        for wrong in WRONG {
            let mut settings = settings.clone();
            *settings.pointer_mut(&place).unwrap() = support::parse(wrong);
            let (told, prepared) = protocol::prepare(settings.to_string().as_bytes());
            let told = reply(&told);
            assert_eq!(told["valid"] == true, prepared.is_some(), "{place}");
            assert_eq!(told["problems"].as_array().unwrap().is_empty(), prepared.is_some(), "{place}");
            let Some(prepared) = prepared else { continue };
            let reply = reply(&protocol::admit(&prepared, payload.as_bytes()));
            assert_ne!(reply["verdict"], "fault", "{place} = {wrong}: {reply}");
            let once = patched(&pod(), &reply);
            if reply.get("patch").is_some() {
                assert_eq!(support::restored(&once), pod(), "{place} = {wrong}");
                let payload = json!({"request": request(&once)}).to_string();
                let again = self::reply(&protocol::admit(&prepared, payload.as_bytes()));
                assert_eq!(again.get("patch"), None, "{place} = {wrong}: {again:#}\n{once:#}");
            }
        }
    }
}

#[test]
fn every_prefix_of_a_payload_is_answered() {
    let prepared = prepare(&settings());
    let payload = json!({"request": request(&pod()), "settings": settings()}).to_string().into_bytes();
    for length in 0..payload.len() {
        let (reply, validation) = all_answer(&prepared, &payload[..length]);
        assert_eq!((&reply["verdict"], &reply["code"]), (&json!("fault"), &json!("bad-request")), "{length}");
        assert_eq!(validation["accepted"], false, "{length}");
    }
}

#[test]
fn bytes_that_are_no_payload_are_answered() {
    let prepared = prepare(&settings());
    let mut invalid = json!({"request": request(&pod())}).to_string().into_bytes();
    invalid[40] = 0xff;
    let duplicate = r#"{"request": {"operation": "CREATE"}, "request": {"operation": "DELETE"}}"#;
    for payload in [
        &b""[..],
        b" ",
        b"null",
        b"[]",
        b"7",
        b"\"x\"",
        b"\xff\xfe",
        b"{\"request\":null}",
        &invalid,
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"{\"request\":{\"object\":\"\\ud800\"}}",
        duplicate.as_bytes(),
        br#"{"settings":{},"request":{}}"#,
        br#"{"request":{"operation":"CREATE","kind":{"group":"","kind":"Pod"},"object":1e99999999}}"#,
    ] {
        let (reply, _) = all_answer(&prepared, payload);
        assert_ne!(reply["verdict"], "denied", "{reply}");
    }
}

#[test]
fn nesting_beyond_reason_is_a_fault() {
    let prepared = prepare(&settings());
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [100, 127, 128, 1000, 100_000] {
            let value = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let pod = format!(r#"{{"apiVersion":"v1","kind":"Pod","spec":{{"containers":[],"x":{value}}}}}"#);
            let request = format!(
                r#"{{"operation":"CREATE","kind":{{"group":"","kind":"Pod"}},"object":{pod},"oldObject":{value}}}"#
            );
            let settings = format!(r#"{{"schemaVersion":1,"cluster":{{"name":"c"}},"variables":{{"x":{value}}}}}"#);
            let payload = format!(r#"{{"request":{request},"object":{pod},"settings":{settings}}}"#);
            let (reply, _) = all_answer(&prepared, payload.as_bytes());
            assert!(depth < 128 || reply["verdict"] == "fault", "{reply}");
            all_answer(&prepared, settings.as_bytes());
        }
    }
}

#[test]
fn a_replaced_value_as_deep_as_can_be_read_comes_back() {
    let mut settings = settings();
    settings["sidecars"][0]["inject"]["pod"] = json!({"affinity": 1});
    settings["sidecars"][0].as_object_mut().unwrap().remove("rollout");
    settings["sidecars"][0]["match"] = json!({});
    let prepared = prepare(&settings);
    for depth in 1..128 {
        let mut object = pod();
        object["spec"]["affinity"] = (0..depth).fold(json!(1), |value, _| json!([value]));
        let payload = json!({"request": request(&object)}).to_string();
        let reply = reply(&protocol::admit(&prepared, payload.as_bytes()));
        if reply["verdict"] == "allowed" {
            let once = patched(&object, &reply);
            assert_eq!(once["spec"]["affinity"], 1, "{depth}: {reply}");
            assert_eq!(support::restored(&once), object, "{depth}");
        }
    }
}

#[test]
fn size_costs_time_in_proportion() {
    let mut settings = settings();
    let sidecar = &mut settings["sidecars"][0];
    sidecar.as_object_mut().unwrap().remove("rollout");
    sidecar["match"] = json!({});
    sidecar["inject"]["applications"][0]["select"] = json!({});
    sidecar["inject"]["labels"] = json!({"l": "x"});
    let prepared = prepare(&settings);
    let containers: Vec<_> = (0..20_000).map(|one| json!({"name": format!("c{one}"), "image": "i"})).collect();
    let variables: Vec<_> = (0..20_000).map(|one| json!({"name": format!("V{one}"), "value": "v"})).collect();
    let volumes: Vec<_> = (0..20_000).map(|one| json!({"name": format!("v-{one}"), "emptyDir": {}})).collect();
    for (what, change) in [
        ("containers", json!({"containers": containers})),
        ("init containers", json!({"containers": [], "initContainers": containers})),
        ("env", json!({"containers": [{"name": "app", "image": "i", "env": variables}]})),
        ("volumes", json!({"containers": [{"name": "app", "image": "i"}], "volumes": volumes})),
        ("text", json!({"containers": [{"name": "app", "image": "i", "args": ["x".repeat(4 << 20)]}]})),
    ] {
        let mut object = pod();
        object["spec"] = change;
        let start = Instant::now();
        let payload = json!({"request": request(&object), "explain": true, "object": object}).to_string();
        let (reply, _) = all_answer(&prepared, payload.as_bytes());
        println!("{what}: {} in {:?}", reply["code"], start.elapsed());
        let once = patched(&object, &reply);
        let start = Instant::now();
        let payload = json!({"request": request(&once), "object": once}).to_string();
        let (again, _) = all_answer(&prepared, payload.as_bytes());
        println!("{what}, again: {} in {:?}", again["code"], start.elapsed());
        assert_eq!(again.get("patch"), None, "{what}");
    }
}

#[test]
fn a_forged_marker_costs_no_more_than_it_may_be_long() {
    let prepared = prepare(&settings());
    let containers: Vec<_> = (0..5_000).map(|one| json!({"name": format!("c{one}"), "image": "i"})).collect();
    let ours: serde_json::Map<_, _> = (0..5_000).map(|one| (format!("/spec/containers/c{one}"), json!(""))).collect();
    let mut object = pod();
    object["spec"]["containers"] = json!(containers);
    let marker = json!({"format": 1, "sidecars": {}, "ours": ours}).to_string();
    object["metadata"]["annotations"] = json!({"fedcar.dev/injected": marker});
    let payload = json!({"request": request(&object), "object": object}).to_string();
    let start = Instant::now();
    all_answer(&prepared, payload.as_bytes());
    println!("{:?}", start.elapsed());
}

#[test]
fn expressions_cannot_explode() {
    let explosion = |list: &str| {
        json!({"name": "s", "mode": "opt-out", "inject": {"volumes": [
            {"forEach": list, "as": "a", "name": "v", "items": [{"forEach": list, "as": "b", "x": [{"forEach": list, "as": "c", "y": [
                {"forEach": list, "as": "d", "z": "${pod.spec.containers}"}]}]}]},
        ]}})
    };
    let mut object = pod();
    object["spec"]["containers"] = json!((0..200).map(|one| json!({"name": format!("c{one}")})).collect::<Vec<_>>());
    for sidecar in [
        explosion("${pod.spec.containers}"),
        json!({"name": "s", "mode": "opt-out", "inject": {"labels": {"x": format!("${{{}pod{}}}", "(".repeat(50_000), ")".repeat(50_000))}}}),
        json!({"name": "s", "mode": "opt-out", "inject": {"labels": {"x": format!("${{{}true}}", "!".repeat(100_000))}}}),
        json!({"name": "s", "mode": "opt-out", "inject": {"labels": {"x": format!("${{pod{}}}", ".a".repeat(100_000))}}}),
        json!({"name": "s", "mode": "opt-out", "when": format!("${{{}}}", "[".repeat(100_000)), "inject": {}}),
        json!({"name": "s", "mode": "opt-out", "inject": {"labels": {"x": "${".repeat(100_000)}}}),
        json!({"name": "s", "mode": "opt-out", "inject": {"annotations": {"x": "${pod.spec.containers.map(a, pod.spec.containers.map(b, pod.spec.containers.map(c, a.name + b.name + c.name))).jsonEncode()}"}}}),
    ] {
        let settings = support::settings(json!([sidecar])).to_string();
        let start = Instant::now();
        let (told, prepared) = protocol::prepare(settings.as_bytes());
        if let Some(prepared) = prepared {
            let payload = json!({"request": request(&object), "explain": true}).to_string();
            let (answered, _) = all_answer(&prepared, payload.as_bytes());
            assert_eq!(answered["report"]["sidecars"][0]["code"], "expression-failed", "{answered}");
        } else {
            assert_eq!(reply(&told)["valid"], false);
        }
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
}

#[test]
fn a_namespace_may_look_like_anything() {
    let mut settings = settings();
    settings["sidecars"][0]["match"]["namespaces"] = json!({"matchLabels": {"tier": "prod"}});
    let payload = json!({"request": request(&pod()), "settings": settings}).to_string();
    for wrong in WRONG {
        for namespace in [
            support::parse(wrong),
            json!({"metadata": support::parse(wrong)}),
            json!({"metadata": {"labels": support::parse(wrong)}}),
        ] {
            assert!(reply(&protocol::validate(payload.as_bytes(), &Odd(namespace)))["accepted"].is_boolean());
        }
    }
}
