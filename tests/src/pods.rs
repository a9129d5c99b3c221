//! Pods and settings as real ones are, for measuring.

use serde_json::{Value, json};

/// The admission request for a pod.
pub fn request(pod: &Value) -> Value {
    json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": "shop",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:authenticated"]},
        "object": pod,
    })
}

/// A pod as a `ReplicaSet` creates it, with this many variables in its one container.
pub fn pod(variables: usize) -> Value {
    let env: Vec<Value> = (0..variables)
        .map(|number| json!({"name": format!("VARIABLE_{number}"), "value": format!("value {number}")}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "checkout-6d4b75cb6d-", "labels": {"app": "checkout", "pod-template-hash": "6d4b75cb6d"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-6d4b75cb6d", "controller": true}],
        },
        "spec": {
            "serviceAccountName": "checkout",
            "containers": [{
                "name": "app", "image": "registry.example/checkout:1.4.2", "env": env,
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            }],
            "volumes": [{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        },
    })
}

/// Three containers with probes, and managed fields as the API server keeps them: about 10 KB.
pub fn ten_kilobytes() -> Value {
    let mut pod = pod(30);
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1});
    for number in 0..2 {
        let mut container = pod["spec"]["containers"][0].clone();
        container["name"] = json!(format!("helper-{number}"));
        container["ports"] = json!([]);
        container["livenessProbe"] = probe.clone();
        container["readinessProbe"] = probe.clone();
        pod["spec"]["containers"].as_array_mut().expect("a list").push(container);
    }
    let fields: Value = (0..60)
        .map(|number| (format!("k:{{\"name\":\"VARIABLE_{number}\"}}"), json!({".": {}, "f:name": {}})))
        .collect();
    pod["metadata"]["managedFields"] =
        json!([{"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": fields}]);
    pod
}

/// Sidecars like the catalogue's: a container with ports, probes and mounts, a volume, a label, and a variable with an
/// expression in each application container.
pub fn settings(sidecars: usize) -> Value {
    let sidecar = |number: usize| {
        let name = format!("sidecar-{number}");
        let port = 15_000 + number;
        json!({
            "name": name, "version": "1.2.3", "mode": "opt-out",
            "inject": {
                "containers": [{
                    "name": name, "form": "sidecar", "image": "registry.example/sidecar@sha256:0123456789abcdef",
                    "args": ["--config=/etc/sidecar/config.yaml", "--log-level=info"],
                    "ports": [{"containerPort": port}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": port}},
                    "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": format!("{name}-data"), "mountPath": "/data"}],
                }],
                "volumes": [{"name": format!("{name}-data"), "emptyDir": {"sizeLimit": "64Mi"}}],
                "labels": {format!("{name}.example/injected"): "true"},
                "applications": [{"env": [{"name": format!("SIDECAR_{number}_SERVICE"), "value": "${workload.name}.${namespace.name}"}]}],
            },
        })
    };
    let all: Vec<Value> = (0..sidecars).map(sidecar).collect();
    json!({"schemaVersion": 1, "cluster": {"name": "eu-1", "capabilities": {"nativeSidecars": true}}, "sidecars": all})
}
