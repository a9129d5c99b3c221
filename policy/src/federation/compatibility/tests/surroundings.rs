//! Networks, other webhooks, and the engine.

use serde_json::{Value, json};

use super::{by_version, container, document, findings, said, said_in, sidecar, today, verdicts};
use crate::federation::compatibility::{Finding, Verdict};
use crate::federation::read;

#[test]
fn blocked_connections_are_granted_by_companions() {
    let spec = json!({
        "requires": {"egress": ["${vars.otlp}", "http://127.0.0.1:4318"]},
        "match": {"pods": {"matchLabels": {"app": "web"}}},
        "inject": {"containers": [container(&json!({}))], "labels": {"telemetry": "on"}},
    });
    let deny = json!({"networkPolicies": [{"name": "default-deny", "policyTypes": ["Egress"]}], "labels": {}});
    let facts = json!({"clusterNetworkPolicies": [], "namespaces": {
        "shop": deny, "bank": deny, "open": {"networkPolicies": []}, "kube-system": {"networkPolicies": []}}});
    let found = findings(&spec, "kubewarden", &facts);
    let found: Vec<&Finding> = found.iter().filter(|one| one.rule == "network-egress").collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].verdict, Verdict::Adapted);
    assert_eq!(
        found[0].sentence,
        "NetworkPolicy `default-deny` blocks `otel.telemetry.svc:4317`, `DNS by UDP`, `DNS by TCP`, which a companion \
         NetworkPolicy grants (namespaces bank, shop)"
    );
    let to = |namespace: &str| json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let dns =
        || json!({"namespaceSelector": to("kube-system"), "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}});
    assert_eq!(
        found[0].companions[0],
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "fedcar-agent", "namespace": "bank", "labels": {"app.kubernetes.io/name": "fedcar"}},
            "spec": {
                "podSelector": {"matchLabels": {"telemetry": "on"}},
                "policyTypes": ["Egress"],
                "egress": [
                    {"to": [{"namespaceSelector": to("telemetry")}], "ports": [{"protocol": "TCP", "port": 4317}]},
                    {"to": [dns()], "ports": [{"protocol": "UDP", "port": 53}]},
                    {"to": [dns()], "ports": [{"protocol": "TCP", "port": 53}]},
                ],
            },
        })
    );
    assert_eq!(found[0].companions[1]["metadata"]["namespace"], "shop");

    // With the companion in place nothing is left to grant.
    let mut granted = facts.clone();
    for (companion, namespace) in found[0].companions.iter().zip(["bank", "shop"]) {
        let mut policy = companion["spec"].clone();
        policy["name"] = companion["metadata"]["name"].clone();
        granted["namespaces"][namespace]["networkPolicies"].as_array_mut().unwrap().push(policy);
    }
    assert_eq!(verdicts("network-egress", &spec, &granted), ["compatible"]);

    let mut denied = facts.clone();
    denied["clusterNetworkPolicies"] = json!([{"name": "guard", "tier": "Admin", "priority": 1, "subject": {"namespaces": {}},
        "egress": [{"action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}]}]}]);
    assert!(verdicts("network-egress", &spec, &denied).iter().all(|verdict| *verdict == "incompatible"));
    assert_eq!(verdicts("network-egress", &spec, &json!({"namespaces": {"shop": deny}})), ["unknown"]);

    let mut portless = spec;
    portless["requires"]["egress"] = json!(["login.example"]);
    assert_eq!(verdicts("network-egress", &portless, &facts), ["incompatible"]);
    portless["requires"]["egress"] = json!(["${workload.name}:80"]);
    assert_eq!(verdicts("network-egress", &portless, &facts), ["unknown"]);
}

#[test]
fn ports_that_nobody_reaches_are_told() {
    let spec = sidecar(&json!({"ports": [{"name": "proxy", "containerPort": 4180}]}));
    let facts =
        |policies: Value| json!({"clusterNetworkPolicies": [], "namespaces": {"shop": {"networkPolicies": policies}}});
    assert_eq!(verdicts("network-ingress", &spec, &facts(json!([]))), ["compatible"]);
    assert_eq!(
        said("network-ingress", &spec, &facts(json!([{"name": "default-deny"}]))),
        [
            "unknown: nothing but the pod and its node reaches port `proxy` 4180: NetworkPolicy `default-deny` lets nobody \
             through (namespace shop) [where others must reach it, allow it by a NetworkPolicy of the namespace]",
        ]
    );
    let some = json!([{"name": "p", "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": "proxy"}]}]}]);
    assert_eq!(verdicts("network-ingress", &spec, &facts(some)), ["compatible"]);
}

#[test]
fn webhooks_matter_where_they_come_later() {
    let looks = json!({"inject": {"containers": [container(&json!({}))], "applications": [{"env": []}]}});
    let blind = sidecar(&json!({}));
    let native = sidecar(&json!({"form": "sidecar"}));
    let facts = |configuration: &str| {
        json!({"kubernetes": "1.33", "kubelets": ["1.33"],
               "mutatingWebhooks": [{"configuration": configuration, "name": "a.example"}]})
    };
    for (engine, spec, facts, verdict) in [
        ("kubewarden", &looks, facts("aws-pods"), "compatible"),
        ("kubewarden", &looks, facts("istio-sidecar-injector"), "unknown"),
        ("kubewarden", &blind, facts("istio-sidecar-injector"), "compatible"),
        ("host-runner", &looks, facts("istio-sidecar-injector"), "compatible"),
        ("host-runner", &looks, json!({}), "unknown"),
        ("kubewarden", &native, facts("pod-identity-webhook"), "unknown"),
        ("kubewarden", &blind, facts("pod-identity-webhook"), "compatible"),
    ] {
        let found = said_in(engine, "mutating-webhooks", spec, &facts);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(verdict), "{engine} {facts}: {found:?}");
    }
}

#[test]
fn the_engine_must_be_there_and_new_enough() {
    let by_label = json!({"match": {"namespaces": {"matchLabels": {"team": "shop"}}}, "inject": {}});
    for (spec, facts, verdict) in [
        (&by_label, json!({"engineVersion": "1.6.0"}), "compatible"),
        (&by_label, json!({"engineVersion": "1.5.3"}), "incompatible"),
        (&by_label, json!({}), "unknown"),
        (&json!({"inject": {}}), json!({}), "compatible"),
    ] {
        assert_eq!(verdicts("engine-version", spec, &facts), [verdict], "{facts}");
    }
    let kind = "clusteradmissionpolicies.policies.kubewarden.io";
    for (facts, verdict) in [
        (json!({"customResources": {kind: ["v1", "v1alpha2"]}}), "compatible"),
        (json!({"customResources": {kind: ["v1alpha2"]}}), "incompatible"),
        (json!({"customResources": {}}), "incompatible"),
        (json!({}), "unknown"),
    ] {
        assert_eq!(verdicts("engine-kinds", &json!({"inject": {}}), &facts), [verdict], "{facts}");
    }
    assert_eq!(said_in("host-runner", "engine-kinds", &json!({"inject": {}}), &json!({})), [""; 0]);
    let required = json!({"mode": "required", "inject": {}});
    assert_eq!(by_version("presence-proof", &required, &[]), [(22, "incompatible"), (30, "compatible")]);
    assert_eq!(verdicts("presence-proof", &json!({"inject": {}}), &json!({})), [""; 0]);
}

#[test]
fn sidecars_that_claim_one_port_are_kept_apart() {
    let agent = |port: u16, more: Value| {
        let mut spec = json!({"inject": {"containers": [
            {"name": format!("agent-{port}"), "image": "agent:1", "ports": [{"containerPort": port}]},
        ]}});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    let tier = |tier: &str| json!({"match": {"pods": {"matchLabels": {"tier": tier}}}});
    let clash = "listens on TCP 4317, and so does the sidecar `first`";
    let open = format!("{clash}; whether a pod gets both hangs on `when`");
    let free = "no other sidecar listens on its ports";
    for (first, second, verdict, sentence) in [
        (agent(4317, json!({})), agent(4318, json!({})), "compatible", free),
        (agent(4317, json!({})), agent(4317, json!({})), "incompatible", clash),
        (agent(4317, tier("a")), agent(4317, tier("b")), "compatible", free),
        (agent(4317, json!({"when": "${has(pod.metadata.labels)}"})), agent(4317, json!({})), "unknown", &open),
    ] {
        let root = json!({"members": [{"name": "eu-1", "engine": "host-runner"}]});
        let mut second = second;
        second["inject"]["containers"][0]["name"] = json!("other");
        let documents = [("Federation", "retail", &root), ("Sidecar", "first", &first), ("Sidecar", "second", &second)];
        let federation = read(&documents.map(|(kind, name, spec)| document(kind, name, spec))).unwrap();
        let found = federation.compile("eu-1", today()).unwrap().findings;
        let of_second = found.iter().find(|one| one.rule == "ports" && one.sidecar == "second").unwrap();
        assert_eq!((of_second.verdict.code(), of_second.sentence.as_str()), (verdict, sentence));
    }
}
