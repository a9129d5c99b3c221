//! What runs the module in the cluster: its version, the kinds that it serves, and the webhooks that it shares pods with.

use super::Case;
use super::outcome::Outcomes;
use crate::federation::member::Engine;
use crate::federation::version::Version;
use crate::settings::Form;

/// The definition that a `ClusterAdmissionPolicy` needs, and its version.
const POLICIES: (&str, &str) = ("clusteradmissionpolicies.policies.kubewarden.io", "v1");

/// The first Kubewarden whose policies may look at objects of the cluster, which the module asks for where settings need
/// the labels of namespaces.
const CONTEXT_AWARE: Version = Version::one(6);

/// The first API server that has `ValidatingAdmissionPolicy` as `v1`.
const ADMISSION_POLICIES: Version = Version::one(30);

/// Webhooks that were built for years on libraries of Kubernetes older than 1.28, which drop `restartPolicy` of init
/// containers when they write a pod back. Current versions of all of them keep it.
const DROPPED_RESTART_POLICY: [&str; 4] = ["image-keeper", "pod-identity-webhook", "gcsfuse", "kops"];

/// The name by which the API server orders the engine's webhook among others.
const fn webhook_name(engine: Engine) -> &'static str {
    match engine {
        // The controller puts `clusterwide-` before the name of the policy.
        Engine::Kubewarden => "clusterwide-fedcar",
        Engine::HostRunner => "fedcar",
    }
}

/// The engine's version.
pub(super) fn version(case: &Case<'_>, outcomes: &mut Outcomes) {
    let Engine::Kubewarden = case.engine else { return };
    if !case.settings.needs_namespace_labels() {
        outcomes.compatible("the settings need nothing from the cluster, which every Kubewarden serves");
        return;
    }
    let pin = "probe the cluster, or pin `facts.engineVersion` with a version such as 1.36.0";
    match case.facts.engine_version.as_ref().map(|text| (text, text.parse::<Version>())) {
        None => outcomes.unknown("no fact says which version of Kubewarden it runs", pin),
        Some((text, Err(_))) => outcomes.unknown(format!("`{text}` is no version of Kubewarden"), pin),
        Some((text, Ok(version))) if version >= CONTEXT_AWARE => {
            outcomes.compatible(format!("Kubewarden {text} lets the module read the labels of namespaces"));
        }
        Some((text, Ok(_))) => outcomes.incompatible(
            format!("the settings need labels of namespaces, which Kubewarden {text} lets no policy read"),
            format!("upgrade Kubewarden to {CONTEXT_AWARE} or later, or select namespaces by their names"),
        ),
    }
}

/// Whether something besides the webhook can prove that a required sidecar is there.
pub(super) fn proof(case: &Case<'_>, outcomes: &mut Outcomes) {
    if !case.is_required() {
        return;
    }
    match case.facts.kubernetes {
        None => outcomes.unknown(
            "is required, and no fact says whether the API server has ValidatingAdmissionPolicy",
            "probe the cluster, or pin `facts.kubernetes`",
        ),
        Some(version) if version >= ADMISSION_POLICIES => {
            outcomes.compatible(format!("is required, and Kubernetes {version} has ValidatingAdmissionPolicy to prove it"));
        }
        Some(version) => outcomes.incompatible(
            format!("is required, and Kubernetes {version} has no ValidatingAdmissionPolicy to prove it"),
            format!(
                "upgrade to Kubernetes {ADMISSION_POLICIES}; until then a pod goes without it where the engine is not reached \
                 and its webhook ignores failures"
            ),
        ),
    }
}

/// The engine's kinds.
pub(super) fn kinds(case: &Case<'_>, outcomes: &mut Outcomes) {
    let Engine::Kubewarden = case.engine else { return };
    let (name, version) = POLICIES;
    match case.facts.custom_resources.as_ref().map(|all| all.get(name)) {
        None => outcomes.unknown(
            format!("no fact says whether `{name}` is installed"),
            "probe the cluster, or pin `facts.customResources`",
        ),
        Some(Some(versions)) if versions.iter().any(|one| one == version) => {
            outcomes.compatible(format!("`{name}` serves {version}"));
        }
        Some(Some(versions)) => outcomes.incompatible(
            format!("`{name}` serves {}, and not {version}", versions.join(", ")),
            "upgrade Kubewarden and its definitions",
        ),
        Some(None) => outcomes.incompatible(
            format!("`{name}` is not installed"),
            "install Kubewarden, or choose `engine: host-runner` for the member",
        ),
    }
}

/// Other mutating webhooks: whether fedcar sees what they put into a pod.
pub(super) fn webhooks(case: &Case<'_>, outcomes: &mut Outcomes) {
    let Some(all) = &case.facts.mutating_webhooks else {
        outcomes.unknown(
            "no fact says which other mutating webhooks see new pods",
            "probe the cluster, or pin `facts.mutatingWebhooks`",
        );
        return;
    };
    let own = webhook_name(case.engine);
    let others = || all.iter().filter(|one| !one.configuration.starts_with(own));
    let later: Vec<&str> =
        others().filter(|one| one.configuration.as_str() > own).map(|one| one.configuration.as_str()).collect();
    let reinvoked = case.engine == Engine::HostRunner;
    if later.is_empty() {
        outcomes.compatible("every other mutating webhook runs before it");
    } else if reinvoked {
        outcomes.compatible(format!("{} runs after it, and the host runner is called again then", later.join(", ")));
    } else if case.candidate.looks_at_others {
        outcomes.unknown(
            format!(
                "{} runs after Kubewarden, which is not called again: containers that it adds are neither changed nor put in \
                 place",
                later.join(", ")
            ),
            "choose `engine: host-runner` for the member, whose webhook is called again, or try a pod with a dry run",
        );
    } else {
        outcomes.compatible(format!("{} runs after it, and the sidecar looks at no other container", later.join(", ")));
    }
    let native = case.settings.cluster.native_sidecars
        && case.candidate.containers.iter().any(|one| one.stands_as == Some(Form::Sidecar));
    let dropping: Vec<&str> = others()
        .filter(|one| one.reinvoked || one.configuration.as_str() > own)
        .filter(|one| DROPPED_RESTART_POLICY.iter().any(|known| one.configuration.contains(known)))
        .map(|one| one.configuration.as_str())
        .collect();
    if native && !dropping.is_empty() {
        outcomes.unknown(
            format!(
                "{} sees the pod afterwards, and its older versions drop `restartPolicy` of init containers, so that a \
                 native sidecar keeps the pod from starting",
                dropping.join(", ")
            ),
            "try a pod with a dry run, and upgrade that webhook where the field is gone",
        );
    }
}
