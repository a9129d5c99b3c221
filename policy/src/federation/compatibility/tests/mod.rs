//! Rules on both sides of their boundaries, and the federation of three clusters that differ.

mod pods;
mod surroundings;
mod versions;

use serde_json::{Value, json};

use super::*;
use crate::federation::{Date, Source, read};
use crate::read::{Node, Problems};

const TAKEN: &str = "2026-09-01T10:00:00Z";

fn today() -> Date {
    "2026-09-01".parse().unwrap()
}

fn document(kind: &str, name: &str, spec: &Value) -> Source {
    let value = json!({"apiVersion": "fedcar.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    Source { file: format!("{name}.yaml"), line: 1, value }
}

/// The findings about one sidecar `agent` on one member with these facts.
fn findings(spec: &Value, engine: &str, facts: &Value) -> Vec<Finding> {
    let root = json!({"members": [{"name": "eu-1", "engine": engine, "facts": facts}], "variables": {"otlp": "otel.telemetry.svc:4317"}});
    let federation = read(&[document("Federation", "retail", &root), document("Sidecar", "agent", spec)]).unwrap();
    let member = federation.members().next().unwrap();
    federation.compatibility(member, &compiled(spec, &root))
}

/// The settings of the member. A requirement that is not met keeps them from being compiled, so it is left out here.
fn compiled(spec: &Value, root: &Value) -> Compiled {
    let mut spec = spec.clone();
    if let Some(requires) = spec.get_mut("requires").and_then(Value::as_object_mut) {
        requires.shift_remove("kubernetes");
    }
    let federation = read(&[document("Federation", "retail", root), document("Sidecar", "agent", &spec)]).unwrap();
    federation.compile("eu-1", today()).unwrap()
}

/// What one rule says: verdict, sentence, and fix where there is one.
fn said(rule: &str, spec: &Value, facts: &Value) -> Vec<String> {
    said_in("kubewarden", rule, spec, facts)
}

fn said_in(engine: &str, rule: &str, spec: &Value, facts: &Value) -> Vec<String> {
    let found = findings(spec, engine, facts);
    let line = |one: &Finding| match &one.fix {
        Some(fix) => format!("{}: {} [{fix}]", one.verdict.code(), one.sentence),
        None => format!("{}: {}", one.verdict.code(), one.sentence),
    };
    found.iter().filter(|one| one.rule == rule).map(line).collect()
}

fn verdicts(rule: &str, spec: &Value, facts: &Value) -> Vec<&'static str> {
    let found = findings(spec, "kubewarden", facts);
    found.iter().filter(|one| one.rule == rule).map(|one| one.verdict.code()).collect()
}

fn container(extra: &Value) -> Value {
    let mut container = json!({"name": "agent", "image": "registry.example/agent:1"});
    container.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    container
}

fn sidecar(extra: &Value) -> Value {
    json!({"mode": "opt-out", "inject": {"containers": [container(extra)]}})
}

/// Every version from 1.27 to 1.37, for the API server and every kubelet.
fn by_version(rule: &str, spec: &Value, gates: &[&str]) -> Vec<(u32, &'static str)> {
    let facts = |minor: u32| {
        let version = format!("1.{minor}");
        json!({"kubernetes": version, "kubelets": [version], "featureGates": gates})
    };
    let verdict = |minor| verdicts(rule, spec, &facts(minor)).into_iter().map(move |verdict| (minor, verdict));
    let all: Vec<_> = (22..=37).flat_map(verdict).collect();
    let mut changes: Vec<(u32, &str)> = Vec::new();
    for (minor, verdict) in all {
        if changes.last().is_none_or(|(_, last)| *last != verdict) {
            changes.push((minor, verdict));
        }
    }
    changes
}

#[test]
fn variables_and_defaults_are_worked_out_before_judging() {
    let spec = json!({
        "overrides": [{"annotation": "memory", "type": "quantity", "default": "64Mi"}],
        "let": [{"name": "cpu", "value": "${string(10 * 2)}m"}],
        "inject": {"containers": [
            container(&json!({"resources": {"limits": {"memory": "${overrides.memory}", "cpu": "${let.cpu}"}}})),
            {"name": "never", "image": "a:1", "when": "${cluster.name == 'other'}", "resources": {"limits": {"memory": "9Gi"}}},
            {"name": "never-2", "image": "${pod.metadata.name}", "when": "${cluster.name == 'other'}", "resources": {}},
        ]},
    });
    let limit = json!({"type": "Container", "max": {"memory": "64Mi", "cpu": "20m"}});
    let facts = json!({"namespaces": {"shop": {"limitRanges": [{"name": "l", "limits": [limit]}]}}});
    assert_eq!(verdicts("limit-range", &spec, &facts), ["compatible"]);
}

#[test]
fn a_version_that_is_being_replaced_is_judged_too() {
    let spec = json!({
        "version": "2",
        "inject": {},
        "rollout": {"salt": "s", "percent": 20, "previous": {"version": "1", "inject": {"pod": {"hostUsers": false}}}},
    });
    let facts = json!({"kubernetes": "1.32", "kubelets": ["1.32"]});
    // What holds of both versions is said once.
    assert_eq!(verdicts("operating-systems", &spec, &facts), ["unknown"]);
    let found = said("field-host-users", &spec, &facts);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("incompatible: version 1, which is being replaced: uses `hostUsers`"), "{found:?}");
}

#[test]
fn three_clusters_that_differ_each_get_their_verdict() {
    let root = json!({"members": [
        {"name": "old", "engine": "host-runner"},
        {"name": "strict", "engine": "host-runner", "facts": {"kubernetes": "1.33"}},
        {"name": "edge", "engine": "host-runner"},
    ]});
    let spec = json!({
        "requires": {"architectures": ["amd64"], "egress": ["collector.telemetry.svc:4317"]},
        "inject": {"containers": [
            container(&json!({"form": "sidecar"})),
            {"name": "redirect", "form": "init", "image": "a:1", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}},
        ]},
    });
    let mut lock = super::super::Lock::default();
    let nodes = |version: &str, architecture: &str| {
        json!({"taken": TAKEN, "kubernetes": version, "kubelets": [version], "architectures": [architecture],
               "clusterNetworkPolicies": [], "namespaces": {}})
    };
    let mut strict = nodes("1.34", "amd64");
    strict["namespaces"]["shop"] =
        json!({"labels": {"pod-security.kubernetes.io/enforce": "restricted"}, "networkPolicies": []});
    let mut edge = nodes("1.33", "arm64");
    edge["podSecurity"] = json!("privileged");
    edge["namespaces"]["shop"] = json!({"networkPolicies": [{"name": "default-deny", "policyTypes": ["Egress"]}]});
    for (member, facts) in [("old", nodes("1.27", "amd64")), ("strict", strict), ("edge", edge)] {
        lock.set_facts(member, &facts).unwrap();
    }
    let federation = read(&[document("Federation", "retail", &root), document("Sidecar", "agent", &spec)]).unwrap();
    let federation = federation.with_lock(&lock);
    let seen: Vec<String> = federation
        .members()
        .flat_map(|member| {
            let compiled = federation.compile(&member.name, today()).unwrap();
            federation.compatibility(member, &compiled)
        })
        .filter(|one| {
            ["native-sidecars", "architectures", "network-egress"].contains(&one.rule) || one.sentence.contains("adds")
        })
        .map(|one| format!("{} {} {}", one.member, one.rule, one.verdict.code()))
        .collect();
    assert_eq!(
        seen,
        [
            "old native-sidecars adapted",
            "old architectures compatible",
            "strict native-sidecars compatible",
            "strict pod-security incompatible",
            "strict pod-security incompatible",
            "strict architectures compatible",
            "strict network-egress compatible",
            "edge native-sidecars compatible",
            "edge architectures incompatible",
            "edge network-egress adapted",
        ]
    );
    // The pin of 1.33 stands where the lock says 1.34.
    assert_eq!(federation.members().nth(1).unwrap().facts.kubernetes, Some("1.33".parse().unwrap()));
}

#[test]
fn images_are_those_that_are_known_before_there_is_a_pod() {
    let spec = json!({
        "version": "2",
        "overrides": [{"name": "tag", "annotation": "a.example/tag", "type": "string", "default": "9"}],
        "inject": {"containers": [
            {"name": "a", "image": "${vars.otlp}/a:${sidecar.version}"},
            {"name": "b", "image": "b.example/b:${overrides.tag}"},
            {"name": "c", "image": "c.example/c:${pod.metadata.labels.?track.orValue('x')}"},
            {"name": "d", "when": "${pod.spec.hostNetwork}", "image": "d.example/d:1"},
        ]},
        "rollout": {"salt": "s", "percent": 20, "previous": {
            "version": "1", "inject": {"containers": [{"name": "a", "image": "a.example/old:${sidecar.version}"}]},
        }},
    });
    let root = json!({"members": [{"name": "eu-1", "engine": "host-runner"}], "variables": {"otlp": "r.example:5000"}});
    let found: Vec<String> = images(&compiled(&spec, &root)).into_iter().collect();
    assert_eq!(found, ["a.example/old:1", "b.example/b:9", "d.example/d:1", "r.example:5000/a:2"]);
}

#[test]
fn rules_are_words_and_say_where_they_come_from() {
    for (index, rule) in RULES.iter().enumerate() {
        assert!(rule.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.code);
        assert!(!RULES.iter().take(index).any(|earlier| earlier.code == rule.code), "{} is there twice", rule.code);
        assert!(![rule.feature, rule.looks_at, rule.versions, rule.evidence].contains(&""), "{}", rule.code);
    }
}

#[test]
fn findings_are_reported_as_json() {
    let found = findings(&sidecar(&json!({"form": "sidecar"})), "kubewarden", &json!({"kubelets": ["1.33"]}));
    let native = found.iter().find(|one| one.rule == "native-sidecars").unwrap();
    assert_eq!(
        native.to_value(),
        json!({
            "member": "eu-1",
            "sidecar": "agent",
            "rule": "native-sidecars",
            "verdict": "compatible",
            "sentence": "`agent` is native: kubelet 1.33 runs sidecar containers",
            "evidence": rule("native-sidecars").unwrap().evidence,
        })
    );
    let mut problems = Problems::default();
    assert_eq!(Facts::read(&Node::root(&json!({})), &mut problems), Some(Facts::default()));
}
