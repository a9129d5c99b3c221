//! What runs `fedcar serve`: everything stands in a namespace of its own, and nothing outside of it is changed.

use serde_json::{Map, Value, json};

use super::{NAME, NAME_LABEL, NamespaceLabels, Plan, TLS_SECRET, cluster_metadata, labels, metadata};

const SETTINGS: &str = "fedcar-settings";
const SETTINGS_KEY: &str = "settings.yaml";
const WATCH_NAMESPACES: &str = "fedcar-namespaces";
const CRITICAL_PODS: &str = "fedcar-critical-pods";

const SETTINGS_FOLDER: &str = "/etc/fedcar/settings";
const TLS_FOLDER: &str = "/etc/fedcar/tls";
const CACHE_FOLDER: &str = "/var/cache/fedcar";

const HTTPS_PORT: u16 = 8443;
const METRICS_PORT: u16 = 9090;

/// The user of the image, which needs no name in it.
const USER: u32 = 65532;
/// `0440`: the kubelet gives the files to the pod's group.
const OWNER_AND_GROUP_READ: u32 = 0o440;

/// The namespaces that may read metrics while a network policy stands.
const METRICS_READER_LABEL: &str = "fedcar.dev/metrics-reader";

pub(super) fn build(plan: &Plan<'_>) -> Vec<Value> {
    let mut objects = vec![namespace(plan)];
    objects.extend(quota(plan));
    objects.push(service_account(plan));
    objects.extend(namespace_access(plan));
    objects.extend([settings(plan), service(plan), deployment(plan), disruption_budget(plan)]);
    objects.extend(plan.request.network_policy.then(|| network_policy(plan)));
    objects
}

fn namespaced(plan: &Plan<'_>, name: &str) -> Value {
    metadata(name, plan.request.namespace)
}

fn selector() -> Value {
    json!({"matchLabels": {NAME_LABEL: NAME}})
}

fn namespace(plan: &Plan<'_>) -> Value {
    let mut labels = labels();
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(format!("pod-security.kubernetes.io/{mode}"), Value::from("restricted"));
    }
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": plan.request.namespace, "labels": labels}})
}

/// Some providers admit the classes of Kubernetes itself outside `kube-system` only against a quota. Room for a rollout
/// of all replicas, and then some.
fn quota(plan: &Plan<'_>) -> Option<Value> {
    let class = plan.request.priority_class;
    class.starts_with("system-").then(|| {
        let scope = json!({"scopeName": "PriorityClass", "operator": "In", "values": [class]});
        json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": namespaced(plan, CRITICAL_PODS),
            "spec": {
                "hard": {"pods": (2 * plan.request.replicas + 2).to_string()},
                "scopeSelector": {"matchExpressions": [scope]},
            },
        })
    })
}

fn watches(plan: &Plan<'_>) -> bool {
    plan.request.namespace_labels == NamespaceLabels::Watch
}

/// The token is mounted by the pod that needs it, never because of the account.
fn service_account(plan: &Plan<'_>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": namespaced(plan, NAME),
        "automountServiceAccountToken": false,
    })
}

/// All that the runner may do in the API: see namespaces.
fn namespace_access(plan: &Plan<'_>) -> Vec<Value> {
    if watches(plan) { access_to_namespaces(plan.request.namespace) } else { Vec::new() }
}

/// The account [`NAME`] may read namespaces.
pub(super) fn access_to_namespaces(namespace: &str) -> Vec<Value> {
    const API: &str = "rbac.authorization.k8s.io";
    vec![
        json!({
            "apiVersion": format!("{API}/v1"),
            "kind": "ClusterRole",
            "metadata": cluster_metadata(WATCH_NAMESPACES),
            "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}],
        }),
        json!({
            "apiVersion": format!("{API}/v1"),
            "kind": "ClusterRoleBinding",
            "metadata": cluster_metadata(WATCH_NAMESPACES),
            "roleRef": {"apiGroup": API, "kind": "ClusterRole", "name": WATCH_NAMESPACES},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
        }),
    ]
}

/// Under one name for ever, without a hash of its content: the runner takes changed settings over while it runs, and only
/// if they are valid, where a new name would restart every replica into settings that nobody has tried.
fn settings(plan: &Plan<'_>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": namespaced(plan, SETTINGS),
        "data": {SETTINGS_KEY: plan.settings_file},
    })
}

fn service(plan: &Plan<'_>) -> Value {
    let ports = [("https", 443), ("metrics", METRICS_PORT)]
        .map(|(name, port)| json!({"name": name, "port": port, "protocol": "TCP", "targetPort": name}));
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": namespaced(plan, NAME),
        "spec": {"ports": ports, "selector": {NAME_LABEL: NAME}},
    })
}

fn deployment(plan: &Plan<'_>) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": namespaced(plan, NAME),
        "spec": {
            "replicas": plan.request.replicas,
            "selector": selector(),
            // Never fewer than are asked for: a new one must have passed its self-injection before an old one goes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels()}, "spec": pod(plan)},
        },
    })
}

fn pod(plan: &Plan<'_>) -> Value {
    // Rather together than not at all.
    let spread = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"].map(|key| {
        json!({"labelSelector": selector(), "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway"})
    });
    json!({
        "automountServiceAccountToken": watches(plan),
        "containers": [container(plan)],
        "enableServiceLinks": false,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": plan.request.priority_class,
        "securityContext": {
            // Makes the cache writable and the key readable for the user of the container.
            "fsGroup": USER,
            "runAsGroup": USER,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "serviceAccountName": NAME,
        // The server drains by itself on SIGTERM; no review may take longer than 30 s.
        "terminationGracePeriodSeconds": 40,
        "topologySpreadConstraints": spread,
        "volumes": [
            // A folder on the node outlives a crash of the container, so code need not be compiled again. The cache keeps
            // 32 files of about 2 MiB and makes a folder of mode 0700 in here by itself (`engine/cache.rs`).
            {"name": "cache", "emptyDir": {"sizeLimit": "256Mi"}},
            {"name": "settings", "configMap": {"name": SETTINGS}},
            {"name": "tls", "secret": {"defaultMode": OWNER_AND_GROUP_READ, "secretName": TLS_SECRET}},
        ],
    })
}

fn container(plan: &Plan<'_>) -> Value {
    let flag = |name: &str, value: String| [format!("--{name}"), value];
    let mut arguments = vec!["serve".to_owned()];
    for (name, value) in [
        ("settings", format!("{SETTINGS_FOLDER}/{SETTINGS_KEY}")),
        ("cert", format!("{TLS_FOLDER}/tls.crt")),
        ("key", format!("{TLS_FOLDER}/tls.key")),
        ("listen", format!("0.0.0.0:{HTTPS_PORT}")),
        ("metrics-listen", format!("0.0.0.0:{METRICS_PORT}")),
    ] {
        arguments.extend(flag(name, value));
    }
    if watches(plan) {
        arguments.extend(flag("namespace-labels", "kubernetes".to_owned()));
    }
    arguments.extend(flag("log-format", "json".to_owned()));
    let probe = |path: &str, more: Value| {
        let mut probe = Map::from_iter([("httpGet".to_owned(), json!({"path": path, "port": "metrics"}))]);
        probe.extend(more.as_object().cloned().unwrap_or_default());
        Value::Object(probe)
    };
    json!({
        "args": arguments,
        "env": [{"name": "XDG_CACHE_HOME", "value": CACHE_FOLDER}],
        "image": plan.request.image,
        "livenessProbe": probe("/livez", json!({"failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 5})),
        "name": NAME,
        "ports": [
            {"containerPort": HTTPS_PORT, "name": "https", "protocol": "TCP"},
            {"containerPort": METRICS_PORT, "name": "metrics", "protocol": "TCP"},
        ],
        "readinessProbe": probe("/readiness", json!({"failureThreshold": 2, "periodSeconds": 5, "timeoutSeconds": 2})),
        "resources": {
            // Eight calls of 64 MiB at a time (`engine/limits.rs`) with their requests and replies, and the compiler. No
            // limit on the processor: throttling would be felt by everybody who creates a pod.
            "limits": {"memory": "1Gi"},
            "requests": {"cpu": "100m", "ephemeral-storage": "256Mi", "memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
        // Compiling on a cold cache and a slow node.
        "startupProbe": probe("/livez", json!({"failureThreshold": 60, "periodSeconds": 1})),
        "volumeMounts": [
            {"mountPath": CACHE_FOLDER, "name": "cache"},
            // Whole folders: a file mounted by `subPath` would never change.
            {"mountPath": SETTINGS_FOLDER, "name": "settings", "readOnly": true},
            {"mountPath": TLS_FOLDER, "name": "tls", "readOnly": true},
        ],
    })
}

fn disruption_budget(plan: &Plan<'_>) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": namespaced(plan, NAME),
        "spec": {"maxUnavailable": 1, "selector": selector()},
    })
}

/// API servers often are no pods and have no address that a policy could name, so 8443 is open to everybody, and a runner
/// that watches namespaces may go anywhere. What is left to close are the metrics, and the way out where there is no need.
fn network_policy(plan: &Plan<'_>) -> Value {
    let port = |port: u16| json!([{"port": port, "protocol": "TCP"}]);
    let readers = json!([{"namespaceSelector": {"matchLabels": {METRICS_READER_LABEL: "true"}}}]);
    let mut spec = json!({
        "ingress": [{"ports": port(HTTPS_PORT)}, {"from": readers, "ports": port(METRICS_PORT)}],
        "podSelector": selector(),
        "policyTypes": if watches(plan) { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) },
    });
    if let (Some(spec), false) = (spec.as_object_mut(), watches(plan)) {
        spec.insert("egress".to_owned(), json!([]));
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": namespaced(plan, NAME),
        "spec": spec,
    })
}
