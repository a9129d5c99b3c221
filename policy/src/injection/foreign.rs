//! Containers that other injectors have put into a pod: they are not the application, so `applications` leaves them alone.
//!
//! A container is somebody else's only where that injector's own marker stands on the pod, so a user's container that
//! happens to be called `istio-proxy` stays the user's.

use std::collections::BTreeSet;

use serde_json::Value;

/// How an injector marks a pod, and which containers are then its own.
struct Injector {
    /// An annotation or label that it leaves.
    key: &'static str,
    /// Its containers by fixed name; empty where the value lists them.
    containers: &'static [&'static str],
}

/// The markers of injectors in use, from their sources: istio `pkg/kube/inject`, linkerd2 `pkg/k8s/labels.go`, vault-k8s
/// `agent-inject/agent/annotations.go`, dapr `pkg/injector`, consul-k8s `control-plane/connect-inject`, kuma
/// `pkg/plugins/runtime/k8s/metadata`, opentelemetry-operator `pkg/sidecar`.
const INJECTORS: [Injector; 7] = [
    Injector { key: "sidecar.istio.io/status", containers: &[] },
    Injector {
        key: "linkerd.io/proxy-version",
        containers: &["linkerd-proxy", "linkerd-init", "linkerd-debug", "linkerd-network-validator"],
    },
    Injector { key: "vault.hashicorp.com/agent-inject-status", containers: &["vault-agent", "vault-agent-init"] },
    Injector { key: "dapr.io/enabled", containers: &["daprd"] },
    Injector {
        key: "consul.hashicorp.com/connect-inject-status",
        containers: &["consul-dataplane", "consul-connect-inject-init"],
    },
    Injector { key: "kuma.io/sidecar-injected", containers: &["kuma-sidecar", "kuma-init", "kuma-validation"] },
    Injector { key: "sidecar.opentelemetry.io/injected", containers: &["otc-container"] },
];

/// The containers of this pod that another injector's marker claims.
pub(super) fn containers(pod: &Value) -> BTreeSet<String> {
    let Some(metadata) = pod.get("metadata") else { return BTreeSet::new() };
    let mark = |key| ["annotations", "labels"].iter().find_map(|map| metadata.get(map)?.get(key)?.as_str());
    let marks = INJECTORS.iter().filter_map(|injector| Some((injector, mark(injector.key)?)));
    let names = marks.flat_map(|(injector, status)| match injector.containers {
        [] => listed(status),
        names => names.iter().map(|name| (*name).to_owned()).collect(),
    });
    names.collect()
}

/// Istio's status annotation lists what it injected.
fn listed(status: &str) -> Vec<String> {
    let status: Value = serde_json::from_slice(status.as_bytes()).unwrap_or_default();
    let lists = ["containers", "initContainers"].iter().filter_map(|list| status.get(list)?.as_array());
    lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_marker_makes_a_container_somebody_elses() {
        let annotated = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
        let istio = r#"{"initContainers":["istio-init"],"containers":["istio-proxy"],"volumes":["x"]}"#;
        for (pod, container, claimed) in [
            (annotated("sidecar.istio.io/status", istio), "istio-proxy", true),
            (annotated("sidecar.istio.io/status", istio), "istio-init", true),
            (annotated("sidecar.istio.io/status", istio), "app", false),
            (annotated("sidecar.istio.io/status", "no json"), "istio-proxy", false),
            (annotated("linkerd.io/proxy-version", "x"), "linkerd-proxy", true),
            (json!({}), "istio-proxy", false),
            (json!({"metadata": {"annotations": 3}}), "istio-proxy", false),
        ] {
            assert_eq!(containers(&pod).contains(container), claimed, "{pod} {container}");
        }
    }
}
