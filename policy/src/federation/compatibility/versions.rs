//! What hangs on versions: the API server's, the kubelets', and feature gates.

use serde_json::Value;

use super::Case;
use super::outcome::Outcomes;
use crate::federation::version::Version;
use crate::settings::{Form, JobFallback};

/// A field of a pod that not every version of Kubernetes has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Where it may stand, each from the spec of a pod down; `*` is every item of a list.
    pub(super) paths: &'static [&'static [&'static str]],
    /// The feature gate, and the version that has it first, switched off.
    pub(super) gate: Option<(&'static str, Version)>,
    /// The version from which on it works without doing anything; `None` where there is none yet.
    pub(super) on: Option<Version>,
    /// Whether every kubelet must have it too, and not the API server alone.
    pub(super) kubelets: bool,
}

/// `requires.kubernetes`: the sidecar's own word about the API server.
pub(super) fn requirement(case: &Case<'_>, outcomes: &mut Outcomes) {
    let Some(requirement) = case.requirement else { return };
    let fix = format!("leave `{}` out with `spec.members`, or bring its API server up to date", case.member);
    match case.facts.kubernetes {
        Some(version) if requirement.holds(version) => {
            outcomes.compatible(format!("requires Kubernetes {requirement}, and the API server is {version}"));
        }
        Some(version) => {
            outcomes.incompatible(format!("requires Kubernetes {requirement}, and the API server is {version}"), fix);
        }
        None => outcomes.unknown(
            format!("requires Kubernetes {requirement}, and no fact says what the API server is"),
            "probe the cluster, or pin `facts.kubernetes`",
        ),
    }
}

/// Native sidecars by the oldest part of the cluster.
pub(super) fn native_sidecars(case: &Case<'_>, outcomes: &mut Outcomes) {
    let candidate = case.candidate;
    if candidate.containers.iter().any(|one| one.form.is_none()) {
        outcomes.unknown("the form of a container hangs on the pod", "give it a `form` that no expression makes");
    }
    let native = candidate.names(|one| one.form == Some(Form::Sidecar));
    if native.is_empty() {
        return;
    }
    let names = quoted(&native);
    if case.settings.cluster.native_sidecars {
        let sentence = match case.facts.oldest() {
            Some((part, version)) => format!("{names} native: {part} {version} runs sidecar containers"),
            None => format!("{names} native: the settings say that the cluster has sidecar containers"),
        };
        if case.facts.native_sidecars() {
            outcomes.compatible(sentence);
        } else {
            outcomes.incompatible(
                format!("{names} compiled as native, and {}", lacking(case)),
                "compile with these facts, so that the fallback is used",
            );
        }
        return;
    }
    for one in candidate.containers.iter().filter(|one| one.form == Some(Form::Sidecar)) {
        let form = if one.fallback == Form::Init { "an init container" } else { "an ordinary container" };
        let jobs = match one.jobs {
            JobFallback::Skip => "Jobs go without it",
            JobFallback::Container => "also in Jobs, which end only when it ends by itself",
            JobFallback::Reject => "Jobs are refused",
        };
        outcomes.adapted(format!(
            "{}: `{}` falls back to {form}, init containers start before it, and {jobs}",
            lacking(case),
            one.name
        ));
    }
}

/// Why there are no native sidecars.
fn lacking(case: &Case<'_>) -> String {
    match case.facts.oldest() {
        Some((part, version)) if version >= Version::NATIVE_SIDECARS_BY_GATE => {
            format!("{part} {version} has sidecar containers only behind the gate SidecarContainers")
        }
        Some((part, version)) => format!("{part} {version} has no sidecar containers"),
        None => "no fact says which Kubernetes it runs".to_owned(),
    }
}

/// A field by the versions that know it. A sidecar that does not use the field is not judged.
pub(super) fn field(case: &Case<'_>, field: &Field, outcomes: &mut Outcomes) {
    let Some(path) = field.paths.iter().find(|path| is_used(&case.candidate.spec, path)) else { return };
    let what = format!("`{}`", path.join(".").replace(".*", "[]"));
    let server = case.facts.kubernetes.map(|version| ("the API server", version));
    let oldest = if field.kubelets { case.facts.oldest() } else { server };
    let Some((part, version)) = oldest else {
        outcomes.unknown(
            format!("uses {what}, and no fact says which Kubernetes the cluster runs"),
            "probe the cluster, or pin `facts.kubernetes` and `facts.kubelets`",
        );
        return;
    };
    let is_on = field.on.is_some_and(|on| version >= on);
    let gate = field.gate.filter(|(_, alpha)| version >= *alpha);
    match gate {
        _ if is_on => outcomes.compatible(format!("uses {what}, and {part} {version} has it")),
        Some((gate, _)) if case.facts.has_gate(gate) => {
            outcomes.compatible(format!("uses {what}, and the gate {gate} is on"));
        }
        Some((gate, _)) => outcomes.incompatible(
            format!("uses {what}, which {part} {version} has only behind the gate {gate}, so that it is dropped"),
            format!("leave it out there, or switch {gate} on everywhere and pin `facts.featureGates: [{gate}]`"),
        ),
        None => {
            let wanted = match (field.on, field.gate) {
                (Some(on), _) => format!("Kubernetes {on}"),
                (None, Some((gate, alpha))) => format!("Kubernetes {alpha} with the gate {gate}"),
                (None, None) => "a later Kubernetes".to_owned(),
            };
            outcomes.incompatible(
                format!("uses {what}, which {part} {version} does not know, so that it is dropped"),
                format!("leave it out there, or upgrade: it needs {wanted}"),
            );
        }
    }
}

/// Whether a field stands in anything that the sidecar brings, or that it puts into the pod's own containers.
fn is_used(spec: &Value, path: &[&str]) -> bool {
    let in_applications = match path.split_first() {
        Some((&"containers", rest)) => is_there(spec, &[&["applications"], rest].concat()),
        _ => false,
    };
    in_applications || is_there(spec, path)
}

fn is_there(value: &Value, path: &[&str]) -> bool {
    match path.split_first() {
        None => !value.is_null(),
        Some((&"*", rest)) => value.as_array().into_iter().flatten().any(|item| is_there(item, rest)),
        Some((key, rest)) => value.get(key).is_some_and(|value| is_there(value, rest)),
    }
}

/// Names for a sentence, with the verb that follows them.
fn quoted(names: &[&str]) -> String {
    let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{} {}", list.join(", "), if names.len() == 1 { "is" } else { "are" })
}
