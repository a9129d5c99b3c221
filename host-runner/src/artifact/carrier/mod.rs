//! What carries the folders to the members: objects for its hub or its agents, and the guarantees that are lost on the way.
//!
//! The members' folders are the same for every carrier; what is made here stands beside them, in a folder whose name no
//! member can have.

mod argo;
mod flux;
mod health;
mod karmada;

use fedcar_policy::federation::Engine;
use serde_json::{Value, json};

use super::member::{Step, Steps};
use super::{Files, MemberArtifact, documents};

/// Who applies the folders.
#[derive(Debug, Clone)]
pub(crate) enum Carrier {
    /// A person or a pipeline, with `kubectl apply -k`.
    Kustomize,
    /// An Argo CD that knows all members.
    Argo(Repository),
    /// A Flux in each member.
    Flux(Repository),
    /// A Karmada that all members have joined.
    Karmada,
}

/// Where the folders can be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    /// Its URL.
    pub(crate) url: String,
    /// The branch.
    pub(crate) branch: String,
    /// The folder in it that is compiled into; empty for the root.
    pub(crate) path: String,
}

impl Repository {
    /// A folder below the one that is compiled into.
    fn folder(&self, below: &str) -> String {
        let root = self.path.trim_matches('/');
        if root.is_empty() { below.to_owned() } else { format!("{root}/{below}") }
    }
}

impl Carrier {
    /// How it is called in flags and manifests.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kustomize => "kustomize",
            Self::Argo(_) => "argo",
            Self::Flux(_) => "flux",
            Self::Karmada => "karmada",
        }
    }

    /// What stands beside the members' folders for one member: its path and its text.
    pub(super) fn file(&self, member: &Steps<'_>) -> Option<(String, String)> {
        match self {
            Self::Kustomize | Self::Argo(_) => None,
            Self::Flux(repository) => Some(flux::file(repository, member)),
            Self::Karmada => Some(karmada::file(member)),
        }
    }

    /// What stands there for all members together.
    pub(super) fn files(&self, members: &[MemberArtifact]) -> Files {
        match self {
            Self::Argo(repository) => argo::files(repository, members),
            Self::Kustomize | Self::Flux(_) | Self::Karmada => Files::new(),
        }
    }

    /// Each guarantee of delivery by fedcar that is lost, in a sentence.
    pub(super) fn losses(&self, members: &[MemberArtifact]) -> Vec<String> {
        let kubewarden = members.iter().any(|member| member.engine == Engine::Kubewarden);
        let mut losses = Vec::new();
        match self {
            Self::Kustomize => {
                losses.push("kustomize: `kubectl apply -k MEMBER` applies all steps at once: apply engine, admission and proof one after the other, each when the one before is healthy");
                losses.push("kustomize: nothing removes what an earlier revision had and this one has not");
            }
            Self::Argo(_) => {
                if kubewarden {
                    losses.push("argo: without `_argo/argocd-cm.yaml` in Argo CD's own ConfigMap a ClusterAdmissionPolicy counts as healthy before any policy server has loaded it");
                }
                losses.push("argo: all members are synced at once, without stages, soak time or approvals");
            }
            Self::Flux(_) => {
                if kubewarden {
                    losses.push("flux: before Flux 2.5 there is no `healthCheckExprs`, and a ClusterAdmissionPolicy counts as healthy before any policy server has loaded it");
                }
                losses.push("flux: each member follows the branch by itself, without stages, soak time or approvals across members");
            }
            Self::Karmada => {
                losses.push("karmada: engine, admission and proof are applied at once: a webhook with failurePolicy Fail may be there before anything answers it");
                losses.push("karmada: a Work counts as applied when its object exists, whether or not it works");
                losses.push("karmada: all members are served at once, without stages, soak time or approvals");
            }
        }
        losses.push("nobody goes back to the last good revision by itself, and nothing tries a pod before the webhooks are there");
        let named = |loss: &str| {
            if loss.starts_with(self.name()) { loss.to_owned() } else { format!("{}: {loss}", self.name()) }
        };
        losses.into_iter().map(named).collect()
    }
}

/// The metadata of an object beside the members' folders.
fn metadata(name: &str, namespace: &str) -> Value {
    json!({"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "fedcar"}})
}
