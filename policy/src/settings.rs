//! What one cluster's settings may say: read once, with every problem reported, and valid by construction afterwards.
//!
//! After [`Settings::read`] there is nothing left to check: selectors are parsed, expressions compiled and folded, names
//! unique, rules typed. The shape is documented in `docs/settings.md`.

mod application;
mod container;
mod definitions;
mod duration;
mod inject;
mod name;
mod opt_out;
pub(crate) mod overrides;
mod pieces;
mod reader;
mod rules;
mod selector;
mod sidecar;
mod sizing;
mod variables;

use serde_json::{Map, Value};

pub use self::application::{Application, ContainerSelect, HANDLER_KINDS, HandlerOf, HandlerRewrite};
pub use self::container::{
    Computable, Fallback, Form, InjectedContainer, JobFallback, OWN_CONTAINER_KEYS, Overridable, Position,
};
pub use self::definitions::{Definition, Validation};
pub(crate) use self::duration::nanoseconds;
pub use self::inject::Inject;
pub use self::name::{is_dns_label, is_label_value, is_qualified_name};
pub use self::opt_out::{MayOptOut, OptOut};
pub(crate) use self::overrides::domain as override_domain;
pub use self::overrides::{Bounds, Override, OverrideType, Target};
pub use self::pieces::{Piece, Pieces};
pub use self::rules::{ConflictRules, Rule};
pub use self::selector::{NAMESPACE_NAME_LABEL, Selector};
pub use self::sidecar::{Callers, Match, Mode, OnConflict, Origin, Rollout, Sidecar, Version, Versions};
pub use self::sizing::{Combine, Share, Sizing};
pub(crate) use self::variables::HANDLER as EVERY_VARIABLE;
pub use self::variables::VERSION as VARIABLES;
use crate::read::Problem;
use crate::schema::Schema;

/// The most bytes that the settings of one cluster may have as JSON. A `PolicyServer` keeps all settings in one `ConfigMap`
/// of at most 1 MiB and serialises them for each request; the host runner has the same bound, so that a cluster can change
/// its engine.
pub const LARGEST_SETTINGS_BYTES: usize = 512 << 10;

/// Namespaces that Kubernetes itself owns; no sidecar ever goes there.
pub const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// One cluster's settings, valid by construction.
#[derive(Debug)]
pub struct Settings {
    /// The cluster's name and what it can do.
    pub cluster: Cluster,
    /// The revision of the documents these settings were made from; empty where they were written by hand.
    pub revision: String,
    /// What a fault of ours answers.
    pub on_fault: OnFault,
    /// Whether an unknown namespace label is a fault also where only an opt-in or opt-out could hang on it.
    pub namespace_labels_required: bool,
    /// Namespaces that are left alone, besides [`SYSTEM_NAMESPACES`].
    pub protected_namespaces: Vec<String>,
    /// The sidecars, in the order in which they are applied.
    pub sidecars: Vec<Sidecar>,
    /// What must and must not be there.
    pub guardrails: Vec<Guardrail>,
}

/// The cluster that the settings are for.
#[derive(Debug)]
pub struct Cluster {
    /// Its name in the federation.
    pub name: String,
    /// Whether `initContainers` may carry `restartPolicy: Always`.
    pub native_sidecars: bool,
}

/// What a fault of ours (not a decision) answers under an engine that knows only yes and no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// The pod is admitted as it is, with a warning.
    Allow,
    /// The pod is refused.
    Deny,
}

/// Sidecars that a set of pods must or must not carry, and who may opt out of others.
#[derive(Debug)]
pub struct Guardrail {
    /// Its name, for explanations.
    pub name: String,
    /// Where its document stands.
    pub origin: Option<Origin>,
    /// Which pods it is about.
    pub matching: Match,
    /// Sidecars that must be there.
    pub required: Vec<String>,
    /// Sidecars that must not be there.
    pub never: Vec<String>,
    /// Who may opt out of what.
    pub opt_out: Vec<OptOut>,
}

impl Settings {
    /// What a document may say about all sidecars, as it stands in the settings.
    pub(crate) fn shared_schema() -> Schema {
        Schema::object([
            ("onFault", Schema::choice(&reader::ON_FAULT).says("What a fault of fedcar itself answers; default deny.")),
            (
                "namespaceLabels",
                Schema::choice(&reader::NAMESPACE_LABELS).says("Whether not knowing them is always a fault."),
            ),
            ("protectedNamespaces", Schema::list_of(Schema::filled()).says("Nothing is injected there.")),
            ("let", Definition::schema().says("What all sidecars share: `let.NAME`.")),
        ])
    }

    /// Reads settings; on failure every problem, in the order of the document.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        reader::read(value)
    }

    /// Whether a decision can hang on the labels of the request's namespace.
    ///
    /// Under Kubewarden the guest asks the engine for the namespace only then, so that settings which need nothing from
    /// the cluster also ask nothing of it.
    pub fn needs_namespace_labels(&self) -> bool {
        self.namespace_labels_required
            || self.sidecars.iter().any(|sidecar| sidecar.matching.needs_namespace_labels() || sidecar.reads_namespace)
            || self.guardrails.iter().any(|guardrail| guardrail.matching.needs_namespace_labels())
    }

    /// The names of the injected containers that a user-written one may stand for.
    pub(crate) fn overridable_containers(&self) -> impl Iterator<Item = &str> {
        let versions = self.sidecars.iter().flat_map(|sidecar| sidecar.versions.every());
        let containers = versions.flat_map(|version| &version.inject.containers);
        containers.filter_map(|container| Some(container.overridable.as_ref()?.name.as_str()))
    }

    /// Whether a namespace is left alone whatever the sidecars say.
    pub fn protects(&self, namespace: &str) -> bool {
        SYSTEM_NAMESPACES.contains(&namespace) || self.protected_namespaces.iter().any(|name| name == namespace)
    }
}

/// The names that expressions may use, with those values that are known before any request.
#[derive(Debug)]
pub(crate) struct Known {
    values: Map<String, Value>,
    /// What `let` will hold where it is read next.
    defined: Vec<String>,
    /// What of it is the same for every pod.
    constants: Vec<(String, Value)>,
    /// What all sidecars share of it.
    shared: Vec<Definition>,
}

impl Known {
    fn new(values: Map<String, Value>) -> Self {
        Self { values, defined: Vec::new(), constants: Vec::new(), shared: Vec::new() }
    }

    /// What `let` holds for what is read next.
    fn define(&mut self, definitions: &[&Definition]) {
        self.defined = definitions.iter().map(|one| one.name.clone()).collect();
        let constant = |one: &&Definition| Some((one.name.clone(), one.value.constant()?.clone()));
        self.constants = definitions.iter().filter_map(constant).collect();
    }

    /// Whether the cluster runs `restartPolicy: Always` in init containers.
    fn native_sidecars(&self) -> bool {
        let cluster = self.values.get("cluster").and_then(|cluster| cluster.get("capabilities"));
        cluster.and_then(|capabilities| capabilities.get("nativeSidecars")) == Some(&Value::Bool(true))
    }
}

impl crate::expression::Scope for Known {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn known_field(&self, name: &str, field: &str) -> Option<&Value> {
        let defined = (name == "let").then(|| self.constants.iter().find(|(one, _)| one == field));
        defined.flatten().map(|(_, value)| value)
    }

    fn fields(&self, name: &str) -> Option<&[String]> {
        (name == "let").then_some(&self.defined)
    }
}
