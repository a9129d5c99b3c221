//! What a pod must be like, and what it may ask for.

use serde_json::{Value, json};

use super::{container, document, said, sidecar, today, verdicts};
use crate::federation::compatibility::Verdict;
use crate::federation::read;
use crate::federation::{Image, Lock};

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
        let mut lock = Lock::default();
        lock.set_image("registry.example/agent:1", image);
        let federation = read(&[document("Federation", "retail", &root), document("Sidecar", "agent", &spec)]).unwrap();
        let federation = federation.with_lock(&lock);
        let member = federation.members().next().unwrap();
        let found = federation.compatibility(member, &federation.compile("eu-1", today()).unwrap());
        let found: Vec<Verdict> =
            found.iter().filter(|one| one.rule == "architectures").map(|one| one.verdict).collect();
        assert_eq!(found, verdict, "{declared} {lock:?}");
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
