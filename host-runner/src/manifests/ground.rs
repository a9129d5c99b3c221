//! What holds of a cluster whichever engine runs the module there.

use fedcar_policy::federation::Version;
use fedcar_policy::settings::{NAMESPACE_NAME_LABEL, SYSTEM_NAMESPACES, Settings};
use serde_json::{Value, json};

use super::{FailurePolicy, Proof, required};

/// What is worked out once and used by several objects.
pub(super) struct Ground<'r> {
    /// The settings as they were written.
    pub(super) source: &'r Value,
    /// The same, read.
    pub(super) settings: &'r Settings,
    /// Namespaces that are left alone, each once, the ones of Kubernetes first.
    pub(super) protected: Vec<String>,
    /// What happens to a new pod when the engine does not answer.
    pub(super) failure_policy: FailurePolicy,
    /// The version of the API server; `None` counts as one that has everything used here.
    pub(super) kubernetes: Option<Version>,
    /// What is proven of a required sidecar.
    pub(super) proof: Proof,
}

impl<'r> Ground<'r> {
    /// For settings as they were written and as they were read.
    pub(super) fn new(
        (source, settings): (&'r Value, &'r Settings),
        own_namespace: &str,
        failure_policy: Option<FailurePolicy>,
        kubernetes: Option<Version>,
        proof: Proof,
    ) -> Self {
        Self {
            source,
            protected: protected(settings, own_namespace),
            failure_policy: failure_policy.unwrap_or_else(|| usual_failure_policy(settings)),
            settings,
            kubernetes,
            proof,
        }
    }

    /// True where the API server is known to be older than a feature that is used.
    pub(super) fn lacks(&self, since: &str) -> bool {
        let since = since.parse::<Version>();
        self.kubernetes.is_some_and(|found| since.is_ok_and(|since| found < since))
    }

    /// A selector that leaves the protected namespaces out. The API server sets the label itself, so nobody can forge it.
    ///
    /// An expression, never `matchLabels`: Kubewarden drops those without a word.
    pub(super) fn namespace_selector(&self) -> Value {
        json!({"matchExpressions": [{"key": NAMESPACE_NAME_LABEL, "operator": "NotIn", "values": self.protected}]})
    }
}

/// A pod without a required sidecar is a broken promise, so it rather does not start; a pod without another one is a
/// pod as it was before fedcar, so it rather starts.
fn usual_failure_policy(settings: &Settings) -> FailurePolicy {
    if required::any(settings) { FailurePolicy::Fail } else { FailurePolicy::Ignore }
}

/// The engine's own namespace is always among them: its pods must be able to start while none of them runs.
fn protected(settings: &Settings, own: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let declared = settings.protected_namespaces.iter().map(String::as_str);
    for name in SYSTEM_NAMESPACES.into_iter().chain([own]).chain(declared) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
