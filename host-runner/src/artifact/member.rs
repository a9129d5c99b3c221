//! One member's objects, in the steps in which they are applied, and what is told about them.

use fedcar_policy::federation::compatibility::Verdict;
use fedcar_policy::federation::{Compiled, Engine, Member};
use fedcar_policy::read::child;
use serde_json::{Map, Value};

use super::{Carrier, Files, digest, documents, kustomization};
use crate::documents::Loaded;
use crate::manifests::{
    FailurePolicy, KubewardenRequest, ManifestError, Manifests, NamespaceLabels, Proof, Request, Tls, build,
    build_for_kubewarden,
};

/// The file in the folder of a step.
const OBJECTS: &str = "objects.yaml";
const KUSTOMIZATION: &str = "kustomization.yaml";

/// How engines are installed in every member.
pub(crate) struct Install<'i> {
    /// The image of the host runner.
    pub(crate) runner_image: &'i str,
    /// The image of Kubewarden's policy server.
    pub(crate) policy_server_image: &'i str,
    /// Where policy servers fetch the module.
    pub(crate) module: &'i str,
    /// How many runners or policy servers.
    pub(crate) replicas: u32,
    /// Where a runner's certificate comes from.
    pub(crate) tls: Tls,
    /// What happens to a new pod while the engine does not answer; `None` leaves it to the settings.
    pub(crate) failure_policy: Option<FailurePolicy>,
    /// How long the API server waits for the engine.
    pub(crate) timeout_seconds: u32,
    /// Whether a runner knows the labels of namespaces.
    pub(crate) namespace_labels: NamespaceLabels,
    /// The priority class of runners.
    pub(crate) priority_class: &'i str,
    /// Whether a network policy closes what a runner does not need.
    pub(crate) network_policy: bool,
    /// What the API server itself proves of a required sidecar.
    pub(crate) proof: Proof,
}

/// A step of the installation; each one is applied when the one before is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// What runs the module. It changes nothing for anybody else.
    Engine,
    /// What puts it into the path of the API server.
    Admission,
    /// What the API server itself holds to, which the step before has to fulfil.
    Proof,
}

impl Step {
    /// The folder of the step.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Admission => "admission",
            Self::Proof => "proof",
        }
    }
}

/// What one member gets.
pub(crate) struct MemberArtifact {
    /// The member.
    pub(crate) name: String,
    /// What runs the module there.
    pub(crate) engine: Engine,
    /// What was adapted to it, in sentences.
    pub(crate) notes: Vec<String>,
    /// What was left out, and what may not be meant.
    pub(crate) warnings: Vec<String>,
    /// How many verdicts of compatibility are unknown.
    pub(crate) unknown: usize,
    /// The member's folder, and what carries it there.
    pub(super) files: Files,
    /// The hash of what is known of the cluster; absent where nothing is.
    pub(super) facts: Option<String>,
    /// Pointers into the settings with `file:line`.
    pub(super) provenance: Map<String, Value>,
}

/// The objects of a member, for whoever writes them down.
pub(super) struct Steps<'m> {
    /// The member.
    pub(super) member: &'m Member,
    /// The steps that have anything to apply, in order.
    pub(super) steps: Vec<(Step, Vec<Value>)>,
}

impl MemberArtifact {
    /// The objects for settings that the module has found valid, and what carries them.
    pub(crate) fn build(
        loaded: &Loaded,
        member: &Member,
        compiled: &Compiled,
        install: &Install<'_>,
        carrier: Option<&Carrier>,
    ) -> Result<Self, ManifestError> {
        let Manifests { engine, mut admission, policies, break_glass, mut warnings } =
            manifests(member, compiled, install)?;
        let of = |verdict| compiled.findings.iter().filter(move |finding| finding.verdict == verdict);
        // They were allowed, or this would not be built.
        warnings.extend(of(Verdict::Incompatible).map(|finding| {
            format!("{} does not work there ({}): {}", finding.sidecar, finding.rule, finding.sentence)
        }));
        // Before any pod has the sidecar that needs them.
        admission.splice(0..0, companions(compiled));
        let steps = [(Step::Engine, engine), (Step::Admission, admission), (Step::Proof, policies)];
        let steps = Steps { member, steps: steps.into_iter().filter(|(_, objects)| !objects.is_empty()).collect() };
        let mut files = steps.files(&break_glass);
        files.extend(carrier.and_then(|carrier| carrier.file(&steps)));
        let facts = member.facts.to_value();
        let is_known = facts.as_object().is_some_and(|facts| !facts.is_empty());
        Ok(Self {
            name: member.name.clone(),
            engine: member.engine,
            notes: compiled.notes(),
            warnings,
            unknown: of(Verdict::Unknown).count(),
            files,
            facts: is_known.then(|| digest(facts.to_string())),
            provenance: provenance(loaded, compiled),
        })
    }
}

impl Steps<'_> {
    /// The member's folder.
    fn files(&self, break_glass: &str) -> Files {
        let mut files = Files::new();
        let comment = format!("# To take fedcar out at once: {break_glass}\n");
        let mut put = |path: &str, text: String| files.insert(format!("{}/{path}", self.member.name), text);
        for (step, objects) in &self.steps {
            let folder = step.folder();
            put(&format!("{folder}/{OBJECTS}"), documents(&comment, objects));
            put(&format!("{folder}/{KUSTOMIZATION}"), kustomization(&[OBJECTS]));
        }
        let folders: Vec<&str> = self.steps.iter().map(|(step, _)| step.folder()).collect();
        put(KUSTOMIZATION, kustomization(&folders));
        files
    }
}

/// What the cluster gets beside the policy so that sidecars work, each object once.
fn companions(compiled: &Compiled) -> Vec<Value> {
    let mut companions: Vec<Value> = Vec::new();
    for companion in compiled.findings.iter().flat_map(|finding| &finding.companions) {
        if !companions.contains(companion) {
            companions.push(companion.clone());
        }
    }
    companions
}

fn manifests(member: &Member, compiled: &Compiled, install: &Install<'_>) -> Result<Manifests, ManifestError> {
    let Compiled { settings, read, .. } = compiled;
    let namespace = &member.engine_namespace;
    let Install { replicas, failure_policy, timeout_seconds, proof, .. } = *install;
    let kubernetes = member.facts.kubernetes;
    match member.engine {
        Engine::HostRunner => build(&Request {
            settings,
            read,
            namespace,
            image: install.runner_image,
            replicas,
            tls: install.tls.clone(),
            failure_policy,
            timeout_seconds,
            namespace_labels: install.namespace_labels,
            priority_class: install.priority_class,
            network_policy: install.network_policy,
            kubernetes,
            proof,
        }),
        Engine::Kubewarden => Ok(build_for_kubewarden(&KubewardenRequest {
            settings,
            read,
            namespace,
            image: install.policy_server_image,
            replicas,
            module: install.module,
            failure_policy,
            timeout_seconds,
            kubernetes,
            proof,
        })),
    }
}

/// Where each value was chosen. Inside of a variable, and inside of a part of a sidecar, one place says everything.
fn provenance(loaded: &Loaded, compiled: &Compiled) -> Map<String, Value> {
    let mut places = Map::new();
    let mut note = |pointer: String| {
        if let Some(place) = loaded.place_of(compiled, &pointer) {
            places.insert(pointer, Value::from(place));
        }
    };
    for (key, value) in compiled.settings.as_object().into_iter().flatten() {
        let top = child("", key);
        match (key.as_str(), value) {
            // Nobody says it: it is this program's.
            ("schemaVersion", _) => {}
            ("sidecars" | "guardrails", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let parts = item.as_object().into_iter().flatten().map(|(part, _)| part);
                    for part in parts.filter(|part| *part != "origin") {
                        note(child(&format!("{top}/{index}"), part));
                    }
                }
            }
            ("cluster" | "federation" | "variables", Value::Object(parts)) => {
                // The revision says what all documents say.
                for part in parts.keys().filter(|part| *part != "revision") {
                    note(child(&top, part));
                }
            }
            _ => note(top),
        }
    }
    places
}
