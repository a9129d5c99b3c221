//! Rules on both sides of their boundaries, and the federation of three clusters that differ.

use serde_json::{Value, json};

use super::*;
use crate::federation::{Source, read};
use crate::read::{Node, Problems};

const TAKEN: &str = "2026-09-01T10:00:00Z";

fn document(kind: &str, name: &str, spec: &Value) -> Source {
    let value = json!({"apiVersion": "fedcar.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    Source { file: format!("{name}.yaml"), line: 1, value }
}

/// The findings about one sidecar `agent` on one member with these facts.
fn findings(spec: &Value, engine: &str, facts: &Value) -> Vec<Finding> {
    let root = json!({"members": [{"name": "eu-1", "engine": engine, "facts": facts}], "variables": {"otlp": "otel.telemetry.svc:4317"}});
    let federation = read(&[document("Federation", "retail", &root), document("Sidecar", "agent", spec)]).unwrap();
    let member = federation.members().next().unwrap();
    let settings = compiled(spec, &root);
    federation.compatibility(member, &settings, &member.facts, &BTreeMap::new()).unwrap()
}

/// The settings of the member. A requirement that is not met keeps them from being compiled, so it is left out here.
fn compiled(spec: &Value, root: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(requires) = spec.get_mut("requires").and_then(Value::as_object_mut) {
        requires.shift_remove("kubernetes");
    }
    let federation = read(&[document("Federation", "retail", root), document("Sidecar", "agent", &spec)]).unwrap();
    federation.compile("eu-1").unwrap().settings
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
fn fields_change_their_verdict_at_their_version() {
    let pod = |pod: Value| json!({"inject": {"containers": [container(&json!({}))], "pod": pod}});
    let volume = |volume: Value| json!({"inject": {"volumes": [volume]}});
    let application = |change: Value| json!({"inject": {"applications": [change]}});
    let projected = |key: &str| volume(json!({"name": "v", "projected": {"sources": [{key: {}}]}}));
    let seen: Vec<&str> = [
        ("field-stop-signal", sidecar(&json!({"lifecycle": {"stopSignal": "SIGTERM"}})), None, 33),
        ("field-restart-rules", sidecar(&json!({"restartPolicyRules": []})), Some(35), 34),
        ("field-env-files", sidecar(&json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {}}}]})), Some(35), 34),
        ("field-sleep", sidecar(&json!({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}})), Some(30), 29),
        ("field-sleep", application(json!({"lifecycle": {"postStart": {"sleep": {"seconds": 1}}}})), Some(30), 29),
        ("field-resize-policy", sidecar(&json!({"resizePolicy": []})), Some(33), 27),
        ("field-proc-mount", sidecar(&json!({"securityContext": {"procMount": "Default"}})), Some(33), 12),
        ("field-apparmor", sidecar(&json!({"securityContext": {"appArmorProfile": {}}})), Some(30), 30),
        (
            "field-read-only-mounts",
            sidecar(&json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "recursiveReadOnly": "Enabled"}]})),
            Some(31),
            30,
        ),
        ("field-grpc-probe", sidecar(&json!({"readinessProbe": {"grpc": {"port": 1}}})), Some(24), 23),
        ("field-image-volume", volume(json!({"name": "v", "image": {}})), Some(35), 31),
        ("field-trust-bundle", projected("clusterTrustBundle"), None, 29),
        ("field-pod-certificate", projected("podCertificate"), None, 34),
        ("field-pod-resources", pod(json!({"resources": {}})), Some(34), 32),
        ("field-host-users", pod(json!({"hostUsers": false})), Some(33), 25),
        (
            "field-supplemental-groups",
            pod(json!({"securityContext": {"supplementalGroupsPolicy": "Strict"}})),
            Some(33),
            31,
        ),
        ("field-scheduling-gates", pod(json!({"schedulingGates": [{"name": "a"}]})), Some(27), 26),
        ("field-hostname-override", pod(json!({"hostnameOverride": "a"})), Some(35), 34),
    ]
    .into_iter()
    .map(|(code, spec, on, gated)| {
        let Judge::Field(field) = &rule(code).unwrap().judge else { panic!("{code} is no field") };
        let at = |from: u32| match from {
            ..=22 => vec![(22, "compatible")],
            from => vec![(22, "incompatible"), (from, "compatible")],
        };
        let by_default = on.map_or_else(|| vec![(22, "incompatible")], at);
        assert_eq!(by_version(code, &spec, &[]), by_default, "{code}");
        let gates: Vec<&str> = field.gate.into_iter().map(|(gate, _)| gate).collect();
        assert_eq!(by_version(code, &spec, &gates), at(gated), "{code} with {gates:?}");
        assert_eq!(verdicts(code, &spec, &json!({})), ["unknown"], "{code}");
        assert_eq!(verdicts(code, &sidecar(&json!({})), &json!({"kubernetes": "1.22"})), [""; 0], "{code}");
        code
    })
    .collect();
    for rule in RULES.iter().filter(|rule| matches!(rule.judge, Judge::Field(_))) {
        assert!(seen.contains(&rule.code), "{} has no test", rule.code);
    }
}

#[test]
fn fields_look_at_the_part_that_needs_them() {
    let facts = json!({"kubernetes": "1.35", "kubelets": ["1.34", "1.35"]});
    assert_eq!(
        said("field-env-files", &sidecar(&json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {}}}]})), &facts),
        [
            "incompatible: uses `containers[].env[].valueFrom.fileKeyRef`, which kubelet 1.34 has only behind the gate EnvFiles, \
             so that it is dropped [leave it out there, or switch EnvFiles on everywhere and pin `facts.featureGates: \
             [EnvFiles]`]",
        ]
    );
    let gates = json!({"inject": {"pod": {"schedulingGates": [{"name": "a"}]}}});
    assert_eq!(
        verdicts("field-scheduling-gates", &gates, &json!({"kubernetes": "1.27", "kubelets": ["1.24"]})),
        ["compatible"]
    );
}

#[test]
fn requirements_are_judged_by_the_api_server() {
    let spec = json!({"requires": {"kubernetes": ">=1.30"}, "inject": {}});
    for (facts, verdict) in [
        (json!({"kubernetes": "1.30"}), "compatible"),
        (json!({"kubernetes": "1.29"}), "incompatible"),
        (json!({"kubelets": ["1.33"]}), "unknown"),
    ] {
        assert_eq!(verdicts("kubernetes-version", &spec, &facts), [verdict], "{facts}");
    }
}

#[test]
fn native_sidecars_fall_back_below_1_29() {
    let spec = sidecar(&json!({"form": "sidecar", "fallback": {"jobs": "reject"}}));
    assert_eq!(by_version("native-sidecars", &spec, &[]), [(22, "adapted"), (29, "compatible")]);
    assert_eq!(by_version("native-sidecars", &spec, &["SidecarContainers"]), [(22, "adapted"), (28, "compatible")]);
    for (facts, expected) in [
        (
            json!({"kubernetes": "1.31", "kubelets": ["1.28"]}),
            "adapted: kubelet 1.28 has sidecar containers only behind the gate SidecarContainers: `agent` falls back to an \
             ordinary container, init containers start before it, and Jobs are refused",
        ),
        (
            json!({}),
            "adapted: no fact says which Kubernetes it runs: `agent` falls back to an ordinary container, init containers start \
             before it, and Jobs are refused",
        ),
        (
            json!({"kubernetes": "1.32"}),
            "compatible: `agent` is native: an unknown kubelet, perhaps 1.29 runs sidecar containers",
        ),
    ] {
        assert_eq!(said("native-sidecars", &spec, &facts), [expected], "{facts}");
    }
    assert_eq!(verdicts("native-sidecars", &sidecar(&json!({})), &json!({})), [""; 0]);
}

#[test]
fn pod_security_is_judged_by_namespace_and_version() {
    let hardened = json!({"securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"}, "capabilities": {"drop": ["ALL"]}}});
    let net_admin = sidecar(&json!({"form": "init", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}));
    let label = |level: &str, version: &str| {
        json!({"labels": {
        "pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/enforce-version": version}})
    };
    let facts = json!({"kubernetes": "1.36", "namespaces": {
        "shop": label("baseline", "latest"), "bank": label("baseline", "latest"), "lab": label("privileged", "latest")}});
    assert_eq!(
        said("pod-security", &net_admin, &facts),
        [
            "incompatible: `baseline` (v1.36) is enforced, and the init container `agent` adds capabilities beyond the container \
             runtime's default (namespaces bank, shop) [redirect traffic by a CNI plugin or explicit ports in place of a \
             container with NET_ADMIN, or leave these namespaces out with `match.namespaces`]",
        ]
    );
    let probe = json!({"readinessProbe": {"httpGet": {"host": "a.example", "port": 1}}});
    for (case, spec, facts, expected) in [
        (
            "hardened",
            sidecar(&hardened),
            json!({"namespaces": {"a": label("restricted", "v1.33")}}),
            vec!["compatible"],
        ),
        ("hardened, nothing known", sidecar(&hardened), json!({}), vec!["compatible"]),
        ("soft, nothing known", sidecar(&json!({})), json!({}), vec!["unknown"]),
        ("soft, no label", sidecar(&json!({})), json!({"namespaces": {"a": {"labels": {}}}}), vec!["unknown"]),
        ("soft, pinned", sidecar(&json!({})), json!({"podSecurity": "baseline"}), vec!["compatible"]),
        (
            "what the pod may say is not known",
            sidecar(
                &json!({"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}),
            ),
            json!({"podSecurity": "restricted"}),
            vec!["unknown", "unknown"],
        ),
        (
            "said by the sidecar for the pod",
            json!({"inject": {"containers": [container(&json!({"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}))],
                "pod": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}}}}),
            json!({"podSecurity": "restricted"}),
            vec!["compatible"],
        ),
        (
            "a rule of 1.34, before",
            sidecar(&probe),
            json!({"namespaces": {"a": label("baseline", "v1.33")}}),
            vec!["compatible"],
        ),
        (
            "a rule of 1.34, after",
            sidecar(&probe),
            json!({"namespaces": {"a": label("baseline", "v1.34")}}),
            vec!["incompatible"],
        ),
        (
            "latest is the server's",
            sidecar(&probe),
            json!({"kubernetes": "1.33", "namespaces": {"a": label("baseline", "latest")}}),
            vec!["compatible"],
        ),
        (
            "a volume",
            json!({"inject": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}),
            json!({"podSecurity": "baseline"}),
            vec!["incompatible"],
        ),
        (
            "an expression",
            sidecar(&json!({"securityContext": {"runAsUser": "${pod.spec.securityContext.runAsUser}"}})),
            json!({"podSecurity": "baseline"}),
            vec!["unknown"],
        ),
    ] {
        assert_eq!(verdicts("pod-security", &spec, &facts), expected, "{case}");
    }
}

#[test]
fn nodes_must_run_what_images_are_for() {
    let spec = |architectures: Value, pod: Value| json!({"requires": {"architectures": architectures}, "inject": {"containers": [container(&json!({}))], "pod": pod}});
    for (case, spec, nodes, verdict) in [
        ("all of them", spec(json!(["amd64", "arm64"]), json!({})), json!(["arm64"]), "compatible"),
        ("one is missing", spec(json!(["amd64"]), json!({})), json!(["amd64", "arm64"]), "incompatible"),
        (
            "kept away",
            spec(json!(["amd64"]), json!({"nodeSelector": {"kubernetes.io/arch": "amd64"}})),
            json!(["amd64", "arm64"]),
            "adapted",
        ),
        (
            "all are missing",
            spec(json!(["amd64"]), json!({"nodeSelector": {"kubernetes.io/arch": "amd64"}})),
            json!(["arm64"]),
            "incompatible",
        ),
        ("nodes are not known", spec(json!(["amd64"]), json!({})), json!([]), "unknown"),
        ("images are not known", spec(json!([]), json!({})), json!(["amd64"]), "unknown"),
    ] {
        assert_eq!(verdicts("architectures", &spec, &json!({"architectures": nodes})), [verdict], "{case}");
    }
    let windows = json!({"operatingSystems": ["linux", "windows"]});
    assert_eq!(verdicts("operating-systems", &sidecar(&json!({})), &windows), ["adapted"]);
    let required = json!({"mode": "required", "inject": {}});
    assert_eq!(verdicts("operating-systems", &required, &windows), ["incompatible"]);
    assert_eq!(verdicts("operating-systems", &required, &json!({"operatingSystems": ["linux"]})), ["compatible"]);
    assert_eq!(verdicts("operating-systems", &required, &json!({})), ["unknown"]);
}

#[test]
fn image_indexes_say_more_than_documents() {
    let root =
        json!({"members": [{"name": "eu-1", "engine": "host-runner", "facts": {"architectures": ["amd64", "arm64"]}}]});
    let platforms =
        |list: &[&str]| Image { digest: None, platforms: list.iter().map(|one| (*one).to_owned()).collect() };
    for (declared, image, verdict) in [
        (json!([]), platforms(&["linux/amd64", "linux/arm64"]), vec![Verdict::Compatible]),
        (json!([]), platforms(&["linux/amd64"]), vec![Verdict::Incompatible]),
        (json!(["amd64", "arm64"]), platforms(&["linux/amd64", "linux/arm64/v8"]), vec![Verdict::Compatible]),
        (json!(["amd64", "arm64"]), platforms(&["linux/amd64"]), vec![Verdict::Incompatible]),
    ] {
        let spec = json!({"requires": {"architectures": declared}, "inject": {"containers": [container(&json!({}))]}});
        let federation = read(&[document("Federation", "retail", &root), document("Sidecar", "agent", &spec)]).unwrap();
        let member = federation.members().next().unwrap();
        let settings = federation.compile("eu-1").unwrap().settings;
        let images = BTreeMap::from([("registry.example/agent:1".to_owned(), image)]);
        let found = federation.compatibility(member, &settings, &member.facts, &images).unwrap();
        let found: Vec<Verdict> =
            found.iter().filter(|one| one.rule == "architectures").map(|one| one.verdict).collect();
        assert_eq!(found, verdict, "{declared} {images:?}");
    }
}

#[test]
fn limit_ranges_judge_every_container_and_the_pod() {
    let resources = |resources: Value| sidecar(&json!({"resources": resources}));
    let facts =
        |limit: Value| json!({"namespaces": {"shop": {"limitRanges": [{"name": "limits", "limits": [limit]}]}}});
    let small = json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}});
    for (case, spec, limit, expected) in [
        (
            "fits",
            resources(small.clone()),
            json!({"type": "Container", "max": {"memory": "64Mi"}}),
            "compatible: every container is within the LimitRanges (namespace shop)",
        ),
        (
            "too small",
            resources(small.clone()),
            json!({"type": "Container", "min": {"cpu": "50m"}}),
            "incompatible: LimitRange `limits`: container `agent` requests 10m of cpu, and the least is 50m (namespace shop) [set \
             `resources.requests.cpu` of the container to 50m or more]",
        ),
        (
            "filled in by the default",
            resources(json!({})),
            json!({"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}),
            "compatible: every container is within the LimitRanges (namespace shop)",
        ),
        (
            "filled in by the most",
            resources(json!({})),
            json!({"type": "Container", "max": {"cpu": "2"}}),
            "compatible: every container is within the LimitRanges (namespace shop)",
        ),
        (
            "a default below the request",
            resources(json!({"requests": {"cpu": "500m"}})),
            json!({"type": "Container", "default": {"cpu": "100m"}}),
            "incompatible: container `agent` requests 500m of cpu, and gets a limit of 100m (namespace shop) [set \
             `resources.limits.cpu` of the container to what it requests or more]",
        ),
        (
            "a pod that the sidecar alone is too large for",
            resources(json!({"limits": {"memory": "2Gi"}})),
            json!({"type": "Pod", "max": {"memory": "1Gi"}}),
            "incompatible: LimitRange `limits`: a pod may have 1Gi of memory, and the sidecar alone has 2Gi (namespace shop) \
             [raise the limit, or give the sidecar less memory]",
        ),
        (
            "a pod of which the rest is not known",
            resources(small),
            json!({"type": "Pod", "max": {"memory": "1Gi"}}),
            "unknown: LimitRange `limits` limits whole pods, of which the sidecar takes 64Mi of memory (namespace shop) [preview \
             it with the workloads]",
        ),
        (
            "an expression",
            resources(json!({"limits": {"memory": "${pod.metadata.annotations.memory}"}})),
            json!({"type": "Container", "max": {"memory": "1Gi"}}),
            "unknown: there is a LimitRange, and `resources.limits` of container `agent` hangs on the pod (namespace shop) \
             [preview it with the workloads, or write the amount without expressions]",
        ),
    ] {
        assert_eq!(said("limit-range", &spec, &facts(limit)), [expected], "{case}");
    }
    assert_eq!(verdicts("limit-range", &sidecar(&json!({})), &json!({})), ["unknown"]);
    assert_eq!(verdicts("limit-range", &sidecar(&json!({})), &json!({"namespaces": {"shop": {}}})), ["unknown"]);
    assert_eq!(
        verdicts("limit-range", &sidecar(&json!({})), &json!({"namespaces": {"shop": {"limitRanges": []}}})),
        ["compatible"]
    );
}

#[test]
fn quotas_count_what_is_left() {
    let spec = sidecar(&json!({"resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}}}));
    let facts = |namespace: Value| json!({"namespaces": {"shop": namespace}});
    let quota = |hard: Value, used: Value, pods: Value| {
        let mut namespace =
            json!({"resourceQuotas": [{"name": "compute", "hard": hard, "used": used}], "limitRanges": []});
        if !pods.is_null() {
            namespace["pods"] = pods;
        }
        namespace
    };
    for (case, namespace, expected) in [
        ("exactly enough", quota(json!({"cpu": "1"}), json!({"cpu": "500m"}), json!(5)), "compatible"),
        ("one pod too many", quota(json!({"cpu": "1"}), json!({"cpu": "500m"}), json!(6)), "unknown"),
        ("not one more", quota(json!({"cpu": "1"}), json!({"cpu": "901m"}), json!(0)), "incompatible"),
        ("one more", quota(json!({"cpu": "1"}), json!({"cpu": "900m"}), json!(1)), "compatible"),
        ("pods are not known", quota(json!({"cpu": "1"}), json!({"cpu": "0"}), Value::Null), "unknown"),
        ("a limit is the request", quota(json!({"requests.memory": "64Mi"}), json!({}), json!(1)), "compatible"),
        ("a limit that must be said", quota(json!({"limits.cpu": "10"}), json!({}), json!(1)), "incompatible"),
        ("what need not be said", quota(json!({"limits.ephemeral-storage": "1Gi"}), json!({}), json!(1)), "compatible"),
        (
            "a default says it",
            json!({"pods": 1, "resourceQuotas": [{"name": "q", "hard": {"limits.cpu": "10"}}],
                   "limitRanges": [{"name": "l", "limits": [{"type": "Container", "default": {"cpu": "1"}}]}]}),
            "compatible",
        ),
        (
            "a scope that it leaves",
            json!({"resourceQuotas": [{"name": "q", "hard": {"limits.cpu": "10"}, "scopes": ["BestEffort"]}]}),
            "compatible",
        ),
        (
            "a scope of the pod",
            json!({"resourceQuotas": [{"name": "q", "hard": {"limits.cpu": "10"}, "scopes": ["Terminating"]}], "pods": 1}),
            "unknown",
        ),
    ] {
        assert_eq!(verdicts("resource-quota", &spec, &facts(namespace)), [expected], "{case}");
    }
    assert_eq!(
        said("resource-quota", &spec, &facts(quota(json!({"cpu": "1"}), json!({"cpu": "500m"}), json!(6)))),
        [
            "unknown: ResourceQuota `compute` leaves 500m of cpu, and its 6 pods may take up to 600m more, 100m each (namespace \
             shop) [preview it with the workloads, or raise cpu to 1100m]",
        ]
    );
    assert_eq!(verdicts("resource-quota", &spec, &json!({})), ["unknown"]);
}

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
            "metadata": {"name": "fedcar-agent", "namespace": "bank"},
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
            let settings = federation.compile(&member.name).unwrap().settings;
            federation.compatibility(member, &settings, &member.facts, lock.images()).unwrap()
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
