//! Argo CD: one Application for each member, by an `ApplicationSet` that lists them.

use fedcar_policy::federation::Engine;
use serde_json::{Value, json};

use super::{Files, MemberArtifact, Repository, Step, documents, health, metadata};
use crate::yaml;

/// Where Argo CD is installed by its own instructions.
const NAMESPACE: &str = "argocd";

/// The kinds of a step that are not of the first, as a pattern of kustomize.
const fn kinds(step: Step) -> Option<&'static str> {
    match step {
        Step::Engine => None,
        Step::Admission => Some("ClusterAdmissionPolicy|MutatingWebhookConfiguration"),
        Step::Proof => Some("ValidatingAdmissionPolicy|ValidatingAdmissionPolicyBinding"),
    }
}

pub(super) fn files(repository: &Repository, members: &[MemberArtifact]) -> Files {
    let set = documents(
        "# Apply it where Argo CD runs. Members are clusters of Argo CD by the same names.\n",
        &[application_set(repository, members)],
    );
    let mut files = Files::from([("_argo/applicationset.yaml".to_owned(), set)]);
    if members.iter().any(|member| member.engine == Engine::Kubewarden) {
        let comment = "# When a ClusterAdmissionPolicy is healthy. It adds one key to Argo CD's own ConfigMap:\n\
                       # kubectl apply --server-side -f argocd-cm.yaml\n";
        files.insert("_argo/argocd-cm.yaml".to_owned(), documents(comment, &[health_check()]));
    }
    files
}

fn application_set(repository: &Repository, members: &[MemberArtifact]) -> Value {
    let elements: Vec<Value> =
        members.iter().map(|member| json!({"member": member.name, "path": repository.folder(&member.name)})).collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": metadata("fedcar", NAMESPACE),
        "spec": {
            "generators": [{"list": {"elements": elements}}],
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            // A member that leaves the federation keeps what it has until somebody removes it there.
            "syncPolicy": {"preserveResourcesOnDeletion": true},
            "template": {
                "metadata": {
                    "name": "fedcar-{{ .member }}",
                    "labels": {"app.kubernetes.io/name": "fedcar", "fedcar.dev/member": "{{ .member }}"},
                },
                "spec": {
                    "destination": {"name": "{{ .member }}"},
                    "ignoreDifferences": [{
                        "group": "admissionregistration.k8s.io",
                        "kind": "MutatingWebhookConfiguration",
                        // cert-manager writes it.
                        "jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"],
                    }],
                    "project": "default",
                    "source": {
                        "kustomize": {"patches": waves()},
                        "path": "{{ .path }}",
                        "repoURL": repository.url,
                        "targetRevision": repository.branch,
                    },
                    "syncPolicy": {
                        "automated": {"prune": true, "selfHeal": true},
                        // Server-side, because the settings do not fit into an annotation; and the old policy goes when the
                        // new one works.
                        "syncOptions": ["PruneLast=true", "RespectIgnoreDifferences=true", "ServerSideApply=true"],
                    },
                },
            },
        },
    })
}

/// Argo CD waits for the health of one wave before it begins the next.
fn waves() -> Vec<Value> {
    let wave = |(number, step): (usize, Step)| {
        let kinds = kinds(step)?;
        let annotations = json!({"argocd.argoproj.io/sync-wave": number.to_string()});
        // What it applies to is said by the target; the names here have to be there and mean nothing.
        let patch =
            json!({"apiVersion": "any", "kind": "any", "metadata": {"name": "any", "annotations": annotations}});
        Some(json!({"target": {"kind": kinds}, "patch": yaml::write(&patch)}))
    };
    [Step::Engine, Step::Admission, Step::Proof].into_iter().enumerate().filter_map(wave).collect()
}

fn health_check() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": NAMESPACE},
        "data": {"resource.customizations.health.policies.kubewarden.io_ClusterAdmissionPolicy": health::lua()},
    })
}
