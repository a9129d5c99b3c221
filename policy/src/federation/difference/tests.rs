//! What is a difference and what is none, by settings that differ in one place.

use serde_json::{Value, json};

use super::fields::Fields;
use super::{Described, samples};

fn settings() -> Value {
    json!({
        "schemaVersion": 1,
        "cluster": {"name": "eu-1", "labels": {"tier": "prod"}, "capabilities": {"nativeSidecars": true}},
        "federation": {"name": "retail", "revision": "sha256:1"},
        "engineNamespace": "kubewarden",
        "variables": {"registry": "eu.example", "unused": 1, "level": "info"},
        "sidecars": [
            {
                "name": "proxy", "version": "1.0.0", "mode": "opt-out", "origin": {"file": "a.yaml", "line": 1},
                "match": {"namespaces": {"matchLabels": {"tier": "prod"}}},
                "overrides": [{"annotation": "memory", "type": "quantity", "max": "1Gi"}],
                "rollout": {"salt": "r", "percent": 25},
                "inject": {
                    "containers": [{
                        "name": "proxy", "image": "${vars.registry}/proxy:${sidecar.version}", "form": "sidecar",
                        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "${pod.metadata.name}-${vars.level}"}],
                        "ports": [{"containerPort": 8080}],
                        "position": {"before": ["a", "b"]},
                    }],
                    "volumes": [{"name": "data", "emptyDir": {}}],
                },
            },
            {"name": "agent", "inject": {"containers": [{"name": "agent", "image": "agent:1"}]}},
        ],
        "guardrails": [],
    })
}

fn guardrail() -> Value {
    json!({"required": ["proxy"], "members": {}, "exemptions": [], "overrides": [{"sidecar": "proxy", "annotation": "m", "max": "1Gi"}]})
}

fn described(settings: &Value, guardrail: &Value) -> Described {
    Described(Fields::of("kubewarden", settings, [("rule", guardrail)].into_iter()))
}

fn changes(edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let (before, mut after) = (settings(), settings());
    edit(&mut after);
    let changes = described(&after, &guardrail()).changes_since(&described(&before, &guardrail()));
    let words = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
    changes
        .into_iter()
        .map(|one| format!("{}; {}; {} > {}", one.about, one.field, words(one.before), words(one.after)))
        .collect()
}

#[test]
fn what_decides_nothing_is_no_difference() {
    let proxy = "/sidecars/0/inject/containers/0";
    for (pointer, value) in [
        ("/federation/revision", json!("sha256:2")),
        ("/sidecars/0/origin/line", json!(7)),
        ("/sidecars/1/mode", json!("opt-in")),
        ("/sidecars/1/inject/containers/0/form", json!("container")),
        ("/variables/unused", json!(2)),
        (
            "/sidecars/0/match",
            json!({"namespaces": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["prod"]}]}}),
        ),
        (&format!("{proxy}/resources/requests/cpu"), json!(0.1)),
        (&format!("{proxy}/position"), json!({"before": ["b", "a"]})),
        (&format!("{proxy}/image"), json!("eu.example/proxy:1.0.0")),
        ("/sidecars/0/overrides/0/max", json!("1024Mi")),
    ] {
        let edit = |settings: &mut Value| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            settings.pointer_mut(parent).unwrap()[key] = value;
        };
        assert_eq!(changes(edit), [""; 0], "{pointer}");
    }
}

#[test]
fn each_field_is_told_in_its_own_words() {
    let proxy = "/sidecars/0/inject/containers/0";
    for (pointer, value, expected) in [
        (
            "/sidecars/0/version",
            json!("1.1.0"),
            &[
                "sidecar proxy; container proxy, image; eu.example/proxy:1.0.0 > eu.example/proxy:1.1.0",
                "sidecar proxy; version; 1.0.0 > 1.1.0",
            ][..],
        ),
        ("/sidecars/0/mode", json!("required"), &["sidecar proxy; mode; opt-out > required"]),
        ("/sidecars/0/rollout/percent", json!(50), &["sidecar proxy; rollout, percent; 25 > 50"]),
        ("/sidecars/0/overrides/0/max", json!("2Gi"), &["sidecar proxy; override memory, max; 1Gi > 2Gi"]),
        (
            "/sidecars/0/match/namespaces/matchLabels/tier",
            json!("lab"),
            &["sidecar proxy; namespaces, tier; prod > lab"],
        ),
        (
            "/variables/registry",
            json!("us.example"),
            &["sidecar proxy; container proxy, image; eu.example/proxy:1.0.0 > us.example/proxy:1.0.0"],
        ),
        ("/variables/level", json!("debug"), &["sidecar proxy; reads vars.level; info > debug"]),
        (
            &format!("{proxy}/resources/requests/cpu"),
            json!("1"),
            &[
                "all sidecars together; requests per pod; cpu 100m, memory 64Mi > cpu 1, memory 64Mi",
                "sidecar proxy; container proxy, resources, requests, cpu; 100m > 1",
                "sidecar proxy; requests per pod; cpu 100m, memory 64Mi > cpu 1, memory 64Mi",
            ],
        ),
        (
            &format!("{proxy}/env"),
            json!([{"name": "B", "value": "${pod.metadata.name}-${vars.level}"}, {"name": "C", "value": "3"}, {"name": "A", "value": "1"}]),
            &[
                "sidecar proxy; container proxy, env C; - > 3",
                "sidecar proxy; container proxy, order of env; A, B > B, A",
            ],
        ),
        (&format!("{proxy}/ports"), json!([]), &["sidecar proxy; container proxy, port 8080; {} > -"]),
        (
            "/sidecars/0/inject/volumes/0/emptyDir",
            json!({"medium": "Memory"}),
            &["sidecar proxy; volume data, emptyDir, medium; - > Memory"],
        ),
        ("/cluster/capabilities/nativeSidecars", json!(false), &["cluster; native sidecars; true > false"]),
        ("/onFault", json!("allow"), &["cluster; onFault; deny > allow"]),
    ] {
        let edit = |settings: &mut Value| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            settings.pointer_mut(parent).unwrap()[key] = value;
        };
        assert_eq!(changes(edit), expected, "{pointer}");
    }
}

#[test]
fn a_thing_that_comes_or_goes_is_one_change() {
    let less = |settings: &mut Value| drop(settings["sidecars"].as_array_mut().unwrap().remove(1));
    assert_eq!(changes(less), ["sidecar agent; ; 0 opt-in, agent:1, requests cpu 0, memory 0 > -"]);
    let swap = |settings: &mut Value| settings["sidecars"].as_array_mut().unwrap().reverse();
    assert_eq!(changes(swap), ["cluster; order of sidecars; proxy, agent > agent, proxy"]);
    let mut bound = guardrail();
    bound["overrides"][0]["max"] = json!("2Gi");
    bound["members"] = json!({"matchLabels": {"a": "b"}});
    let found = described(&settings(), &bound).changes_since(&described(&settings(), &guardrail()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].about.as_str(), found[0].field.as_str()), ("guardrail rule", "override m, max"));
}

#[test]
fn samples_fit_what_is_touched() {
    let settings = settings();
    let words = |touched: &[&str]| {
        let samples = samples(&[&settings, &settings], &touched.iter().copied().collect());
        samples.into_iter().map(|sample| sample.words).collect::<Vec<_>>()
    };
    assert_eq!(words(&[]), [""; 0]);
    assert_eq!(words(&["sidecar agent"]).len(), 9);
    let proxy = words(&["sidecar proxy"]);
    assert_eq!(proxy.len(), 18);
    assert!(proxy.contains(&"Job (namespace: tier=prod; pod: sidecar.fedcar.dev/proxy=enabled)".to_owned()));
    assert_eq!(words(&["cluster"]).len(), 9 + 9 + 6);
}
