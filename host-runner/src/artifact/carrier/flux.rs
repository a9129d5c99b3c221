//! Flux in each member: one Kustomization for each step, which waits for the one before.

use fedcar_policy::federation::{Engine, Member};
use serde_json::{Value, json};

use super::{Repository, Step, Steps, documents, health, metadata};

/// Where Flux is installed by its own instructions.
const NAMESPACE: &str = "flux-system";
/// The repository, and the first part of every Kustomization's name.
const NAME: &str = "fedcar";

pub(super) fn file(repository: &Repository, Steps { member, steps }: &Steps<'_>) -> (String, String) {
    let mut objects = vec![git_repository(repository)];
    let mut before: Option<Step> = None;
    for (step, _) in steps {
        objects.push(kustomization(repository, member, *step, before));
        before = Some(*step);
    }
    let comment = "# Apply it in this member's cluster.\n";
    (format!("_flux/{}.yaml", member.name), documents(comment, &objects))
}

fn git_repository(repository: &Repository) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": metadata(NAME, NAMESPACE),
        "spec": {"interval": "5m", "ref": {"branch": repository.branch}, "url": repository.url},
    })
}

fn kustomization(repository: &Repository, member: &Member, step: Step, before: Option<Step>) -> Value {
    let name = |step: Step| format!("{NAME}-{}", step.folder());
    let path = repository.folder(&format!("{}/{}", member.name, step.folder()));
    let mut spec = json!({
        "interval": "10m",
        "path": format!("./{path}"),
        "prune": true,
        "sourceRef": {"kind": "GitRepository", "name": NAME},
        "timeout": "5m",
        // For the health of everything in the step.
        "wait": true,
    });
    let mut set = |key: &str, value: Value| spec.as_object_mut().and_then(|spec| spec.insert(key.to_owned(), value));
    if let Some(before) = before {
        set("dependsOn", json!([{"name": name(before)}]));
    }
    if member.engine == Engine::Kubewarden && step == Step::Admission {
        let check = json!({
            "apiVersion": "policies.kubewarden.io/v1",
            "kind": "ClusterAdmissionPolicy",
            "current": health::cel(),
        });
        set("healthCheckExprs", json!([check]));
    }
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": metadata(&name(step), NAMESPACE),
        "spec": spec,
    })
}
