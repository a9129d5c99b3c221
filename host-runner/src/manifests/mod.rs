//! The objects that run the policy module in one cluster, by fedcar's host runner or by Kubewarden, and those that put it
//! into the path of the API server.
//!
//! Pure: from a request to Kubernetes objects. Invariants: the same request gives the same objects in the same order,
//! and nothing here denies a pod that the policy module would admit. Where that cannot be promised, the object is left
//! out and a warning says so.

mod cel;
mod certificates;
mod containers;
mod ground;
mod kubewarden;
mod matching;
mod policies;
mod required;
mod runner;
mod settings_file;
mod webhooks;

use fedcar_policy::federation::Version;
use fedcar_policy::settings::Settings;
use serde_json::{Map, Value, json};

pub(crate) use certificates::CaBundle;
use ground::Ground;
pub(crate) use kubewarden::{KubewardenRequest, build as build_for_kubewarden};
pub(crate) use policies::proofs;

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
    /// The same, read.
    pub(crate) read: &'r Settings,
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
#[derive(Debug, Clone)]
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

impl FailurePolicy {
    /// As the API spells it.
    fn word(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
        }
    }
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
    /// What runs the module. It changes nothing for anybody else.
    pub(crate) engine: Vec<Value>,
    /// What puts the engine into the path of the API server; to be applied when the engine is ready.
    pub(crate) admission: Vec<Value>,
    /// What the API server itself holds to; to be applied when the engine injects what is demanded here.
    pub(crate) policies: Vec<Value>,
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

/// Reads settings that the module has found valid.
pub(crate) fn read(settings: &Value) -> Result<Settings, ManifestError> {
    Settings::read(settings).map_err(|problems| {
        let first = problems.first().map(|problem| format!("{}: {}", problem.pointer, problem.message));
        ManifestError::Settings(first.unwrap_or_default())
    })
}

/// What is worked out once and used by several objects.
struct Plan<'r> {
    request: &'r Request<'r>,
    ground: Ground<'r>,
    /// The settings as the runner reads them.
    settings_file: String,
}

/// The objects for one cluster.
pub(crate) fn build(request: &Request<'_>) -> Result<Manifests, ManifestError> {
    let Request { settings, read, namespace, failure_policy, kubernetes, proof, .. } = *request;
    let ground = Ground::new((settings, read), namespace, failure_policy, kubernetes, proof);
    if request.namespace_labels == NamespaceLabels::None && ground.settings.needs_namespace_labels() {
        return Err(ManifestError::NamespaceLabelsNeeded);
    }
    let plan = Plan { request, ground, settings_file: settings_file::write(settings)? };
    let mut warnings = plan.warnings();
    let policies = policies::build(&plan.ground, &mut warnings);
    let break_glass = break_glass(!policies.is_empty());
    let admission = vec![webhooks::build(&plan, &break_glass)];
    let mut engine = runner::build(&plan);
    if matches!(request.tls, Tls::CertManager) {
        engine.extend(certificates::cert_manager(namespace));
    }
    Ok(Manifests { engine, admission, policies, break_glass, warnings })
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
        warnings.extend(unpinned(image));
        // Where its own instructions install it.
        let makes_certificates = "cert-manager";
        if matches!(self.request.tls, Tls::CertManager)
            && self.ground.failure_policy == FailurePolicy::Fail
            && !self.ground.protected.iter().any(|name| name == makes_certificates)
        {
            warnings.push(format!(
                "`{makes_certificates}` is not among the `protectedNamespaces`: with failurePolicy Fail its pods would \
                 wait for a runner that may be waiting for its certificate"
            ));
        }
        warnings
    }
}

/// The warning about an image that may be another one tomorrow.
fn unpinned(image: &str) -> Option<String> {
    (!image.contains("@sha256:")).then(|| format!("the image `{image}` is not pinned by digest (`@sha256:…`)"))
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
