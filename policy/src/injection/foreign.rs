//! Containers that other injectors have put into a pod: they are not the application, so `applications` leaves them alone.
//!
//! A container is somebody else's only where that injector's own marker stands on the pod, so a user's container that
//! happens to be called `istio-proxy` stays the user's.

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
    Injector {
        key: "vault.hashicorp.com/agent-inject-status",
        containers: &["vault-agent", "vault-agent-init"],
    },
    Injector { key: "dapr.io/enabled", containers: &["daprd"] },
    Injector {
        key: "consul.hashicorp.com/connect-inject-status",
        containers: &["consul-dataplane", "consul-connect-inject-init"],
    },
    Injector { key: "kuma.io/sidecar-injected", containers: &["kuma-sidecar", "kuma-init", "kuma-validation"] },
    Injector { key: "sidecar.opentelemetry.io/injected", containers: &["otc-container"] },
];

/// Whether another injector's marker claims a container of this pod.
pub(super) fn claims(pod: &Value, container: &str) -> bool {
    let Some(metadata) = pod.get("metadata") else { return false };
    let mark = |key| ["annotations", "labels"].iter().find_map(|map| metadata.get(map)?.get(key)?.as_str());
    INJECTORS.iter().any(|injector| match mark(injector.key) {
        None => false,
        Some(status) if injector.containers.is_empty() => listed(status, container),
        Some(_) => injector.containers.contains(&container),
    })
}

/// Istio's status annotation lists what it injected.
fn listed(status: &str, container: &str) -> bool {
    let Ok(status) = serde_json::from_str::<Value>(status) else { return false };
    ["containers", "initContainers"].iter().any(|list| {
        status.get(list).and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name == container))
    })
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
            assert_eq!(claims(&pod, container), claimed, "{pod} {container}");
        }
    }
}
