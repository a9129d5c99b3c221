//! The objects that run fedcar's host runner in one cluster, and those that put it into the path of the API server.
//!
//! Pure: from a request to Kubernetes objects. Invariants: the same request gives the same objects in the same order,
//! and nothing here denies a pod that the policy module would admit. Where that cannot be promised, the object is left
//! out and a warning says so.

mod cel;
mod certificates;
mod containers;
mod matching;
mod policies;
mod required;
mod runner;
mod settings_file;
mod webhooks;

use fedcar_policy::federation::Version;
use fedcar_policy::settings::{SYSTEM_NAMESPACES, Settings};
use serde_json::{Map, Value, json};

pub(crate) use certificates::CaBundle;

/// The name of every object that needs no other, and the value of the label by which all of them are found.
const NAME: &str = "fedcar";
/// The Secret with `tls.crt` and `tls.key`.
pub(crate) const TLS_SECRET: &str = "fedcar-tls";
/// The label by which all objects are found.
const NAME_LABEL: &str = "app.kubernetes.io/name";

/// What is to be installed.
pub(crate) struct Request<'r> {
    /// Settings that the module has found valid.
    pub(crate) settings: &'r Value,
    /// The runner's own namespace, an RFC 1123 label.
    pub(crate) namespace: &'r str,
    /// The image of the runner.
    pub(crate) image: &'r str,
    /// How many runners.
    pub(crate) replicas: u32,
    /// Where the runner's certificate comes from.
    pub(crate) tls: Tls,
    /// What happens to a pod when the runner does not answer; `None` leaves it to the settings.
    pub(crate) failure_policy: Option<FailurePolicy>,
    /// How long the API server waits for the runner, 1 to 30.
    pub(crate) timeout_seconds: u32,
    /// Whether the runner knows the labels of namespaces.
    pub(crate) namespace_labels: NamespaceLabels,
    /// The priority class of the runner's pods.
    pub(crate) priority_class: &'r str,
    /// Whether a network policy closes what the runner does not need.
    pub(crate) network_policy: bool,
    /// The version of the API server; `None` counts as one that has everything used here (1.30).
    pub(crate) kubernetes: Option<Version>,
    /// What a `ValidatingAdmissionPolicy` proves of a required sidecar.
    pub(crate) proof: Proof,
}

/// Where the runner's certificate comes from.
pub(crate) enum Tls {
    /// cert-manager makes and renews it.
    CertManager,
    /// Somebody puts it into the Secret [`TLS_SECRET`].
    Secret(CaBundle),
}

/// What happens to a pod when the runner does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum FailurePolicy {
    /// It is refused
    Fail,
    /// It is admitted without sidecars
    Ignore,
}

/// Whether the runner knows the labels of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum NamespaceLabels {
    /// It watches the namespaces of the cluster
    Watch,
    /// It does not, and needs no access to the Kubernetes API
    None,
}

/// What is proven of a required sidecar in a new pod, whether or not the runner was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Proof {
    /// Its containers are there by name and image
    Image,
    /// Its containers are there by name: for clusters in which something rewrites images
    Name,
    /// Nothing
    Nothing,
}

/// What is to be applied, in this order.
#[derive(Debug)]
pub(crate) struct Manifests {
    /// What runs the runner. It changes nothing for anybody else.
    pub(crate) runner: Vec<Value>,
    /// What puts the runner into the path of the API server; to be applied when the runner is ready.
    pub(crate) admission: Vec<Value>,
    /// The command that takes it out again.
    pub(crate) break_glass: String,
    /// What was left out, and what may not be meant.
    pub(crate) warnings: Vec<String>,
}

/// Why there are no manifests.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// The settings do not fit into a `ConfigMap`, or into what DESIGN allows them.
    #[error("the settings are {bytes} bytes as {form}, the limit is {limit}; the largest parts: {largest}")]
    TooLarge {
        /// What was measured.
        form: &'static str,
        /// How large they are.
        bytes: usize,
        /// How large they may be.
        limit: usize,
        /// The parts that take most of it.
        largest: String,
    },
    /// Settings that hang on labels which the runner would not know: every such decision would be a fault.
    #[error("these settings hang on labels of namespaces: expected `watch` for the namespace labels, found `none`")]
    NamespaceLabelsNeeded,
    /// Settings that the module accepts and this program does not: they are not of one version.
    #[error("the settings cannot be read: {0}")]
    Settings(String),
}

/// What is worked out once and used by several objects.
struct Plan<'r> {
    request: &'r Request<'r>,
    settings: Settings,
    /// The settings as the runner reads them.
    settings_file: String,
    /// Namespaces that are left alone, each once, the ones of Kubernetes first.
    protected: Vec<String>,
    failure_policy: FailurePolicy,
}

/// The objects for one cluster.
pub(crate) fn build(request: &Request<'_>) -> Result<Manifests, ManifestError> {
    let settings = Settings::read(request.settings).map_err(|problems| {
        let first = problems.first().map(|problem| format!("{}: {}", problem.pointer, problem.message));
        ManifestError::Settings(first.unwrap_or_default())
    })?;
    if request.namespace_labels == NamespaceLabels::None && settings.needs_namespace_labels() {
        return Err(ManifestError::NamespaceLabelsNeeded);
    }
    let plan = Plan {
        request,
        settings_file: settings_file::write(request.settings)?,
        protected: protected(&settings, request.namespace),
        failure_policy: request.failure_policy.unwrap_or_else(|| failure_policy(&settings)),
        settings,
    };
    let mut warnings = plan.warnings();
    let policies = policies::build(&plan, &mut warnings);
    let break_glass = break_glass(!policies.is_empty());
    let mut admission = vec![webhooks::build(&plan, &break_glass)];
    admission.extend(policies);
    let mut runner = runner::build(&plan);
    if matches!(request.tls, Tls::CertManager) {
        runner.extend(certificates::cert_manager(request.namespace));
    }
    Ok(Manifests { runner, admission, break_glass, warnings })
}

/// A pod without a required sidecar is a broken promise, so it rather does not start; a pod without another one is a
/// pod as it was before fedcar, so it rather starts.
fn failure_policy(settings: &Settings) -> FailurePolicy {
    if required::any(settings) { FailurePolicy::Fail } else { FailurePolicy::Ignore }
}

/// The runner's own namespace is always among them: its pods must be able to start while no runner runs.
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

/// Admission configuration is not itself subject to admission, so this works whatever else is broken.
fn break_glass(policies: bool) -> String {
    let kinds = if policies {
        "mutatingwebhookconfigurations,validatingadmissionpolicybindings"
    } else {
        "mutatingwebhookconfigurations"
    };
    format!("kubectl delete {kinds} -l {NAME_LABEL}={NAME}")
}

impl Plan<'_> {
    /// True where the API server is known to be older than a feature that is used.
    fn lacks(&self, since: &str) -> bool {
        let since = since.parse::<Version>();
        self.request.kubernetes.is_some_and(|found| since.is_ok_and(|since| found < since))
    }

    /// A selector that leaves the protected namespaces out. The API server sets the label itself, so nobody can forge it.
    fn namespace_selector(&self) -> Value {
        let key = fedcar_policy::settings::NAMESPACE_NAME_LABEL;
        json!({"matchExpressions": [{"key": key, "operator": "NotIn", "values": self.protected}]})
    }

    fn warnings(&self) -> Vec<String> {
        let Request { namespace, replicas, image, .. } = *self.request;
        let mut warnings = Vec::new();
        let engine = self.request.settings.get("engineNamespace").and_then(Value::as_str);
        if let Some(engine) = engine.filter(|engine| *engine != namespace) {
            warnings.push(format!(
                "the settings say `engineNamespace: {engine}` and the runner goes into `{namespace}`: both are left alone"
            ));
        }
        if self.request.namespace_labels == NamespaceLabels::None {
            warnings.push("without their labels no namespace can opt in or out (`fedcar.dev/inject`)".to_owned());
        }
        if replicas == 1 {
            warnings
                .push("with one replica nothing is injected while its node is drained or the pod restarts".to_owned());
        }
        if !image.contains("@sha256:") {
            warnings.push(format!("the image `{image}` is not pinned by digest (`@sha256:…`)"));
        }
        // Where its own instructions install it.
        let makes_certificates = "cert-manager";
        if matches!(self.request.tls, Tls::CertManager)
            && self.failure_policy == FailurePolicy::Fail
            && !self.protected.iter().any(|name| name == makes_certificates)
        {
            warnings.push(format!(
                "`{makes_certificates}` is not among the `protectedNamespaces`: with failurePolicy Fail its pods would \
                 wait for a runner that may be waiting for its certificate"
            ));
        }
        warnings
    }
}

/// The metadata of an object that stands in no namespace.
fn cluster_metadata(name: &str) -> Value {
    json!({"name": name, "labels": labels()})
}

/// The metadata of an object in the runner's namespace.
fn metadata(name: &str, namespace: &str) -> Value {
    json!({"name": name, "namespace": namespace, "labels": labels()})
}

fn labels() -> Map<String, Value> {
    Map::from_iter([(NAME_LABEL.to_owned(), Value::from(NAME))])
}
