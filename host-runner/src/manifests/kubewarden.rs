//! The module under Kubewarden: a policy server of its own and the policies that it serves.
//!
//! Its own server, because one policy that cannot be loaded keeps a shared one from starting. Policies are named by their
//! content: a change is a new object that becomes active while the old one still works, and fields that cannot go back
//! (`mode`, `policyServer`) never have to. Selectors are expressions only, because Kubewarden drops `matchLabels`.

use fedcar_policy::digest::hex;
use fedcar_policy::federation::Version;
use fedcar_policy::injection::WorkloadKind;
use fedcar_policy::settings::Settings;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    FailurePolicy, Ground, Manifests, NAME, NAME_LABEL, Proof, cel, cluster_metadata, metadata, policies, required,
    runner, unpinned, webhooks,
};

const API: &str = "policies.kubewarden.io/v1";
/// Hexadecimal digits of a name: 40 bits tell the few revisions of one cluster apart.
const NAME_DIGITS: usize = 10;
/// What Kubewarden accepts as the shortest timeout of a webhook.
const SHORTEST_TIMEOUT_SECONDS: u32 = 2;
/// The `ConfigMap` with the policies of one server, less what stands around the settings.
const CONFIG_BYTES: usize = (1 << 20) - (16 << 10);

/// What is to be installed.
pub(crate) struct KubewardenRequest<'r> {
    /// The settings.
    pub(crate) settings: &'r Value,
    /// The same, read.
    pub(crate) read: &'r Settings,
    /// The namespace of Kubewarden.
    pub(crate) namespace: &'r str,
    /// The image of the policy server.
    pub(crate) image: &'r str,
    /// How many policy servers.
    pub(crate) replicas: u32,
    /// Where the policy server fetches the module, with its digest.
    pub(crate) module: &'r str,
    /// What happens to a pod when the policy server does not answer; `None` leaves it to the settings.
    pub(crate) failure_policy: Option<FailurePolicy>,
    /// How long the API server waits for the policy server, 1 to 30.
    pub(crate) timeout_seconds: u32,
    /// The version of the API server; `None` counts as one that has everything used here (1.30).
    pub(crate) kubernetes: Option<Version>,
    /// What a `ValidatingAdmissionPolicy` proves of a required sidecar.
    pub(crate) proof: Proof,
}

/// The objects for one cluster.
pub(crate) fn build(request: &KubewardenRequest<'_>) -> Manifests {
    let KubewardenRequest { settings, read, namespace, image, failure_policy, kubernetes, proof, .. } = *request;
    let ground = Ground::new((settings, read), namespace, failure_policy, kubernetes, proof);
    let mut warnings: Vec<String> = unpinned(image).into_iter().collect();
    if request.replicas == 1 {
        warnings.push("with one replica nothing is injected while its node is drained or the pod restarts".to_owned());
    }
    let policies = policies::build(&ground, &mut warnings);
    let mut kinds = vec!["clusteradmissionpolicies.policies.kubewarden.io"];
    if !policies.is_empty() {
        kinds.push("validatingadmissionpolicybindings");
    }
    let break_glass = format!("kubectl delete {} -l {NAME_LABEL}={NAME}", kinds.join(","));
    let mut admission = vec![pods(request, &ground, &break_glass)];
    match copies_that_fit(settings) {
        0 | 1 => warnings.push(
            "two revisions of these settings do not fit into one policy server: delete the old ClusterAdmissionPolicy \
             before the new one is applied"
                .to_owned(),
        ),
        2 | 3 => {}
        // The policy beside it, and both once more while a new revision takes over.
        _ => admission.push(foretold(request, &ground, &break_glass)),
    }
    if admission.len() == 1 {
        warnings.push(
            "the settings are too large to be there twice, so nobody who applies a template is told what its pods get"
                .to_owned(),
        );
    }
    let mut engine = vec![json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(NAME, namespace)})];
    if ground.settings.needs_namespace_labels() {
        engine.extend(runner::access_to_namespaces(namespace));
    }
    engine.push(policy_server(request));
    Manifests { engine, admission, policies, break_glass, warnings }
}

/// How often a policy server can hold these settings.
fn copies_that_fit(settings: &Value) -> usize {
    CONFIG_BYTES.checked_div(settings.to_string().len()).unwrap_or_default()
}

fn policy_server(request: &KubewardenRequest<'_>) -> Value {
    json!({
        "apiVersion": API,
        "kind": "PolicyServer",
        "metadata": cluster_metadata(NAME),
        "spec": {
            "image": request.image,
            "maxUnavailable": 1,
            "replicas": request.replicas,
            // No limit on the processor: throttling would be felt by everybody who creates a pod.
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "serviceAccountName": NAME,
        },
    })
}

/// New pods: they are injected.
fn pods(request: &KubewardenRequest<'_>, ground: &Ground<'_>, break_glass: &str) -> Value {
    let rules = webhooks::rules(&[WorkloadKind::Pod], &["CREATE"]);
    let timeout = request.timeout_seconds.max(SHORTEST_TIMEOUT_SECONDS);
    let spec = spec(request, ground, &rules, vec![cel::not_a_mirror_pod()], ground.failure_policy, timeout);
    policy(NAME, &spec, break_glass)
}

/// Pod templates and pods that run: whoever applies them is warned, and nothing hangs on the answer.
fn foretold(request: &KubewardenRequest<'_>, ground: &Ground<'_>, break_glass: &str) -> Value {
    let is_pod = "request.kind.kind == \"Pod\"".to_owned();
    let mut rules = webhooks::rules(&webhooks::templates_of_pods(), &["CREATE", "UPDATE"]);
    rules.extend(webhooks::rules(&[WorkloadKind::Pod], &["UPDATE"]));
    let mut conditions = vec![cel::not_being_deleted()];
    if !webhooks::injects_templates(ground) {
        // A controller made it from an object that was looked at, and reads no warnings.
        let not_made = cel::any(&[is_pod.clone(), cel::not(cel::CONTROLLED)]);
        conditions.push(cel::condition("not-made-by-a-controller", &not_made));
    }
    if !required::any(ground.settings) {
        let carries = cel::any(&[cel::not(&is_pod), cel::INJECTED.to_owned()]);
        conditions.push(cel::condition("injected", &carries));
    }
    let spec = spec(request, ground, &rules, conditions, FailurePolicy::Ignore, SHORTEST_TIMEOUT_SECONDS);
    policy("fedcar-foretold", &spec, break_glass)
}

fn spec(
    request: &KubewardenRequest<'_>,
    ground: &Ground<'_>,
    rules: &[Value],
    conditions: Vec<Value>,
    failure_policy: FailurePolicy,
    timeout_seconds: u32,
) -> Value {
    let mut spec = json!({
        "policyServer": NAME,
        "mode": "protect",
        "module": request.module,
        "mutating": true,
        // An audit sees objects after admission, where there is nothing left to inject.
        "backgroundAudit": false,
        "failurePolicy": failure_policy.word(),
        "matchPolicy": "Equivalent",
        "timeoutSeconds": timeout_seconds,
        "rules": rules,
        "namespaceSelector": ground.namespace_selector(),
    });
    let mut set = |key: &str, value: Value| spec.as_object_mut().and_then(|spec| spec.insert(key.to_owned(), value));
    // An API server without them would drop them silently: then more requests are sent, and answered as before.
    if !ground.lacks(webhooks::CONDITIONS_SINCE) {
        set("matchConditions", Value::Array(conditions));
    }
    if ground.settings.needs_namespace_labels() {
        set("contextAwareResources", json!([{"apiVersion": "v1", "kind": "Namespace"}]));
    }
    set("settings", request.settings.clone());
    spec
}

/// A policy whose name ends in a hash of all that it says. The settings count by their revision, which leaves out where
/// documents say it: a moved line is no new policy.
fn policy(prefix: &str, spec: &Value, break_glass: &str) -> Value {
    let revision = spec.pointer("/settings/federation/revision");
    let parts = spec.as_object().into_iter().flatten().map(|(key, value)| {
        let value = if key == "settings" { revision.unwrap_or(value) } else { value };
        (key.clone(), value.clone())
    });
    let mut canonical: Value = parts.collect::<Map<_, _>>().into();
    canonical.sort_all_objects();
    let hash: String = hex(Sha256::digest(canonical.to_string())).chars().take(NAME_DIGITS).collect();
    let mut metadata = cluster_metadata(&format!("{prefix}-{hash}"));
    if let Some(metadata) = metadata.as_object_mut() {
        // On the object itself, where whoever looks for the reason of an outage finds it.
        metadata.insert("annotations".to_owned(), json!({"fedcar.dev/break-glass": break_glass}));
    }
    json!({"apiVersion": API, "kind": "ClusterAdmissionPolicy", "metadata": metadata, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn manifests(settings: &Value) -> Manifests {
        build(&KubewardenRequest {
            settings,
            read: &read(settings).unwrap(),
            namespace: "kubewarden",
            image: "policy-server@sha256:1",
            replicas: 2,
            module: "registry://r/m@sha256:2",
            failure_policy: None,
            timeout_seconds: 1,
            kubernetes: None,
            proof: Proof::Image,
        })
    }

    fn settings(padding: usize) -> Value {
        json!({
            "schemaVersion": 1,
            "cluster": {"name": "eu-1"},
            "variables": {"padding": "x".repeat(padding)},
            "sidecars": [{"name": "a", "version": "1", "inject": {"containers": [{"name": "a", "image": "a:1"}]}}],
        })
    }

    #[test]
    fn what_does_not_fit_twice_is_left_out_and_said() {
        for (bytes, policies, said) in [(0, 2, 0), (200 << 10, 2, 0), (300 << 10, 1, 1), (511 << 10, 1, 2)] {
            let made = manifests(&settings(bytes));
            assert_eq!((made.admission.len(), made.warnings.len()), (policies, said), "{bytes}: {:?}", made.warnings);
        }
    }

    #[test]
    fn another_content_is_another_name() {
        let name = |made: &Manifests| made.admission[0]["metadata"]["name"].as_str().unwrap().to_owned();
        let (one, other) = (manifests(&settings(1)), manifests(&settings(2)));
        assert_eq!(name(&one), name(&manifests(&settings(1))));
        assert_ne!(name(&one), name(&other));
        let with = |revision: &str, line: u32| {
            let mut settings = settings(1);
            settings["federation"] = json!({"name": "retail", "revision": revision});
            settings["sidecars"][0]["origin"] = json!({"file": "a.yaml", "line": line});
            manifests(&settings)
        };
        assert_eq!(name(&with("sha256:1", 7)), name(&with("sha256:1", 8)));
        assert_ne!(name(&with("sha256:1", 7)), name(&with("sha256:2", 7)));
        assert!(name(&one).strip_prefix("fedcar-").is_some_and(|hash| hash.len() == NAME_DIGITS));
    }

    #[test]
    fn namespaces_are_asked_for_only_where_labels_matter() {
        let needs = |made: &Manifests| {
            let spec = &made.admission[0]["spec"];
            let role = made.engine.iter().any(|object| object["kind"] == "ClusterRole");
            (spec.get("contextAwareResources").is_some(), role)
        };
        let mut with_labels = settings(0);
        assert_eq!(needs(&manifests(&with_labels)), (false, false));
        with_labels["sidecars"][0]["match"] = json!({"namespaces": {"matchLabels": {"tier": "prod"}}});
        assert_eq!(needs(&manifests(&with_labels)), (true, true));
    }
}
