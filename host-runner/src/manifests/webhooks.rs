//! The `MutatingWebhookConfiguration`: which requests the API server sends to the runner, and what it does without answer.
//!
//! The kinds and operations are those that the module looks at (`WorkloadKind`, DESIGN section 4 "What is admitted").
//! Only a new pod follows the declared failure policy; for everything else the module has at most a warning to give.

use fedcar_policy::injection::WorkloadKind;
use serde_json::{Value, json};

use super::{FailurePolicy, Ground, NAME, Plan, Tls, cel, certificates, cluster_metadata, required};

/// `matchConditions` are on by default since 1.28. Without them more requests are sent, and answered as before.
pub(super) const CONDITIONS_SINCE: &str = "1.28";

/// How long a request waits that fedcar can only warn about: the least that the API server can be told.
const WARNING_TIMEOUT_SECONDS: u32 = 1;

/// One entry of the configuration.
struct Webhook {
    name: &'static str,
    rules: Vec<Value>,
    conditions: Vec<Value>,
    failure_policy: FailurePolicy,
    timeout_seconds: u32,
    reinvocation: &'static str,
}

pub(super) fn build(plan: &Plan<'_>, break_glass: &str) -> Value {
    let mut metadata = cluster_metadata(NAME);
    // On the object itself, where whoever looks for the reason of an outage finds it.
    let mut annotations = vec![("fedcar.dev/break-glass", break_glass.to_owned())];
    if matches!(plan.request.tls, Tls::CertManager) {
        annotations.push(certificates::injected_into(plan.request.namespace));
    }
    if let Some(metadata) = metadata.as_object_mut() {
        let annotations = annotations.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
        metadata.insert("annotations".to_owned(), Value::Object(annotations.collect()));
    }
    let webhooks: Vec<Value> =
        [pods(plan), templates(plan), verify(plan)].into_iter().map(|webhook| entry(plan, webhook)).collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": metadata,
        "webhooks": webhooks,
    })
}

fn entry(plan: &Plan<'_>, webhook: Webhook) -> Value {
    let Webhook { name, rules, conditions, failure_policy, timeout_seconds, reinvocation } = webhook;
    let mut client = json!({
        "service": {"name": NAME, "namespace": plan.request.namespace, "path": "/mutate", "port": 443},
    });
    if let (Tls::Secret(bundle), Some(client)) = (&plan.request.tls, client.as_object_mut()) {
        client.insert("caBundle".to_owned(), Value::from(bundle.base64()));
    }
    let mut entry = json!({
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": client,
        "failurePolicy": failure_policy.word(),
        "matchPolicy": "Equivalent",
        "namespaceSelector": plan.ground.namespace_selector(),
        "reinvocationPolicy": reinvocation,
        "rules": rules,
        "sideEffects": "None",
        "timeoutSeconds": timeout_seconds,
    });
    if let (Some(entry), false) = (entry.as_object_mut(), conditions.is_empty() || plan.ground.lacks(CONDITIONS_SINCE))
    {
        entry.insert("matchConditions".to_owned(), Value::Array(conditions));
    }
    entry
}

/// New pods: they are injected, again where another webhook has changed them afterwards.
fn pods(plan: &Plan<'_>) -> Webhook {
    Webhook {
        name: "pods.fedcar.dev",
        rules: rules(&[WorkloadKind::Pod], &["CREATE"]),
        conditions: vec![cel::not_a_mirror_pod()],
        failure_policy: plan.ground.failure_policy,
        timeout_seconds: plan.request.timeout_seconds,
        reinvocation: "IfNeeded",
    }
}

/// Pod templates: whoever applies them is warned of what their pods will get. Where a sidecar goes into templates, it goes
/// into their pods too, so nothing is lost without an answer.
fn templates(plan: &Plan<'_>) -> Webhook {
    let conditions = if injects_templates(&plan.ground) {
        Vec::new()
    } else {
        // A controller made it from an object that was looked at, and reads no warnings.
        vec![cel::condition("not-made-by-a-controller", &cel::not(cel::CONTROLLED))]
    };
    Webhook {
        name: "templates.fedcar.dev",
        rules: rules(&templates_of_pods(), &["CREATE", "UPDATE"]),
        conditions,
        failure_policy: FailurePolicy::Ignore,
        timeout_seconds: WARNING_TIMEOUT_SECONDS,
        reinvocation: "Never",
    }
}

/// Pods that run: the module verifies what it left there and never denies, so nothing may hang on its answer, least of all
/// the end of a pod.
fn verify(plan: &Plan<'_>) -> Webhook {
    let mut conditions = vec![cel::not_being_deleted()];
    if !required::any(plan.ground.settings) {
        conditions.push(cel::condition("injected", cel::INJECTED));
    }
    Webhook {
        name: "verify.fedcar.dev",
        rules: rules(&[WorkloadKind::Pod], &["UPDATE"]),
        conditions,
        failure_policy: FailurePolicy::Ignore,
        timeout_seconds: WARNING_TIMEOUT_SECONDS,
        reinvocation: "Never",
    }
}

/// The kinds that make pods.
pub(super) fn templates_of_pods() -> Vec<WorkloadKind> {
    WorkloadKind::ALL.into_iter().filter(|kind| *kind != WorkloadKind::Pod).collect()
}

/// Whether any sidecar goes into templates.
pub(super) fn injects_templates(ground: &Ground<'_>) -> bool {
    let kinds = ground.settings.sidecars.iter().flat_map(|sidecar| &sidecar.matching.workloads);
    kinds.into_iter().any(|kind| *kind != WorkloadKind::Pod)
}

/// One rule for each API group, in the order of the kinds.
pub(super) fn rules(kinds: &[WorkloadKind], operations: &[&str]) -> Vec<Value> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (group, resource) in kinds.iter().copied().map(resource) {
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, resources)) => resources.push(resource),
            None => groups.push((group, vec![resource])),
        }
    }
    let rule = |(group, resources): (&str, Vec<&str>)| {
        json!({
            "apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": resources,
            "scope": "Namespaced",
        })
    };
    groups.into_iter().map(rule).collect()
}

/// The API group and resource of a kind. `extensions` is not served any more since 1.16.
fn resource(kind: WorkloadKind) -> (&'static str, &'static str) {
    match kind {
        WorkloadKind::Pod => ("", "pods"),
        WorkloadKind::ReplicationController => ("", "replicationcontrollers"),
        WorkloadKind::Deployment => ("apps", "deployments"),
        WorkloadKind::StatefulSet => ("apps", "statefulsets"),
        WorkloadKind::DaemonSet => ("apps", "daemonsets"),
        WorkloadKind::ReplicaSet => ("apps", "replicasets"),
        WorkloadKind::Job => ("batch", "jobs"),
        WorkloadKind::CronJob => ("batch", "cronjobs"),
        WorkloadKind::DeploymentConfig => ("apps.openshift.io", "deploymentconfigs"),
    }
}
